"""Fetch a file over HTTPS, so that a further try goes on where one stopped.

Knows no checkpoints: whether the content is right, its caller must tell.
"""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO
from urllib.parse import urlsplit

from tqdm import tqdm

from tam_ros.part import Part

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30
HTTPS = ('https',)


class TransferError(RuntimeError):
    """A server did not give what it was asked for; the message says what it gave."""


class ResumeRefusedError(TransferError):
    """A server has nothing that goes on where a part ends."""


@dataclass(frozen=True)
class Source:
    """What is fetched, and from where it may come."""

    url: str
    """Address of the file."""
    most_bytes: int
    """Size above which the content cannot be right."""
    schemes: Sequence[str] = HTTPS
    """Of the address, and of those that it redirects to."""
    is_known: bool = False
    """Whether the caller can tell the right content from any other.

    If so, a part may be gone on with though the server did not say of which version it was.
    """


def fetch(source: Source, part: Part) -> None:
    """Get what is still missing of a part, or all of it where the server's file is another now.

    Raises TransferError or StorageError; what has come stays for a further try, unless it is more
    than the file can have.
    """
    done = part.size if part.tag or source.is_known else 0
    try:
        try:
            _receive(source, part, done)
        except ResumeRefusedError:
            _receive(source, part, 0)
    except (OSError, HTTPException, ValueError) as error:
        raise TransferError(str(error) or type(error).__name__) from error


def _receive(source: Source, part: Part, done: int) -> None:
    try:
        response = _request(source, done, part.tag)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not done:
            raise
        if error.headers.get('Content-Range') != f'bytes */{done}':
            raise ResumeRefusedError(f'it has nothing after byte {done:,}') from error
        return  # nothing is missing
    with response:
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            _check_range(response, done, part.tag)
        else:
            done = 0
        total = _total_bytes(response, source, done)
        part.begin(done, response.headers.get('ETag') or (part.tag if done else ''))
        for chunk in _with_progress(_chunks(response), done, total):
            part.write(chunk)
            _check_size(part.size, source, part)
    if part.size < total:
        raise TransferError(f'connection ended after {part.size:,} of {total:,} bytes')


def _request(source: Source, done: int, tag: str) -> HTTPResponse:
    headers = {'Range': f'bytes={done}-'} if done else {}
    if done and tag:
        headers['If-Range'] = tag
    _check_scheme(source.url, source.schemes)
    opener = urllib.request.build_opener(_Redirects(source.schemes))
    return opener.open(urllib.request.Request(source.url, headers=headers), timeout=TIMEOUT_S)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to some schemes only."""

    def __init__(self, schemes: Sequence[str]):
        self._schemes = schemes

    def redirect_request(
        self,
        request: urllib.request.Request,
        file: IO[bytes],
        code: int,
        message: str,
        headers: HTTPMessage,
        url: str,
    ) -> urllib.request.Request | None:
        """Return the next request; raises TransferError for a scheme that is not allowed."""
        _check_scheme(url, self._schemes)
        return super().redirect_request(request, file, code, message, headers, url)


def _check_scheme(url: str, schemes: Sequence[str]) -> None:
    # urllib opens local files as well, and follows from HTTPS to HTTP and FTP.
    if urlsplit(url).scheme not in schemes:
        raise TransferError(f'{url} is not followed: only {", ".join(schemes)} is allowed')


def _check_range(response: HTTPResponse, done: int, tag: str) -> None:
    """Raise ResumeRefusedError unless a partial answer goes on where the part ends."""
    given = response.headers.get('Content-Range') or ''
    match = re.fullmatch(r'bytes (\d+)-(\d+)/(\d+|\*)', given)
    goes_on = match is not None and int(match[1]) == done > 0
    is_whole = match is not None and match[3] in ('*', str(int(match[2]) + 1))
    new_tag = response.headers.get('ETag')
    if not (goes_on and is_whole) or (tag and new_tag and tag != new_tag):
        raise ResumeRefusedError(
            f'it answered with {given!r} where the bytes from {done:,} on were asked for'
        )


def _total_bytes(response: HTTPResponse, source: Source, done: int) -> int:
    """Return the size that a file will have, 0 if the server does not say; it is checked."""
    length = response.headers.get('Content-Length')
    if length is None:
        return 0
    if not length.isascii() or not length.isdecimal():
        raise TransferError(f'its Content-Length is {length!r}, expected a number')
    total = done + int(length)
    if total > source.most_bytes:
        raise _too_large(source, total)
    return total


def _check_size(size: int, source: Source, part: Part) -> None:
    if size > source.most_bytes:
        part.discard()
        raise _too_large(source, size)


def _too_large(source: Source, size: int) -> TransferError:
    return TransferError(f'it has {size:,} bytes or more, expected {source.most_bytes:,} at most')


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read(CHUNK_BYTES):
        yield chunk


def _with_progress(chunks: Iterator[bytes], done: int, total: int) -> Iterator[bytes]:
    with tqdm(total=total or None, initial=done, unit='B', unit_scale=True) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(chunk))
