"""What a network says of one object in one frame."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from tam_ros.tracker.visibility import Sighting, mask_quality


@dataclass(frozen=True)
class Observation:
    """An object in a frame: a mask, and how sure the network is of it."""

    frame_index: int
    """Number of the processed frame."""
    stamp_ns: int
    """Time of the frame."""
    logits: np.ndarray
    """(m, m) float32 mask logits over the whole image; above 0 is the object."""
    presence_logit: float
    """Above 0 the network finds the object in the frame."""
    predicted_iou: float
    """IoU of the mask with the true one as the network expects it, in [0, 1]."""
    visible: bool = True
    """Whether the tracker believes the mask."""

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
        center = (
            (moments['m10'] / cells + 0.5) / width,
            (moments['m01'] / cells + 0.5) / height,
        )
        quality = mask_quality(self.presence_logit, self.predicted_iou)
        return Sighting(self.stamp_ns, quality, cells / self.logits.size, center)
