"""Ways to make a box and a cloud of a mask and depth: ours, and short ones to compare with."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.locate import locate
from tam_ros.geometry.oriented_box import OrientedBox, Stance
from tam_ros.masks import MaskCrop

NEAR_M = 0.3  # from the median: what is farther is not taken for the object


@dataclass(frozen=True)
class Answer:
    """What a program says of an object."""

    points_m: np.ndarray
    """(N, 3) in the camera's frame."""
    box: OrientedBox
    """The box of them."""
    covariance: np.ndarray | None = None
    """(6, 6) of its pose, if the program tells."""


Method = Callable[[DepthFrame, MaskCrop, Stance], Answer]


def ours(frame: DepthFrame, crop: MaskCrop, stance: Stance) -> Answer:
    """Locate an object."""
    located = locate(frame, crop, stance)
    if located is None:
        raise ValueError('the mask has no depth')
    return Answer(located.points.points_m, located.box, located.covariance)


def ours_without_up(frame: DepthFrame, crop: MaskCrop, stance: Stance) -> Answer:
    """Locate an object without knowing where up is."""
    return ours(frame, crop, Stance(axes=stance.axes))


def back_projection(frame: DepthFrame, crop: MaskCrop, stance: Stance) -> Answer:
    """Take all points of the mask, and their box along the camera's axes."""
    points = all_points(frame, crop)
    return Answer(points, box_along(points, np.eye(3)))


def principal_axes(frame: DepthFrame, crop: MaskCrop, stance: Stance) -> Answer:
    """Take all points of the mask, and their box along their principal axes."""
    points = all_points(frame, crop)
    axes = np.linalg.eigh(np.cov(points.T))[1]
    axes[:, 0] *= np.linalg.det(axes)
    return Answer(points, box_along(points, axes))


def median_depth(frame: DepthFrame, crop: MaskCrop, stance: Stance) -> Answer:
    """Take the mask's 2D box at the median depth, as deep as what is near that."""
    points = all_points(frame, crop)
    points = points[np.abs(points[:, 2] - np.median(points[:, 2])) < NEAR_M]
    near, far = points[:, 2].min(), points[:, 2].max()
    x0, y0, x1, y1 = crop.box_xyxy
    middle_m = (near + far) / 2
    across_m = np.array([x1 - x0, y1 - y0]) * middle_m / frame.camera.focal_px
    ray = frame.camera.rays[:, (y0 + y1) // 2, (x0 + x1) // 2]
    center = np.array([*(ray * middle_m), middle_m])
    return Answer(points, OrientedBox(center, np.eye(3), np.array([*across_m, far - near])))


def all_points(frame: DepthFrame, crop: MaskCrop) -> np.ndarray:
    """Return the points of all of a mask's pixels that have a depth, (N, 3)."""
    x0, y0, x1, y1 = crop.box_xyxy
    window = np.s_[y0:y1, x0:x1]
    z = frame.metres(window)
    there = crop.mask & (z > 0)
    rays = frame.camera.rays[(slice(None), *window)][:, there]
    return np.vstack([rays * z[there], z[there]]).T.astype(float)


def box_along(points_m: np.ndarray, axes: np.ndarray) -> OrientedBox:
    """Return the box of all points along given axes."""
    low, high = (points_m @ axes).min(0), (points_m @ axes).max(0)
    return OrientedBox(axes @ (low + high) / 2, axes, high - low)


METHODS: dict[str, Method] = {
    'ours, up known': ours,
    'ours': ours_without_up,
    'back-projection': back_projection,
    'principal axes': principal_axes,
    'median depth': median_depth,
}
