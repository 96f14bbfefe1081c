"""Scenes of planes, boxes, spheres and cylinders, seen exactly: depth, masks and poses.

A ray through each pixel's centre meets each shape where algebra says; nothing is rendered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tam_ros.geometry.camera import Calibration, Camera
from tam_ros.masks import MaskCrop, tight_crop


def pinhole(width: int = 640, height: int = 480, focal_px: float = 600.0) -> Camera:
    """Return a camera without distortion."""
    matrix = (focal_px, 0, (width - 1) / 2, 0, focal_px, (height - 1) / 2, 0, 0, 1)
    return Camera(Calibration(width, height, matrix))


@dataclass(frozen=True)
class Plane:
    """An endless plane through a point."""

    point_m: Sequence[float]
    """(3,) in the camera's frame."""
    normal: Sequence[float]
    """(3,) of any length."""

    def depth_m(self, rays: np.ndarray) -> np.ndarray:
        """Return the depth at which (..., 3) rays with z = 1 meet it; inf where they do not."""
        with np.errstate(divide='ignore'):
            z = np.dot(self.point_m, self.normal) / (rays @ np.asarray(self.normal, float))
        return np.where(z > 0, z, np.inf)


@dataclass(frozen=True)
class Solid:
    """A shape that has a pose and fills a box."""

    center_m: np.ndarray
    """(3,) in the camera's frame."""
    size_m: np.ndarray
    """(3,) sides of its box."""
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    """(3, 3): its axes are the columns."""

    def _local(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the eye and rays in units of half sides from the centre along the axes."""
        half = np.asarray(self.size_m) / 2
        return (-np.asarray(self.center_m) @ self.axes) / half, (rays @ self.axes) / half

    def depth_m(self, rays: np.ndarray) -> np.ndarray:
        """As `Plane.depth_m`."""
        raise NotImplementedError

    def distance_m(self, points_m: np.ndarray) -> np.ndarray:
        """Return how far (N, 3) points are outside its box or ellipsoid, 0 inside."""
        local = (points_m - self.center_m) @ self.axes
        outside = np.maximum(np.abs(local) - np.asarray(self.size_m) / 2, 0)
        return np.linalg.norm(outside, axis=1)


class Box(Solid):
    """A box."""

    def depth_m(self, rays: np.ndarray) -> np.ndarray:
        """As `Plane.depth_m`."""
        eye, way = self._local(rays)
        with np.errstate(divide='ignore', invalid='ignore'):
            ends = np.stack([(-1 - eye) / way, (1 - eye) / way])
        enter, leave = ends.min(0).max(-1), ends.max(0).min(-1)
        return np.where((enter < leave) & (enter > 0), enter, np.inf)


class Ellipsoid(Solid):
    """A sphere, or one stretched along its axes."""

    def depth_m(self, rays: np.ndarray) -> np.ndarray:
        """As `Plane.depth_m`."""
        eye, way = self._local(rays)
        return _first_root((way**2).sum(-1), way @ eye, eye @ eye - 1)


class Cylinder(Solid):
    """A cylinder along its third axis."""

    def depth_m(self, rays: np.ndarray) -> np.ndarray:
        """As `Plane.depth_m`."""
        eye, way = self._local(rays)
        side = _first_root(
            (way[..., :2] ** 2).sum(-1), way[..., :2] @ eye[:2], eye[:2] @ eye[:2] - 1
        )
        with np.errstate(invalid='ignore', divide='ignore'):
            side = np.where(np.abs(eye[2] + side * way[..., 2]) <= 1, side, np.inf)
            ends = np.stack([(-1 - eye[2]) / way[..., 2], (1 - eye[2]) / way[..., 2]])
            at = eye[:2] + ends[..., None] * way[..., :2]
            ends = np.where(((at**2).sum(-1) <= 1) & (ends > 0), ends, np.inf)
        return np.minimum(side, ends.min(0))


def _first_root(a: np.ndarray, half_b: np.ndarray, c: float) -> np.ndarray:
    """Return the smaller root of a z² + 2 half_b z + c, inf where none is positive."""
    with np.errstate(invalid='ignore', divide='ignore'):
        z = (-half_b - np.sqrt(half_b**2 - a * c)) / a
    return np.where(z > 0, z, np.inf)


@dataclass(frozen=True)
class View:
    """What a camera sees of a scene."""

    camera: Camera
    """The camera."""
    depth_m: np.ndarray
    """(H, W) float32, exact; 0 where nothing is."""
    labels: np.ndarray
    """(H, W) uint8: number of the shape from 1, in the order given; 0 where nothing is."""

    def crop(self, number: int, grown_px: int = 0) -> MaskCrop:
        """Return the true mask of a shape, or one that is some pixels too large.

        Raises ValueError where it is not seen.
        """
        reach = np.ones((2 * grown_px + 1, 2 * grown_px + 1), np.uint8)
        mask = cv2.dilate((self.labels == number).astype(np.uint8), reach)
        crop = tight_crop(0, 0, mask.astype(bool))
        if crop is None:
            raise ValueError(f'shape {number} is not seen')
        return crop

    def points_m(self, number: int) -> np.ndarray:
        """Return (N, 3) exact points of a shape."""
        z = self.depth_m[self.labels == number][:, None]
        return np.hstack([self.camera.rays[:, self.labels == number].T * z, z])

    def with_depth(self, depth_m: np.ndarray) -> 'View':
        """Return the same with other depth."""
        return replace(self, depth_m=depth_m)


def look(camera: Camera, shapes: Sequence[Plane | Solid]) -> View:
    """Return what the camera sees: of all shapes the nearest at each pixel."""
    rays = np.stack([*camera.rays, np.ones_like(camera.rays[0])], -1).astype(float)
    depths = np.stack([np.full(rays.shape[:2], np.inf), *(s.depth_m(rays) for s in shapes)])
    nearest = depths.argmin(0)
    depth_m = np.where(nearest, depths.min(0), 0)
    return View(camera, depth_m.astype(np.float32), nearest.astype(np.uint8))


@dataclass(frozen=True)
class Table:
    """A table that the camera looks down on, as a frame to place things in."""

    pitch_deg: float = 40.0
    """How far the camera looks down."""
    distance_m: float = 0.8
    """From the camera to the point of the table that it looks at."""

    @property
    def axes(self) -> np.ndarray:
        """(3, 3): right, away, and up along the table in the camera's frame, as columns."""
        down = np.radians(self.pitch_deg)
        up = np.array([0, -np.cos(down), -np.sin(down)])
        right = np.array([1.0, 0, 0])
        return np.stack([right, np.cross(up, right), up], 1)

    @property
    def up(self) -> np.ndarray:
        """(3,) of length 1, away from the table, in the camera's frame."""
        return self.axes[:, 2]

    @property
    def plane(self) -> Plane:
        """The table's top."""
        return Plane((0, 0, self.distance_m), tuple(self.up))

    def at(self, x_m: float, y_m: float, height_m: float) -> np.ndarray:
        """Return a place over the table, from where the camera looks at, in its frame."""
        return np.array([0, 0, self.distance_m]) + self.axes @ (x_m, y_m, height_m)

    def standing(self, shape: type[Solid], size_m, *, x_m=0.0, y_m=0.0, yaw_deg=0.0) -> Solid:
        """Return a shape that stands on the table, turned about its upright."""
        turned = self.axes @ Rotation.from_euler('z', yaw_deg, degrees=True).as_matrix()
        return shape(self.at(x_m, y_m, size_m[2] / 2), np.asarray(size_m), turned)
