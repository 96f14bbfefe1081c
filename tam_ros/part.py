"""A file that is not whole yet: locked, no link, and known by the version that it is of."""

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

STRONG_TAG = re.compile(r'"[!\x23-\x7e]*"')  # a weak one does not promise the same bytes


class StorageError(RuntimeError):
    """A file cannot be written; the message names it, and why."""


class Part:
    """The part of a file that has come, locked against other programs; a context.

    Beside it lies the entity tag that the server gave its version. Raises StorageError for what
    is no ordinary file: links are not followed.
    """

    def __init__(self, path: Path):
        self.path = path
        self._tag_path = path.with_name(f'{path.name}.etag')
        self._file = _open_ordinary(path)

    def __enter__(self) -> 'Part':
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def tag(self) -> str:
        """The entity tag of the version that the bytes are of; '' if unknown."""
        if self._tag_path.is_symlink() or not self._tag_path.is_file():
            return ''
        tag = self._tag_path.read_text(errors='replace')
        return tag if STRONG_TAG.fullmatch(tag) else ''

    def begin(self, offset: int, tag: str) -> None:
        """Keep the first bytes, of the version with that tag, and write after them."""
        # Wherever this is cut off, no tag lies beside bytes of another version.
        with _storing(self._tag_path):
            self._tag_path.unlink(missing_ok=True)
        with _storing(self.path):
            self._file.truncate(offset)
            self._file.seek(offset)
        if STRONG_TAG.fullmatch(tag):
            write_text(self._tag_path, tag)

    def write(self, chunk: bytes) -> None:
        """Append bytes; raises StorageError where there is no room."""
        _write(self._file, self.path, chunk)

    def discard(self) -> None:
        """Remove the part and what was known of it."""
        with _storing(self.path):
            self._tag_path.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        """Take the place of target; a link there is replaced, not followed."""
        with _storing(target):
            os.fsync(self._file.fileno())  # or a crash could leave the name without the bytes
            self.path.replace(target)
            self._tag_path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file, following no link; raises StorageError."""
    with _open_ordinary(path) as file:
        file.truncate(0)
        _write(file, path, text.encode())


def _write(file: BinaryIO, path: Path, content: bytes) -> None:
    rest = memoryview(content)
    with _storing(path):
        while rest:
            rest = rest[file.write(rest) :]


@contextlib.contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Say of a failure that it is this path that cannot be written."""
    try:
        yield
    except OSError as error:
        raise StorageError(f'{path} cannot be written ({error.strerror})') from error


def _open_ordinary(path: Path) -> BinaryIO:
    """Open a file for this program alone, unbuffered; make it where there is none."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.fdopen(os.open(path, flags, 0o644), 'r+b', buffering=0)
    except OSError as error:
        why = f'cannot be written ({error.strerror})'
        raise StorageError(f'{path} {"is a link" if path.is_symlink() else why}') from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ordinary = _is_ordinary(os.fstat(file.fileno()), path.lstat())
    except OSError as error:
        file.close()
        raise StorageError(f'{path} is in use by another program ({error.strerror})') from error
    if not ordinary:
        file.close()
        raise StorageError(f'{path} is a link, or no ordinary file')
    return file


def _is_ordinary(opened: os.stat_result, named: os.stat_result) -> bool:
    """Return whether what was opened is a file of one name, and still that of its path."""
    # Writing to a file of several names would change what others know by another of them.
    is_file = stat.S_ISREG(opened.st_mode) and opened.st_nlink == 1
    return is_file and os.path.samestat(opened, named)
