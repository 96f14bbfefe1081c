"""The points of one object: of a mask, a depth image, and the camera's rays."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from tam_ros.geometry.depth import Window
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.layers import Surfaces, flying_pixels, object_layer
from tam_ros.masks import MaskCrop

MARGIN = 3  # pixels around a mask, to see what goes on outside


@dataclass(frozen=True)
class ObjectPoints:
    """Points of an object's visible surface; each form is made when it is asked for."""

    xyz_m: np.ndarray
    """(3, h, w) float32 x, y, z in the camera's frame, metres, of a window's pixels."""
    chosen: np.ndarray
    """(h, w) bool: those that are the object's; elsewhere xyz_m is 0."""
    window: Window
    """The window's rows and columns in the image, with the step from pixel to pixel."""

    @cached_property
    def _flat(self) -> np.ndarray:
        return np.flatnonzero(self.chosen)

    def __len__(self) -> int:
        return len(self._flat)

    @property
    def stride(self) -> int:
        """Pixels of the image from one point to the next."""
        return self.window[0].step

    @cached_property
    def points_m(self) -> np.ndarray:
        """(N, 3) float32 x, y, z in the camera's frame, metres, in the order of rows."""
        points = np.empty((len(self), 3), np.float32)
        for axis, plane in enumerate(self.xyz_m):
            points[:, axis] = plane.reshape(-1)[self._flat]
        return points

    @cached_property
    def pixels_xy(self) -> np.ndarray:
        """(N, 2) int32 column and row of the image that each point is of."""
        rows, columns = np.divmod(self._flat, self.chosen.shape[1])
        starts = (self.window[1].start, self.window[0].start)
        return (np.stack([columns, rows], 1) * self.stride + starts).astype(np.int32)

    def thinned(self, most: int) -> np.ndarray:
        """Return means of square blocks of pixels, (M, 3) float32, M about `most`.

        Means have less noise than points, and those of a plane are on the plane.
        """
        side = int(np.sqrt(len(self) / most) + 0.5)
        if side < 2:
            return self.points_m
        rows, columns = self.chosen.shape
        height, width = -(-rows // side), -(-columns // side)
        blocks = np.zeros((4, height * side, width * side), np.float32)
        blocks[:3, :rows, :columns] = self.xyz_m
        blocks[3, :rows, :columns] = self.chosen
        size_wh = (width, height)
        means = np.stack([cv2.resize(b, size_wh, interpolation=cv2.INTER_AREA) for b in blocks])
        means = means[:, means[3] > 0]
        return (means[:3] / means[3]).T

    def cloud(self, voxel_m: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Return `points_m` and `pixels_xy`, or of each voxel the mean and the first pixel.

        Voxels are cubes in the camera's frame with sides of voxel_m; 0 for none.
        """
        if not voxel_m or not len(self):
            return self.points_m, self.pixels_xy
        cell = np.floor(self.points_m / np.float32(voxel_m)).astype(np.int64)
        cell -= cell.min(0)
        size = cell.max(0) + 1
        key = (cell[:, 2] * size[1] + cell[:, 1]) * size[0] + cell[:, 0]
        _, first, key = np.unique(key, return_index=True, return_inverse=True)
        key = key.reshape(-1)  # of another shape in NumPy 2.0
        count = np.bincount(key)
        sums = [np.bincount(key, along) for along in self.points_m.T]
        return (np.stack(sums, 1) / count[:, None]).astype(np.float32), self.pixels_xy[first]


def object_points(frame: DepthFrame, crop: MaskCrop) -> ObjectPoints:
    """Return the points of the surface that a mask is on; none where all of it is holes.

    Flying pixels are dropped, other surfaces left out (see `layers`), and a rim is eroded where
    the surface goes on outside the mask, so that depth cannot tell where the object ends; never
    more than half of the pixels.
    """
    options = frame.options
    stride = int(np.ceil(np.sqrt(np.count_nonzero(crop.mask) / options.max_points)))
    window = around(crop, frame.depth.size_wh, MARGIN * stride, stride)
    depth_m = frame.metres(window)
    gap_m = options.gaps_m(depth_m, stride / frame.camera.focal_px)
    chosen = _surface(depth_m, gap_m, in_window(crop, window), options.erode)
    return ObjectPoints(frame.points(depth_m * chosen, window), chosen, window)


def around(crop: MaskCrop, size_wh: tuple[int, int], margin: int, stride: int = 1) -> Window:
    """Return a mask's box with a margin, cut at the image's borders."""
    x0, y0, x1, y1 = crop.box_xyxy
    rows = slice(max(y0 - margin, 0), min(y1 + margin, size_wh[1]), stride)
    return rows, slice(max(x0 - margin, 0), min(x1 + margin, size_wh[0]), stride)


def in_window(crop: MaskCrop, window: Window) -> np.ndarray:
    """Return a mask in a window around it, (h, w) bool."""
    (x0, y0, x1, y1), (rows, columns) = crop.box_xyxy, window
    full = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    full[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] = crop.mask
    return full[:: rows.step, :: columns.step]


def _surface(depth_m: np.ndarray, gap_m: np.ndarray, mask: np.ndarray, erode: float) -> np.ndarray:
    """Return the object's pixels, (h, w) bool."""
    solid = np.where(flying_pixels(depth_m, gap_m), np.float32(0), depth_m)
    if not solid[mask].any():  # all that there is hangs in between: better than nothing
        return mask & (depth_m > 0)
    rim_px = erode * float(np.sqrt(np.count_nonzero(mask)))
    return object_layer(Surfaces(solid, mask, gap_m, rim_px))
