"""The folder of a run's results: written frame by frame, or made at its end of its journal."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tam_ros.offline.journal import FILE_NAME, Identity, Journal
from tam_ros.offline.mask_folder import MaskFolder
from tam_ros.offline.pictures import Pictures
from tam_ros.offline.recording import Recording, View
from tam_ros.offline.records import FrameRecord
from tam_ros.offline.storage import check_folder
from tam_ros.offline.tables import write_coco, write_csv
from tam_ros.paths import make_folder

# Made anew by each run, of all frames.
PICTURES, BAG = ('overlay.mp4', 'contact_sheet.png'), 'bag'


class Output(Protocol):
    """What takes every frame, those of an earlier run again, and is whole once it is closed."""

    def add(self, view: View, record: FrameRecord) -> None:
        """Take the next frame; raises OSError."""

    def close(self) -> None:
        """Take the place of what an earlier run left; raises OSError."""

    def discard(self) -> None:
        """Leave what an earlier run left, and nothing else; raises OSError."""


class Results:
    """All results of a recording; a context, which unlocks the folder."""

    def __init__(
        self, folder: Path, recording: Recording, identity: Identity, *, restart: bool = False
    ):
        """identity: as that of a `Journal`. restart: remove earlier results. Raises PathError."""
        check_folder(folder, FILE_NAME)
        make_folder(folder, 'set --out to a folder that can be written')
        self.folder = folder
        self._recording = recording
        self._masks = MaskFolder(folder / 'masks' / recording.name)
        self.journal = Journal(folder / FILE_NAME, identity, restart=restart)
        self._outputs: list[Output] = []
        self._has_all = False
        if restart:
            self._remove_pictures()
            shutil.rmtree(folder / 'masks', ignore_errors=True)

    def __enter__(self) -> 'Results':
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def keep(self, count: int) -> None:
        """Forget the frames after the first ones; raises OSError."""
        for i, record in enumerate(self.journal.records()):
            if i >= count:
                self._masks.remove(record)
        self._remove_pictures()
        self.journal.keep(count)

    def _remove_pictures(self) -> None:
        for name in PICTURES:
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / BAG, ignore_errors=True)

    def open(self) -> None:
        """Begin the results that cannot be added to; raises OSError."""
        video, sheet = (self.folder / name for name in PICTURES)
        self._outputs = [Pictures(video, sheet, self._recording.rate_hz)]
        if self._recording.topic:
            from tam_ros.offline.bag_results import ResultBag

            bag = ResultBag(self.folder / BAG, self._recording.storage, self._recording.start_ns)
            self._outputs.append(bag)

    def add_again(self, view: View, record: FrameRecord) -> None:
        """Take a frame that was done by an earlier run; raises OSError."""
        self._masks.restore(record)
        self._add(view, record)

    def catch_up(self) -> None:
        """Say that all frames that are done have been taken."""
        self._has_all = True

    def add(self, view: View, record: FrameRecord) -> None:
        """Take a frame, which is done from then on; raises OSError."""
        self._masks.write(record)
        self._add(view, record)
        self.journal.append(record)

    def _add(self, view: View, record: FrameRecord) -> None:
        for output in self._outputs:
            output.add(view, record)

    def close(self) -> list[str]:
        """Make all results whole for the frames that are done; return what could not be."""
        records = self.journal.records
        works: list[Callable[[], None]] = [
            output.close if self._has_all else output.discard for output in self._outputs
        ]
        works.append(lambda: write_csv(self.folder / 'objects.csv', records()))
        works.append(lambda: write_coco(self.folder / 'annotations.json', records()))
        return [text for text in map(_failure_of, works) if text]


def _failure_of(work: Callable[[], None]) -> str:
    """Do some work; return what failed, '' if nothing."""
    try:
        work()
    except OSError as error:
        return str(error)
    return ''
