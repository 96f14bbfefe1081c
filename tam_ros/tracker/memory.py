"""What an object remembers and where: numbers only, never tensors.

Prompted frames are kept first to last up to a limit. Of tracked frames a policy says what is
kept and what is attended to (see `policies`); for networks that match frames, landmarks are kept
besides. An index is the number of a frame, a slot a place in the object's row of the store, and an
age what the network is told of when a memory was made.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from tam_ros.tracker.choices import Choice, DecodedFrame
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.window import WHOLE, Window

RECENT_POINTERS = 15  # with the first prompted frame's, the 16 pointers of the papers
LANDMARKS = 2  # the older one is matched, the newer one takes its place
LANDMARK_NS = 500_000_000  # from one to the next


@dataclass(frozen=True)
class MemoryEntry:
    """One remembered frame of one object."""

    frame_index: int
    """Number of the processed frame."""
    stamp_ns: int = 0
    """Time of the frame."""
    presence_logit: float = 0.0
    """As in `Observation`."""
    predicted_iou: float = 0.0
    """As in `Observation`, in [0, 1]."""
    area: float = 0.0
    """Of the mask, as a part of the image."""
    slot: int = -1
    """Place in the store, of a memory or of a pointer; -1 before it has one."""
    is_good: bool = False
    """Whether the mask may be carried into the present frame by matching."""
    is_distinctive: bool = False
    """Whether the frame told the object from something like it."""
    window: Window = WHOLE
    """The part of the image that the memory was encoded from."""

    @classmethod
    def of(cls, seen: Observation) -> 'MemoryEntry':
        """Return the entry of what was seen in a frame."""
        area = seen.sighting.area if seen.sighting else 0.0
        return cls(
            seen.frame_index,
            seen.stamp_ns,
            seen.presence_logit,
            seen.predicted_iou,
            area,
            window=seen.window,
        )

    @property
    def is_visible(self) -> bool:
        """Whether the object was seen in the frame."""
        return self.presence_logit > 0 and self.area > 0


class StoreSize(NamedTuple):
    """How many slots the store has for an object."""

    memories: int
    pointers: int


@dataclass(frozen=True)
class MemoryLimits:
    """How much an object may remember."""

    prompted: int
    """Prompted frames, each with a memory and a pointer."""
    recent: int
    """Memories of tracked frames: as many as the network can tell apart by age."""
    recent_pointers: int = RECENT_POINTERS
    """Pointers of tracked frames."""
    landmarks: int = 0
    """Memories of tracked frames that are kept for longer, to be matched; see `Kept`."""

    @property
    def store_size(self) -> StoreSize:
        """What they take up in the store: the prompted frames' slots come first."""
        memories = self.prompted + self.recent + self.landmarks
        return StoreSize(memories, self.prompted + self.recent_pointers)


@dataclass(frozen=True)
class Kept:
    """What is remembered of tracked frames, oldest first."""

    memories: tuple[MemoryEntry, ...] = ()
    """At most `recent` of the limits."""
    pointers: tuple[MemoryEntry, ...] = ()
    """At most `recent_pointers` of the limits."""
    landmarks: tuple[MemoryEntry, ...] = ()
    """At most `landmarks` of the limits: good memories, LANDMARK_NS apart by the clock, so that
    objects have the same frames. No policy has a say in them."""

    def before(self, frame_index: int) -> 'Kept':
        """Return what is remembered of the frames before one."""

        def earlier(entries: Sequence[MemoryEntry]) -> tuple[MemoryEntry, ...]:
            return tuple(e for e in entries if e.frame_index < frame_index)

        return Kept(earlier(self.memories), earlier(self.pointers), earlier(self.landmarks))

    def narrowed(self, frame_index: int, window: Window) -> tuple['Kept', list[int]]:
        """Return it with the memory of one frame alone, and that one's slot, if it has one."""
        kept = tuple(e for e in self.memories if e.frame_index == frame_index)
        memories = tuple(replace(e, window=window) for e in kept)
        return replace(self, memories=memories), [e.slot for e in memories]


