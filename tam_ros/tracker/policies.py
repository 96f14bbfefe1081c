"""Memory policies: which tracked frames an object remembers, and which ones a frame attends to.

Each is a frozen value without state of its own: what it decides by is in the entries. Constants
of the sources that count frames are seconds here: five frames of their videos are 0.2 s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from tam_ros.tracker.memory import (
    Kept,
    MemoryEntry,
    MemoryLimits,
    MemoryPolicy,
    ObjectMemory,
    Recall,
    SinglePathway,
    StoreSize,
)
from tam_ros.tracker.pathways import BranchRules, Pathways
from tam_ros.tracker.visibility import mask_quality

Entries = tuple[MemoryEntry, ...]
HasDistractor = Callable[[], bool]
USUAL_FRAMES = 10  # whose median area is the usual one


@dataclass(frozen=True)
class FifoPolicy:
    """The papers' rule (SAM 2, section 4): the newest frames, by age, whatever they show.

    Frames in which the object is absent are remembered as such, and after `recent` of them only
    the prompted frames still show it.
    """

    name: str = 'fifo'
    """As users call it."""
    max_objects: int | None = None
    """How many objects it can follow, None for any number."""

    def store_size(self, limits: MemoryLimits) -> StoreSize:
        """Return what the limits take up."""
        return limits.store_size

    def make_memory(self, limits: MemoryLimits) -> ObjectMemory:
        """Return an empty memory."""
        return ObjectMemory(limits, SinglePathway(self, limits))

    def recall(self, kept: Kept, now: int, limits: MemoryLimits) -> Recall:
        """Attend to those of the last frames, as many as the limits, newest first."""
        memories = [(e, now - 1 - e.frame_index) for e in reversed(kept.memories)]
        oldest_pointer = now - limits.recent_pointers
        return Recall(
            [(e, age) for e, age in memories if age < limits.recent],
            [e for e in reversed(kept.pointers) if e.frame_index >= oldest_pointer],
        )

    def keep(
        self, kept: Kept, entry: MemoryEntry, limits: MemoryLimits, has_distractor: HasDistractor
    ) -> Kept:
        """Keep the newest; an empty mask carries nothing, any other is good."""
        entry = replace(entry, is_good=entry.is_visible)
        return Kept(
            _last((*kept.memories, entry), limits.recent),
            _last((*kept.pointers, entry), limits.recent_pointers),
        )


@dataclass(frozen=True)
class QualityPolicy(FifoPolicy):
    """SAM 3's rule: the newest frames in which the object was seen well, and the last one.

    An object that is absent for long keeps its good memories; their age is their rank.
    """

    name: str = 'quality'
    """As users call it."""
    least_quality: float = 0.4
    """Of a good frame's mask, presence times predicted IoU, in [0, 1]."""

    def recall(self, kept: Kept, now: int, limits: MemoryLimits) -> Recall:
        """Attend to all that is kept, newest first."""
        return Recall(_ranked(kept.memories), kept.pointers[::-1])

    def keep(
        self, kept: Kept, entry: MemoryEntry, limits: MemoryLimits, has_distractor: HasDistractor
    ) -> Kept:
        """Keep the newest, and the newest good ones before it."""
        quality = mask_quality(entry.presence_logit, entry.predicted_iou)
        entry = replace(entry, is_good=quality > self.least_quality)
        return Kept(
            (*_last(_good(kept.memories), limits.recent - 1), entry),
            (*_last(_good(kept.pointers), limits.recent_pointers - 1), entry),
        )


