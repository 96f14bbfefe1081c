"""Rays of pixels from a camera's calibration, by OpenCV's models of distortion."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

# Model: how many coefficients it may have. Those that OpenCV knows under ROS's names.
COEFFICIENTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}
STOP = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-9)
MAX_MISS_PX = 0.1  # where rays do not lead back to their pixel, the model does not hold
STEEPEST = 1e3  # of x / z


class CalibrationError(ValueError):
    """A calibration cannot be used; the message names what is wrong."""


@dataclass(frozen=True)
class Calibration:
    """What a camera tells of itself, as ROS's CameraInfo has it. Raises CalibrationError.

    For rectified images: the left 3x3 of P as matrix, and no coefficients.
    """

    width: int
    """Of the full image in pixels, before binning and region of interest."""
    height: int
    """Of the full image in pixels."""
    matrix: tuple[float, ...]
    """K: 3x3 by rows, of the full image; the centre of the first pixel is at 0, 0."""
    coefficients: tuple[float, ...] = ()
    """D: of the distortion; none, or all 0, for none."""
    model: str = 'plumb_bob'
    """One of `COEFFICIENTS`; any where there is no distortion."""
    binning_xy: tuple[int, int] = (1, 1)
    """Columns and rows that one pixel of the image covers; 0 counts as 1."""
    roi_xywh: tuple[int, int, int, int] = (0, 0, 0, 0)
    """x, y, width, height of the part that the image shows, before binning; 0 for all."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise CalibrationError(f'calibration is for {self.width}x{self.height} pixels')
        self._check_matrix()
        self._check_distortion()
        self._check_region()

    def _check_matrix(self) -> None:
        if len(self.matrix) != 9 or not np.isfinite(self.matrix).all():
            raise CalibrationError(f'K is {self.matrix}: nine finite numbers are needed')
        if self.matrix[0] <= 0 or self.matrix[4] <= 0:
            raise CalibrationError(
                f'the camera is not calibrated: its focal lengths in K are {self.matrix[0]:g} '
                f'and {self.matrix[4]:g}'
            )

    def _check_distortion(self) -> None:
        if not np.isfinite(self.coefficients).all():
            raise CalibrationError(f'D is {self.coefficients}: finite numbers are needed')
        if not any(self.coefficients):
            return
        if self.model not in COEFFICIENTS:
            raise CalibrationError(
                f'distortion model "{self.model}" is not known: use {", ".join(COEFFICIENTS)}'
            )
        if len(self.coefficients) not in COEFFICIENTS[self.model]:
            wanted = ' or '.join(map(str, COEFFICIENTS[self.model]))
            raise CalibrationError(
                f'{self.model} has {wanted} coefficients, not {len(self.coefficients)}'
            )

    def _check_region(self) -> None:
        x, y, width, height = self.roi_xywh
        fits = min(self.roi_xywh) >= 0 and x + width <= self.width and y + height <= self.height
        if not fits or min(self.binning_xy) < 0 or min(self.size_wh) < 1:
            raise CalibrationError(
                f'region {self.roi_xywh} with binning {self.binning_xy} does not fit an image of '
                f'{self.width}x{self.height}'
            )

    @property
    def steps_xy(self) -> tuple[int, int]:
        """Columns and rows of the full image per pixel."""
        return max(self.binning_xy[0], 1), max(self.binning_xy[1], 1)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels of the images that come."""
        (x, y), (_, _, width, height) = self.steps_xy, self.roi_xywh
        return (width or self.width) // x, (height or self.height) // y


class Camera:
    """A calibrated camera; rays are computed once, when first asked for."""

    def __init__(self, calibration: Calibration):
        self.calibration = calibration

    @property
    def focal_px(self) -> float:
        """Mean focal length in pixels of the image."""
        k, (x, y) = self.calibration.matrix, self.calibration.steps_xy
        return (k[0] / x + k[4] / y) / 2

    @cached_property
    def rays(self) -> np.ndarray:
        """(2, H, W) float32 x / z and y / z of each pixel's centre; NaN where there is none.

        A pixel of a binned image is at the middle of those that it covers.
        """
        pixels = self._full_pixels().reshape(-1, 1, 2)
        rays = self._undistorted(pixels)
        with np.errstate(invalid='ignore', over='ignore'):
            miss = np.abs(self._distorted(rays) - pixels.reshape(-1, 2)).max(1)
            rays[~((miss < MAX_MISS_PX) & (np.abs(rays).max(1) < STEEPEST))] = np.nan
        width, height = self.calibration.size_wh
        return np.ascontiguousarray(rays.T.reshape(2, height, width), np.float32)

    @cached_property
    def blind(self) -> np.ndarray | None:
        """(H, W) bool: the pixels without a ray; None where all have one."""
        without = np.isnan(self.rays[0])
        return without if without.any() else None

    def project(self, points_m: np.ndarray) -> np.ndarray:
        """Return (N, 2) float64 pixels, centres at whole numbers, of (N, 3) points before it."""
        points = np.asarray(points_m, np.float64)
        full = self._distorted(points[:, :2] / points[:, 2:])
        c = self.calibration
        step = np.array(c.steps_xy)
        return (full - c.roi_xywh[:2] - (step - 1) / 2) / step

    def _full_pixels(self) -> np.ndarray:
        """Return (H, W, 2) float64 places in the full image."""
        c = self.calibration
        x, y = (
            np.arange(size) * step + (step - 1) / 2 + start
            for size, step, start in zip(c.size_wh, c.steps_xy, c.roi_xywh)
        )
        return np.stack(np.meshgrid(x, y), -1).astype(np.float64)

    @property
    def _model(self) -> tuple[np.ndarray, np.ndarray]:
        c = self.calibration
        coefficients = c.coefficients if any(c.coefficients) else (0,) * 5
        return np.reshape(c.matrix, (3, 3)).astype(float), np.array(coefficients, float)

    @property
    def _fisheye(self) -> bool:
        return self.calibration.model == 'equidistant' and any(self.calibration.coefficients)

    def _undistorted(self, pixels: np.ndarray) -> np.ndarray:
        matrix, coefficients = self._model
        if self._fisheye:
            return cv2.fisheye.undistortPoints(pixels, matrix, coefficients).reshape(-1, 2)
        rays = cv2.undistortPointsIter(pixels, matrix, coefficients, np.eye(3), np.eye(3), STOP)
        return rays.reshape(-1, 2)

    def _distorted(self, rays: np.ndarray) -> np.ndarray:
        """Return (N, 2) places in the full image of (N, 2) rays."""
        matrix, coefficients = self._model
        points = np.column_stack([rays, np.ones(len(rays))]).reshape(-1, 1, 3)
        still = np.zeros(3)
        if self._fisheye:
            pixels, _ = cv2.fisheye.projectPoints(points, still, still, matrix, coefficients)
        else:
            pixels, _ = cv2.projectPoints(points, still, still, matrix, coefficients)
        return pixels.reshape(-1, 2)
