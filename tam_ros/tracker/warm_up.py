"""Run every stage before the first frame, so that what a provider builds on the way is ready."""

import numpy as np

from tam_ros.engine.base import DecoderPrompts, Engine, MemoryPlan, MemoryStore
from tam_ros.prompts import OBJECT
from tam_ros.tracker.decoding import decode_mask
from tam_ros.tracker.memory import MemoryLimits


def warm_up(engine: Engine, store: MemoryStore, limits: MemoryLimits, objects: int) -> None:
    """Track an object through a grey frame; with static shapes, every size of batch.

    store is overwritten: call it before anything is tracked. Raises NotFiniteError.
    """
    side = engine.spec.image_size
    features = engine.encode_image(np.full((side, side, 3), 127, np.uint8))
    for count in _batches(objects) if engine.spec.static_shapes else [1]:
        rows, first = list(range(count)), [0] * count
        prompt = DecoderPrompts(
            np.full((count, 1, 2), side / 2, np.float32), np.full((count, 1), OBJECT, np.int64)
        )
        decoded = decode_mask(engine, features, None, prompt)
        memory = engine.encode_memory(features, decoded.mask_logits, from_prompt=True)
        store.write(rows, first, memory)
        store.write_pointers(rows, first, decoded.pointers)
        attended = engine.attend_memory(features, store, _plan(count, limits))
        decode_mask(engine, features, attended, DecoderPrompts.none(count))


def _batches(objects: int) -> list[int]:
    """Return 1, 2, 4 ... and the number itself."""
    return [1 << i for i in range((objects - 1).bit_length())] + [objects]


def _plan(count: int, limits: MemoryLimits) -> MemoryPlan:
    """Return the plan of objects that remember their prompted frame alone."""
    zeros = np.zeros((count, 1), np.int64)
    both = np.zeros((count, 2), np.int64)
    return MemoryPlan(
        rows=np.arange(count),
        slots=zeros,
        ages=np.full((count, 1), limits.recent),
        pointer_slots=zeros,
        matched=both,
        matched_frames=both,
    )
