"""With which of a frame's decoded masks objects go on; knows nothing of what they remember."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tam_ros.engine.base import Array, Decoded
from tam_ros.tracker.distractors import has_distractor
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.window import WHOLE, Window


@dataclass(frozen=True)
class DecodedFrame:
    """What was decoded in a frame."""

    frame_index: int
    """Number of the processed frame."""
    stamp_ns: int
    """Time of the frame."""
    batch: Decoded
    """A row of each pathway of each object."""
    window: Window = WHOLE
    """The part of the image that it was decoded from."""

    def mask_logits(self, choices: Sequence['Choice']) -> Array:
        """Return the (B, m, m) mask logits of choices, as `encode_memory` takes them."""
        if not all(choice.is_own for choice in choices):
            return np.stack([choice.observation.logits for choice in choices])
        rows = [choice.row for choice in choices]
        # Indexing copies, on the device, and mostly all are chosen.
        is_all = rows == list(range(len(self.batch.presence_logits)))
        return self.batch.mask_logits if is_all else self.batch.mask_logits[rows]

    def pointers(self, choices: Sequence['Choice']) -> Array:
        """Return the object pointers that were decoded in the rows of choices."""
        return self.batch.pointers[[choice.row for choice in choices]]


@dataclass(frozen=True)
class Choice:
    """One of the masks that were decoded of an object in a frame."""

    frame: DecodedFrame
    """That the mask was decoded in."""
    row: int
    """In the decoded batch."""
    candidate: int | None
    """Which of the row's K candidates it is; None for the decoder's own answer."""

    @property
    def is_own(self) -> bool:
        """Whether it is the decoder's own answer, to which the row's pointer belongs."""
        return self.candidate is None

    @cached_property
    def observation(self) -> Observation:
        """What it says of the object."""
        batch, row = self.frame.batch, self.row
        logits, predicted_iou = batch.logits[row], batch.predicted_ious[row]
        if self.candidate is not None:
            logits = batch.candidate_logits[row][self.candidate]
            predicted_iou = batch.candidate_ious[row, self.candidate]
        return Observation(
            self.frame.frame_index,
            self.frame.stamp_ns,
            logits,
            float(batch.presence_logits[row]),
            float(predicted_iou),
            window=self.frame.window,
        )

    def has_distractor(self) -> bool:
        """Return whether the network hesitated over something like the object; takes time."""
        candidates = self.frame.batch.candidate_logits[self.row]
        return has_distractor(self.observation.logits > 0, candidates > 0)
