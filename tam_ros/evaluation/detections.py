"""Track what a simulated detector finds in clips with ground truth, and measure the outcome.

The detector is the truth with faults: boxes that jitter, misses, false alarms, and messages that
arrive late.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tam_ros.evaluation.clips import TruthClip
from tam_ros.evaluation.measures import region_similarity
from tam_ros.masks import tight_crop
from tam_ros.prompts import Box
from tam_ros.tracker.association import Detection, DetectionAssociation
from tam_ros.tracker.options import DetectionOptions
from tam_ros.tracker.results import ObjectState
from tam_ros.tracker.session import Session

LEAST_AREA = 0.001  # of the image: smaller objects are not detected
OWNED_IOU = 0.3  # a mask is that of the truth's object that it overlaps most, from here on


@dataclass(frozen=True)
class Faults:
    """What is wrong with a detector."""

    every: int = 3
    """A message comes for every so many frames."""
    jitter: float = 0.05
    """Standard deviation of each edge, in widths or heights of the object's box."""
    misses: float = 0.2
    """Share of objects that are not detected, in [0, 1]."""
    false_alarms: float = 0.2
    """Mean number of boxes around nothing in a message."""
    latency_s: tuple[float, float] = (0.1, 0.5)
    """Smallest and largest delay of a message."""
    seed: int = 0
    """Of all that is random."""


@dataclass(frozen=True)
class Message:
    """What a detector says of one frame."""

    stamp_ns: int
    """Time of that frame."""
    arrived_ns: int
    """When the message is here; never before the one of an earlier frame."""
    detections: Sequence[Detection]
    """In pixels of that frame."""


def simulate_detector(clip: TruthClip, faults: Faults) -> list[Message]:
    """Return the messages of a detector for a clip, in the order of their frames."""
    rng = np.random.default_rng(faults.seed)
    messages: list[Message] = []
    for t in range(0, len(clip), faults.every):
        arrived_ns = clip.stamp_ns(t) + round(rng.uniform(*faults.latency_s) * 1e9)
        if messages:  # a detector works on one frame after the other
            arrived_ns = max(arrived_ns, messages[-1].arrived_ns)
        messages.append(Message(clip.stamp_ns(t), arrived_ns, _detect(clip, t, faults, rng)))
    return messages


def _detect(clip: TruthClip, t: int, faults: Faults, rng) -> list[Detection]:
    found = []
    for mask in clip.masks(t).values():
        crop = tight_crop(0, 0, mask)
        if crop is None or mask.mean() < LEAST_AREA or rng.random() < faults.misses:
            continue
        box = np.array(crop.box_xyxy, float)
        size = np.tile(box[2:] - box[:2], 2)
        box += rng.normal(0, faults.jitter, 4) * size
        found.append(Detection(_box(box), rng.uniform(0.6, 0.95), 'thing'))
    height, width = clip.truth.shape[1:]
    for _ in range(rng.poisson(faults.false_alarms)):
        size = rng.uniform(0.1, 0.4, 2) * (width, height)
        corner = rng.uniform(0, 1, 2) * ((width, height) - size)
        box = np.concatenate([corner, corner + size])
        found.append(Detection(_box(box), rng.uniform(0.5, 0.85), 'thing'))
    return found


def _box(box_xyxy: np.ndarray) -> Box:
    x0, y0, x1, y1 = box_xyxy
    return x0, y0, x1, y1


@dataclass
class Follow:
    """What became of a clip's objects."""

    owners: dict[int, list[int]] = field(default_factory=dict)
    """By object of the truth: the confirmed id that had it, 0 for none.

    One for each frame in which the object was large enough to be detected.
    """
    overlaps: dict[int, list[float]] = field(default_factory=dict)
    """J of the confirmed id that overlapped most, whether it had the object or not."""
    lives: dict[int, list[ObjectState]] = field(default_factory=dict)
    """By id, its state in every frame that it was in."""
    alive: set[int] = field(default_factory=set)
    """Ids at the end."""

    @property
    def tracks_per_object(self) -> float:
        """How many ids an object of the truth has had, in the mean."""
        return float(np.mean([len(set(ids) - {0}) for ids in self.owners.values()]))

    @property
    def switches(self) -> int:
        """How often an object went from one id to another."""
        return sum(_changes([i for i in ids if i]) for ids in self.owners.values())

    @property
    def true_ids(self) -> set[int]:
        """Ids that ever had an object of the truth."""
        return {i for ids in self.owners.values() for i in ids} - {0}

    @property
    def false_confirmed(self) -> set[int]:
        """Ids of nothing in the truth that were confirmed."""
        false = self.lives.keys() - self.true_ids
        return {i for i in false if any(s != ObjectState.TENTATIVE for s in self.lives[i])}

    @property
    def false_alive(self) -> set[int]:
        """Ids of nothing in the truth that live at the end."""
        return self.alive - self.true_ids

    @property
    def covered(self) -> float:
        """Share of the objects' frames, from the first with an id on, in which they have one."""
        after_first = [np.trim_zeros(np.sign(ids), 'f') for ids in self.owners.values()]
        return float(np.mean(np.concatenate(after_first)))

    @property
    def j(self) -> float:
        """Mean J of objects that have an id."""
        overlaps = [
            j for n, ids in self.owners.items() for i, j in zip(ids, self.overlaps[n]) if i
        ]
        return float(np.mean(overlaps)) if overlaps else 0.0


def _changes(ids: Sequence[int]) -> int:
    return sum(a != b for a, b in zip(ids, ids[1:]))


def follow_detections(
    clip: TruthClip, session: Session, options: DetectionOptions, messages: Sequence[Message]
) -> Follow:
    """Track what a detector finds in a clip; all else is as in the node."""
    association, follow, waiting = DetectionAssociation(session), Follow(), list(messages)
    for t in range(len(clip)):
        result = session.step(clip.image_rgb(t), clip.stamp_ns(t))
        _note(follow, clip, t, result)
        for message in _due(waiting, clip.stamp_ns(t), association):
            association.apply(message.detections, message.stamp_ns, options)
    follow.alive = {o.object_id for o in session.objects}
    return follow


def _due(
    waiting: list[Message], now_ns: int, association: DetectionAssociation
) -> Iterator[Message]:
    while waiting and waiting[0].arrived_ns <= now_ns:
        if association.is_early(waiting[0].stamp_ns):
            return
        yield waiting.pop(0)


def _note(follow: Follow, clip: TruthClip, t: int, result) -> None:
    for found in result.objects:
        follow.lives.setdefault(found.object_id, []).append(found.state)
    confirmed = [o for o in result.objects if o.state is not ObjectState.TENTATIVE]
    labels = replace(result, objects=confirmed).label_image()
    for n, truth in clip.masks(t).items():
        if truth.mean() < LEAST_AREA:
            continue
        overlaps = {int(i): region_similarity(labels == i, truth) for i in np.unique(labels) if i}
        owner = max(overlaps, key=overlaps.__getitem__, default=0)
        owned = owner and overlaps[owner] >= OWNED_IOU
        follow.owners.setdefault(n, []).append(owner if owned else 0)
        follow.overlaps.setdefault(n, []).append(overlaps.get(owner, 0.0))
