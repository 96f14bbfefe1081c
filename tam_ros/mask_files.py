"""Masks in image files: read, whichever way they number objects, and written as DAVIS does."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tam_ros.image_files import SourceError, open_upright

VOID = 255  # pixels that belong to no object and do not count, as in DAVIS
MOST_OBJECTS = 100
LOSSY_SUFFIXES = ('.jpg', '.jpeg')


def read_masks(files: Sequence[Path]) -> np.ndarray:
    """Read the masks of a clip as (T, H, W) uint8: 0 background, n = object n, 255 void.

    Masks of nothing but 0 and 255 show object 1, without void; so do those with smooth edges
    between black and white, from the middle on, of which the log tells. Raises SourceError for
    files that are no such masks, differ in size, or number objects in a lossy format.
    """
    masks = [read_mask(file) for file in files]
    for file, mask in zip(files, masks):
        if mask.shape != masks[0].shape:
            raise SourceError(f'{file} is {_size(mask)}, {files[0].name} is {_size(masks[0])}')
    return _number_objects(np.stack(masks), files[0])


def read_mask(path: Path) -> np.ndarray:
    """Read the (H, W) uint8 values of an 8-bit grey or palette image; raises SourceError."""
    image = open_upright(path)  # OpenCV would turn a palette into colours
    if image.mode not in ('L', 'P', '1'):
        raise SourceError(f'{path} has mode {image.mode}: give an 8-bit grey or palette image')
    return np.asarray(image).astype(np.uint8)


def _number_objects(values: np.ndarray, first: Path) -> np.ndarray:
    counts = [np.bincount(labels.ravel(), minlength=256) for labels in values]
    pixels = np.sum(counts, axis=0)
    count = np.count_nonzero(pixels[1:VOID])
    if count == 0:
        return (values == 255).astype(np.uint8)
    if _is_smooth(pixels):
        log = logging.getLogger(__name__)
        log.warning(
            '%s: %d greys between black and white: taken for the smooth edges of one object',
            first.parent,
            count,
        )
        return (values >= 128).astype(np.uint8)
    if count > MOST_OBJECTS:
        raise SourceError(f'{first.parent} has {count} values: give masks in which n is object n')
    if first.suffix.lower() in LOSSY_SUFFIXES:
        raise SourceError(f'{first} has numbers changed by JPEG: give PNG')
    return values


def _is_smooth(pixels: np.ndarray) -> bool:
    """Return whether (256,) counts of values are those of black and white with greys between.

    Numbers of objects are small, even where some pixels are void; greys reach up to white.
    """
    greys, white = pixels[16:240].sum(), pixels[240:].sum()
    return bool(pixels[128:255].any() and white > greys)


def _size(mask: np.ndarray) -> str:
    return f'{mask.shape[1]}x{mask.shape[0]}'


def davis_palette() -> list[int]:
    """Return 256 colours, red, green and blue of each: those of DAVIS and PASCAL VOC.

    Three bits of a number at a time are the next highest bits of its colours.
    """
    numbers = np.arange(256)
    colors = np.zeros((256, 3), int)
    for step in range(8):
        for channel in range(3):
            colors[:, channel] |= (numbers >> (3 * step + channel) & 1) << (7 - step)
    return colors.ravel().tolist()


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write (H, W) uint8 numbers of objects as an indexed PNG; raises OSError.

    The file appears under its name only when it is whole.
    """
    image = Image.fromarray(labels)
    image.putpalette(davis_palette())
    part = path.with_name(f'{path.name}.part')
    image.save(part, 'PNG')
    part.replace(path)
