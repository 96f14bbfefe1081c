"""Draw tracked objects over the camera image, for people."""

import colorsys

import cv2
import numpy as np

from tam_ros.tracker.results import FrameResult, ObjectResult, ObjectState

GOLDEN_RATIO = 0.618034  # steps of hue by it keep neighbouring ids apart


def color_of(object_id: int) -> tuple[int, int, int]:
    """Return an object's RGB colour; the same id always has the same."""
    rgb = colorsys.hsv_to_rgb(object_id * GOLDEN_RATIO % 1.0, 0.85, 1.0)
    return tuple(round(255 * channel) for channel in rgb)


def draw_overlay(image_rgb: np.ndarray, frame: FrameResult, opacity: float = 0.45) -> np.ndarray:
    """Return a copy of the (H, W, 3) uint8 image with masks, outlines, boxes and captions."""
    canvas = np.array(image_rgb)
    for result in frame.objects:
        if result.mask is not None:
            _draw_object(canvas, result, opacity)
    hidden = [o for o in frame.objects if o.state in (ObjectState.OCCLUDED, ObjectState.LOST)]
    for line, result in enumerate(hidden):
        text = f'{_name(result)} {result.state.name.lower()}'
        _draw_text(canvas, text, (4, 16 + 18 * line), color_of(result.object_id))
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
    _draw_text(canvas, f'{_name(result)} {result.score:.2f}', (x0, max(y0 - 5, 12)), color)


def _name(result: ObjectResult) -> str:
    return f'{result.object_id} {result.label}'.strip()


def _draw_text(canvas: np.ndarray, text: str, at_xy: tuple[int, int], color) -> None:
    for shade, thickness in (((0, 0, 0), 3), (color, 1)):
        cv2.putText(
            canvas, text, at_xy, cv2.FONT_HERSHEY_SIMPLEX, 0.5, shade, thickness, cv2.LINE_AA
        )
