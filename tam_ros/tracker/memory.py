"""What an object remembers and where: indices, ages and scores only, never tensors.

Prompted frames are kept first to last up to a limit. Of tracked frames a policy says what is
kept and what is attended to (see `policies`); here are the slots for it, all preallocated.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np

from tam_ros.engine.base import MemoryPlan
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.pathways import Branch

RECENT_POINTERS = 15  # with the first prompted frame's, the 16 pointers of the papers


@dataclass(frozen=True)
class MemoryEntry:
    """One remembered frame of one object.

    frame_index, stamp_ns, presence_logit, predicted_iou: as in `Observation`.
    """

    frame_index: int
    stamp_ns: int = 0
    presence_logit: float = 0.0
    predicted_iou: float = 0.0
    area: float = 0.0
    """Of the mask, as a part of the image."""
    slot: int = -1
    """Place in the store, of a memory or of a pointer; -1 before it has one."""
    is_distinctive: bool = False
    """Whether the frame told the object from something like it."""

    @classmethod
    def of(cls, seen: Observation, *, slot: int = -1) -> 'MemoryEntry':
        """Return the entry of what was seen in a frame."""
        area = seen.sighting.area if seen.sighting else 0.0
        return cls(
            seen.frame_index, seen.stamp_ns, seen.presence_logit, seen.predicted_iou, area, slot
        )

    @property
    def is_visible(self) -> bool:
        """Whether the object was seen in the frame."""
        return self.presence_logit > 0 and self.area > 0


@dataclass(frozen=True)
class MemoryLimits:
    """How much an object may remember; the sizes of its part of the store.

    prompted frames, recent ones with a memory and with a pointer of each pathway.
    """

    prompted: int
    recent: int
    recent_pointers: int = RECENT_POINTERS
    pathways: int = 1

    @property
    def slots(self) -> int:
        """Memory slots of one object: the prompted ones first."""
        return self.prompted + self.pathways * self.recent

    @property
    def pointer_slots(self) -> int:
        """Pointer slots of one object: the prompted ones first."""
        return self.prompted + self.pathways * self.recent_pointers


@dataclass(frozen=True)
class Pathway:
    """One account of where an object was: the tracked frames it remembers, oldest first.

    memories and pointers: at most `recent` and `recent_pointers`. log_score: how probable the
    account is, beside an object's other ones.
    """

    memories: tuple[MemoryEntry, ...] = ()
    pointers: tuple[MemoryEntry, ...] = ()
    log_score: float = 0.0


Selection = Sequence[tuple[MemoryEntry, int | None]]  # with their ages


class MemoryPolicy(Protocol):
    """Chooses what an object remembers of tracked frames, and what a frame attends to.

    name: as users call it. pathways: how many accounts it follows. max_objects: how many objects
    it can follow, None for any number.
    """

    name: str
    pathways: int
    max_objects: int | None

    def keep(self, memories: Sequence[MemoryEntry], limit: int) -> Sequence[MemoryEntry]:
        """Return at most limit of a pathway's entries, oldest first; the last one is new."""

    def keep_pointers(self, pointers: Sequence[MemoryEntry], limit: int) -> Sequence[MemoryEntry]:
        """Return at most limit of a pathway's entries of pointers, likewise."""

    def select(self, memories: Sequence[MemoryEntry], now: int, limit: int) -> Selection:
        """Return (entry, age) pairs for frame now; limit is that of `keep`.

        age: from 0, the newest, to limit - 1; None for one that counts as prompted, timeless.
        """

    def select_pointers(
        self, pointers: Sequence[MemoryEntry], now: int, limit: int
    ) -> Sequence[MemoryEntry]:
        """Return the entries whose pointers frame now attends to; limit is as in keep_pointers."""

    def is_good(self, entry: MemoryEntry) -> bool:
        """Return whether an entry's mask may be carried into the present frame by matching."""

    def is_distinctive(
        self, entry: MemoryEntry, pathway: Pathway, has_distractor: Callable[[], bool]
    ) -> bool:
        """Return whether a new frame of a pathway tells its object from something like it.

        has_distractor looks at the frame's masks, which takes time: call it last.
        """

    def branch(
        self, log_scores: Sequence[float], ious: np.ndarray, presence_logits: np.ndarray
    ) -> Sequence[Branch]:
        """Return how an object's P pathways go on, at most `pathways`, the published one first.

        log_scores: of the pathways. ious: (P, K) predicted, of their candidate masks.
        presence_logits: (P,).
        """


class Slots(NamedTuple):
    """Where a tracked frame goes in the store; None where it is not kept."""

    memory: int | None
    pointer: int | None


