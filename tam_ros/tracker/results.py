"""What a processed frame says of each object: small values; masks are made when asked for."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tam_ros.masks import (
    LogitCrop,
    MaskCrop,
    label_image,
    resolve_overlaps,
    upsample_around_mask,
)
from tam_ros.tracker.forecast import Forecast, Motion


class ObjectState(enum.IntEnum):
    """Where an object stands; the values are those of the ROS message."""

    TENTATIVE = 0
    TRACKED = 1
    OCCLUDED = 2
    LOST = 3


class FrameMasks:
    """Full-resolution masks of all visible objects of a frame, computed once on first use.

    Objects can share pixels only before this: with exclusive, each pixel goes to the best logit,
    which takes all objects together.
    """

    def __init__(
        self, logits: Mapping[int, np.ndarray], size_wh: tuple[int, int], *, exclusive: bool
    ):
        self._logits = logits
        self.size_wh = size_wh
        self._exclusive = exclusive

    @cached_property
    def crops(self) -> dict[int, MaskCrop | None]:
        """Masks cropped to their boxes, by object id; None where no pixel is left."""
        upsampled = {
            key: upsample_around_mask(logits, self.size_wh) for key, logits in self._logits.items()
        }
        present: dict[int, LogitCrop] = {k: c for k, c in upsampled.items() if c is not None}
        if self._exclusive:
            crops = resolve_overlaps(present)
        else:
            crops = {key: crop.tight() for key, crop in present.items()}
        return {key: crops.get(key) for key in self._logits}


@dataclass(frozen=True)
class ObjectResult:
    """One object in one frame.

    score: predicted IoU of the mask in [0, 1], 0 where the object is not visible.
    logits: (m, m) float32 low-resolution mask logits over the whole image.
    motion: how the object moves; None where it is not visible or the session does not forecast.
    stamp_ns: of the frame.
    """

    object_id: int
    label: str
    state: ObjectState
    score: float
    logits: np.ndarray
    _masks: FrameMasks = field(repr=False)
    motion: Motion | None = field(default=None, repr=False)
    stamp_ns: int = 0

    def forecast(self, time_ns: int) -> Forecast | None:
        """Return where the object will be; None without a motion, or for a time out of reach."""
        return self.motion and self.motion.forecast(time_ns, self._masks.size_wh)

    @property
    def mask(self) -> MaskCrop | None:
        """The mask at image resolution, cropped to its box; None for an absent object."""
        return self._masks.crops.get(self.object_id)

    @property
    def box_xyxy(self) -> tuple[int, int, int, int] | None:
        """The tight box of the mask in pixels, x1 and y1 exclusive; None for an absent object."""
        return None if self.mask is None else self.mask.box_xyxy


@dataclass(frozen=True)
class FrameResult:
    """All objects in one frame, in order of their ids.

    reset_reason says why the tracker started anew with this frame, if it did.
    """

    stamp_ns: int
    size_wh: tuple[int, int]
    objects: Sequence[ObjectResult]
    reset_reason: str = ''

    def label_image(self) -> np.ndarray:
        """Return a (H, W) uint16 image whose pixels are object ids, 0 where there is none."""
        return label_image({o.object_id: o.mask for o in self.objects}, self.size_wh)

    def find(self, object_id: int) -> ObjectResult:
        """Return the result of one object; raises KeyError."""
        return {o.object_id: o for o in self.objects}[object_id]
