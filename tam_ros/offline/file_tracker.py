"""The session behind a run: the user's object numbers, prompts on the frame they are for."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tam_ros.engine.base import Engine
from tam_ros.image_files import SourceError
from tam_ros.masks import MaskCrop, label_image
from tam_ros.offline.plan import PlannedPrompt, saying
from tam_ros.offline.recording import View
from tam_ros.offline.records import ObjectRecord
from tam_ros.offline.rle import RleMask
from tam_ros.prompts import Prompt
from tam_ros.tracker.memory_options import MemoryOptions
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import make_policy
from tam_ros.tracker.results import ObjectResult
from tam_ros.tracker.session import Session


class FileTracker:
    """Finds objects in one frame after another."""

    def __init__(self, engine: Engine, options: MemoryOptions):
        self._session = Session(
            engine,
            SessionOptions(history_s=0),  # no prompt comes late
            max_objects=options.max_objects,
            max_prompted_frames=options.max_prompted_frames,
            policy=make_policy(options.memory_policy),
        )
        self._session_ids: dict[int, int] = {}  # by the user's

    def track(self, view: View, prompts: Iterable[PlannedPrompt]) -> Sequence[ObjectRecord]:
        """Return all objects in the next frame, with what prompts say of it.

        Raises PromptError for a prompt that cannot be applied, and NotFiniteError.
        """
        self._step(view)
        for planned in prompts:
            with saying(planned):
                self._prompt(planned.object_id, planned.prompt, planned.label)
        found = {result.object_id: result for result in self._session.objects}
        ids = sorted(self._session_ids.items())
        return [_record(n, found[i], view.size_wh) for n, i in ids]

    def recall(
        self, view: View, prompts: Sequence[PlannedPrompt], masks: Mapping[int, MaskCrop]
    ) -> None:
        """Take in an earlier frame again: its prompts, and what was found of objects in it.

        masks: by the user's numbers; a prompt for the same object goes first.
        """
        self.track(view, prompts)
        prompted = {planned.object_id for planned in prompts}
        for object_id, crop in masks.items():
            if object_id not in prompted:
                self._prompt(object_id, Prompt(mask=_whole_mask(crop, view.size_wh)), '')

    def _step(self, view: View) -> None:
        result = self._session.step(view.image_rgb, view.time_ns)
        if result.left_out:  # which times that ascend, and sizes that are checked, do not allow
            raise SourceError(f'frame {view.index} does not go on: {result.left_out.text}')

    def _prompt(self, object_id: int, prompt: Prompt, label: str) -> None:
        known = self._session_ids.get(object_id, 0)
        answer = self._session.add_prompt(prompt, object_id=known, label=label)
        self._session_ids[object_id] = answer.object_id


def _record(object_id: int, result: ObjectResult, size_wh: tuple[int, int]) -> ObjectRecord:
    score, crop = float(result.predicted_iou), result.mask
    mask = RleMask.of(crop, size_wh) if crop else None
    return ObjectRecord(object_id, result.label, result.state, score, mask)


def _whole_mask(crop: MaskCrop, size_wh: tuple[int, int]) -> np.ndarray:
    return label_image({1: crop}, size_wh) == 1
