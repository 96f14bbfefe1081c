"""Pure functions on mask logits and masks: upsampling inside a window, boxes, overlaps, holes.

`logits` are float32, positive inside the object; `mask` is bool. Boxes are x0, y0, x1, y1 in
pixels with x1 and y1 exclusive.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

HOLE_LOGIT = 0.1  # a filled hole becomes just inside
LEAST_LEFT = 0.1  # of a mask, where parts of it are taken away

Window = tuple[slice, slice]  # rows, columns


@dataclass(frozen=True)
class MaskCrop:
    """The pixels of one object inside its tight box."""

    box_xyxy: tuple[int, int, int, int]
    """x0, y0, x1, y1 in pixels, inside the image; x1 and y1 are just outside the object."""
    mask: np.ndarray
    """(y1 - y0, x1 - x0) bool, owned by this crop; true in each outer row and column."""

    @property
    def centroid_xy(self) -> tuple[float, float]:
        """The mean of the pixels' centres, in image pixels."""
        columns, rows = self.mask.sum(0), self.mask.sum(1)
        x = columns @ np.arange(len(columns)) / columns.sum()
        y = rows @ np.arange(len(rows)) / rows.sum()
        return float(self.box_xyxy[0] + x + 0.5), float(self.box_xyxy[1] + y + 0.5)

    def contains(self, x: float, y: float) -> bool:
        """Return whether the pixel at x, y belongs to the object."""
        x0, y0, x1, y1 = self.box_xyxy
        inside = x0 <= x < x1 and y0 <= y < y1
        return bool(inside and self.mask[int(y) - y0, int(x) - x0])

    def paste(self, image: np.ndarray, value: int) -> None:
        """Write value into the (H, W) image at the object's pixels."""
        x0, y0, x1, y1 = self.box_xyxy
        image[y0:y1, x0:x1][self.mask] = value


@dataclass(frozen=True)
class LogitCrop:
    """Logits of one object at full resolution, around its mask."""

    x0: int
    """Column of the image that the left edge is in."""
    y0: int
    """Row of the image that the top edge is in."""
    logits: np.ndarray
    """(h, w) float32, above 0 inside the object; one cell per pixel of the image."""

    def moved(self, x: int, y: int) -> 'LogitCrop':
        """Return the same logits that many pixels to the right and down."""
        return LogitCrop(self.x0 + x, self.y0 + y, self.logits)

    def whole(self, size_wh: tuple[int, int]) -> np.ndarray:
        """Return the (H, W) bool mask in an image of that size."""
        mask = np.zeros(size_wh[::-1], bool)
        height, width = self.logits.shape
        mask[self.y0 : self.y0 + height, self.x0 : self.x0 + width] = self.logits > 0
        return mask

    def tight(self, keep: np.ndarray | None = None) -> MaskCrop | None:
        """Return the positive pixels (of those to keep) in their tight box, None without any."""
        mask = self.logits > 0 if keep is None else (self.logits > 0) & keep
        return tight_crop(self.x0, self.y0, mask)


