"""Whether an object counts as visible: what the network sees of it, with memory for doubt.

Networks answer with a mask even where the object has gone: of something else, or of everything.
What gives this away is a drop of the predicted quality below the object's usual one, often with a
jump in area or place. Such masks are withheld: neither published nor remembered. All times are
those of the frames' stamps, so dropped frames do not matter. Knows nothing of sessions or ids.
"""

import enum
import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from tam_ros.tracker.options import SessionOptions

USUAL_S = 1.0  # the last second in which an object was visible says what is usual
JUMP_S = 0.25  # the limits of jumps are for this time, and grow with longer ones
MOST_SIGHTINGS = 64  # enough for a second


@dataclass(frozen=True)
class Sighting:
    """What the network sees of an object in one frame."""

    stamp_ns: int
    """Time of the frame."""
    quality: float
    """See `mask_quality`; in [0, 1]."""
    area: float
    """Of the mask, as a part of the image, in (0, 1]."""
    center_xy: tuple[float, float]
    """Of the mask's mass, in image widths and heights."""


class Verdict(enum.Enum):
    """What is made of a frame's mask."""

    VISIBLE = enum.auto()
    ABSENT = enum.auto()  # the network says so, or gives no mask
    WITHHELD = enum.auto()  # there is a mask, which is not believed


def mask_quality(presence_logit: float, predicted_iou: float) -> float:
    """Return presence times predicted IoU, in [0, 1], as SAM 3 does."""
    return math.tanh(presence_logit / 2) * predicted_iou if presence_logit > 0 else 0.0


class Visibility:
    """Judges the masks of one object, frame by frame.

    An object stays visible through a doubtful mask, unless doubt lasts for confirm_s. Once
    hidden, it needs a good mask, or weak ones for confirm_s. A mask that jumps must be good.
    """

    def __init__(self) -> None:
        self._seen: deque[Sighting] = deque(maxlen=MOST_SIGHTINGS)  # the believed ones
        self._is_visible = True
        self._since_ns: int | None = None  # what speaks against the present verdict lasts

    def start(self, sighting: Sighting | None) -> None:
        """Believe the answer to a prompt, and forget what was usual before.

        Its quality says nothing of that in tracked frames: a given mask is its own answer.
        """
        self._seen.clear()
        self._since_ns = None
        self._is_visible = sighting is not None
        if sighting is not None:
            self._seen.append(replace(sighting, quality=0.0))

    def turn_back(self, stamp_ns: int) -> None:
        """Have nothing be later than a time, before that of the last sighting."""
        self._seen = deque(
            (replace(s, stamp_ns=min(s.stamp_ns, stamp_ns)) for s in self._seen),
            maxlen=MOST_SIGHTINGS,
        )
        self._since_ns = None

    def judge(self, sighting: Sighting | None, options: SessionOptions) -> Verdict:
        """Judge the next frame's mask."""
        if sighting is None:
            self._hide()
            return Verdict.ABSENT
        ratio = self._quality_ratio(sighting)
        is_good = ratio >= max(options.entry_ratio, options.exit_ratio)
        if not is_good and self._jumps(sighting, options):
            self._hide()
            return Verdict.WITHHELD
        if is_good:
            self._is_visible, self._since_ns = True, None
        else:
            self._weigh(sighting, ratio < options.exit_ratio, options.confirm_s)
        if not self._is_visible:
            return Verdict.WITHHELD
        self._seen.append(sighting)
        return Verdict.VISIBLE

    def is_in_reach(self, sighting: Sighting, options: SessionOptions) -> bool:
        """Return whether the object can have come from where it was last seen to a sighting."""
        return bool(self._seen) and not self._jumps(sighting, options)

    def moved(self, sighting: Sighting) -> float:
        """Return how far a sighting is from where the object was last seen, in its sizes."""
        return math.dist(sighting.center_xy, self._seen[-1].center_xy) / math.sqrt(
            self._usual_area
        )

    def _hide(self) -> None:
        self._is_visible, self._since_ns = False, None

    def _weigh(self, sighting: Sighting, is_doubtful: bool, confirm_s: float) -> None:
        """Turn from visible to hidden, or back, once masks have said so for long enough."""
        if is_doubtful != self._is_visible:
            self._since_ns = None
            return
        if self._since_ns is None:
            self._since_ns = sighting.stamp_ns
        if sighting.stamp_ns - self._since_ns >= confirm_s * 1e9:
            self._is_visible, self._since_ns = not self._is_visible, None

    def _unseen_s(self, sighting: Sighting) -> float:
        return (sighting.stamp_ns - self._seen[-1].stamp_ns) * 1e-9 if self._seen else 0.0

    def _usual(self) -> list[Sighting]:
        """Return the believed sightings of the last second in which there were any."""
        newest_ns = self._seen[-1].stamp_ns if self._seen else 0
        return [s for s in self._seen if newest_ns - s.stamp_ns <= USUAL_S * 1e9]

    @property
    def _usual_area(self) -> float:
        return float(np.median([s.area for s in self._usual()]))

    def _quality_ratio(self, sighting: Sighting) -> float:
        usual = [s.quality for s in self._usual() if s.quality > 0]
        return sighting.quality / float(np.median(usual)) if usual else 1.0

    def _jumps(self, sighting: Sighting, options: SessionOptions) -> bool:
        if not self._seen:
            return False
        slack = max(1.0, self._unseen_s(sighting) / JUMP_S)
        growth = sighting.area / self._usual_area
        if max(growth, 1 / growth) > options.max_growth * slack:
            return True
        return self.moved(sighting) > options.max_move * slack
