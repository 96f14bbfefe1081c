"""How things, and the camera, move in composed clips: smooth random paths."""

from dataclasses import dataclass

import numpy as np

from training.sprites import SPRITE_SIDE


@dataclass(frozen=True)
class Motion:
    """How a thing moves: smooth random paths over T frames."""

    centre: np.ndarray
    """(T, 2) pixels."""
    size: np.ndarray
    """(T,) pixels of one thing unit."""
    angle: np.ndarray
    """(T,) radians."""
    squeeze: np.ndarray
    """(T, 2) factors of the two axes."""
    tilt: np.ndarray
    """(T, 2) perspective, per thing unit."""
    ripple: float
    """Amplitude of elastic warp, in pixels of a sprite."""

    def matrix(self, t: int) -> np.ndarray:
        """Return the 3x3 matrix from the thing's coordinates to pixels of frame t."""
        cos, sin = np.cos(self.angle[t]), np.sin(self.angle[t])
        linear = self.size[t] * np.array([[cos, -sin], [sin, cos]]) @ np.diag(self.squeeze[t])
        place = np.array([[1, 0, self.centre[t, 0]], [0, 1, self.centre[t, 1]], [0, 0, 1]])
        affine = np.eye(3)
        affine[:2, :2] = linear
        affine[2, :2] = self.tilt[t]
        return place @ affine


def smooth_path(rng: np.random.Generator, frames: int, amplitude: float) -> np.ndarray:
    """Return a (frames,) path from a random walk of velocity, starting anywhere, mean-free."""
    drift = rng.normal(0, 1) + 0.5 * np.cumsum(rng.normal(0, 1, frames))
    path = amplitude * np.cumsum(drift) / np.sqrt(frames)
    return path - path.mean()


def draw_motion(rng: np.random.Generator, frames: int, side: int) -> Motion:
    """Draw a motion; speed, deformation and size are drawn over wide ranges."""
    size = side * np.exp(rng.uniform(np.log(0.06), np.log(0.85)))
    speed = np.exp(rng.uniform(np.log(0.004), np.log(0.12)))
    centre = np.stack([smooth_path(rng, frames, speed * (side + size) / 2) for _ in range(2)], -1)
    centre += rng.uniform(0.15, 0.85, 2) * side - centre[rng.integers(frames)] * 0.7
    change = rng.choice([0.005, 0.02, 0.05])

    def path(amplitude: float) -> np.ndarray:
        return smooth_path(rng, frames, amplitude)

    return Motion(
        centre=centre,
        size=size * np.exp(np.clip(path(change), -0.8, 0.8)),
        angle=rng.uniform(0, 2 * np.pi) + path(2 * change),
        squeeze=np.exp(np.clip([path(change), path(change)], -0.5, 0.5).T + rng.normal(0, 0.2, 2)),
        tilt=np.clip(np.stack([path(2 * change), path(2 * change)], -1), -0.4, 0.4),
        ripple=rng.choice([0, 0, 0.02, 0.05]) * SPRITE_SIDE,
    )


def draw_camera(rng: np.random.Generator, frames: int, side: int, size_wh: tuple[int, int]):
    """Return (T, 3, 3) matrices from pixels of a picture to those of a moving camera's frames."""
    zoom = side / min(size_wh) * np.exp(rng.uniform(-0.1, 0.9))
    zoom = zoom * np.exp(rng.uniform(-0.5, 0.1) * np.array([size_wh[0] > size_wh[1], 0]))
    zoom = np.maximum(zoom, side / np.array(size_wh))
    slack = np.maximum(zoom * size_wh - side, 0) / 2
    speed = side * rng.choice([0, 0.003, 0.01, 0.04, 0.08])
    shift = np.stack([smooth_path(rng, frames, speed) for _ in range(2)], -1)
    shift += rng.uniform(-1, 1, 2) * slack
    angle, scale = smooth_path(rng, frames, 0.02), np.exp(smooth_path(rng, frames, 0.03))
    angle += rng.normal(0, 0.08)
    matrices = np.tile(np.eye(3), (frames, 1, 1))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrices[:, :2, :2] = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1) * zoom
    middle = matrices[:, :2, :2] @ (np.array(size_wh) / 2)
    matrices[:, :2, 2] = side / 2 + shift - middle
    return matrices


def waves(place: np.ndarray, amplitude: float, time: float, phases: np.ndarray) -> np.ndarray:
    """Return (2, H, W) shifts in x and y of slow waves over (2, H, W) places in 0..1."""
    x, y = 2 * np.pi * place
    dx = np.sin(y + time + phases[0]) + np.sin(x + phases[1])
    dy = np.sin(x - time + phases[2]) + np.sin(y + phases[3])
    return amplitude * np.stack([dx, dy])
