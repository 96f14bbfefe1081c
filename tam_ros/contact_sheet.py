"""Contact sheets: small pictures side by side on a page."""

from collections.abc import Sequence

import cv2
import numpy as np


def make_tile(image: np.ndarray, width: int) -> np.ndarray:
    """Return an (H, W, 3) uint8 image at a width in pixels, its proportions kept."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def make_sheet(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Return at least one tile of the same size as rows of columns; black where none is left."""
    blank = np.zeros_like(tiles[0])
    tiles = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)