@dataclass(frozen=True)
class DamPolicy(FifoPolicy):
    """DAM4SAM's rule (arXiv 2411.17576): recent appearance, and frames that resolve distractors.

    Recent: the newest frame, and before it one every stride_s. Distinctive: frames in which the
    object was seen well beside something that the network took for it. Those are timeless, as
    prompted frames are. Only frames in which the object is visible are remembered.
    """

    name: str = 'dam'
    """As users call it."""
    stride_s: float = 0.2
    """Between frames of the recent past, in seconds."""
    most_distinctive: int = 3
    """Distinctive frames at a time."""
    distinctive_gap_s: float = 0.2
    """Distinctive frames are further apart, in seconds."""
    least_iou: float = 0.8
    """Predicted IoU that a distinctive frame is above."""
    area_tolerance: float = 0.2
    """How far a distinctive frame's area may be from the median of the last ten, as a part of
    that."""

    def recall(self, kept: Kept, now: int, limits: MemoryLimits) -> Recall:
        """Attend to all that is kept: recent ones by rank, newest first, then timeless ones."""
        older, newest = kept.memories[:-1], kept.memories[-1:]
        recent = (*(e for e in older if not e.is_distinctive), *newest)
        timeless = [(e, None) for e in older if e.is_distinctive]
        return Recall([*_ranked(recent), *timeless], kept.pointers[::-1])

    def keep(
        self, kept: Kept, entry: MemoryEntry, limits: MemoryLimits, has_distractor: HasDistractor
    ) -> Kept:
        """Keep frames in which the object is visible: see `_memories`, and the newest pointers."""
        if not entry.is_visible:
            return kept
        is_distinctive = self._is_distinctive(kept, entry, has_distractor)
        entry = replace(entry, is_good=True, is_distinctive=is_distinctive)
        return Kept(
            self._memories(kept.memories, entry, limits.recent),
            _last((*kept.pointers, entry), limits.recent_pointers),
        )

    def _memories(self, older: Entries, newest: MemoryEntry, limit: int) -> Entries:
        """Return distinctive entries, anchors of the recent past, and the newest one."""
        most = min(self.most_distinctive, limit - 1)
        distinctive = _last([e for e in older if e.is_distinctive], most)
        anchors = self._anchors([e for e in older if not e.is_distinctive])
        kept = [*distinctive, *_last(anchors, limit - 1 - len(distinctive)), newest]
        return tuple(sorted(kept, key=lambda e: e.frame_index))

    def _is_distinctive(
        self, kept: Kept, entry: MemoryEntry, has_distractor: HasDistractor
    ) -> bool:
        """Return whether a new frame, in which the object is visible, resolves a distractor."""
        stamps_ns = [e.stamp_ns for e in kept.memories if e.is_distinctive]
        is_due = not stamps_ns or entry.stamp_ns - stamps_ns[-1] > self.distinctive_gap_s * 1e9
        usual = [e.area for e in kept.pointers[-USUAL_FRAMES:]]
        if not (is_due and usual and entry.predicted_iou > self.least_iou):
            return False
        change = abs(entry.area / median(usual) - 1)
        return change <= self.area_tolerance and has_distractor()

    def _anchors(self, entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
        """Return the oldest entry, and after it one every stride_s."""
        anchors: list[MemoryEntry] = []
        for entry in entries:
            if not anchors or entry.stamp_ns - anchors[-1].stamp_ns >= self.stride_s * 1e9:
                anchors.append(entry)
        return anchors


@dataclass(frozen=True)
class TreePolicy(QualityPolicy):
    """SAM2Long's rule (arXiv 2410.16268): several pathways, of which the most probable survive.

    Each remembers frames as `QualityPolicy` does.
    """

    name: str = 'tree'
    """As users call it."""
    max_objects: int | None = 2
    """Each is as many objects of a batch as it has pathways, and as much memory."""
    least_quality: float = 0.3
    """As in `QualityPolicy`."""
    rules: BranchRules = BranchRules()
    """By which pathways survive."""

    def store_size(self, limits: MemoryLimits) -> StoreSize:
        """Return what the limits take up on all pathways."""
        return self.rules.store_size(limits)

    def make_memory(self, limits: MemoryLimits) -> ObjectMemory:
        """Return an empty memory."""
        return ObjectMemory(limits, Pathways(self, limits, self.rules))


def _good(entries: Entries) -> Entries:
    return tuple(e for e in entries if e.is_good)


def _last(entries: Sequence[MemoryEntry], count: int) -> Entries:
    return tuple(entries[max(len(entries) - count, 0) :])


def _ranked(entries: Entries) -> list[tuple[MemoryEntry, int | None]]:
    """Return entries, newest first, with their rank as their age."""
    return [(entry, rank) for rank, entry in enumerate(reversed(entries))]


POLICIES: dict[str, Callable[[], MemoryPolicy]] = {
    'fifo': FifoPolicy,
    'quality': QualityPolicy,
    'dam': DamPolicy,
    'tree': TreePolicy,
}


def make_policy(name: str) -> MemoryPolicy:
    """Return the policy of a name, with its defaults; raises ValueError for an unknown one."""
    if name not in POLICIES:
        raise ValueError(f'memory policy {name!r} is unknown: choose from {", ".join(POLICIES)}')
    return POLICIES[name]()
