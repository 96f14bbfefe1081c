"""What a viewer sees: a picture, and what is said of the objects in it; encoded once for all."""

import json
import struct
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from tam_ros.masks import MaskCrop
from tam_ros.web.options import PictureOptions


@dataclass(frozen=True)
class ShownObject:
    """An object as a viewer sees it."""

    object_id: int
    """At least 1."""
    label: str
    """As given by a user; '' for none."""
    state: str
    """tentative, tracked, occluded or lost."""
    score: float
    """Predicted IoU of its mask, 0 to 1; 0 where it is not visible."""
    color: str
    """That of its mask in the picture, as #rrggbb."""
    crop: MaskCrop | None
    """Its mask in the image; None where it is not visible."""

    def described(self) -> dict:
        """Return what the page is told of it."""
        return {
            'id': self.object_id,
            'label': self.label,
            'state': self.state,
            'score': round(self.score, 3),
            'color': self.color,
            'box': None if self.crop is None else self.crop.box_xyxy,
        }


@dataclass(frozen=True, eq=False)
class Picture:
    """An image with its objects drawn in, and what is known of them."""

    stamp_ns: int
    """Of the image."""
    drawn_rgb: np.ndarray
    """(H, W, 3) uint8 of the image's size."""
    objects: tuple[ShownObject, ...]
    """All that are tracked, in order of their ids."""
    options: PictureOptions = field(default_factory=PictureOptions)
    """How it is encoded."""

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the image in pixels."""
        return self.drawn_rgb.shape[1], self.drawn_rgb.shape[0]

    def object_at(self, x: float, y: float) -> int:
        """Return the id of the object whose mask holds a pixel of the image, 0 for none."""
        for shown in self.objects:
            if shown.crop is not None and shown.crop.contains(x, y):
                return shown.object_id
        return 0

    @cached_property
    def message(self) -> bytes:
        """What goes to viewers: the length of a header, 4 bytes, little endian; it, in JSON; JPEG.

        The stamp is text: it has more digits than a number of JavaScript.
        """
        width, height = self.size_wh
        header = {
            'stamp': str(self.stamp_ns),
            'width': width,
            'height': height,
            'objects': [shown.described() for shown in self.objects],
        }
        encoded = json.dumps(header).encode()
        return struct.pack('<I', len(encoded)) + encoded + self._jpeg()

    def _jpeg(self) -> bytes:
        image_bgr = cv2.cvtColor(
            _reduced(self.drawn_rgb, self.options.max_width), cv2.COLOR_RGB2BGR
        )
        _, jpeg = cv2.imencode('.jpg', image_bgr, [cv2.IMWRITE_JPEG_QUALITY, self.options.quality])
        return jpeg.tobytes()


def _reduced(image: np.ndarray, max_width: int) -> np.ndarray:
    """Return an image that is no wider than that.

    Down to half the size, two pixels by two are all that make one, and take a quarter of the time
    of averages over areas.
    """
    height, width = image.shape[:2]
    if width <= max_width:
        return image
    size_wh = (max_width, max(1, round(height * max_width / width)))
    by = cv2.INTER_LINEAR if 2 * max_width >= width else cv2.INTER_AREA
    return cv2.resize(image, size_wh, interpolation=by)
