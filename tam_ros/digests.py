"""Digests of files: a sha256, git's id of a content, and the record of one beside its file."""

import hashlib
from pathlib import Path

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content."""
    return _digest(path, hashlib.sha256())


def git_blob_id(path: Path) -> str:
    """Return the id that git gives a file's content."""
    return _digest(path, hashlib.sha1(f'blob {path.stat().st_size}\0'.encode()))


def _digest(path: Path, digest: 'hashlib._Hash') -> str:
    with path.open('rb') as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def record_path(path: Path) -> Path:
    """Return where the sha256 of a file is recorded, as `sha256sum` reads and writes it."""
    return path.with_name(f'{path.name}.sha256')


def record_line(path: Path) -> str:
    """Return a file's record."""
    return f'{sha256_of(path)}  {path.name}\n'


def recorded_sha256(path: Path) -> str:
    """Return the sha256 that is recorded of a file, '' where there is no record."""
    record = record_path(path)
    return record.read_text(errors='replace').split(' ')[0].strip() if record.is_file() else ''
