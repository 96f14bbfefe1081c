"""Memory policies: which tracked frames an object remembers, and which ones a frame attends to.

Each is a frozen value without state of its own: what it decides by is in the entries. Constants
of the sources that count frames are seconds here: five frames of their videos are 0.2 s.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from tam_ros.tracker.memory import MemoryEntry, MemoryPolicy, Pathway, Selection
from tam_ros.tracker.pathways import OWN_ANSWER, Branch, BranchRules, choose_branches
from tam_ros.tracker.visibility import mask_quality

Entries = Sequence[MemoryEntry]
USUAL_FRAMES = 10  # whose median area is the usual one


@dataclass(frozen=True)
class FifoPolicy:
    """The papers' rule (SAM 2, section 4): the newest frames, by age, whatever they show.

    Frames in which the object is absent are remembered as such, and after `limit` of them only
    the prompted frames still show it.
    """

    name: str = 'fifo'
    pathways: int = 1
    max_objects: int | None = None

    def keep(self, memories: Entries, limit: int) -> Entries:
        """Keep the newest."""
        return memories[-limit:]

    def keep_pointers(self, pointers: Entries, limit: int) -> Entries:
        """Keep the newest."""
        return pointers[-limit:]

    def select(self, memories: Entries, now: int, limit: int) -> Selection:
        """Select those of the last limit frames, newest first."""
        ages = [(e, now - 1 - e.frame_index) for e in reversed(memories)]
        return [(e, age) for e, age in ages if age < limit]

    def select_pointers(self, pointers: Entries, now: int, limit: int) -> Entries:
        """Select those of the last limit frames, newest first."""
        return [e for e in reversed(pointers) if e.frame_index >= now - limit]

    def is_good(self, entry: MemoryEntry) -> bool:
        """Whether the object was seen: an empty mask carries nothing."""
        return entry.is_visible

    def is_distinctive(
        self, entry: MemoryEntry, pathway: Pathway, has_distractor: Callable[[], bool]
    ) -> bool:
        """Distractors make no difference."""
        return False

    def branch(self, log_scores: Sequence[float], ious: np.ndarray, presence_logits: np.ndarray):
        """There is one pathway."""
        return (OWN_ANSWER,)


@dataclass(frozen=True)
class QualityPolicy(FifoPolicy):
    """SAM 3's rule: the newest frames in which the object was seen well, and the last one.

    least_quality: of a frame's mask, presence times predicted IoU. An object that is absent for
    long keeps its good memories; their age is their rank.
    """

    name: str = 'quality'
    least_quality: float = 0.4

    def keep(self, memories: Entries, limit: int) -> Entries:
        """Keep the newest, and the newest good ones before it."""
        *older, newest = memories
        return [*_last([e for e in older if self.is_good(e)], limit - 1), newest]

    def keep_pointers(self, pointers: Entries, limit: int) -> Entries:
        """Keep as of memories."""
        return self.keep(pointers, limit)

    def select(self, memories: Entries, now: int, limit: int) -> Selection:
        """Select all that is kept, newest first."""
        return [(e, rank) for rank, e in enumerate(reversed(memories))]

    def select_pointers(self, pointers: Entries, now: int, limit: int) -> Entries:
        """Select all that is kept, newest first."""
        return list(reversed(pointers))

    def is_good(self, entry: MemoryEntry) -> bool:
        """Whether the object was seen, and well enough."""
        return mask_quality(entry.presence_logit, entry.predicted_iou) > self.least_quality


@dataclass(frozen=True)
class DamPolicy(FifoPolicy):
    """DAM4SAM's rule (arXiv 2411.17576): recent appearance, and frames that resolve distractors.

    Recent: the newest frame, and before it one every stride_s. Distinctive: up to
    most_distinctive frames at least distinctive_gap_s apart, in which the object was seen well
    (predicted IoU above least_iou, area near the median of the last ten) beside something that
    the network took for it. Those are timeless, as prompted frames are. Only frames in which the
    object is visible are remembered.
    """

    name: str = 'dam'
    stride_s: float = 0.2
    most_distinctive: int = 3
    distinctive_gap_s: float = 0.2
    least_iou: float = 0.8
    area_tolerance: float = 0.2

    def keep(self, memories: Entries, limit: int) -> Entries:
        """Keep distinctive entries, the newest one, and anchors of the recent past."""
        visible = [e for e in memories if e.is_visible]
        if not visible:
            return []
        *older, newest = visible
        most = min(self.most_distinctive, limit - 1)
        distinctive = _last([e for e in older if e.is_distinctive], most)
        anchors = self._anchors([e for e in older if not e.is_distinctive])
        kept = [*distinctive, *_last(anchors, limit - 1 - len(distinctive)), newest]
        return sorted(kept, key=lambda e: e.frame_index)

    def keep_pointers(self, pointers: Entries, limit: int) -> Entries:
        """Keep the newest in which the object is visible."""
        return [e for e in pointers if e.is_visible][-limit:]

    def select(self, memories: Entries, now: int, limit: int) -> Selection:
        """Select all that is kept: recent ones by rank, newest first, then timeless ones."""
        if not memories:
            return []
        *older, newest = memories
        recent = [newest, *(e for e in reversed(older) if not e.is_distinctive)]
        timeless = [(e, None) for e in older if e.is_distinctive]
        return [*((e, rank) for rank, e in enumerate(recent)), *timeless]

    def select_pointers(self, pointers: Entries, now: int, limit: int) -> Entries:
        """Select all that is kept, newest first."""
        return list(reversed(pointers))

    def is_distinctive(
        self, entry: MemoryEntry, pathway: Pathway, has_distractor: Callable[[], bool]
    ) -> bool:
        """Return whether a new frame resolves a distractor."""
        stamps_ns = [e.stamp_ns for e in pathway.memories if e.is_distinctive]
        is_due = not stamps_ns or entry.stamp_ns - stamps_ns[-1] > self.distinctive_gap_s * 1e9
        usual = [e.area for e in pathway.pointers[-USUAL_FRAMES:]]
        if not (is_due and usual and entry.is_visible and entry.predicted_iou > self.least_iou):
            return False
        change = abs(entry.area / median(usual) - 1)
        return change <= self.area_tolerance and has_distractor()

    def _anchors(self, entries: Entries) -> list[MemoryEntry]:
        """Return the oldest entry, and after it one every stride_s."""
        anchors: list[MemoryEntry] = []
        for entry in entries:
            if not anchors or entry.stamp_ns - anchors[-1].stamp_ns >= self.stride_s * 1e9:
                anchors.append(entry)
        return anchors


@dataclass(frozen=True)
class TreePolicy(QualityPolicy):
    """SAM2Long's rule (arXiv 2410.16268): several pathways, of which the most probable survive.

    Each remembers frames as `QualityPolicy` does. rules: which pathways survive, and which is
    published.
    """

    name: str = 'tree'
    pathways: int = 3
    max_objects: int | None = 2
    least_quality: float = 0.3
    rules: BranchRules = BranchRules()

    def branch(
        self, log_scores: Sequence[float], ious: np.ndarray, presence_logits: np.ndarray
    ) -> Sequence[Branch]:
        """Choose the pathways that go on; see `choose_branches`."""
        return choose_branches(log_scores, ious, presence_logits, self.pathways, self.rules)


def _last(entries: Entries, count: int) -> Entries:
    return entries[max(len(entries) - count, 0) :]


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
