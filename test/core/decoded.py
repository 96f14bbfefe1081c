"""Decoded frames made by hand: objects are the first cells of a mask, beside others or not."""

from collections.abc import Sequence

import numpy as np

from tam_ros.engine.base import Decoded
from tam_ros.tracker.choices import DecodedFrame
from tam_ros.tracker.memory import ObjectMemory, Slots
from tam_ros.tracker.observation import Observation

SIDE = 20  # of the logits
FRAME_NS = 40_000_000
GONE = {'presence_logit': -3.0}


def logits_of(area: float, *, beside: bool = False) -> np.ndarray:
    """Return logits of an object of that part of the image, and of another below it."""
    logits = np.full(SIDE * SIDE, -1, np.float32)
    logits[: round(area * logits.size)] = 1
    logits = logits.reshape(SIDE, SIDE)
    logits[-2:] = 1 if beside else -1
    return logits


def decoded(
    index: int,
    *,
    stamp_ns: int | None = None,
    presence_logit: float | Sequence[float] = 5.0,
    predicted_iou: float | Sequence[float] = 0.9,
    area: float = 0.1,
    has_distractor: bool = False,
    rows: int = 1,
) -> DecodedFrame:
    """Return a frame of 25 a second in which the object was seen well, if values do not differ.

    presence_logit, predicted_iou: of all rows, or one each. The second of three candidates shows
    the distractor, if any; they are predicted to be less good than the decoder's own answer.
    """
    own = np.stack([logits_of(area)] * rows)
    other = np.stack([logits_of(area, beside=has_distractor)] * rows)
    ious = np.broadcast_to(predicted_iou, rows).astype(float)
    batch = Decoded(
        own,
        ious,
        np.broadcast_to(presence_logit, rows).astype(float),
        np.arange(rows),
        own,
        np.stack([own, other, own], axis=1),
        ious[:, None] * [1, 0.9, 0.8],
    )
    return DecodedFrame(index, index * FRAME_NS if stamp_ns is None else stamp_ns, batch)


def track(memory: ObjectMemory, index: int, **values) -> Sequence[Slots]:
    """Have an object be found in a frame, and remembered, on each of its pathways."""
    rows = list(range(len(memory.recall(index))))
    choices = memory.tracked.choose(decoded(index, rows=len(rows), **values), rows)
    return memory.tracked.remember(choices)


def seen_in(index: int) -> Observation:
    """Return the answer to a prompt on a frame."""
    return Observation(index, index * FRAME_NS, logits_of(0.1), 5.0, 0.9)


def ages(memory: ObjectMemory, now: int) -> dict[int, int | None]:
    """Return the frames that frame now attends to, with their ages, on the published pathway."""
    return {entry.frame_index: age for entry, age in memory.recall(now)[0].memories}


def pointer_slots(memory: ObjectMemory, now: int) -> list[int]:
    """Return the slots of the pointers that frame now attends to, on the published pathway."""
    return [entry.slot for entry in memory.recall(now)[0].pointers]
