"""Depth inside a mask split at its gaps, and the layer that is the object.

A mask that is a little too large also covers what stands before the object or behind it, and one
that is filled in what shows through it. Their depths differ from the object's by a step. Which
layer is the object is told by two things:

- Support: it has many of the mask's pixels.
- Connectedness: the object ends where its mask ends, at a step of depth or on what it stands on.
  A hand before it and the wall behind it go on outside the mask.

Of the layers with good support that end with the mask, the nearest is the object, because what is
seen through it is behind it. Where all go on outside, as when the mask is smaller than the object,
it is the one with most support.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from tam_ros.geometry.depth import Window
from tam_ros.geometry.middle import middle

SUPPORT = 0.2  # of the largest layer's pixels: good support
GOES_ON = 0.5  # of a layer's outline continues outside the mask: so does the layer
NEIGHBOURS: tuple[tuple[Window, Window], ...] = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1, :], np.s_[1:, :]),
)
BETWEEN: tuple[Window, ...] = (np.s_[::2, 1::2], np.s_[1::2, ::2])
BAND_PX = 2  # along the outline, in which layers are looked for
FLYING_REACH = 5  # pixels: a flying pixel has nearer and farther ones among so many by so many


def flying_pixels(depth_m: np.ndarray, gap_m: np.ndarray) -> np.ndarray:
    """Return where a sensor mixed two surfaces: (h, w) bool.

    Such a pixel hangs in between: a nearer and a farther one are near it, each beyond a gap. The
    edge of the nearer surface has only farther ones beside it and stays, as does a wire.
    """
    window = np.ones((FLYING_REACH, FLYING_REACH), np.uint8)
    nearest = cv2.erode(np.where(depth_m > 0, depth_m, np.float32(np.inf)), window)
    farthest = cv2.dilate(depth_m, window)
    return (depth_m - nearest > gap_m) & (farthest - depth_m > gap_m)


@dataclass(frozen=True)
class Surfaces:
    """Depth in a window and which neighbouring pixels are of one surface."""

    depth_m: np.ndarray
    """(h, w) float32; 0 is a hole."""
    mask: np.ndarray
    """(h, w) bool: the object's pixels, holes included."""
    gap_m: np.ndarray
    """(h, w) float32: the step to a neighbour that separates surfaces."""
    rim_px: float = 0.0
    """Width of what is left out where surfaces go on outside the mask."""

    @cached_property
    def inside(self) -> np.ndarray:
        """(h, w) bool: the mask's pixels that have a depth."""
        return self.mask & (self.depth_m > 0)

    @cached_property
    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Whether a pixel is of one surface with its right neighbour, (h, w - 1) bool.

        And with the one below, (h - 1, w) bool.
        """
        z = np.where(self.depth_m > 0, self.depth_m, np.float32(np.nan))
        with np.errstate(invalid='ignore'):
            return tuple(np.abs(z[b] - z[a]) < self.gap_m[a] for a, b in NEIGHBOURS)

    @cached_property
    def beyond(self) -> np.ndarray:
        """(h, w) bool: the pixels just outside the mask to which its surfaces go on."""
        ends = np.zeros_like(self.mask)
        for joined, (a, b) in zip(self.joined, NEIGHBOURS):
            crossing = joined & (self.mask[a] != self.mask[b])
            ends[a] |= crossing
            ends[b] |= crossing
        return ends & ~self.mask

    @cached_property
    def window(self) -> np.ndarray:
        """(k, k) uint8 of ones: so far inside the outline it is looked what goes on outside."""
        reach = int(self.rim_px) + 1 + BAND_PX
        return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)

    @cached_property
    def continued(self) -> np.ndarray:
        """(h, w) bool: the pixels that are as far as a surface near them that goes on outside."""
        z = self.depth_m
        nearest = cv2.erode(np.where(self.beyond, z, np.float32(np.inf)), self.window)
        farthest = cv2.dilate(np.where(self.beyond, z, np.float32(0)), self.window)
        return (z > nearest - self.gap_m) & (z < farthest + self.gap_m)

    @cached_property
    def kept(self) -> np.ndarray:
        """(h, w) bool: those inside but for a rim where surfaces go on outside, at least half.

        An object's own edge beside what goes on behind it is part of the rim: where a mask is too
        large, pixels hang there that are too near to it to be told from it.
        """
        to_beyond = cv2.distanceTransform((~self.beyond).astype(np.uint8), cv2.DIST_L2, 3)
        # What lies just inside the outline is at a distance of 1.
        kept = self.inside & (to_beyond >= self.rim_px + 1)
        if 2 * np.count_nonzero(kept) >= np.count_nonzero(self.inside):
            return kept
        return self.inside & (to_beyond >= middle(to_beyond[self.inside]))

    def labels(self) -> tuple[int, np.ndarray]:
        """Return the number of connected layers of what is kept, and (h * w,) labels from 1.

        Between pixels lie cells that are set where the pixels are joined, so that components of
        pixels and cells part at gaps.
        """
        height, width = self.depth_m.shape
        cells = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
        kept = self.kept
        cells[::2, ::2] = kept
        for joined, (a, b), between in zip(self.joined, NEIGHBOURS, BETWEEN):
            cells[between] = joined & kept[a] & kept[b]
        count, labels = cv2.connectedComponents(cells, connectivity=4)
        return count - 1, labels[::2, ::2].reshape(-1).astype(np.intp)


def object_layer(surfaces: Surfaces) -> np.ndarray:
    """Return the pixels of the object's layer, (h, w) bool; none only if all are holes.

    Without the rim, so that what surrounds an object on a table is not joined to it. Parts that
    something thin before the object cuts off belong to it if they are as far away.
    """
    count, labels = surfaces.labels()
    if count <= 1:
        return surfaces.kept
    support = np.bincount(labels, minlength=count + 1)[1:]
    mean_m = np.bincount(labels, surfaces.depth_m.reshape(-1), count + 1)[1:] / support
    goes_on = _goes_on(surfaces, labels, count)
    best = _choose(support, goes_on, mean_m)
    chosen = goes_on <= max(GOES_ON, goes_on[best])
    chosen &= _as_far(surfaces, labels == best + 1, mean_m)
    chosen[best] = True
    return np.append(False, chosen)[labels].reshape(surfaces.mask.shape)


def _choose(support: np.ndarray, goes_on: np.ndarray, mean_m: np.ndarray) -> int:
    """Return the index of the object among layers, from 0."""
    good = (support >= SUPPORT * support.max()) & (goes_on < GOES_ON)
    if not good.any():
        return int(support.argmax())
    return int(np.where(good, mean_m, np.inf).argmin())


def _as_far(surfaces: Surfaces, layer: np.ndarray, mean_m: np.ndarray) -> np.ndarray:
    """Return which mean depths are among a layer's. layer: (h * w,) bool."""
    depths = surfaces.depth_m.reshape(-1)[layer]
    gap_m = surfaces.gap_m.reshape(-1)[layer].max()
    return (mean_m > depths.min() - gap_m) & (mean_m < depths.max() + gap_m)


def _goes_on(surfaces: Surfaces, labels: np.ndarray, count: int) -> np.ndarray:
    """Return which part of each layer's share of the mask's outline continues outside."""
    mask = surfaces.mask.astype(np.uint8)
    outline = np.flatnonzero(mask > cv2.erode(mask, surfaces.window))
    of_outline = labels[outline]
    goes_on = of_outline[surfaces.continued.reshape(-1)[outline]]
    counts = [np.bincount(each, minlength=count + 1)[1:] for each in (goes_on, of_outline)]
    return counts[0] / np.maximum(counts[1], 1)
