"""Result files, which appear under their names only when they are whole."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tam_ros.paths import PathError

PART = 'part-'  # what the names of files begin with that are not whole


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path of a file to write in place of another; that is replaced at the end."""
    part = part_of(path)
    yield part
    part.replace(path)


def part_of(path: Path) -> Path:
    """Return where a file is until it is whole: beside it, with the same suffix."""
    return path.with_name(PART + path.name)


def check_folder(folder: Path, journal_name: str) -> None:
    """Raise PathError for a folder with files of others, which results might replace."""
    if folder.is_dir() and not (folder / journal_name).exists() and any(folder.iterdir()):
        raise PathError(f'--out {folder} has files, but not of track_file: give a new folder')
