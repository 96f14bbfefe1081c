"""Run every stage before the first frame, so that what a provider builds on the way is ready."""

import numpy as np

from tam_ros.engine.base import DecoderPrompts, Engine, MemoryStore
from tam_ros.prompts import OBJECT
from tam_ros.tracker.decoding import decode_mask
from tam_ros.tracker.memory import MemoryEntry, ObjectMemory
from tam_ros.tracker.planning import plan_memories


def warm_up(engine: Engine, store: MemoryStore, memory: ObjectMemory, objects: int) -> None:
    """Track an object through a grey frame; with static shapes, every size of batch.

    memory: an empty one of an object. store and memory are overwritten: call it before anything
    is tracked. Raises NotFiniteError.
    """
    memory.prompted = [MemoryEntry(0, slot=0, is_good=True)]
    side = engine.spec.image_size
    features = engine.encode_image(np.full((side, side, 3), 127, np.uint8))
    for count in _batches(objects) if engine.spec.static_shapes else [1]:
        rows, first = list(range(count)), [0] * count
        prompt = DecoderPrompts(
            np.full((count, 1, 2), side / 2, np.float32), np.full((count, 1), OBJECT, np.int64)
        )
        decoded = decode_mask(engine, features, None, prompt)
        encoded = engine.encode_memory(features, decoded.mask_logits, from_prompt=True)
        store.write(rows, first, encoded)
        store.write_pointers(rows, first, decoded.pointers)
        plan = plan_memories(rows, [memory] * count, frame_index=1)
        attended = engine.attend_memory(features, store, plan)
        decode_mask(engine, features, attended, DecoderPrompts.none(count))


def _batches(objects: int) -> list[int]:
    """Return 1, 2, 4 ... and the number itself."""
    return [1 << i for i in range((objects - 1).bit_length())] + [objects]
