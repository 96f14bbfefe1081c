"""Masks of ground truth from image files, whichever way they number objects."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tam_ros.image_files import SourceError, open_upright

VOID = 255  # pixels that belong to no object and do not count, as in DAVIS
MOST_OBJECTS = 100
LOSSY_SUFFIXES = ('.jpg', '.jpeg')


def read_truths(files: Sequence[Path]) -> np.ndarray:
    """Read the masks of a clip as (T, H, W) uint8: 0 background, n = object n, 255 void.

    Masks of nothing but 0 and 255 show object 1, without void; so do those with smooth edges
    between black and white, from the middle on, of which the log tells. Raises SourceError for
    files that are no such masks, differ in size, or number objects in a lossy format.
    """
    truths = [read_truth(file) for file in files]
    for file, truth in zip(files, truths):
        if truth.shape != truths[0].shape:
            raise SourceError(f'{file} is {_size(truth)}, {files[0].name} is {_size(truths[0])}')
    return _number_objects(np.stack(truths), files[0])


def read_truth(path: Path) -> np.ndarray:
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


def _size(truth: np.ndarray) -> str:
    return f'{truth.shape[1]}x{truth.shape[0]}'
