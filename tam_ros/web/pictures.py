"""What a viewer sees: a picture and its objects; made a message once for all viewers."""

import json
import struct
from dataclasses import dataclass
from functools import cached_property

from tam_ros.masks import MaskCrop


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
    size_wh: tuple[int, int]
    """Width and height of the image in pixels; those of the JPEG may be smaller."""
    jpeg: bytes
    """The image with its objects, as JPEG."""
    objects: tuple[ShownObject, ...]
    """All that are tracked, in order of their ids."""

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
        return struct.pack('<I', len(encoded)) + encoded + self.jpeg
