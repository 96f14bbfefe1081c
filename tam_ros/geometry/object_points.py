"""The points of one object: of a mask, a depth image, and the camera's rays."""

from dataclasses import dataclass

import cv2
import numpy as np

from tam_ros.geometry.camera import Camera
from tam_ros.geometry.depth import DepthError, DepthImage, Window
from tam_ros.geometry.layers import Surfaces, flying_pixels, object_layer
from tam_ros.geometry.options import GeometryOptions
from tam_ros.masks import MaskCrop

MARGIN = 3  # pixels around a mask, to see what goes on outside
MOST_PIXELS = 60_000  # of an object that are looked at; of larger ones every second, and so on


@dataclass(frozen=True)
class ObjectPoints:
    """Points of an object's visible surface, in the order of rows."""

    points_m: np.ndarray
    """(N, 3) float32 x, y, z in the camera's frame, metres."""
    pixels_xy: np.ndarray
    """(N, 2) int32 column and row of the pixel that each point is of."""
    stride: int = 1
    """Pixels from one point to the next."""

    def __len__(self) -> int:
        return len(self.points_m)

    def thinned(self, most: int) -> tuple[np.ndarray, int]:
        """Return means of square blocks of pixels, (M, 3), M about `most`, and a block's side.

        Means have less noise than points, and those of a plane are on the plane.
        """
        side = max(round(float(np.sqrt(len(self) / most))), 1)
        if side == 1 or not len(self):
            return self.points_m, self.stride
        cell = (self.pixels_xy - self.pixels_xy.min(0)) // (side * self.stride)
        key = cell[:, 1] * (cell[:, 0].max() + 1) + cell[:, 0]
        return _means(self.points_m, key), side * self.stride


def object_points(
    depth: DepthImage, crop: MaskCrop, camera: Camera, options: GeometryOptions
) -> ObjectPoints:
    """Return the points of the surface that a mask is on; none where all of it is holes.

    Flying pixels are dropped, other surfaces left out (see `layers`), and a rim is eroded where
    the surface goes on outside the mask, so that depth cannot tell where the object ends; never
    more than half of the pixels. Raises DepthError for depth of another size than the camera's.
    """
    check_size(depth, camera)
    stride = max(int(np.ceil(np.sqrt(crop.mask.sum() / MOST_PIXELS))), 1)
    window = around(crop, depth.size_wh, MARGIN * stride, stride)
    depth_m = depth.metres(window)
    depth_m[np.isnan(camera.rays[(*window, 0)])] = 0
    mask = in_window(crop, window)
    chosen = _surface(depth_m, mask, options)
    points = _back_projected(depth_m, chosen, window, camera)
    return _one_per_voxel(points, options.voxel_m) if options.voxel_m else points


def check_size(depth: DepthImage, camera: Camera) -> None:
    """Raise DepthError where depth is not of the camera's size."""
    if depth.size_wh != camera.calibration.size_wh:
        sizes = ['{}x{}'.format(*size) for size in (depth.size_wh, camera.calibration.size_wh)]
        raise DepthError(
            f'depth of {sizes[0]} pixels for a camera of {sizes[1]}: aligned depth is needed, for '
            'instance aligned_depth_to_color'
        )


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


def _surface(depth_m: np.ndarray, mask: np.ndarray, options: GeometryOptions) -> np.ndarray:
    """Return the object's pixels, (h, w) bool."""
    gap_m = options.gaps_m(depth_m)
    flying = flying_pixels(depth_m, gap_m)
    solid = np.where(flying, np.float32(0), depth_m)
    if not (solid[mask] > 0).any():  # all that there is hangs in between: better than nothing
        return mask & (depth_m > 0)
    surfaces = Surfaces(solid, mask, gap_m)
    rim = options.erode * float(np.sqrt(mask.sum()))
    return _eroded(object_layer(surfaces), surfaces.beyond[0], rim)


def _eroded(layer: np.ndarray, beyond: np.ndarray, rim: float) -> np.ndarray:
    """Drop pixels within `rim` pixels of those where surfaces go on outside."""
    if not rim or not beyond.any():
        return layer
    distance = cv2.distanceTransform((~beyond).astype(np.uint8), cv2.DIST_L2, 3)
    # What lies just inside the outline is at a distance of 1. Half of the pixels stay.
    return layer & (distance >= min(rim + 1, float(np.median(distance[layer]))))


def _back_projected(
    depth_m: np.ndarray, chosen: np.ndarray, window: Window, camera: Camera
) -> ObjectPoints:
    rows, columns = np.nonzero(chosen)
    z = depth_m[rows, columns]
    points = np.empty((len(z), 3), np.float32)
    np.multiply(camera.rays[window][rows, columns], z[:, None], out=points[:, :2])
    points[:, 2] = z
    stride = window[0].step
    pixels = np.stack([columns, rows], 1).astype(np.int32) * stride
    return ObjectPoints(points, pixels + (window[1].start, window[0].start), stride)


def _one_per_voxel(points: ObjectPoints, side_m: float) -> ObjectPoints:
    """Keep the mean of each voxel's points, and the pixel of its first."""
    if not len(points):
        return points
    cell = np.floor(points.points_m / np.float32(side_m)).astype(np.int64)
    cell -= cell.min(0)
    size = cell.max(0) + 1
    key = (cell[:, 2] * size[1] + cell[:, 1]) * size[0] + cell[:, 0]
    _, first, key = np.unique(key, return_index=True, return_inverse=True)
    means = _means(points.points_m, key.reshape(-1))
    return ObjectPoints(means, points.pixels_xy[first], points.stride)


def _means(points_m: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return the mean of the points of each key that occurs, (M, 3) float32, in order of keys."""
    count = np.bincount(key)
    occurs = count > 0
    sums = np.stack([np.bincount(key, points_m[:, i]) for i in range(3)], 1)
    return (sums[occurs] / count[occurs, None]).astype(np.float32)
