"""A run through a recording: goes over what is done, tracks in the rest, and may stop anywhere."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from tam_ros.engine.base import EngineError
from tam_ros.image_files import SourceError
from tam_ros.offline.file_tracker import FileTracker
from tam_ros.offline.interruption import Interruption, StoppedError
from tam_ros.offline.plan import Plan, Planned
from tam_ros.offline.recording import Recording, Shot
from tam_ros.offline.records import FrameRecord, make_record
from tam_ros.offline.results import Results
from tam_ros.offline.rle import RleError
from tam_ros.prompts import PromptError

FAILURES = (SourceError, PromptError, EngineError, RleError, OSError)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    done: int
    """Frames whose results are there."""
    failure: str = ''
    """What ended it; '' where nothing failed."""
    signal: int = 0
    """Number of the signal that stopped it, if one did."""


class Run:
    """Tracks in a recording, from the first frame that is not done."""

    def __init__(self, recording: Recording, plan: Plan, results: Results):
        self._recording = recording
        self._plan = plan
        self._results = results
        self._since_ns = 0  # where the time of the next frame begins
        self._next_index = 0

    def what_holds(self) -> int:
        """Return how many frames are done up to the first whose prompts have changed since.

        Raises PromptError where all are done and a prompt comes after them.
        """
        journal, holding = self._results.journal, 0
        for record in journal.records():
            due = self._due(record.index, record.time_ns, record.until_ns)
            if _digests(due) != record.prompts:
                return holding
            holding += 1
        if journal.is_complete:
            self._plan.check_end(self._next_index, self._since_ns)
        return holding

    def go(self, tracker: FileTracker, interruption: Interruption) -> Outcome:
        """Track until the end, a failure or a signal; what is done is whole then."""
        failure = ''
        try:
            with contextlib.suppress(StoppedError):
                self._go(tracker, interruption)
        except FAILURES as error:
            failure = str(error)
        failures = [failure, *self._results.close()]
        first = next(filter(None, failures), '')
        journal = self._results.journal
        return Outcome(len(journal), first, 0 if journal.is_complete else interruption.number)

    def _go(self, tracker: FileTracker, interruption: Interruption) -> None:
        self._results.open()
        journal, recording = self._results.journal, self._recording
        with contextlib.closing(recording.shots()) as shots:
            self._go_over_done(tracker, shots, interruption)
            if interruption.number:
                return
            self._results.catch_up()
            bar = tqdm(
                shots,
                recording.name,
                total=recording.count,
                initial=len(journal),
                unit='frame',
                disable=None,
            )
            for shot in bar:
                if interruption.number:
                    return
                self._track(tracker, shot)
        self._plan.check_end(self._next_index, self._since_ns)
        journal.finish()

    # -- what is done -----------------------------------------------------------------------

    def _go_over_done(
        self, tracker: FileTracker, shots: Iterator[Shot], interruption: Interruption
    ) -> None:
        """Draw the frames that are done again, and let the tracker know their objects.

        It sees the frames with prompts or searches, and of each object the last one that showed
        it, with the mask that was found there. That is what it can know of frames before, but not
        all that it knew: the frames after may differ from those of a run that was not stopped.
        """
        last_seen = self._last_seen()
        for record in self._done():
            if interruption.number:
                return
            shot = self._same(next(shots, None), record)
            self._results.add_again(shot.view, record)
            due = self._due_in(shot)
            last = _last_shown(record, last_seen)
            if due or last:
                tracker.recall(shot.view, due, record.objects, last)

    def _done(self) -> Iterable[FrameRecord]:
        journal = self._results.journal
        if not len(journal):
            return ()
        return tqdm(
            journal.records(), 'what is done', total=len(journal), unit='frame', disable=None
        )

    def _last_seen(self) -> dict[int, int]:
        """Return the last frame that is done with a mask of an object, by its number."""
        return {
            found.object_id: record.index
            for record in self._results.journal.records()
            for found in record.objects
            if found.kept_mask
        }

    def _same(self, shot: Shot | None, record: FrameRecord) -> Shot:
        """Return the shot of a record; raises SourceError where it is another."""
        view = shot and shot.view
        if not shot or (shot.view.index, shot.view.name) != (record.index, record.name):
            raise SourceError(
                f'{self._recording.path} has changed: frame {record.index} was {record.name}, now '
                f'it is {view.name if view else "missing"}; set --restart to begin anew'
            )
        return shot

    # -- the rest ---------------------------------------------------------------------------

    def _track(self, tracker: FileTracker, shot: Shot) -> None:
        due = self._due_in(shot)
        objects = tracker.track(shot.view, due, is_all=len(due) == len(self._plan))
        self._results.add(shot.view, make_record(shot, _digests(due), objects))

    def _due_in(self, shot: Shot) -> list[Planned]:
        return self._due(shot.view.index, shot.view.time_ns, shot.until_ns)

    def _due(self, index: int, time_ns: int, until_ns: int) -> list[Planned]:
        """Return what is for the next frame; raises PromptError for what is before the first."""
        if not index:
            self._since_ns = _start_ns(time_ns, until_ns)
            self._plan.check_start(self._since_ns)
        due = self._plan.due(index, self._since_ns, until_ns)
        self._since_ns, self._next_index = until_ns, index + 1
        return due


def _start_ns(time_ns: int, until_ns: int) -> int:
    """Return where the time of a first frame begins: as long before it as it ends after it."""
    return 2 * time_ns - until_ns - 1


def _digests(due: Sequence[Planned]) -> tuple[str, ...]:
    return tuple(planned.digest() for planned in due)


def _last_shown(record: FrameRecord, last_seen: Mapping[int, int]) -> set[int]:
    """Return the numbers of objects that a record is the last to show."""
    ids = (found.object_id for found in record.objects)
    return {object_id for object_id in ids if last_seen.get(object_id) == record.index}
