"""Draw tracked objects over the camera image, for people."""

import colorsys
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np
from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont

from tam_ros.lettering import letter
from tam_ros.masks import MaskCrop
from tam_ros.tracker.results import ObjectState

GOLDEN_RATIO = 0.618034  # steps of hue by it keep neighbouring ids apart
FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.5)
LINE_PX, MARGIN_PX = 18, 3
LUMINANCE = (0.299, 0.587, 0.114)


class ShownObject(Protocol):
    """What is drawn of an object, such as an `ObjectResult`."""

    @property
    def object_id(self) -> int:
        """By which it has its colour."""

    @property
    def label(self) -> str:
        """Written behind its id."""

    @property
    def state(self) -> ObjectState:
        """Written where it is not visible."""

    @property
    def predicted_iou(self) -> float:
        """In [0, 1]."""

    @property
    def mask(self) -> MaskCrop | None:
        """None where it is not visible."""


class ShownFrame(Protocol):
    """What is drawn over an image, such as a `FrameResult`."""

    @property
    def objects(self) -> Sequence[ShownObject]:
        """In order of their ids."""


def color_of(object_id: int) -> tuple[int, int, int]:
    """Return an object's RGB colour; the same id always has the same."""
    rgb = colorsys.hsv_to_rgb(object_id * GOLDEN_RATIO % 1.0, 0.85, 1.0)
    red, green, blue = (round(255 * channel) for channel in rgb)
    return red, green, blue


def draw_overlay(
    image_rgb: np.ndarray,
    frame: ShownFrame,
    opacity: float = 0.45,
    *,
    warn: Callable[[str, str], None] = lambda kind, text: None,
) -> np.ndarray:
    """Return a copy of the (H, W, 3) uint8 image with masks, outlines, boxes and captions.

    warn takes the kind and the text of a warning about what cannot be drawn.
    """
    canvas = np.array(image_rgb)
    visible = [(o, o.mask) for o in frame.objects if o.mask is not None]
    for result, crop in visible:
        _draw_object(canvas, crop, color_of(result.object_id), opacity)
    captions = _Captions(canvas, warn)
    for result, crop in visible:
        x0, y0, _, _ = crop.box_xyxy
        captions.draw(f'{_name(result)} {result.predicted_iou:.2f}', x0, y0, result.object_id)
    for result in frame.objects:
        if result.state in (ObjectState.OCCLUDED, ObjectState.LOST):
            text = f'{_name(result)} {result.state.name.lower()}'
            captions.draw(text, 0, 0, result.object_id)
    return canvas


def compress_overlay(drawn_rgb: np.ndarray, *, max_width: int, quality: int) -> np.ndarray:
    """Return an (H, W, 3) uint8 overlay as JPEG, (bytes,) uint8, no wider than max_width pixels.

    quality: in percent.
    """
    image_bgr = cv2.cvtColor(_reduced(drawn_rgb, max_width), cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode('.jpg', image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return jpeg


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


def _draw_object(
    canvas: np.ndarray, crop: MaskCrop, color: tuple[int, int, int], opacity: float
) -> None:
    x0, y0, x1, y1 = crop.box_xyxy
    region, mask = canvas[y0:y1, x0:x1], crop.mask
    region[mask] = (region[mask] * (1 - opacity) + np.multiply(color, opacity)).astype(np.uint8)
    outline, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(x0, y0)
    )
    cv2.drawContours(canvas, outline, -1, color, 2)
    cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), color, 1)


def _name(result: ShownObject) -> str:
    return f'{result.object_id} {result.label}'.strip()


def _width(text: str, font: FreeTypeFont | None) -> int:
    return cv2.getTextSize(text, *FONT, 1)[0][0] if font is None else round(font.getlength(text))


def _write(plate: np.ndarray, text: str, font: FreeTypeFont, ink: tuple[int, int, int]) -> None:
    """Write on a (h, w, 3) part of the image, which may be cut off at the image's edge."""
    picture = Image.fromarray(plate)
    ImageDraw.Draw(picture).text((MARGIN_PX, LINE_PX - 4), text, ink, font, anchor='ls')
    plate[:] = np.asarray(picture)


class _Captions:
    """Writes on plates in the objects' colours, inside the image, each below those in its way."""

    def __init__(self, canvas: np.ndarray, warn: Callable[[str, str], None]):
        self._canvas = canvas
        self._warn = warn
        self._taken: list[tuple[int, int, int]] = []  # left, right, top

    def draw(self, text: str, x: int, y: int, object_id: int) -> None:
        """Write with the plate's bottom left corner at x, y, if there is room."""
        written, font = letter(text)
        if written != text:
            self._warn(
                'missing_letters',
                f'no font here has all letters of {text!r}: install fonts-noto or another',
            )
        width = _width(written, font) + 2 * MARGIN_PX
        left = max(0, min(x, self._canvas.shape[1] - width))
        top = self._free_top(left, left + width, max(0, y - LINE_PX))
        self._taken.append((left, left + width, top))
        color = color_of(object_id)
        corner = (left + width - 1, top + LINE_PX - 1)
        cv2.rectangle(self._canvas, (left, top), corner, color, cv2.FILLED)
        ink = (0, 0, 0) if np.dot(color, LUMINANCE) > 128 else (255, 255, 255)
        if font is None:
            at_xy = (left + MARGIN_PX, top + LINE_PX - 5)
            cv2.putText(self._canvas, written, at_xy, *FONT, ink, 1, cv2.LINE_AA)
        else:
            _write(self._canvas[top : top + LINE_PX, left : left + width], written, font, ink)

    def _free_top(self, left: int, right: int, top: int) -> int:
        """Return the first line from top on that no other plate between left and right covers."""
        tops = [t for other, end, t in self._taken if left < end and other < right]
        for taken in sorted(tops):
            if abs(top - taken) < LINE_PX:
                top = taken + LINE_PX
        return top