@dataclass
class ObjectMemory:
    """What one object remembers: prompted frames, and pathways of tracked ones.

    The first pathway is the one that is published. All share one row of the store, so following
    another one copies nothing.
    """

    limits: MemoryLimits
    policy: MemoryPolicy
    prompted: list[MemoryEntry] = field(default_factory=list)
    pathways: list[Pathway] = field(default_factory=lambda: [Pathway()])

    def add_prompted(self, seen: Observation) -> int:
        """Remember a prompted frame and return its slot, of a memory and of a pointer alike.

        The same frame prompted again keeps its slot. When full, the oldest but the first makes
        room: the first prompt is never forgotten. Tracked entries since that frame are dropped,
        and so are all pathways but the published one, which the user has seen.
        """
        self.pathways = [_before(seen.frame_index, self.pathways[0])]
        again = [e for e in self.prompted if e.frame_index == seen.frame_index]
        if again:
            self.prompted.remove(again[0])
        elif len(self.prompted) == self.limits.prompted:
            again = [self.prompted.pop(min(1, len(self.prompted) - 1))]
        slot = again[0].slot if again else len(self.prompted)
        self.prompted.append(MemoryEntry.of(seen, slot=slot))
        self.prompted.sort(key=lambda e: e.frame_index)
        return slot

    def is_prompted(self, frame_index: int) -> bool:
        """Return whether a frame was prompted."""
        return any(entry.frame_index == frame_index for entry in self.prompted)

    def beside(self, frame_index: int) -> 'ObjectMemory':
        """Return what is remembered of prompts on other frames, and of tracked ones before."""
        prompted = [e for e in self.prompted if e.frame_index != frame_index]
        pathways = [_before(frame_index, self.pathways[0])]
        return replace(self, prompted=prompted, pathways=pathways)

    def follow(self, branches: Sequence[Branch]) -> None:
        """Go on with copies of some pathways, the first to be published, and drop the others."""
        self.pathways = [replace(self.pathways[b.parent], log_score=b.log_score) for b in branches]

    def add_tracked(self, entry: MemoryEntry, *, pathway: int = 0, has_pointer=True) -> Slots:
        """Have the policy keep what it wants, with a new frame in a pathway; return its slots."""
        old = self.pathways[pathway]
        memories = self.policy.keep([*old.memories, entry], self.limits.recent)
        pointers = old.pointers
        if has_pointer:
            pointers = self.policy.keep_pointers([*pointers, entry], self.limits.recent_pointers)
        others = [p for i, p in enumerate(self.pathways) if i != pathway]
        slot = self._free_slot([memories, *(p.memories for p in others)])
        pointer_slot = self._free_slot([pointers, *(p.pointers for p in others)])
        self.pathways[pathway] = replace(
            old, memories=_placed(memories, slot), pointers=_placed(pointers, pointer_slot)
        )
        return Slots(
            slot if entry in memories else None, pointer_slot if entry in pointers else None
        )

    def selection(self, frame_index: int, pathway: int = 0) -> Selection:
        """Return what a frame attends to: prompted entries, then what the policy selects."""
        memories = self.pathways[pathway].memories
        tracked = self.policy.select(memories, frame_index, self.limits.recent)
        return [*((e, None) for e in self.prompted), *tracked]

    def pointer_slots(self, frame_index: int, pathway: int = 0) -> list[int]:
        """Return the pointer slots that a frame attends to: prompted ones first."""
        pointers = self.pathways[pathway].pointers
        limit = self.limits.recent_pointers
        tracked = self.policy.select_pointers(pointers, frame_index, limit)
        return [e.slot for e in (*self.prompted, *tracked)]

    def _free_slot(self, histories: Sequence[Sequence[MemoryEntry]]) -> int:
        used = {entry.slot for entries in histories for entry in entries}
        return next(slot for slot in itertools.count(self.limits.prompted) if slot not in used)


def _before(frame_index: int, pathway: Pathway) -> Pathway:
    def earlier(entries):
        return tuple(e for e in entries if e.frame_index < frame_index)

    return Pathway(earlier(pathway.memories), earlier(pathway.pointers))


def _placed(entries: Sequence[MemoryEntry], slot: int) -> tuple[MemoryEntry, ...]:
    """Return entries with the one that has no slot yet in the given one."""
    return tuple(e if e.slot >= 0 else replace(e, slot=slot) for e in entries)


def plan_memories(
    rows: Sequence[int], memories: Sequence[ObjectMemory], frame_index: int
) -> MemoryPlan:
    """Return the plan of a frame for the objects in the given rows of the store.

    Each pathway of an object is an object of the plan, one after the other.
    """
    prompted_age = memories[0].limits.recent
    pathways = [(m, i) for m in memories for i in range(len(m.pathways))]
    selections = [m.selection(frame_index, i) for m, i in pathways]
    ages = [[prompted_age if age is None else age for _, age in s] for s in selections]
    matched = [(m.prompted[-1], _newest_good(m, s)) for (m, _), s in zip(pathways, selections)]
    plan_rows = [row for row, m in zip(rows, memories) for _ in m.pathways]
    return MemoryPlan(
        rows=np.asarray(plan_rows, np.int64),
        slots=_padded([[entry.slot for entry, _ in s] for s in selections]),
        ages=_padded(ages),
        pointer_slots=_padded([m.pointer_slots(frame_index, i) for m, i in pathways]),
        matched=np.array([[e.slot for e in pair] for pair in matched], np.int64),
        matched_frames=np.array([[e.frame_index for e in pair] for pair in matched], np.int64),
    )


def _newest_good(memory: ObjectMemory, selection: Selection) -> MemoryEntry:
    """Return the newest entry that is prompted, or that the policy takes to be good."""
    good = [e for e, _ in selection if memory.policy.is_good(e)]
    return max([*memory.prompted, *good], key=lambda e: e.frame_index)


def _padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Return ragged rows as a (len(rows), longest) int64 array, padded at the end with -1."""
    padded = np.full((len(rows), max(map(len, rows))), -1, np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
