"""Drawn things that the network that comes with the package finds by itself, for searches."""

import cv2
import numpy as np

THINGS = (34, 54, 107, 127), (150, 40, 251, 101), (206, 164, 295, 217)  # their boxes


def drawn(right: int = 0) -> np.ndarray:
    """Return three things on a ground that is not quite even, all of them further right."""
    random = np.random.default_rng(1)
    shades = random.normal(0, 18, (12, 16, 3)).astype(np.float32)
    ground = 110 + cv2.resize(shades, (320, 240), interpolation=cv2.INTER_CUBIC)
    image = np.clip(ground, 0, 255).astype(np.uint8)
    cv2.circle(image, (70 + right, 90), 36, (200, 40, 40), -1, cv2.LINE_AA)
    cv2.ellipse(image, (200 + right, 70), (50, 30), 0, 0, 360, (40, 60, 190), -1, cv2.LINE_AA)
    cv2.ellipse(image, (250 + right, 190), (44, 26), 0, 0, 360, (230, 220, 60), -1, cv2.LINE_AA)
    return np.clip(image + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


def box_iou(a, b) -> float:
    """Return the IoU of two boxes, x0, y0, x1, y1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b)]
    return shared / (sum(areas) - shared)
