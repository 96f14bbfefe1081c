"""What the session holds of each object, and of the newest frame."""

from dataclasses import dataclass, field

import numpy as np

from tam_ros.engine.base import Array
from tam_ros.prompts import Prompt
from tam_ros.tracker.forecast import Motion
from tam_ros.tracker.memory import ObjectMemory
from tam_ros.tracker.visibility import Visibility


@dataclass
class Track:
    """One object: its place in the store, what it remembers, and its answer on this frame."""

    object_id: int
    label: str
    row: int
    memory: ObjectMemory
    logits: np.ndarray  # m, m
    score: float  # presence logit
    iou: float
    visible_ns: int  # when last seen
    visible: bool = True
    tentative: bool = False
    visibility: Visibility = field(default_factory=Visibility)
    attended: int | None = None  # its row in this frame's conditioned features
    prompt: Prompt | None = None  # given on this frame
    pointer: Array | None = None  # of that prompt; its memory is yet to be encoded
    motion: Motion | None = None  # as of the last frame that it was visible in

    def motion_at(self, stamp_ns: int) -> Motion | None:
        """Return the motion if the object was seen at that time."""
        return self.motion if self.motion and self.motion.stamp_ns == stamp_ns else None


@dataclass
class Frame:
    """The newest frame: what prompts on it need."""

    index: int
    stamp_ns: int
    size_wh: tuple[int, int]
    features: Array
    attended: Array | None = None
