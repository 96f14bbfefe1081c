"""Which memories an object keeps and where: indices and ages only, never tensors.

The rules are those of SAM 2 (arXiv 2408.00714, section 4) as EdgeTAM uses them, bounded: prompted
frames are kept first to last up to a limit, tracked frames for as long as they are recent.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tam_ros.engine.base import MemoryPlan

RECENT_POINTERS = 15  # with the first prompted frame's, the 16 pointers of the papers


@dataclass(frozen=True)
class MemoryEntry:
    """One remembered frame of one object.

    frame_index counts processed frames. slot is its place in the store. score is the presence
    logit and iou the predicted IoU that the frame's mask had.
    """

    frame_index: int
    slot: int
    score: float = 0.0
    iou: float = 0.0


@dataclass(frozen=True)
class MemoryLimits:
    """How much an object may remember; the sizes of its part of the store."""

    prompted: int
    recent: int
    recent_pointers: int = RECENT_POINTERS

    @property
    def slots(self) -> int:
        """Memory slots of one object: the prompted ones first."""
        return self.prompted + self.recent

    @property
    def pointer_slots(self) -> int:
        """Pointer slots of one object: the prompted ones first."""
        return self.prompted + self.recent_pointers


@dataclass
class ObjectMemory:
    """What one object remembers: a list of prompted frames and a ring of recent ones."""

    limits: MemoryLimits
    prompted: list[MemoryEntry] = field(default_factory=list)
    recent: deque[MemoryEntry] = field(init=False)

    def __post_init__(self):
        # Pointers reach further back than memories, and one ring serves both.
        self.recent = deque(maxlen=max(self.limits.recent, self.limits.recent_pointers))

    def add_prompted(self, frame_index: int, score: float, iou: float) -> int:
        """Remember a prompted frame and return its slot, of a memory and of a pointer alike.

        The same frame prompted again keeps its slot. When full, the oldest but the first makes
        room: the first prompt is never forgotten. A tracked entry of the frame is dropped.
        """
        self.recent = deque(
            (e for e in self.recent if e.frame_index != frame_index), self.recent.maxlen
        )
        again = [e for e in self.prompted if e.frame_index == frame_index]
        if again:
            self.prompted.remove(again[0])
        elif len(self.prompted) == self.limits.prompted:
            again = [self.prompted.pop(min(1, len(self.prompted) - 1))]
        slot = again[0].slot if again else len(self.prompted)
        self.prompted.append(MemoryEntry(frame_index, slot, score, iou))
        self.prompted.sort(key=lambda e: e.frame_index)
        return slot

    def add_recent(self, frame_index: int, score: float, iou: float) -> tuple[int, int]:
        """Remember a tracked frame; return its (memory slot, pointer slot)."""
        self.recent.append(MemoryEntry(frame_index, self._memory_slot(frame_index), score, iou))
        return self._memory_slot(frame_index), self._pointer_slot(frame_index)

    def pointer_slots(self, frame_index: int) -> list[int]:
        """Return the pointer slots to attend to in a frame: prompted first, then newest first."""
        oldest = frame_index - self.limits.recent_pointers
        recent = [e.frame_index for e in reversed(self.recent) if e.frame_index >= oldest]
        return [e.slot for e in self.prompted] + [self._pointer_slot(i) for i in recent]

    def _memory_slot(self, frame_index: int) -> int:
        return self.limits.prompted + frame_index % self.limits.recent

    def _pointer_slot(self, frame_index: int) -> int:
        return self.limits.prompted + frame_index % self.limits.recent_pointers


class MemoryPolicy(Protocol):
    """Chooses the memories that a frame attends to."""

    def select(
        self, memory: ObjectMemory, frame_index: int
    ) -> Sequence[tuple[MemoryEntry, int | None]]:
        """Return (entry, age) pairs: 0 for the newest tracked frame, None for a prompted one."""


class FifoPolicy:
    """The papers' rule: every prompted frame, and the newest tracked ones by age."""

    def select(self, memory: ObjectMemory, frame_index: int):
        """Return prompted entries, then those of the last `limits.recent` frames, newest first."""
        ages = ((e, frame_index - 1 - e.frame_index) for e in reversed(memory.recent))
        recent = [(e, age) for e, age in ages if age < memory.limits.recent]
        return [(e, None) for e in memory.prompted] + recent


def plan_memories(
    rows: Sequence[int],
    memories: Sequence[ObjectMemory],
    policy: MemoryPolicy,
    frame_index: int,
) -> MemoryPlan:
    """Return the plan of a frame for the objects in the given rows of the store."""
    prompted_age = memories[0].limits.recent
    selections = [policy.select(memory, frame_index) for memory in memories]
    ages = [[prompted_age if age is None else age for _, age in s] for s in selections]
    matched = [_matched_entries(s) for s in selections]
    return MemoryPlan(
        rows=np.asarray(rows, np.int64),
        slots=_padded([[entry.slot for entry, _ in s] for s in selections]),
        ages=_padded(ages),
        pointer_slots=_padded([m.pointer_slots(frame_index) for m in memories]),
        matched=np.array([[e.slot for e in pair] for pair in matched], np.int64),
        matched_frames=np.array([[e.frame_index for e in pair] for pair in matched], np.int64),
    )


def _matched_entries(selection) -> tuple[MemoryEntry, MemoryEntry]:
    """Return the newest prompted entry and the newest of all."""
    prompted = [entry for entry, age in selection if age is None]
    newest = max((entry for entry, _ in selection), key=lambda entry: entry.frame_index)
    return prompted[-1], newest


def _padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Return ragged rows as a (len(rows), longest) int64 array, padded at the end with -1."""
    padded = np.full((len(rows), max(map(len, rows))), -1, np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
