"""The oriented box of an object's visible surface.

A few points far off do not matter. What a camera cannot see, the box does not have, but for the
way down to what the object stands on.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from tam_ros.geometry.box_axes import aligned_with_faces, best_axes, named, upright_axes
from tam_ros.geometry.extents import ends, nearest_faces, without_outliers
from tam_ros.geometry.middle import middle

TAIL_NOISE = 2.5  # standard deviations from a face to the end of its points
SEEN = 0.05  # of the points: as many are on a face that is seen


@dataclass(frozen=True)
class OrientedBox:
    """A box in the camera's frame."""

    center_m: np.ndarray
    """(3,) float64 x, y, z in metres."""
    axes: np.ndarray
    """(3, 3) float64 rotation matrix: the box's axes are its columns."""
    size_m: np.ndarray
    """(3,) float64 length of the sides along the axes."""

    @property
    def quaternion_xyzw(self) -> np.ndarray:
        """(4,) float64 rotation from the box's frame to the camera's."""
        return Rotation.from_matrix(self.axes).as_quat()

    @property
    def corners_m(self) -> np.ndarray:
        """(8, 3) float64."""
        signs = np.array(list(product((-0.5, 0.5), repeat=3)))
        return self.center_m + (signs * self.size_m) @ self.axes.T


@dataclass(frozen=True)
class Stance:
    """What is known of an object before its box is fitted."""

    up: np.ndarray | None = None
    """(3,) in the camera's frame, made length 1: boxes are upright along it; None: as they lie."""
    floor_m: float | None = None
    """Height along up of what the object stands on, which its box reaches down to; None: held."""
    axes: np.ndarray | None = None
    """(3, 3) of the box in the frame before, which this one's are named after; None: the first."""

    def __post_init__(self) -> None:
        if self.up is not None:
            object.__setattr__(self, 'up', _of_length_1(self.up))

    @cached_property
    def named_after(self) -> np.ndarray:
        """(3, 3) the axes that those of the box are to be the nearest to."""
        if self.axes is not None:
            return self.axes
        return np.eye(3) if self.up is None else upright_axes(self.up)


def _of_length_1(up: np.ndarray) -> np.ndarray:
    """Return a direction, (3,) float64; raises ValueError for none."""
    up = np.asarray(up, np.float64)
    length = float(np.linalg.norm(up)) if up.shape == (3,) else 0.0
    if not 0 < length < np.inf:
        raise ValueError(f'up is {up.tolist()}: three numbers, not all 0, are needed')
    return up / length


@dataclass(frozen=True)
class Grain:
    """How fine points are."""

    pixel_m: float = 0.0
    """How far apart pixels are at the object: what is seen ends half of it beyond the last."""
    noise_m: float = 0.0
    """Standard deviation of the points from a face, which is in the middle of them."""


def fit_box(
    points_m: np.ndarray, stance: Stance | None = None, grain: Grain | None = None
) -> OrientedBox:
    """Return the oriented box of (N, 3) points, N at least 1."""
    stance = stance or Stance()
    points = without_outliers(np.ascontiguousarray(np.transpose(points_m), np.float64))
    axes = best_axes(points, stance.up, stance.axes)
    axes = aligned_with_faces(points, axes, stance.up)
    axes = named(axes, stance.named_after, upright=stance.up is not None)
    return _box(points, axes, stance, grain or Grain())


def _box(points: np.ndarray, axes: np.ndarray, stance: Stance, grain: Grain) -> OrientedBox:
    low, high = _without_noise(axes.T @ points, grain.noise_m)
    view = points.mean(1) / max(np.linalg.norm(points.mean(1)), 1e-9)
    rim = grain.pixel_m / 2 * np.sqrt(np.clip(1 - (view @ axes) ** 2, 0, 1))
    low, high = low - rim, high + rim
    if stance.floor_m is not None:
        low[2] = min(stance.floor_m, high[2])
    return OrientedBox(axes @ (low + high) / 2, axes, high - low)


def _without_noise(along: np.ndarray, noise_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where (3, N) places begin and end: faces in the middle of their points, not outside.

    Where noise would not explain it, as in a curved surface, they do not move so far.
    """
    low, high = ends(along)
    nearest, close = nearest_faces(along, low, high)
    for face, end in enumerate((low, low, low, high, high, high)):
        on_face = along[face % 3, (nearest == face) & close]
        if noise_m and len(on_face) > SEEN * along.shape[1]:
            inward = middle(on_face) - end[face % 3]
            end[face % 3] += np.clip(inward, -TAIL_NOISE * noise_m, TAIL_NOISE * noise_m)
    return low, high
