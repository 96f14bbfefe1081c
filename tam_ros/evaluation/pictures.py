"""Pictures of an evaluation: contact sheets of tracked masks, and how they are drawn."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike

from tam_ros.contact_sheet import make_sheet, make_tile
from tam_ros.evaluation.clips import Masks, TruthClip
from tam_ros.evaluation.runs import Tracked

SHEET_FRAMES = 8
SHEET_COLUMNS = 4
TILE_WIDTH = 480
WHITE = (255, 255, 255)
PALETTE = np.array(
    [[230, 60, 60], [60, 180, 75], [70, 110, 230], [250, 190, 40], [160, 70, 200]]
    + [[70, 220, 220], [240, 120, 190], [130, 130, 30], [250, 130, 40]],
    np.uint8,
)


def save_sheet(path: Path, clip: TruthClip, tracked: Tracked) -> None:
    """Write a PNG of some frames: tracked masks tinted, the truth outlined in white."""
    chosen = np.linspace(0, len(clip) - 1, SHEET_FRAMES).round().astype(int).tolist()
    tiles = [_tile(clip, tracked.masks[t], t) for t in chosen]
    sheet = make_sheet(tiles, SHEET_COLUMNS)
    if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise OSError(f'{path} cannot be written')


def _tile(clip: TruthClip, masks: Masks, t: int) -> np.ndarray:
    image = clip.image_rgb(t)
    for object_id, mask in masks.items():
        image[mask] = image[mask] // 2 + color_of(object_id) // 2
    for truth in clip.masks(t).values():
        draw_outline(image, truth, WHITE)
    tile = make_tile(image, TILE_WIDTH)
    return cv2.putText(tile, str(t), (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, WHITE, 1, cv2.LINE_AA)


def color_of(n: int) -> np.ndarray:
    """Return the (3,) uint8 RGB colour of object n, from 1."""
    return PALETTE[(n - 1) % len(PALETTE)]


def draw_outline(image: np.ndarray, mask: np.ndarray, color: ArrayLike) -> None:
    """Draw the one pixel wide outline of an (H, W) bool mask into an (H, W, 3) image."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outlines, -1, np.asarray(color).tolist(), 1)
