"""What an object stands on: a level across `up`, found by the depth around its mask."""

import numpy as np

from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.middle import middle
from tam_ros.geometry.object_points import around, in_window
from tam_ros.masks import MaskCrop

RING = 0.25  # of the longer side of the mask's box: how far around it is looked
LEAST_RING_PX = 10
LEVEL_M = 0.005  # heights that count as the same level, or as much as depth is unsure
SHARE = 0.15  # of the points around: as many must be on the level
MOST_POINTS = 1500
LEAST_POINTS = 20


def support_height(
    frame: DepthFrame, crop: MaskCrop, up: np.ndarray, bottom_m: float
) -> float | None:
    """Return the height along up of the level that an object stands on; None where none is seen.

    up: (3,) of length 1 in the camera's frame. bottom_m: height along it of the lowest points that
    are seen of the object. The level is at most `support_reach_m` below them; of several it is the
    highest.
    """
    heights, step = _heights_around(frame, crop, up)
    if len(heights) < LEAST_POINTS:
        return None
    top = bottom_m + 2 * step
    bins = max(int(np.ceil((frame.options.support_reach_m + 2 * step) / step)), 1)
    below = np.floor((top - heights) / step).astype(int)
    counts = np.bincount(below[(below >= 0) & (below < bins)], minlength=bins)
    level = np.convolve(counts, np.ones(3), 'same')
    enough = np.flatnonzero(level >= SHARE * len(heights))
    if not len(enough):
        return None
    peak = enough[0] + int(level[enough[0] : enough[0] + 3].argmax())
    return middle(heights[np.abs(below - peak) <= 1])


def _heights_around(frame: DepthFrame, crop: MaskCrop, up: np.ndarray) -> tuple[np.ndarray, float]:
    """Return heights of points around a mask, (N,), and the step that tells levels apart."""
    x0, y0, x1, y1 = crop.box_xyxy
    margin = max(int(RING * max(x1 - x0, y1 - y0)), LEAST_RING_PX)
    area = (x1 - x0 + 2 * margin) * (y1 - y0 + 2 * margin)
    stride = max(int(np.sqrt(area / MOST_POINTS)), 1)
    window = around(crop, frame.depth.size_wh, margin, stride)
    depth_m = frame.metres(window)
    seen = (depth_m > 0) & ~in_window(crop, window)
    points = frame.points(depth_m, window)[:, seen]
    far_m = middle(points[2]) if points.size else 0.0
    return up @ points, max(LEVEL_M, 2 * frame.options.noise_m(far_m))
