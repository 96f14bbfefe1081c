"""The part of an image that a frame is encoded from, and which part that should be.

A window is in parts of the image, so what is known of objects does not depend on the image's
size. Knows nothing of frames or engines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tam_ros.preprocess import MASK_LOGIT, logits_of_mask

REACH = 1.5  # margin around an object, in its sizes
MARGIN = 0.08  # part of a window's side that an object keeps clear of
MOST_GROWTH = 1.6  # of what a window should be over what it is, or the other way round
LARGEST = 0.8  # part of the image above which a window is not worth it

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Window:
    """A part of an image: x0, x1 in image widths, y0, y1 in heights, all in [0, 1]."""

    x0: float = 0.0
    """Left edge."""
    y0: float = 0.0
    """Upper edge."""
    x1: float = 1.0
    """Right edge."""
    y1: float = 1.0
    """Lower edge."""

    @classmethod
    def of_pixels(cls, box_xyxy: Sequence[float], size_wh: tuple[int, int]) -> 'Window':
        """Return the window of a box in an image of a size, both in pixels."""
        (x0, y0, x1, y1), (width, height) = box_xyxy, size_wh
        return cls(x0 / width, y0 / height, x1 / width, y1 / height)

    @classmethod
    def around(cls, middle_xy: np.ndarray, lengths: np.ndarray, size_wh: np.ndarray) -> 'Window':
        """Return the window of a width and height around a point, or as near as the image allows.

        All in pixels; size_wh: of the image. In whole pixels, and no larger than the image.
        """
        lengths = np.minimum(lengths, size_wh)
        start = np.rint(np.clip(middle_xy - lengths / 2, 0, size_wh - lengths))
        return cls.of_pixels([*start, *(start + lengths)], (size_wh[0], size_wh[1]))

    @property
    def width(self) -> float:
        """In image widths."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """In image heights."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """As a part of the image."""
        return self.width * self.height

    def pixels(self, size_wh: tuple[int, int]) -> Box:
        """Return x0, y0, x1, y1 in whole pixels of an image, the latter two exclusive."""
        (width, height), corners = size_wh, (self.x0, self.y0, self.x1, self.y1)
        x0, y0, x1, y1 = (round(c * n) for c, n in zip(corners, (width, height, width, height)))
        return x0, y0, x1, y1

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Return this part of a (H, W, ...) image, a view of it."""
        x0, y0, x1, y1 = self.pixels((image.shape[1], image.shape[0]))
        return image[y0:y1, x0:x1]

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the image, in its widths and heights, from one of the window."""
        return self.x0 + x * self.width, self.y0 + y * self.height

    def part(self, inner: 'Window') -> 'Window':
        """Return a part of the image that is given as a part of this window."""
        return Window(*self.point(inner.x0, inner.y0), *self.point(inner.x1, inner.y1))

    def shifted_to(self, x: float, y: float) -> 'Window':
        """Return a window of the same size with its middle at a point, or as near as it can be."""
        x0 = min(max(x - self.width / 2, 0.0), 1.0 - self.width)
        y0 = min(max(y - self.height / 2, 0.0), 1.0 - self.height)
        return Window(x0, y0, x0 + self.width, y0 + self.height)

    def keeps(self, inner: 'Window') -> bool:
        """Return whether something lies inside, clear of all edges that are not the image's."""
        clear_x, clear_y = MARGIN * self.width, MARGIN * self.height
        return (
            (self.x0 <= 0 or inner.x0 >= self.x0 + clear_x)
            and (self.y0 <= 0 or inner.y0 >= self.y0 + clear_y)
            and (self.x1 >= 1 or inner.x1 <= self.x1 - clear_x)
            and (self.y1 >= 1 or inner.y1 <= self.y1 - clear_y)
        )


WHOLE = Window()


def resample(logits: np.ndarray, of: Window, to: Window) -> np.ndarray:
    """Return (m, m) float32 logits over one window as (m, m) logits over another.

    What the first does not show is no object.
    """
    if of == to:
        return logits
    side = logits.shape[0]
    finer = math.ceil(max(to.width / of.width, to.height / of.height))
    cells = side * finer
    scale_x, scale_y = to.width / of.width / finer, to.height / of.height / finer
    left, top = side * (to.x0 - of.x0) / of.width, side * (to.y0 - of.y0) / of.height
    # Cells are points in their middles.
    source = np.array(
        [[scale_x, 0, left + (scale_x - 1) / 2], [0, scale_y, top + (scale_y - 1) / 2]]
    )
    sampled = cv2.warpAffine(
        np.ascontiguousarray(logits, np.float32),
        source,
        (cells, cells),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderValue=-MASK_LOGIT,
    )
    return cv2.resize(sampled, (side, side), interpolation=cv2.INTER_AREA)


def logits_of_given(mask: np.ndarray, window: Window, side: int) -> np.ndarray:
    """Return (side, side) float32 logits over a window of a (H, W) mask of the whole image."""
    return logits_of_mask(window.cut(mask) != 0, side)


def next_window(
    former: Window, objects: Sequence[Window], size_wh: tuple[int, int], least_px: int
) -> Window:
    """Return the window for the next frame, of objects whose tight boxes are known in the last.

    The former one, as long as it fits. size_wh: of the image. least_px: least width and height.
    """
    wanted = _around(objects, size_wh, least_px)
    change = max(wanted.width / former.width, wanted.height / former.height)
    change = max(change, former.width / wanted.width, former.height / wanted.height)
    is_whole = former == WHOLE
    if not is_whole and change < MOST_GROWTH and all(former.keeps(each) for each in objects):
        return former
    return wanted if wanted.area <= LARGEST else WHOLE


def _around(objects: Sequence[Window], size_wh: tuple[int, int], least_px: int) -> Window:
    """Return what holds all objects and their margins, neither taller nor flatter than allowed.

    Its proportions lie between those of the image and a square's, as when networks were trained.
    """
    image = np.array(size_wh, float)
    low = np.array([(each.x0, each.y0) for each in objects]) * image
    high = np.array([(each.x1, each.y1) for each in objects]) * image
    margin = REACH * np.sqrt((high - low).prod(axis=1, keepdims=True))
    first, last = (low - margin).min(axis=0), (high + margin).max(axis=0)
    width, height = np.maximum(last - first, least_px)
    aspect = image[0] / image[1]
    width, height = max(width, height * min(1, aspect)), max(height, width / max(1, aspect))
    return Window.around((first + last) / 2, np.rint([width, height]), image)
