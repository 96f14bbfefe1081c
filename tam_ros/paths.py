"""Paths as users give them: `~` is their home, and what is wrong with one is said in words."""

import stat
from pathlib import Path


class PathError(ValueError):
    """A path cannot be used; the message says why, and what would be right."""


def user_path(path: Path | str) -> Path:
    """Return a path with its `~` replaced; raises PathError where no such home is known."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise PathError(
            f'{path}: no home folder is known for it: set HOME, or give the whole path'
        ) from error


def make_folder(folder: Path, advice: str) -> None:
    """Make a folder where there is none; raises PathError that ends in the advice."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f'folder {folder} cannot be made ({error.strerror}): {advice}') from error


def file_fault(path: Path) -> str:
    """Return why a path is no file to be read, to follow its name; '' where it is one."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return 'is a folder'
        if not stat.S_ISREG(mode):
            return 'is no ordinary file'
        path.open('rb').close()
    except (FileNotFoundError, NotADirectoryError):
        return 'does not exist'
    except (OSError, ValueError) as error:
        return f'cannot be read ({getattr(error, "strerror", error)})'
    return ''
