"""A training clip: frames with the mask of every object, kept as one file.

Does not know where clips come from (`compose`, `render`) nor what is done with them.
"""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tam_ros.evaluation.pictures import color_of, draw_outline
from tam_ros.image_files import SourceError

JPEG = '.jpg', (cv2.IMWRITE_JPEG_QUALITY, 92)
DAMAGES = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, cv2.error)


@dataclass(frozen=True)
class Clip:
    """T frames of one scene."""

    images: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    masks: np.ndarray
    """(T, H, W) uint8, 0 background and n the visible part of object n, which is the same object
    in every frame; it may be absent in some."""

    def __post_init__(self):
        if self.images.shape[:3] != self.masks.shape or self.images.shape[3:] != (3,):
            raise ValueError(
                f'images {self.images.shape} and masks {self.masks.shape} do not belong together: '
                'expected (T, H, W, 3) and (T, H, W)'
            )


def save_clip(path: Path, clip: Clip, *, coding: tuple[str, tuple[int, ...]] = JPEG) -> None:
    """Write a clip as .npz of coded frames and PNG masks.

    coding: suffix and options of OpenCV's; JPEG with 4:4:4 colour would be three times the size.
    """
    suffix, options = coding
    coded = [cv2.imencode(suffix, image[..., ::-1], options)[1] for image in clip.images]
    pngs = [cv2.imencode('.png', mask)[1] for mask in clip.masks]
    parts = {f'image{i}': image.ravel() for i, image in enumerate(coded)}
    parts |= {f'mask{i}': png.ravel() for i, png in enumerate(pngs)}
    temporary = path.with_suffix('.part')  # no .npz: what is cut off here is no clip
    with temporary.open('wb') as file:
        np.savez(file, **parts)
    temporary.replace(path)


def clip_length(path: Path) -> int:
    """Return how many frames a clip written by `save_clip` has; raises SourceError."""
    with _parts(path) as parts:
        return len(parts.files) // 2


def load_clip(path: Path, frames: Sequence[int] | None = None) -> Clip:
    """Read a clip written by `save_clip`, or some frames of it, in the order given.

    Raises SourceError.
    """
    with _parts(path) as parts:
        frames = range(len(parts.files) // 2) if frames is None else frames
        images = [_decode(parts[f'image{i}'], cv2.IMREAD_COLOR)[..., ::-1] for i in frames]
        masks = [_decode(parts[f'mask{i}'], cv2.IMREAD_GRAYSCALE) for i in frames]
        return Clip(np.stack(images), np.stack(masks))


@contextmanager
def _parts(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with np.load(path) as parts:
            yield parts
    except DAMAGES as error:
        raise SourceError(f'{path} cannot be read as a clip: {error}') from error


def _decode(encoded: np.ndarray, flags: int) -> np.ndarray:
    image = cv2.imdecode(encoded, flags)
    if image is None:
        raise ValueError('an image in it is damaged')
    return image


def resize_clip(clip: Clip, size_wh: tuple[int, int]) -> Clip:
    """Return a clip in another size, whatever becomes of its proportions."""
    area, nearest = cv2.INTER_AREA, cv2.INTER_NEAREST
    return Clip(
        np.stack([cv2.resize(image, size_wh, interpolation=area) for image in clip.images]),
        np.stack([cv2.resize(mask, size_wh, interpolation=nearest) for mask in clip.masks]),
    )


def contact_sheet(clips: list[Clip], *, columns: int = 8) -> np.ndarray:
    """Return an RGB picture with one row per clip, masks outlined in colours of their objects."""
    return np.concatenate([_row(clip, columns) for clip in clips])


def _row(clip: Clip, columns: int) -> np.ndarray:
    chosen = np.linspace(0, len(clip.images) - 1, columns).round().astype(int)
    return np.concatenate([_outlined(clip.images[i], clip.masks[i]) for i in chosen], axis=1)


def _outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    image = image.copy()
    for n in np.unique(mask[mask > 0]):
        draw_outline(image, mask == n, color_of(int(n)))
    return image