@dataclass(frozen=True)
class Recall:
    """What a frame attends to."""

    memories: Sequence[tuple[MemoryEntry, int | None]]
    """With their ages: 0 for the newest tracked frame, up to `recent` - 1 of the limits; None for
    a prompted frame, and for one that counts as such, timeless."""
    pointers: Sequence[MemoryEntry]
    """Entries whose pointers it attends to; networks are not told their ages."""
    landmark: MemoryEntry | None = None
    """A good memory of one to two times LANDMARK_NS ago, or of longer where the object was out of
    sight; None where there is none."""


class Slots(NamedTuple):
    """Where a tracked frame goes in the store; None where it is not kept."""

    memory: int | None
    pointer: int | None


class TrackedMemory(Protocol):
    """What an object remembers of tracked frames, in slots behind those of prompted ones."""

    def recall(self, now: int) -> Sequence[Recall]:
        """Return what frame now attends to, in each of the object's rows of a batch."""

    def choose(self, frame: DecodedFrame, rows: Sequence[int]) -> Sequence[Choice]:
        """Return with which masks of its rows the object goes on, the published one first.

        rows: of the decoded batch, one for each `recall`. Nothing is changed by it.
        """

    def remember(self, choices: Sequence[Choice]) -> Sequence[Slots]:
        """Go on with what `choose` returned; return where each of them goes in the store."""

    def before(self, frame_index: int) -> 'TrackedMemory':
        """Return what is remembered of frames before one, as the user saw them."""

    def narrowed(self, frame_index: int, window: Window) -> tuple['TrackedMemory', list[int]]:
        """Return it with the memory of one frame alone, as the user saw it, and that one's slot.

        window: that it will be encoded from. Without a slot where that frame is not remembered.
        All pointers stay.
        """


class MemoryPolicy(Protocol):
    """Chooses what an object remembers of tracked frames, and what a frame attends to."""

    @property
    def name(self) -> str:
        """As users call it."""

    @property
    def max_objects(self) -> int | None:
        """How many objects it can follow, None for any number."""

    def store_size(self, limits: MemoryLimits) -> StoreSize:
        """Return what the store must hold of each object."""

    def make_memory(self, limits: MemoryLimits) -> 'ObjectMemory':
        """Return the memory of an object of which nothing is remembered yet."""

    def recall(self, kept: Kept, now: int, limits: MemoryLimits) -> Recall:
        """Return what frame now attends to of tracked frames."""

    def keep(
        self,
        kept: Kept,
        entry: MemoryEntry,
        limits: MemoryLimits,
        has_distractor: Callable[[], bool],
    ) -> Kept:
        """Return what is kept with a new frame, which is without a slot and yet to be marked.

        has_distractor looks at the frame's masks, which takes time: call it last.
        """


@dataclass
class SinglePathway:
    """Remembers the decoder's own answer to each frame."""

    policy: MemoryPolicy
    """Says what is kept, and what of it a frame attends to."""
    limits: MemoryLimits
    """Of the object's memory."""
    kept: Kept = Kept()
    """In slots behind those of prompted frames."""

    def recall(self, now: int) -> Sequence[Recall]:
        """Return what frame now attends to."""
        return [recall_kept(self.policy, self.kept, now, self.limits)]

    def choose(self, frame: DecodedFrame, rows: Sequence[int]) -> Sequence[Choice]:
        """Return the decoder's own answer."""
        return [Choice(frame, row, candidate=None) for row in rows]

    def remember(self, choices: Sequence[Choice]) -> Sequence[Slots]:
        """Have the policy keep what it wants, with the answer."""
        (choice,) = choices
        entry = MemoryEntry.of(choice.observation)
        kept = self.policy.keep(self.kept, entry, self.limits, choice.has_distractor)
        kept = replace(kept, landmarks=self.kept.landmarks)
        self.kept, slots = place(kept, self.limits)
        return [slots]

    def before(self, frame_index: int) -> 'SinglePathway':
        """Return what is remembered of frames before one."""
        return replace(self, kept=self.kept.before(frame_index))

    def narrowed(self, frame_index: int, window: Window) -> tuple['SinglePathway', list[int]]:
        """Return it with the memory of one frame alone, and that one's slot."""
        kept, slots = self.kept.narrowed(frame_index, window)
        return replace(self, kept=kept), slots


