"""Clips with ground truth on every frame, read from folders. Only for measuring."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tam_ros.image_files import SourceError, image_size, list_images, natural_order, read_image
from tam_ros.mask_files import VOID, read_masks

DEFAULT_RATE_HZ = 24.0  # DAVIS's

DAVIS_IMAGES, DAVIS_MASKS = 'JPEGImages/480p', 'Annotations/480p'

Masks = dict[int, np.ndarray]  # (H, W) bool by object id of the truth


@dataclass(frozen=True)
class TruthClip:
    """T frames with ground truth."""

    name: str
    """Of its folder."""
    image_files: Sequence[Path]
    """T images of one size."""
    truth: np.ndarray
    """(T, H, W) uint8: 0 is background, n is object n, 255 is void and does not count."""
    rate_hz: float = DEFAULT_RATE_HZ
    """Frames per second."""

    def __len__(self) -> int:
        return len(self.truth)

    def image_rgb(self, t: int) -> np.ndarray:
        """Return frame t, (H, W, 3) uint8; raises SourceError."""
        return cv2.cvtColor(read_image(self.image_files[t]), cv2.COLOR_BGR2RGB)

    def stamp_ns(self, t: int) -> int:
        """Return the time of frame t; the first is at 0."""
        return round(t * 1e9 / self.rate_hz)

    def masks(self, t: int) -> Masks:
        """Return the objects that are visible in frame t."""
        return {n: self.truth[t] == n for n in _objects(self.truth[t])}

    def counted(self, t: int) -> np.ndarray:
        """Return the (H, W) bool pixels of frame t that count: those that are not void."""
        return self.truth[t] != VOID

    def first_frames(self) -> dict[int, int]:
        """Return the frame in which each object first appears."""
        first: dict[int, int] = {}
        for t, labels in enumerate(self.truth):
            first |= {n: t for n in _objects(labels) if n not in first}
        return first


def _objects(labels: np.ndarray) -> list[int]:
    return [int(n) for n in np.unique(labels) if n not in (0, VOID)]


def clip_names(folder: Path) -> list[str]:
    """Return the names of the clips in a folder, in natural order.

    Clips are NAME/rgb with NAME/masks, or as in DAVIS JPEGImages/480p/NAME with
    Annotations/480p/NAME.
    """
    clips = {*(rgb.parent for rgb in folder.glob('*/rgb')), *folder.glob(f'{DAVIS_IMAGES}/*')}
    return [p.name for p in natural_order(clips) if p.is_dir() and not p.name.startswith('.')]


def read_clip(
    folder: Path,
    *,
    every: int = 1,
    max_frames: int | None = None,
    rate_hz: float = DEFAULT_RATE_HZ,
) -> TruthClip:
    """Read every k-th frame of a clip, by its name in a folder of clips (see `clip_names`).

    Each image has a mask of the same name, without the suffix. rate_hz: of all frames, before any
    is left out. Raises SourceError (a ValueError) for a clip with fewer than 3 frames, and naming
    the file that is missing, cannot be read, or has another size.
    """
    images_folder, masks_folder = _locate(folder)
    images = list_images(images_folder)[::every][:max_frames]
    if len(images) < 3:
        raise SourceError(
            f'{folder} has {len(images)} frames to use: the first and last do not count'
        )
    masks = {mask.stem: mask for mask in list_images(masks_folder)}
    for image in images:
        if image.stem not in masks:
            raise SourceError(f'{image} has no mask {masks_folder / image.stem}.png')
    truth = read_masks([masks[image.stem] for image in images])
    height, width = truth.shape[1:]
    _check_sizes(images, (width, height))
    return TruthClip(folder.name, images, truth, rate_hz / every)


def _locate(folder: Path) -> tuple[Path, Path]:
    """Return the folders of a clip's images and masks."""
    davis = folder.parent / DAVIS_IMAGES / folder.name
    if davis.is_dir() and not (folder / 'rgb').is_dir():
        return davis, folder.parent / DAVIS_MASKS / folder.name
    return folder / 'rgb', folder / 'masks'


def _check_sizes(images: Sequence[Path], masks_wh: tuple[int, int]) -> None:
    for image in images:
        size_wh = image_size(image)
        if size_wh != masks_wh:
            image_text, masks_text = (f'{width}x{height}' for width, height in (size_wh, masks_wh))
            raise SourceError(f'{image} is {image_text}, the masks are {masks_text}')
