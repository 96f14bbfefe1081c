"""Photos whose objects are known: whole objects with parts that differ, among others.

They lie in a folder of images/*.jpg, masks/*.png (0 background, n object n) and attribution.json,
whose split says which ones are for training.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tam_ros.image_files import SourceError, read_image

SMALLEST_INSTANCE = 40  # pixels of the longest side of what is worth cutting out


@dataclass(frozen=True)
class KnownPhoto:
    """A photo and the mask of some of its objects."""

    photo: Path
    """File of the picture."""
    mask: Path
    """File of its objects' numbers: 0 background, n object n."""

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the (H, W, 3) RGB photo and the (H, W) uint8 mask; raises SourceError."""
        return read_with_mask(self.photo, self.mask)

    def labels(self) -> np.ndarray:
        """Return the (H, W) uint8 mask alone; raises SourceError."""
        return read_image(self.mask, cv2.IMREAD_GRAYSCALE)


@dataclass(frozen=True)
class Instance:
    """One object of a photo."""

    source: KnownPhoto
    """The photo."""
    label: int
    """Its number in the photo's mask, from 1."""

    def cut_out(self) -> np.ndarray:
        """Return the (h, w, 4) RGBA picture of the object."""
        photo, labels = self.source.read()
        return cut_out(photo, labels == self.label)


def find_known(folder: Path, split: str = 'train') -> list[KnownPhoto]:
    """Return the photos of a split, none of a folder that is not there; raises SourceError."""
    if not folder.is_dir():
        return []
    names = _names(folder / 'attribution.json', split)
    images, masks = folder / 'images', folder / 'masks'
    return [KnownPhoto(images / f'{name}.jpg', masks / f'{name}.png') for name in names]


def _names(listing: Path, split: str) -> list[str]:
    try:
        listed = json.loads(listing.read_text())
        return [Path(entry['file']).stem for entry in listed if entry['split'] == split]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f'{listing} is no list of photos, each with file and split: {error}'
        ) from error


def large_instances(photos: Sequence[KnownPhoto]) -> list[Instance]:
    """Return the objects that are worth cutting out."""
    return [Instance(photo, label) for photo in photos for label in _large_labels(photo.labels())]


def _large_labels(labels: np.ndarray) -> list[int]:
    present = [int(n) for n in np.unique(labels) if n]
    boxes = {n: cv2.boundingRect((labels == n).astype(np.uint8)) for n in present}
    return [n for n, (_, _, w, h) in boxes.items() if max(w, h) >= SMALLEST_INSTANCE]


def read_with_mask(photo: Path, mask: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return an (H, W, 3) RGB photo and its (H, W) uint8 mask, which is not empty.

    Raises SourceError naming the file.
    """
    image, labels = read_image(photo)[..., ::-1], read_image(mask, cv2.IMREAD_GRAYSCALE)
    if labels.shape != image.shape[:2] or not labels.any():
        raise SourceError(f'{mask} is empty or no mask of {photo.name}')
    return image, labels


def cut_out(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the (h, w, 4) RGBA picture of what a mask shows of a photo."""
    image = np.dstack([photo, mask.astype(np.uint8) * 255])
    x, y, w, h = cv2.boundingRect(image[..., 3])
    return image[y : y + h, x : x + w]