@dataclass
class ObjectMemory:
    """What one object remembers, of prompted frames and of tracked ones."""

    limits: MemoryLimits
    """How much it may remember."""
    tracked: TrackedMemory
    """What it remembers of tracked frames."""
    prompted: list[MemoryEntry] = field(default_factory=list)
    """In order of their frames, in the first slots; at most `prompted` of the limits."""

    def add_prompted(self, seen: Observation) -> int:
        """Remember a prompted frame and return its slot, of a memory and of a pointer alike.

        The same frame prompted again keeps its slot. When full, the oldest but the first makes
        room: the first prompt is never forgotten. Tracked entries since that frame are dropped,
        and so is all that the user has not seen.
        """
        self.tracked = self.tracked.before(seen.frame_index)
        again = [e for e in self.prompted if e.frame_index == seen.frame_index]
        if again:
            self.prompted.remove(again[0])
        elif len(self.prompted) == self.limits.prompted:
            again = [self.prompted.pop(min(1, len(self.prompted) - 1))]
        slot = again[0].slot if again else len(self.prompted)
        self.prompted.append(replace(MemoryEntry.of(seen), slot=slot, is_good=True))
        self.prompted.sort(key=lambda e: e.frame_index)
        return slot

    def is_prompted(self, frame_index: int) -> bool:
        """Return whether a frame was prompted."""
        return any(entry.frame_index == frame_index for entry in self.prompted)

    def beside(self, frame_index: int) -> 'ObjectMemory':
        """Return what is remembered of prompts on other frames, and of tracked ones before."""
        prompted = [e for e in self.prompted if e.frame_index != frame_index]
        return replace(self, prompted=prompted, tracked=self.tracked.before(frame_index))

    def is_of(self, window: Window, now: int) -> bool:
        """Return whether all that frame now attends to was encoded from a window."""
        return all(e.window == window for r in self.recall(now) for e, _ in r.memories)

    def recall(self, now: int) -> Sequence[Recall]:
        """Return what frame now attends to, prompted frames first, in each row of a batch."""
        prompted = [(entry, None) for entry in self.prompted]
        return [
            Recall(
                [*prompted, *tracked.memories],
                [*self.prompted, *tracked.pointers],
                tracked.landmark,
            )
            for tracked in self.tracked.recall(now)
        ]


def recall_kept(policy: MemoryPolicy, kept: Kept, now: int, limits: MemoryLimits) -> Recall:
    """Return what frame now attends to by a policy, and the older landmark once there are two."""
    landmark = kept.landmarks[0] if len(kept.landmarks) == LANDMARKS else None
    return replace(policy.recall(kept, now, limits), landmark=landmark)


def place(kept: Kept, limits: MemoryLimits, beside: Sequence[Kept] = ()) -> tuple[Kept, Slots]:
    """Return what is kept with the new frame in free slots, and these.

    A good memory becomes a landmark where one is due. beside: what else is remembered in the same
    row of the store.
    """
    held = [kept.landmarks, *(k.memories + k.landmarks for k in beside)]
    memories, slot = _place(kept.memories, limits, held)
    pointers, pointer_slot = _place(kept.pointers, limits, [k.pointers for k in beside])
    landmarks = kept.landmarks
    if limits.landmarks and slot is not None and _is_due(memories[-1], landmarks):
        landmarks = (*landmarks, memories[-1])[-limits.landmarks :]
    return Kept(memories, pointers, landmarks), Slots(slot, pointer_slot)


def _is_due(entry: MemoryEntry, landmarks: Sequence[MemoryEntry]) -> bool:
    """Return whether an entry is to be the next landmark."""
    last = [e.stamp_ns // LANDMARK_NS for e in landmarks[-1:]]
    return entry.is_good and entry.stamp_ns // LANDMARK_NS not in last


def _place(
    entries: Sequence[MemoryEntry], limits: MemoryLimits, beside: Sequence[Sequence[MemoryEntry]]
) -> tuple[tuple[MemoryEntry, ...], int | None]:
    """Return entries with the one that has no slot yet, if any, in the first that is free."""
    used = {e.slot for others in (entries, *beside) for e in others}
    free = next(slot for slot in itertools.count(limits.prompted) if slot not in used)
    placed = tuple(replace(e, slot=free) if e.slot < 0 else e for e in entries)
    return placed, free if -1 in used else None
