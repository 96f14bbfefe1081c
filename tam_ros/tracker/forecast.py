"""Where an object will be at a given time: a Kalman filter over its box and centroid.

Times are stamps, so it does not matter how regularly frames come. Knows nothing of networks.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import cv2
import numpy as np

from tam_ros.masks import MaskCrop, tight_crop

ForecastTime = Literal['none', 'publish_time', 'fixed_ms']
FORECAST_TIMES: tuple[ForecastTime, ...] = get_args(ForecastTime)
MAX_HORIZON_S = 2.0  # nothing is forecast for a time further from the frame's
MAX_SCALE = 2.0


@dataclass(frozen=True)
class MotionModel:
    """How objects move and how well they are measured, in parts of their size (and per second).

    Velocity is an Ornstein-Uhlenbeck process: it wanders, and what is known of it fades.
    """

    measured_std: float = 0.01
    """Standard deviation of a measured edge or centroid, in sizes."""
    velocity_std: float = 1.0
    """Standard deviation of velocity, in sizes per second."""
    fade_s: float = 0.3
    """Time constant with which a known velocity fades; if it is long beside all steps, velocity is
    constant."""

    def travel_s(self, seconds: float) -> float:
        """Return how far a velocity of 1 carries in a time, fading."""
        return -self.fade_s * math.expm1(-seconds / self.fade_s)

    def transition(self, seconds: float) -> np.ndarray:
        """Return the (2, 2) matrix that carries position and velocity on."""
        return np.array([[1.0, self.travel_s(seconds)], [0.0, math.exp(-seconds / self.fade_s)]])

    def process_noise(self, seconds: float) -> np.ndarray:
        """Return the (2, 2) covariance that a time adds, in sizes; exact for steps of any length.

        Two steps in a row give the covariance of one as long as both.
        """
        elapsed, kept = seconds / self.fade_s, math.exp(-seconds / self.fade_s)
        position = self.fade_s**2 * (2 * elapsed - 3 + 4 * kept - kept**2)
        both = self.fade_s * (1 - kept) ** 2
        return self.velocity_std**2 * np.array([[position, both], [both, 1 - kept**2]])


@dataclass(frozen=True)
class Forecast:
    """Where an object is expected: its mask, shifted and scaled about its centroid."""

    time_ns: int
    """When it is expected there, as a stamp."""
    box_xyxy: tuple[float, float, float, float]
    """Float pixels, x1 and y1 exclusive; it may reach out of the image."""
    centroid_xy: tuple[float, float]
    """Float pixels."""
    scale: float
    """The object's size there over its size in the measured frame."""
    measured: MaskCrop
    """The newest mask, which is moved."""
    size_wh: tuple[int, int]
    """Of the image in pixels."""

    @property
    def view_xyxy(self) -> tuple[int, int, int, int] | None:
        """The part of the box that is in the image, in whole pixels; None where none of it is."""
        corners = np.rint(np.reshape(self.box_xyxy, (2, 2)))
        x0, y0, x1, y1 = np.clip(corners, 0, self.size_wh).astype(int).ravel().tolist()
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    @cached_property
    def view_mask(self) -> np.ndarray:
        """The expected mask in view_xyxy, (y1 - y0, x1 - x0) bool; needs some of it in view."""
        if self.view_xyxy is None:
            raise ValueError(f'box {self.box_xyxy} is out of view: there is no mask of it')
        x0, y0, x1, y1 = self.view_xyxy
        # Pixels are sampled at their centres, half a pixel from their corners.
        origin = np.subtract(self.measured.centroid_xy, self.measured.box_xyxy[:2]) - 0.5
        offset = origin + (np.array([x0, y0]) + 0.5 - self.centroid_xy) / self.scale
        moved = cv2.warpAffine(
            self.measured.mask.astype(np.float32),
            np.column_stack([np.eye(2) / self.scale, offset]),
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        return moved > 0.5

    @property
    def mask(self) -> MaskCrop | None:
        """The expected mask in its tight box, as far as it is in view; None if it is not."""
        view = self.view_xyxy
        return None if view is None else tight_crop(view[0], view[1], self.view_mask)


@dataclass(frozen=True)
class Motion:
    """How one object moves, as known from its masks so far."""

    stamp_ns: int
    """Time of the newest mask."""
    position: np.ndarray
    """(6,) float64: x0, y0, x1, y1 of the box and x, y of the centroid, in pixels."""
    velocity: np.ndarray
    """(6,) float64, of these in pixels per second."""
    covariance: np.ndarray
    """(2, 2) float64, of position and velocity; all six share it, as their noise is the same part
    of the object's size."""
    measured: MaskCrop
    """The newest mask."""
    model: MotionModel = MotionModel()
    """By which it is followed and forecast."""

    @classmethod
    def start(cls, mask: MaskCrop, stamp_ns: int, model: MotionModel | None = None) -> 'Motion':
        """Return what one mask tells: a place, and that the velocity is any of the usual."""
        model = model or MotionModel()
        spread = np.diag([model.measured_std, model.velocity_std]) * _size(mask)
        return cls(stamp_ns, _coordinates(mask), np.zeros(6), spread**2, mask, model)

    def follow(self, mask: MaskCrop, stamp_ns: int) -> 'Motion':
        """Return what is known with a later mask as well; stamp_ns must not be earlier."""
        seconds, size = (stamp_ns - self.stamp_ns) * 1e-9, _size(mask)
        step = self.model.transition(seconds)
        covariance = step @ self.covariance @ step.T + self.model.process_noise(seconds) * size**2
        position, velocity = step @ np.stack([self.position, self.velocity])
        gain = covariance[:, 0] / (covariance[0, 0] + (self.model.measured_std * size) ** 2)
        surprise = _coordinates(mask) - position
        return Motion(
            stamp_ns,
            position + gain[0] * surprise,
            velocity + gain[1] * surprise,
            covariance - np.outer(gain, covariance[0]),
            mask,
            self.model,
        )

    def forecast(self, time_ns: int, size_wh: tuple[int, int]) -> Forecast | None:
        """Return where the object will be in a size_wh image; None more than 2 s ahead, or before.

        It moves as the middle one of its two edges and its centroid does, on each axis: what
        enters, hides or swings a limb moves one of them. It grows or shrinks by as much as all
        four edges agree on.
        """
        if not reaches(self.stamp_ns, time_ns):
            return None
        seconds = (time_ns - self.stamp_ns) * 1e-9
        x0, y0, x1, y1, x, y = self.velocity * self.model.travel_s(seconds)
        shift = np.median([[x0, y0], [x1, y1], [x, y]], axis=0)
        box = np.reshape(self.measured.box_xyxy, (2, 2)).astype(float)
        outward = np.concatenate([shift - (x0, y0), np.subtract((x1, y1), shift)])
        growth = 2 * _least_in_common(outward / np.tile(box[1] - box[0], 2))
        scale = float(np.clip(1 + growth, 1 / MAX_SCALE, MAX_SCALE))
        centroid = np.array(self.measured.centroid_xy)
        corners = centroid + shift + scale * (box - centroid)
        return Forecast(
            time_ns,
            tuple(corners.ravel().tolist()),
            tuple((centroid + shift).tolist()),
            scale,
            self.measured,
            size_wh,
        )


def reaches(stamp_ns: int, time_ns: int) -> bool:
    """Return whether a frame can be forecast for a time: not before it, and not far after."""
    return 0 <= (time_ns - stamp_ns) * 1e-9 <= MAX_HORIZON_S


def _coordinates(mask: MaskCrop) -> np.ndarray:
    return np.array([*mask.box_xyxy, *mask.centroid_xy], float)


def _size(mask: MaskCrop) -> float:
    """Return the side of a square as large as the mask's box, in pixels."""
    x0, y0, x1, y1 = mask.box_xyxy
    return math.sqrt((x1 - x0) * (y1 - y0))


def _least_in_common(values: np.ndarray) -> float:
    """Return the value nearest to 0 where all have one sign, else 0."""
    if (values > 0).all():
        return float(values.min())
    return float(values.max()) if (values < 0).all() else 0.0
