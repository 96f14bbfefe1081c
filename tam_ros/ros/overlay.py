"""Draw tracked objects over the camera image, for people."""

import colorsys

import cv2
import numpy as np

from tam_ros.tracker.results import FrameResult, ObjectResult, ObjectState

GOLDEN_RATIO = 0.618034  # steps of hue by it keep neighbouring ids apart
FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.5)
LINE_PX = 18


def color_of(object_id: int) -> tuple[int, int, int]:
    """Return an object's RGB colour; the same id always has the same."""
    rgb = colorsys.hsv_to_rgb(object_id * GOLDEN_RATIO % 1.0, 0.85, 1.0)
    return tuple(round(255 * channel) for channel in rgb)


def draw_overlay(image_rgb: np.ndarray, frame: FrameResult, opacity: float = 0.45) -> np.ndarray:
    """Return a copy of the (H, W, 3) uint8 image with masks, outlines, boxes and captions."""
    canvas = np.array(image_rgb)
    visible = [o for o in frame.objects if o.mask is not None]
    for result in visible:
        _draw_object(canvas, result, opacity)
    captions = _Captions(canvas)
    for result in visible:
        x0, y0, _, _ = result.mask.box_xyxy
        captions.draw(f'{_name(result)} {result.score:.2f}', (x0, y0 - 5), result.object_id)
    for result in frame.objects:
        if result.state in (ObjectState.OCCLUDED, ObjectState.LOST):
            text = f'{_name(result)} {result.state.name.lower()}'
            captions.draw(text, (0, 0), result.object_id)
    return canvas


def _draw_object(canvas: np.ndarray, result: ObjectResult, opacity: float) -> None:
    color = color_of(result.object_id)
    x0, y0, x1, y1 = result.mask.box_xyxy
    region, mask = canvas[y0:y1, x0:x1], result.mask.mask
    region[mask] = (region[mask] * (1 - opacity) + np.multiply(color, opacity)).astype(np.uint8)
    outline, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(x0, y0)
    )
    cv2.drawContours(canvas, outline, -1, color, 2)
    cv2.rectangle(canvas, (x0, y0), (x1 - 1, y1 - 1), color, 1)


def _name(result: ObjectResult) -> str:
    return f'{result.object_id} {result.label}'.strip()


class _Captions:
    """Draws texts inside the image, each below those it would cover."""

    def __init__(self, canvas: np.ndarray):
        self._canvas = canvas
        self._taken: list[tuple[int, int, int]] = []  # left, right, baseline

    def draw(self, text: str, at_xy: tuple[int, int], object_id: int) -> None:
        (width, _), _ = cv2.getTextSize(text, *FONT, 1)
        left = max(4, min(at_xy[0], self._canvas.shape[1] - width - 4))
        baseline = max(at_xy[1], LINE_PX)
        while any(
            left < right and other < left + width and abs(baseline - taken) < LINE_PX
            for other, right, taken in self._taken
        ):
            baseline += LINE_PX
        self._taken.append((left, left + width, baseline))
        for shade, thickness in (((0, 0, 0), 3), (color_of(object_id), 1)):
            cv2.putText(
                self._canvas, text, (left, baseline), *FONT, shade, thickness, cv2.LINE_AA
            )
