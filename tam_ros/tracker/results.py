"""What a processed frame says of each object: small values; masks are made when asked for."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tam_ros.masks import (
    MaskCrop,
    label_image,
    resolve_overlaps,
    tight_crop,
)
from tam_ros.tracker.continuity import Remark
from tam_ros.tracker.forecast import Forecast, Motion
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.window import WHOLE


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
        self, seen: Mapping[int, Observation], size_wh: tuple[int, int], *, exclusive: bool
    ):
        """seen: by object id."""
        self._seen = seen
        self.size_wh = size_wh
        self._exclusive = exclusive

    @cached_property
    def crops(self) -> dict[int, MaskCrop | None]:
        """Masks cropped to their boxes, by object id; None where no pixel is left."""
        upsampled = {key: seen.upsampled(self.size_wh) for key, seen in self._seen.items()}
        present = {key: crop for key, crop in upsampled.items() if crop is not None}
        if self._exclusive:
            crops = resolve_overlaps(present)
        else:
            crops = {key: crop.tight() for key, crop in present.items()}
        return {key: crops.get(key) for key in self._seen}

    def has_pixel(self, object_id: int) -> bool:
        """Return whether a pixel of the image is the object's; masks are made only in doubt."""
        if object_id not in self._seen:
            return False
        if 'crops' not in self.__dict__ and self._surely_has_pixel(object_id):
            return True
        return self.crops[object_id] is not None

    def _surely_has_pixel(self, object_id: int) -> bool:
        """Between four positive logits is a pixel, where pixels are no coarser than logits.

        Of masks that are finer than their logits these do not tell it.
        """
        if any(seen.fine for seen in self._seen.values()):
            return False
        seen = self._seen[object_id]
        positive = seen.logits > 0
        height, width = positive.shape
        x0, y0, x1, y1 = seen.window.pixels(self.size_wh)
        if x1 - x0 < width or y1 - y0 < height:
            return False
        both = positive[1:] & positive[:-1]
        if not (both[:, 1:] & both[:, :-1]).any():
            return False
        return not (self._exclusive and self._may_share(object_id))

    def _may_share(self, object_id: int) -> bool:
        """Return whether another object is so near that interpolation may reach both."""
        windows = {seen.window for seen in self._seen.values()}
        if len(windows) > 1:  # a prompt came, and cells are not comparable
            return True
        reaches = self._reaches
        x0, y0, x1, y1 = reaches[object_id]
        return any(
            x0 < right and left < x1 and y0 < bottom and top < y1
            for other, (left, top, right, bottom) in reaches.items()
            if other != object_id
        )

    @cached_property
    def _reaches(self) -> dict[int, tuple[int, int, int, int]]:
        """The box of each object's positive logits and one cell around it, x1 and y1 exclusive."""
        found = {key: tight_crop(0, 0, seen.logits > 0) for key, seen in self._seen.items()}
        boxes = {key: crop.box_xyxy for key, crop in found.items() if crop is not None}
        return {k: (x0 - 1, y0 - 1, x1 + 1, y1 + 1) for k, (x0, y0, x1, y1) in boxes.items()}


@dataclass(frozen=True)
class ObjectResult:
    """One object in one frame."""

    object_id: int
    """1 to 65535; stable while the object is tracked."""
    label: str
    """As given with a prompt; empty where none was."""
    state: ObjectState
    """Where the object stands in this frame."""
    observation: Observation = field(repr=False)
    """What the network says of the object in this frame, believed or not."""
    is_shown: bool
    """Whether there is a mask: the object is visible, and has a pixel of its own."""
    _masks: FrameMasks = field(repr=False)
    """Of all objects in the frame."""
    motion: Motion | None = field(default=None, repr=False)
    """How the object moves; None where it is not visible or the session does not forecast."""
    stamp_ns: int = 0
    """The stamp that the frame's image came with."""

    def forecast(self, time_ns: int) -> Forecast | None:
        """Return where the object will be; None without a motion, or for a time out of reach."""
        if self.motion is None:
            return None
        return self.motion.forecast(time_ns, self._masks.size_wh)

    @property
    def predicted_iou(self) -> float:
        """Predicted IoU of the mask in [0, 1]; 0 where there is none."""
        return self.observation.predicted_iou if self.is_shown else 0.0

    @property
    def logits(self) -> np.ndarray:
        """(m, m) float32 low-resolution mask logits over the whole image."""
        return self.observation.over(WHOLE).logits

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
    """All objects in one frame, in order of their ids."""

    stamp_ns: int
    """The frame's time, which goes by the clock of arrival where stamps stand still."""
    size_wh: tuple[int, int]
    """Of the image in pixels."""
    objects: Sequence[ObjectResult]
    """Those that have been looked for in the frame."""
    reset_reason: str = ''
    """Why the tracker started anew with this frame, if it did."""
    left_out: Remark | None = None
    """Why the frame was not looked at, if so; objects are then as before, and none is here."""
    remark: Remark | None = None
    """What else is odd about the stream, said once."""

    def label_image(self) -> np.ndarray:
        """Return a (H, W) uint16 image whose pixels are object ids, 0 where there is none."""
        return label_image({o.object_id: o.mask for o in self.objects}, self.size_wh)

    def find(self, object_id: int) -> ObjectResult:
        """Return the result of one object; raises KeyError."""
        return {o.object_id: o for o in self.objects}[object_id]
