"""The faults of a stereo depth camera: noise, holes and flying pixels, put on exact depth.

Noise of disparity is the same everywhere, so that of depth grows with z². It is alike in
neighbouring pixels, as a matching window gives one answer for all of its pixels; for the same
reason edges of depth are some pixels off the image's. Depth is stored in whole millimetres.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class StereoNoise:
    """How bad the depth is."""

    noise_1m_m: float = 0.0025
    """Standard deviation of depth at one metre."""
    correlation_px: float = 1.5
    """Standard deviation of the Gaussian that makes noise alike nearby, in pixels."""
    edge_px: float = 1.0
    """Standard deviation of how far an edge of depth is from the image's, in pixels."""
    edge_gap_m: float = 0.02
    """A step of depth between neighbours that is an edge."""
    shadow_px: int = 4
    """Width of the holes beside the nearer surface, on the side the second camera cannot see."""
    flying_share: float = 0.5
    """Share of the pixels at an edge, on the farther side, that hang in between."""
    hole_share: float = 0.01
    """Share of all pixels that are holes, in specks."""

    def apply(self, depth_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return (H, W) uint16 depth in millimetres; 0 is a hole. depth_m: (H, W), 0: hole."""
        depth_m = self._displaced(depth_m, rng)
        noisy = depth_m + self.noise_1m_m * depth_m**2 * self._smooth(rng, depth_m.shape)
        noisy = self._fly(noisy, depth_m, rng)
        noisy[self._shadows(depth_m) | self._specks(rng, depth_m.shape) | (depth_m == 0)] = 0
        return np.clip(np.round(noisy * 1e3), 0, 65535).astype(np.uint16)

    def _displaced(self, depth_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return depth moved by about a pixel, this way here and that way there."""
        height, width = depth_m.shape
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
        for axis in grid:
            shift = cv2.GaussianBlur(rng.standard_normal(axis.shape).astype(np.float32), (0, 0), 4)
            axis += shift * np.float32(self.edge_px / shift.std())
        return cv2.remap(depth_m, *grid, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)

    def _smooth(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return normal noise with neighbours alike, standard deviation 1."""
        noise = rng.standard_normal(shape).astype(np.float32)
        if self.correlation_px:
            noise = cv2.GaussianBlur(noise, (0, 0), self.correlation_px)
            noise /= noise.std()
        return noise

    def _fly(self, noisy: np.ndarray, depth_m: np.ndarray, rng) -> np.ndarray:
        """Let pixels beside a nearer surface hang anywhere between it and what is behind."""
        reach = np.ones((5, 5), np.uint8)
        nearest = cv2.erode(np.where(depth_m > 0, depth_m, np.float32(1e6)), reach)
        edge = (depth_m - nearest > self.edge_gap_m) & (depth_m > 0)
        flying = edge & (rng.random(depth_m.shape) < self.flying_share)
        share = rng.random(depth_m.shape, np.float32)
        return np.where(flying, nearest + share * (depth_m - nearest), noisy).astype(np.float32)

    def _shadows(self, depth_m: np.ndarray) -> np.ndarray:
        """Return what is hidden from the second camera, at the left of nearer surfaces."""
        step = np.zeros(depth_m.shape, np.uint8)
        step[:, :-1] = depth_m[:, :-1] - depth_m[:, 1:] > self.edge_gap_m
        if not self.shadow_px:
            return np.zeros(depth_m.shape, bool)
        reach = np.ones((1, self.shadow_px), np.uint8)
        return cv2.dilate(step, reach, anchor=(0, 0)).astype(bool)

    def _specks(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return specks of some pixels each."""
        if not self.hole_share:
            return np.zeros(shape, bool)
        noise = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), 1.5)
        return noise > np.quantile(noise, 1 - self.hole_share)
