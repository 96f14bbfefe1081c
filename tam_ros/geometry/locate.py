"""Where an object is: its points, its box and how sure that is, of a mask and a depth image."""

from dataclasses import dataclass, replace

import numpy as np

from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.middle import at_share, middle
from tam_ros.geometry.object_points import ObjectPoints, object_points
from tam_ros.geometry.oriented_box import Grain, OrientedBox, Stance, fit_box
from tam_ros.geometry.pose_covariance import pose_covariance
from tam_ros.geometry.support import support_height
from tam_ros.masks import MaskCrop

BOX_POINTS = 400  # means of so many blocks tell a box as well as all points
SMOOTHED = 0.7  # of noise remains in a block, as it is alike in neighbours
LOWEST = 0.02  # of the points
ON_IT_M = 0.003  # points so little above what an object stands on are not the object's
FLAT = 0.5  # of the points: if less rises above, the object is as flat as that


@dataclass(frozen=True)
class Located:
    """An object in the camera's frame."""

    points: ObjectPoints
    """Its visible surface."""
    box: OrientedBox
    """Around the surface, down to what the object stands on where that is known."""
    covariance: np.ndarray
    """(6, 6) float64 of the box's pose: x, y, z, and rotations about them; m and rad."""


def locate(frame: DepthFrame, crop: MaskCrop, stance: Stance | None = None) -> Located | None:
    """Return where an object is, None where its mask has no depth.

    stance: up, if known, and the axes of the box before. What the object stands on is found here.
    """
    points = object_points(frame, crop)
    if not len(points):
        return None
    stance = stance or Stance()
    some = points.thinned(BOX_POINTS)
    far_m = middle(some[:, 2])
    pixel_m, noise_m = far_m / frame.camera.focal_px, frame.options.noise_m(far_m)
    if stance.up is not None:
        floor_m = _floor_m(frame, crop, stance.up, some)
        some = _above(some, stance.up, floor_m, noise_m)
        stance = replace(stance, floor_m=floor_m)
    box = fit_box(some, stance, Grain(points.stride * pixel_m, SMOOTHED * noise_m))
    covariance = pose_covariance(box, len(points) * points.stride**2, noise_m, pixel_m)
    return Located(points, box, covariance)


def _floor_m(frame: DepthFrame, crop: MaskCrop, up: np.ndarray, some: np.ndarray) -> float | None:
    return support_height(frame, crop, up, at_share(some @ up, LOWEST))


def _above(some: np.ndarray, up: np.ndarray, floor_m: float | None, noise_m: float) -> np.ndarray:
    """Return the points that are above what the object stands on, all if it is flat."""
    if floor_m is None:
        return some
    above = some @ up > floor_m + ON_IT_M + noise_m
    return some[above] if above.mean() > FLAT else some
