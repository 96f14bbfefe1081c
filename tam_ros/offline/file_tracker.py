"""The session behind a run: the user's object numbers, and what is planned for each frame."""

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from tam_ros.engine.base import Engine
from tam_ros.image_files import SourceError
from tam_ros.masks import MaskCrop, label_image
from tam_ros.offline.plan import LARGEST_ID, Planned, PlannedPrompt, PlannedSearch, saying
from tam_ros.offline.recording import View
from tam_ros.offline.records import ObjectRecord
from tam_ros.offline.rle import RleMask
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.discovery import Discovery
from tam_ros.tracker.memory_options import MemoryOptions
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import make_policy
from tam_ros.tracker.results import ObjectResult
from tam_ros.tracker.session import Session

SAME_PART = 0.9  # of the pixels of objects that a search has found again


class FileTracker:
    """Finds objects in one frame after another."""

    def __init__(
        self,
        engine: Engine,
        options: MemoryOptions,
        *,
        say: Callable[[str], None] = print,
        check: Callable[[], None] = lambda: None,
    ):
        """say: takes what searches found, in words. check: called in between; may end a search."""
        self._session = Session(
            engine,
            SessionOptions(history_s=0),  # no prompt comes late
            max_objects=options.max_objects,
            max_prompted_frames=options.max_prompted_frames,
            policy=make_policy(options.memory_policy),
        )
        self._session_ids: dict[int, int] = {}  # by the user's
        self._say = say
        self._check = check

    def track(
        self, view: View, due: Iterable[Planned], *, is_all: bool = False
    ) -> Sequence[ObjectRecord]:
        """Return all objects in the next frame, with what is planned for it.

        is_all: whether nothing else is planned, so that some object must be found. Raises
        PromptError for what cannot be applied, and NotFiniteError.
        """
        self._step(view)
        notes = self._apply(due)
        if is_all and not self._session_ids:
            raise PromptError(notes[-1])
        for note in notes:
            self._say(note)
        return self._records(view)

    def recall(
        self,
        view: View,
        due: Sequence[Planned],
        known: Sequence[ObjectRecord],
        last: Collection[int],
    ) -> None:
        """Take in an earlier frame again: what was planned for it, and what was found in it.

        known: all objects there. last: the numbers of those of which it has the last mask; what
        is planned for the same object goes first. Another device or engine may round otherwise,
        and a search find others than it did: then the masks count that it found.
        """
        before = set(self._session_ids)
        self._step(view)
        self._apply(due)
        planned = {each.object_id for each in due if isinstance(each, PlannedPrompt)}
        found = self._session_ids.keys() - before - planned
        if found and self._is_as_known(view, found, known):
            planned |= found
        else:
            self._forget(found)
        for record in known:
            is_due = record.object_id in last or record.object_id not in self._session_ids
            if is_due and record.object_id not in planned and record.mask is not None:
                mask = Prompt(mask=_whole_mask(record.mask, view.size_wh))
                self._prompt(record.object_id, mask, record.label)

    def _step(self, view: View) -> None:
        result = self._session.step(view.image_rgb, view.time_ns)
        if result.left_out:  # which times that ascend, and sizes that are checked, do not allow
            raise SourceError(f'frame {view.index} does not go on: {result.left_out.text}')

    def _apply(self, due: Iterable[Planned]) -> list[str]:
        """Do what is planned; return what is to be said of it."""
        notes = []
        for planned in due:
            with saying(planned):
                if isinstance(planned, PlannedPrompt):
                    self._prompt(planned.object_id, planned.prompt, planned.label)
                else:
                    notes.append(f'{planned.source}: {self._search(planned)}')
        return notes

    def _prompt(self, object_id: int, prompt: Prompt, label: str) -> None:
        known = self._session_ids.get(object_id, 0)
        answer = self._session.add_prompt(prompt, object_id=known, label=label)
        self._session_ids[object_id] = answer.object_id

    # -- searches ---------------------------------------------------------------------------

    def _search(self, planned: PlannedSearch) -> str:
        """Start all that a search finds, under the lowest free numbers; return that in words."""
        search = Discovery(self._session, planned.request, planned.options)
        search.finish(self._check)
        free = (n for n in range(1, LARGEST_ID + 1) if n not in self._session_ids)
        numbered = dict(zip(free, [found.object_id for found in search.found]))
        for session_id in numbered.values():
            self._session.confirm(session_id)  # nobody looks on who could
        self._session_ids |= numbered
        return _in_words(planned, search, numbered)

    def _is_as_known(
        self, view: View, found: Collection[int], known: Sequence[ObjectRecord]
    ) -> bool:
        """Return whether what a search started again is known of the frame, and as it is now."""
        if not {each.object_id for each in known}.issuperset(found):
            return False
        now, then = (
            label_image(
                {each.object_id: each.mask for each in records if each.object_id in found},
                view.size_wh,
            )
            for records in (self._records(view), known)
        )
        agrees: np.ndarray = (now == then)[(now > 0) | (then > 0)]
        return agrees.size > 0 and bool(agrees.mean() >= SAME_PART)

    def _forget(self, object_ids: Collection[int]) -> None:
        for object_id in object_ids:
            self._session.remove(self._session_ids.pop(object_id))

    def _records(self, view: View) -> list[ObjectRecord]:
        """Return all objects in the newest frame."""
        found = {result.object_id: result for result in self._session.objects}
        ids = sorted(self._session_ids.items())
        return [_record(n, found[i], view.size_wh) for n, i in ids]


def _in_words(planned: PlannedSearch, search: Discovery, object_ids: Iterable[int]) -> str:
    """Return what came of a search; object_ids: the numbers of what it started."""
    found, options = ', '.join(map(str, object_ids)), planned.options
    parts = [
        f'{planned.at}: objects found: {found}'
        if found
        else f'{planned.at}: nothing found: lower min_score ({options.min_score:g}) or min_area '
        f'({options.min_area:g}), or search another frame'
    ]
    if search.refused:
        parts.append(f'{len(search.refused)} not started: {search.refused[0]}')
    if not search.complete:
        parts.append(f'not all of it was searched in {options.max_s:g} s')
    return '; '.join(parts)


def _record(object_id: int, result: ObjectResult, size_wh: tuple[int, int]) -> ObjectRecord:
    score, crop = float(result.predicted_iou), result.mask
    mask = RleMask.of(crop, size_wh) if crop else None
    return ObjectRecord(object_id, result.label, result.state, score, mask)


def _whole_mask(crop: MaskCrop, size_wh: tuple[int, int]) -> np.ndarray:
    return label_image({1: crop}, size_wh) == 1
