"""What a network says of one object in one frame."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from tam_ros.masks import LogitCrop, tight_crop, upsample_around_mask
from tam_ros.tracker.visibility import Sighting, mask_quality
from tam_ros.tracker.window import WHOLE, Window, resample


@dataclass(frozen=True)
class Observation:
    """An object in a frame: a mask, and how sure the network is of it."""

    frame_index: int
    """Number of the processed frame."""
    stamp_ns: int
    """Time of the frame."""
    logits: np.ndarray
    """(m, m) float32 mask logits over the window; above 0 is the object."""
    presence_logit: float
    """Above 0 the network finds the object in the frame."""
    predicted_iou: float
    """IoU of the mask with the true one as the network expects it, in [0, 1]."""
    visible: bool = True
    """Whether the tracker believes the mask."""
    window: Window = WHOLE
    """The part of the image that the frame was encoded from."""
    fine: LogitCrop | None = None
    """The mask at the image's resolution, where more of it is known than `logits` can hold."""

    @property
    def nbytes(self) -> int:
        """What it occupies."""
        return self.logits.nbytes + (self.fine.logits.nbytes if self.fine else 0)

    def upsampled(self, size_wh: tuple[int, int]) -> LogitCrop | None:
        """Return logits at the resolution of its image; None where no pixel is positive."""
        if self.fine:
            return self.fine
        x0, y0, x1, y1 = self.window.pixels(size_wh)
        crop = upsample_around_mask(self.logits, (x1 - x0, y1 - y0))
        return crop and crop.moved(x0, y0)

    @cached_property
    def sighting(self) -> Sighting | None:
        """What the mask shows, believed or not; None of an absent object, or without a pixel."""
        if self.presence_logit <= 0:
            return None
        moments = cv2.moments((self.logits > 0).astype(np.uint8), binaryImage=True)
        cells = moments['m00']
        if not cells:
            return None
        height, width = self.logits.shape
        center = self.window.point(
            (moments['m10'] / cells + 0.5) / width, (moments['m01'] / cells + 0.5) / height
        )
        quality = mask_quality(self.presence_logit, self.predicted_iou)
        area = cells / self.logits.size * self.window.area
        return Sighting(self.stamp_ns, quality, area, center)

    @property
    def extent(self) -> Window | None:
        """The tight box of the mask; None without one, or where it is not believed."""
        crop = tight_crop(0, 0, self.logits > 0) if self.visible else None
        if crop is None:
            return None
        height, width = self.logits.shape
        return self.window.part(Window.of_pixels(crop.box_xyxy, (width, height)))

    def over(self, window: Window) -> 'Observation':
        """Return what it says of the part of the image that another window shows."""
        if window == self.window:
            return self
        return replace(self, logits=resample(self.logits, self.window, window), window=window)
