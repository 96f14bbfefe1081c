"""Clips with ground truth on every frame, read from folders. Only for measuring."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

DEFAULT_RATE_HZ = 24.0  # DAVIS's

Masks = dict[int, np.ndarray]  # (H, W) bool by object id of the truth


@dataclass(frozen=True)
class TruthClip:
    """A clip with ground truth.

    image_files: T images of one size. truth: (T, H, W) uint8, 0 background, n = object n.
    rate_hz: frames per second.
    """

    name: str
    image_files: Sequence[Path]
    truth: np.ndarray
    rate_hz: float = DEFAULT_RATE_HZ

    def __len__(self) -> int:
        return len(self.truth)

    def image_rgb(self, t: int) -> np.ndarray:
        """Return frame t, (H, W, 3) uint8."""
        return cv2.cvtColor(cv2.imread(str(self.image_files[t])), cv2.COLOR_BGR2RGB)

    def stamp_ns(self, t: int) -> int:
        """Return the time of frame t; the first is at 0."""
        return round(t * 1e9 / self.rate_hz)

    def masks(self, t: int) -> Masks:
        """Return the objects that are visible in frame t."""
        return {int(n): self.truth[t] == n for n in np.unique(self.truth[t]) if n}

    def first_frames(self) -> dict[int, int]:
        """Return the frame in which each object first appears."""
        first: dict[int, int] = {}
        for t, labels in enumerate(self.truth):
            first |= {int(n): t for n in np.unique(labels) if n and n not in first}
        return first


def clip_names(folder: Path) -> list[str]:
    """Return the names of the clips in a folder, sorted."""
    return sorted(path.parent.name for path in folder.glob('*/rgb'))


def read_clip(
    folder: Path,
    *,
    every: int = 1,
    max_frames: int | None = None,
    rate_hz: float = DEFAULT_RATE_HZ,
) -> TruthClip:
    """Read every k-th frame of a folder with rgb/NNNNN.jpg and masks/NNNNN.png.

    rate_hz: of all frames, before any is left out. Raises ValueError for a folder with fewer than
    3 frames, or whose masks do not fit them.
    """
    images = sorted((folder / 'rgb').glob('*.jpg'))[::every][:max_frames]
    if not images:
        raise ValueError(f'{folder} has no rgb/*.jpg: give a folder of clips with ground truth')
    if len(images) < 3:
        raise ValueError(
            f'{folder} has {len(images)} frames to use: the first and last do not count'
        )
    truth = [read_truth(folder / 'masks' / f'{image.stem}.png') for image in images]
    size = cv2.imread(str(images[0])).shape[:2]
    if any(mask.shape != size for mask in truth):
        raise ValueError(f'{folder}: masks {sorted({m.shape for m in truth})}, images {size}')
    return TruthClip(folder.name, images, np.stack(truth), rate_hz / every)


def read_truth(path: Path) -> np.ndarray:
    """Read the (H, W) uint8 object ids of an 8-bit grey or palette PNG."""
    image = Image.open(path)  # OpenCV would turn a palette into colours
    if image.mode not in ('L', 'P', '1'):
        raise ValueError(f'{path} has mode {image.mode}: give an 8-bit grey or palette image')
    return np.asarray(image).astype(np.uint8)