def tight_crop(x0: int, y0: int, mask: np.ndarray) -> MaskCrop | None:
    """Cut a (h, w) bool mask, whose top-left pixel is x0, y0, to its tight box; None if empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    box = (int(x0 + left), int(y0 + top), int(x0 + right), int(y0 + bottom))
    return MaskCrop(box, mask[top:bottom, left:right].copy())


def upsample_around_mask(logits: np.ndarray, size_wh: tuple[int, int]) -> LogitCrop | None:
    """Upsample (m, m) logits bilinearly to image size, only around where they are positive.

    Equals that part of the whole image's upsampling with pixel centres aligned (as
    `interpolate(align_corners=False)`). Returns None where no logit is positive.
    """
    positive = logits > 0
    rows, columns = np.flatnonzero(positive.any(1)), np.flatnonzero(positive.any(0))
    if not len(rows):
        return None
    r0, r1, y0, y1 = _aligned_window(rows[0], rows[-1], logits.shape[0], size_wh[1])
    c0, c1, x0, x1 = _aligned_window(columns[0], columns[-1], logits.shape[1], size_wh[0])
    block = np.ascontiguousarray(logits[r0:r1, c0:c1], np.float32)
    return LogitCrop(x0, y0, cv2.resize(block, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR))


def _aligned_window(first: int, last: int, low: int, full: int) -> tuple[int, int, int, int]:
    """Return (start, stop) cells around first to last, and the same in full-resolution pixels.

    One cell of margin holds all that interpolation can reach. Both ends are whole pixels, so a
    block resized by itself has the phase it has in the whole image.
    """
    step = low // math.gcd(low, full)
    start = max(int(first) - 2, 0) // step * step
    stop = min(-(-(int(last) + 3) // step) * step, low)
    return start, stop, start * full // low, stop * full // low


def resolve_overlaps(crops: Mapping[int, LogitCrop]) -> dict[int, MaskCrop | None]:
    """Give each pixel to the object with the highest logit there; ties go to the lower id."""
    keep = {key: np.ones(crop.logits.shape, bool) for key, crop in crops.items()}
    keys = sorted(crops)
    for i, first in enumerate(keys):
        for second in keys[i + 1 :]:
            windows = _shared_windows(crops[first], crops[second])
            if windows is None:
                continue
            a, b = crops[first].logits[windows[0]], crops[second].logits[windows[1]]
            keep[first][windows[0]] &= a >= b
            keep[second][windows[1]] &= b > a
    return {key: crop.tight(keep[key]) for key, crop in crops.items()}


def _shared_windows(a: LogitCrop, b: LogitCrop) -> tuple[Window, Window] | None:
    """Return the slices of the common pixels in a and in b, or None."""
    x0, y0 = max(a.x0, b.x0), max(a.y0, b.y0)
    x1 = min(a.x0 + a.logits.shape[1], b.x0 + b.logits.shape[1])
    y1 = min(a.y0 + a.logits.shape[0], b.y0 + b.logits.shape[0])
    if x0 >= x1 or y0 >= y1:
        return None
    in_a, in_b = (np.s_[y0 - c.y0 : y1 - c.y0, x0 - c.x0 : x1 - c.x0] for c in (a, b))
    return in_a, in_b


def logits_inside(crop: LogitCrop, box_xyxy: tuple[int, int, int, int]) -> np.ndarray:
    """Return (h, w) logits of a part of the image; as outside as any where the crop has none."""
    x0, y0, x1, y1 = box_xyxy
    part = LogitCrop(x0, y0, np.full((y1 - y0, x1 - x0), crop.logits.min(), np.float32))
    windows = _shared_windows(crop, part)
    if windows is not None:
        part.logits[windows[1]] = crop.logits[windows[0]]
    return part.logits


def fill_small_holes(logits: np.ndarray, max_area: int = 8) -> np.ndarray:
    """Return (m, m) logits with 8-connected background islands of up to max_area cells filled."""
    background = (logits <= 0).astype(np.uint8)
    _, island, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] <= max_area
    small[0] = False  # component 0 is the object itself
    return np.where(small[island], np.float32(HOLE_LOGIT), logits)


def without_parts(logits: np.ndarray, away_xy: np.ndarray, kept_xy: np.ndarray) -> np.ndarray:
    """Return (m, m) logits without the connected parts that hold one of the cells away_xy.

    Both are (N, 2) int. A part that also holds one of kept_xy stays; so do all where less than a
    tenth of the mask would be left, which cannot be what is meant.
    """
    if not len(away_xy):
        return logits
    positive = logits > 0
    _, parts = cv2.connectedComponents(positive.astype(np.uint8))
    away, kept = (parts[xy[:, 1], xy[:, 0]] for xy in (away_xy, kept_xy))
    gone = positive & np.isin(parts, np.setdiff1d(away, kept))
    if np.count_nonzero(gone) > (1 - LEAST_LEFT) * np.count_nonzero(positive):
        return logits
    return np.where(gone, -logits, logits)


def label_image(crops: Mapping[int, MaskCrop | None], size_wh: tuple[int, int]) -> np.ndarray:
    """Return a (H, W) uint16 image whose pixels are object ids, 0 where there is none."""
    image = np.zeros((size_wh[1], size_wh[0]), np.uint16)
    for object_id, crop in crops.items():
        if crop is not None:
            crop.paste(image, object_id)
    return image
