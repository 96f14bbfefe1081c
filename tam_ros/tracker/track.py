"""What the session holds of each object, and of each of the newest frames."""

from dataclasses import dataclass, field

import numpy as np

from tam_ros.engine.base import Array
from tam_ros.prompts import Prompt
from tam_ros.tracker.forecast import Motion
from tam_ros.tracker.memory import ObjectMemory
from tam_ros.tracker.visibility import Sighting, Visibility, see_mask


@dataclass(frozen=True)
class Given:
    """A prompt, and what was answered on its frame.

    logits: (m, m) float32. score: presence logit. iou: predicted. pointer: of the answer, a batch
    of one; None once the answer is remembered.
    """

    frame_index: int
    prompt: Prompt
    logits: np.ndarray
    score: float
    iou: float
    pointer: Array | None

    def sighting(self, stamp_ns: int) -> Sighting | None:
        """Return what the answer shows, if anything; stamp_ns: of its frame."""
        return see_mask(self.logits, self.score, self.iou, stamp_ns)


@dataclass(frozen=True)
class Conditioned:
    """An object's row in a batch of features that were conditioned on memories."""

    batch: Array
    row: int

    def alone(self) -> Array:
        """Return it as a batch of one."""
        return self.batch[[self.row]]


@dataclass
class Track:
    """One object: its place in the store, what it remembers, and its newest answer.

    frame_index: of the frame of that answer, which has logits (m, m), a presence logit and a
    predicted IoU, and was conditioned on what attended holds, if it has not been prompted there.
    """

    object_id: int
    label: str
    row: int
    memory: ObjectMemory
    frame_index: int
    logits: np.ndarray
    score: float
    iou: float
    visible_ns: int  # when last seen
    shown_ns: int  # when last seen with a pixel of its own
    visible: bool = True
    tentative: bool = False
    visibility: Visibility = field(default_factory=Visibility)
    attended: Conditioned | None = None
    given: Given | None = None  # the last prompt
    motion: Motion | None = None  # as of the last frame that it was visible in

    @property
    def owes_memory(self) -> bool:
        """Whether the last prompt's answer is yet to be remembered."""
        return self.given is not None and self.given.pointer is not None

    def turn_back(self, stamp_ns: int) -> None:
        """Go on at a time before the newest frame, whose stamp was wrong."""
        self.visible_ns = min(self.visible_ns, stamp_ns)
        self.shown_ns = min(self.shown_ns, stamp_ns)
        self.motion = None
        self.visibility.turn_back(stamp_ns)

    def motion_at(self, stamp_ns: int) -> Motion | None:
        """Return the motion if the object was seen at that time."""
        return self.motion if self.motion and self.motion.stamp_ns == stamp_ns else None


@dataclass(frozen=True)
class Seen:
    """An object's answer in one frame. logits: (m, m)."""

    logits: np.ndarray
    visible: bool
    iou: float


@dataclass
class Frame:
    """One processed frame: what prompts on it need.

    features_bytes: what they occupy. seen: the answers of objects, by their ids. stamp_ns: its
    time; where stamps stand still, it is not the one that came with the image, given_ns.
    """

    index: int
    stamp_ns: int
    given_ns: int
    size_wh: tuple[int, int]
    features: Array
    features_bytes: int
    seen: dict[int, Seen] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """What the frame occupies."""
        return self.features_bytes + sum(seen.logits.nbytes for seen in self.seen.values())

    def note(self, object_id: int, logits: np.ndarray, *, visible: bool, iou: float) -> None:
        """Keep an object's answer in this frame."""
        self.seen[object_id] = Seen(logits, visible, iou)
