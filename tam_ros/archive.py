"""The zip archives that PyTorch writes, looked at before anything in them is unpacked.

Needs no PyTorch, whose own reader unpacks what is compressed, however large, and checks no sums.
"""

import struct
import zipfile
from pathlib import Path

END_BYTES = 22  # of the record that ends an archive without a comment, as PyTorch's do
END_MARK = b'PK\x05\x06'
# What `zipfile` raises over damaged input.
UNREADABLE = (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, OSError, struct.error)


class ArchiveError(Exception):
    """A file is no whole PyTorch archive; the message, to follow its name, says why."""


def check_archive(path: Path) -> None:
    """Raise ArchiveError unless a file is one whole archive as PyTorch writes it.

    Its entries are stored as they are, together no larger than the file, and have the sums that
    were written with them; nothing comes before or after.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_layout(archive, path)
            damaged = archive.testzip()
    except UNREADABLE as error:
        raise ArchiveError(f'is truncated or no PyTorch file: {error}') from error
    if damaged is not None:
        raise ArchiveError(f'is damaged: the sum of its entry {damaged} is another')


def _check_layout(archive: zipfile.ZipFile, path: Path) -> None:
    entries = archive.infolist()
    if not any(entry.filename.endswith('/data.pkl') for entry in entries):
        raise ArchiveError('is a zip archive, but none of PyTorch: it has no data.pkl')
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ArchiveError(
                f'has a compressed entry, {entry.filename} of {entry.file_size:,} bytes unpacked; '
                'PyTorch compresses none'
            )
    size, unpacked = path.stat().st_size, sum(entry.file_size for entry in entries)
    if unpacked > size:
        raise ArchiveError(f'claims {unpacked:,} bytes of content, which is more than its size')
    if min(entry.header_offset for entry in entries) or not _ends_with_archive(path):
        raise ArchiveError('has something before or after its archive')


def _ends_with_archive(path: Path) -> bool:
    with path.open('rb') as file:
        file.seek(-END_BYTES, 2)
        end = file.read()
    return end.startswith(END_MARK) and end.endswith(b'\0\0')  # no comment
