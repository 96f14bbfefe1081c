"""How far a box's pose may be off, by what depth and pixels leave open.

Depth is unsure by a standard deviation that grows with z², and alike in neighbouring pixels; the
outline by a pixel. What the camera cannot see is not in it.
"""

import numpy as np

from tam_ros.geometry.oriented_box import OrientedBox

ALIKE_PX = 25  # pixels whose depth is off together
OUTLINE_PX = 1.25  # how far the outline of depth is off
BIAS = 1.0  # of a depth's standard deviation, which no number of points removes
NO_IDEA = np.pi**2 / 3  # variance of an angle that may be any


def pose_covariance(box: OrientedBox, points: int, noise_m: float, pixel_m: float) -> np.ndarray:
    """Return (6, 6) float64 covariance of x, y, z and of rotations about them: m², m rad, rad².

    points: how many pixels the box is of. noise_m: standard deviation of a depth there. pixel_m:
    side of a pixel at that distance.
    """
    groups = max(points / ALIKE_PX, 1.0)
    along = noise_m**2 * (BIAS**2 + 1 / groups)
    across = (OUTLINE_PX * pixel_m) ** 2
    view = box.center_m / max(float(np.linalg.norm(box.center_m)), 1e-9)
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = across * np.eye(3) + along * np.outer(view, view)
    covariance[3:, 3:] = _of_rotation(box, noise_m**2 / groups + across / np.sqrt(groups))
    return covariance


def _of_rotation(box: OrientedBox, edge: float) -> np.ndarray:
    """Return (3, 3) of rotations, where edges have a variance in m²: the longer, the surer."""
    lever = box.size_m**2 / 12
    about = edge / np.maximum(lever.sum() - lever, 1e-9)
    return box.axes @ np.diag(np.minimum(about, NO_IDEA)) @ box.axes.T
