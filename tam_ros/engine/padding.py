"""Fill batches and plans up to sizes that do not change, for providers that want static shapes.

An object that fills a batch is the first one again; a memory that fills a plan counts as absent.
"""

from dataclasses import fields

import numpy as np

from tam_ros.engine.base import MemoryPlan


def padded_count(count: int) -> int:
    """Return the size that a batch of count objects is brought to: the next power of two."""
    return 1 << (count - 1).bit_length()


def pad_plan(plan: MemoryPlan, memories: int, pointers: int) -> MemoryPlan:
    """Return a plan with that many memory and pointer slots, for a full batch."""
    rows = np.arange(len(plan.rows))
    rows = np.pad(rows, (0, padded_count(len(rows)) - len(rows)))  # the first object, again
    parts = {field.name: getattr(plan, field.name)[rows] for field in fields(MemoryPlan)}
    for name, width in (('slots', memories), ('ages', memories), ('pointer_slots', pointers)):
        missing = width - parts[name].shape[1]
        parts[name] = np.pad(parts[name], ((0, 0), (0, missing)), constant_values=-1)
    return MemoryPlan(**parts)
