"""The record of a run: a line for each frame that is done, from which all results are made.

A line is there once its frame is done. What a killed program left of another is dropped.
"""

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tam_ros.offline.records import FrameRecord, record_from_json, record_to_json
from tam_ros.paths import PathError

FILE_NAME = 'track.jsonl'
FORMAT = 'tam_ros track_file 1'
END = b'{"end": true}\n'

Identity = dict[str, Any]


class Journal:
    """The lines of a run, locked against other programs until it is closed."""

    def __init__(self, path: Path, identity: Identity, *, restart: bool = False):
        """Open a run's journal, or begin one.

        identity: what must be the same for frames to belong together: the recording, its size_wh,
        and what tracks in it. restart: begin anew, whatever there is. Raises PathError for a
        journal that is in use, no journal, or that of another run.
        """
        self._path = path
        self._size_wh: tuple[int, int] = tuple(identity['size_wh'])
        self._file = path.open('a+b')
        try:
            self._lock()
            if restart:
                self._file.truncate(0)
            self._ends = self._read(json.loads(json.dumps(identity)))
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Unlock it."""
        self._file.close()

    def __len__(self) -> int:
        """Return how many frames are done."""
        return len(self._ends) - 1

    @property
    def is_complete(self) -> bool:
        """Whether the last frame of the recording is done."""
        return self._file_size() > self._ends[-1]

    def records(self) -> Iterator[FrameRecord]:
        """Return all frames that are done, in their order."""
        with self._path.open('rb') as file:
            file.seek(self._ends[0])
            for _ in range(len(self)):
                yield record_from_json(json.loads(file.readline()), self._size_wh)

    def append(self, record: FrameRecord) -> None:
        """Note a frame as done; raises OSError."""
        line = json.dumps(record_to_json(record)).encode() + b'\n'
        self._write(line)
        self._ends.append(self._ends[-1] + len(line))

    def finish(self) -> None:
        """Note that no frame follows; raises OSError."""
        self._write(END)

    def keep(self, count: int) -> None:
        """Forget the frames after the first ones, and that the run had ended; raises OSError."""
        self._ends = self._ends[: count + 1]
        self._file.truncate(self._ends[-1])

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()

    def _file_size(self) -> int:
        return self._file.seek(0, 2)

    # -- opening ----------------------------------------------------------------------------

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise PathError(
                f'{self._path.parent} is in use by another program: give another --out'
            ) from error

    def _read(self, identity: Identity) -> list[int]:
        """Return where the head and each frame's line end; drop what is no whole line."""
        self._file.seek(0)
        head = self._file.readline()
        if not head.endswith(b'\n'):
            head = json.dumps({'format': FORMAT} | identity).encode() + b'\n'
            self._file.truncate(0)
            self._write(head)
            return [len(head)]
        self._check_head(head, identity)
        ends, end = [len(head)], len(head)
        while self._is_frame(line := self._file.readline()):
            end += len(line)
            ends.append(end)
        if line != END:
            self._file.truncate(end)
        return ends

    def _is_frame(self, line: bytes) -> bool:
        """Return whether a line is whole and of a frame."""
        try:
            record_from_json(json.loads(line), self._size_wh)
        except (ValueError, KeyError, TypeError):  # cut, or damaged
            return False
        return line.endswith(b'\n')

    def _check_head(self, head: bytes, identity: Identity) -> None:
        """Raise PathError where the lines are of another run."""
        try:
            found = json.loads(head)
            is_journal = found.pop('format') == FORMAT
        except (ValueError, KeyError, TypeError, AttributeError):
            is_journal = False
        if not is_journal:
            raise PathError(f'{self._path} is no record of track_file: give another --out')
        for key, value in identity.items():
            if found.get(key) != value:
                raise PathError(
                    f'{self._path.parent} has results for {key} {found.get(key)!r}, asked for is '
                    f'{value!r}: give another --out, or --restart to begin anew'
                )
