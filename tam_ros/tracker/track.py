"""What is held of each object, and of each of the newest frames."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from tam_ros.engine.base import Array
from tam_ros.masks import MaskCrop
from tam_ros.prompts import Prompt
from tam_ros.tracker.forecast import Motion
from tam_ros.tracker.memory import ObjectMemory
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.reseeding import Origins, Seed
from tam_ros.tracker.visibility import Visibility
from tam_ros.tracker.window import WHOLE, Window


@dataclass(frozen=True)
class PromptAnswer:
    """A prompt, and what was answered on its frame."""

    prompt: Prompt
    """With earlier ones on the same frame, if it refined these."""
    observation: Observation
    """What was answered."""
    pointer: Array | None
    """Object pointer of the answer, a batch of one; None once the answer is remembered."""


@dataclass(frozen=True)
class Conditioned:
    """An object's row in a batch of features that were conditioned on memories."""

    batch: Array
    """An engine's, of B objects."""
    row: int
    """The object's, in [0, B)."""

    def alone(self) -> Array:
        """Return it as a batch of one."""
        return self.batch[[self.row]]


@dataclass
class Track:
    """One object: its place in the store, what it remembers, and what was last seen of it."""

    object_id: int
    """1 to 65535; it stays the same."""
    label: str
    """A user's or a detector's; empty where none was given."""
    row: int
    """Of the store of memories."""
    memory: ObjectMemory
    """Which frames it remembers, and where in its row they are."""
    answer: PromptAnswer
    """To the last prompt."""
    tentative: bool = False
    """Whether the object is only proposed."""
    observation: Observation = field(init=False)
    """Of the newest frame that the object has been looked for in."""
    visible_ns: int = field(init=False)
    """Time of the frame in which it was last visible."""
    shown_ns: int = field(init=False)
    """Time of the frame in which it last had a pixel of its own."""
    attended: Conditioned | None = field(init=False, default=None)
    """What the observation was decoded from, if the object has not been prompted in its frame."""
    visibility: Visibility = field(init=False, default_factory=Visibility)
    """Whether it is believed to be seen, with memory for doubt."""
    origins: Origins = field(init=False, default_factory=Origins)
    """What its memories can be made from again, for another window."""
    motion: Motion | None = field(init=False, default=None)
    """As of the last frame that it was visible in, since the newest prompt; None where the session
    does not forecast."""

    def __post_init__(self) -> None:
        self.go_on_from(self.answer)

    def go_on_from(self, answer: PromptAnswer) -> None:
        """Make a prompt's answer the newest that is known of the object."""
        seen = answer.observation
        # What refines a frame's answer is decoded from the same features as that was.
        if self.attended and self.observation.frame_index != seen.frame_index:
            self.attended = None
        self.answer, self.observation = answer, seen
        self.visible_ns = self.shown_ns = seen.stamp_ns
        self.visibility.start(seen.sighting)
        self.motion = None  # what a prompt changes is no motion

    @property
    def frame_index(self) -> int:
        """Number of the newest frame that the object has been looked for in."""
        return self.observation.frame_index

    @property
    def owes_memory(self) -> bool:
        """Whether the last prompt's answer is yet to be remembered."""
        return self.answer.pointer is not None

    def turn_back(self, stamp_ns: int) -> None:
        """Go on at a time before the newest frame, whose stamp was wrong."""
        self.visible_ns = min(self.visible_ns, stamp_ns)
        self.shown_ns = min(self.shown_ns, stamp_ns)
        self.motion = None
        self.visibility.turn_back(stamp_ns)

    def follow_motion(self, mask: MaskCrop | None, stamp_ns: int) -> None:
        """Have the motion follow a frame's mask, once; it stays as it is without one."""
        if mask is None or self.motion_at(stamp_ns):
            return
        if self.motion is None:
            self.motion = Motion.start(mask, stamp_ns)
        else:
            self.motion = self.motion.follow(mask, stamp_ns)

    def motion_at(self, stamp_ns: int) -> Motion | None:
        """Return the motion if the object was seen at that time."""
        return self.motion if self.motion and self.motion.stamp_ns == stamp_ns else None


@dataclass
class ByteCount:
    """How much several frames occupy, counted as it comes and goes."""

    nbytes: int = 0
    """Of all of them together."""


@dataclass
class Frame:
    """One processed frame: what prompts on it need."""

    index: int
    """Number of the frame, of those processed."""
    stamp_ns: int
    """Its time; not that which came with the image where stamps stand still."""
    image_stamp_ns: int
    """The stamp that came with the image."""
    size_wh: tuple[int, int]
    """Of the image in pixels."""
    features: Array
    """The encoded image, or that window of it."""
    nbytes: int
    """What the frame occupies: at first its features, and its image, alone."""
    is_standing: bool = False
    """Whether stamps stand still at that of the image, which then tells no frame from others."""
    window: Window = WHOLE
    """The part of the image that is encoded."""
    image_rgb: np.ndarray | None = None
    """(H, W, 3) uint8, to look closely at; None where nobody will, nor ask for another window."""
    is_seed: bool = False
    """Whether memories may be made from it again, for another window."""
    count: ByteCount | None = field(init=False, default=None)
    """Of the history that keeps the frame, if one does."""
    _observations: dict[int, Observation] = field(init=False, default_factory=dict)
    """By object id; see `observations`."""

    @property
    def observations(self) -> Mapping[int, Observation]:
        """What was seen of objects in the frame, by their ids."""
        return MappingProxyType(self._observations)

    def seed(self, seen: Observation) -> Seed | None:
        """Return what was seen of an object as a seed, None where none is needed."""
        if self.image_rgb is None or not self.is_seed:
            return None
        mask = seen.fine.whole(self.size_wh) if seen.fine else None
        return Seed(self.image_rgb, seen, mask)

    def widen(self, features: Array) -> None:
        """Take the features of the whole image in place of a window's."""
        self.features, self.window = features, WHOLE

    def note(self, object_id: int, observation: Observation) -> None:
        """Keep what was seen of an object in this frame, in place of what was noted before."""
        former = self._observations.get(object_id)
        growth = observation.nbytes - (former.nbytes if former else 0)
        self._observations[object_id] = observation
        self.nbytes += growth
        if self.count is not None:
            self.count.nbytes += growth
