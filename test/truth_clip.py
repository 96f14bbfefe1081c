"""A small clip with ground truth, for tests of measuring."""

from pathlib import Path

import cv2
import numpy as np

from tam_ros.evaluation.clips import TruthClip, read_clip

SIZE_WH = (160, 120)


def square(x, y=40, side=30):
    """Return the (H, W) bool mask of a square."""
    mask = np.zeros(SIZE_WH[::-1], bool)
    mask[y : y + side, x : x + side] = True
    return mask


def write_clip(folder: Path, truth: np.ndarray) -> Path:
    """Write a clip of textured squares, moving as the (T, H, W) truth says, over noise."""
    rng = np.random.default_rng(0)
    background, texture = rng.integers(0, 256, (2, *truth.shape[1:], 3), np.uint8)
    for name in ('rgb', 'masks'):
        (folder / name).mkdir(parents=True)
    for t, labels in enumerate(truth):
        image = cv2.GaussianBlur(background, (0, 0), 3)
        for n in np.unique(labels[labels > 0]):
            y, x = np.argwhere(labels == n)[0]
            image[labels == n] = np.roll(texture, (y, x), (0, 1))[labels == n]
        cv2.imwrite(str(folder / 'rgb' / f'{t:05}.jpg'), image)
        cv2.imwrite(str(folder / 'masks' / f'{t:05}.png'), labels)
    return folder


def moving_clip(folder: Path) -> TruthClip:
    """Object 1 moves 3 pixels a frame; object 2 appears in frame 3 and is gone in frame 6."""
    truth = np.stack([square(20 + 3 * t) * np.uint8(1) for t in range(8)])
    truth[[3, 4, 5, 7], 85:110, 5:30] = 2
    return read_clip(write_clip(folder / 'moving', truth))
