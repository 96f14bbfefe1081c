"""Whether the network hesitated between an object and something like it. Pure mask functions."""

import cv2
import numpy as np


def has_distractor(mask: np.ndarray, candidates: np.ndarray, max_box_iou: float = 0.7) -> bool:
    """Return whether a candidate mask holds something large beside the chosen mask.

    mask: (m, m) bool, not empty. candidates: (K, m, m) bool. Of a candidate, the largest
    8-connected part outside the mask counts: is the box of mask and part so much larger than the
    mask's that their IoU is at most max_box_iou? DAM4SAM (arXiv 2411.17576), section 3.2.
    """
    box = _box(mask)
    for candidate in candidates:
        part = _largest_part(candidate & ~mask)
        if part is not None and _area(box) <= max_box_iou * _area(_union(box, part)):
            return True
    return False


def _largest_part(mask: np.ndarray) -> np.ndarray | None:
    """Return the box of the largest 8-connected component, None of an empty mask."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if len(stats) == 1:  # the background only
        return None
    x, y, width, height, _ = stats[1 + stats[1:, cv2.CC_STAT_AREA].argmax()]
    return np.array([x, y, x + width, y + height])


def _box(mask: np.ndarray) -> np.ndarray:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([x, y, x + width, y + height])


def _union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])])


def _area(box: np.ndarray) -> int:
    return int((box[2] - box[0]) * (box[3] - box[1]))
