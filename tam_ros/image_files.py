"""Image files: which there are in a folder, in which order, and their pixels, upright.

Knows neither videos nor what the images show.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')
# What Pillow raises for files that are no image, are cut, damaged, or larger than it dares.
PILLOW_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class SourceError(ValueError):
    """Images or a video cannot be read; the message names the file or folder, and says why."""


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Return paths in the order that people count in: 2.png before 10.png."""
    return sorted(paths, key=_natural_key)


def _natural_key(path: Path) -> tuple[list[str | int], str]:
    texts_and_numbers = re.split('([0-9]+)', str(path))  # texts at even places
    return [int(t) if i % 2 else t for i, t in enumerate(texts_and_numbers)], str(path)


def list_files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files of a folder with one of some suffixes, in natural order.

    suffixes: in lower case; those of the files may be in upper case. Hidden files are left out,
    and so are the `._name` files that a Mac puts beside others. Raises SourceError.
    """
    try:
        return natural_order(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith('.') and path.is_file()
        )
    except OSError as error:
        raise SourceError(f'{folder} cannot be read: {error.strerror}') from error


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order; raises SourceError if there are none."""
    files = list_files(folder, IMAGE_SUFFIXES)
    if not files:
        raise SourceError(f'{folder} holds no images ({", ".join(IMAGE_SUFFIXES)})')
    return files


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 BGR, turned upright as its EXIF orientation says.

    flags: of OpenCV, for another number of channels. Raises SourceError, also for a file that is
    cut short.
    """
    try:
        # Read from a file, what a JPEG lacks would be filled with grey, silently.
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flags)
    except OSError as error:
        raise SourceError(f'{path} cannot be read: {error.strerror}') from error
    except cv2.error as error:
        raise SourceError(f'{path} cannot be read as an image: empty or too large') from error
    if image is None:
        raise SourceError(f'{path} cannot be read as an image')
    return image


def image_size(path: Path) -> tuple[int, int]:
    """Return the width and height of an image once it is upright, without decoding it.

    Raises SourceError.
    """
    try:
        with Image.open(path) as image:
            is_on_its_side = image.getexif().get(0x0112, 1) >= 5  # the orientation
            return image.size[::-1] if is_on_its_side else image.size
    except PILLOW_ERRORS as error:
        raise SourceError(f'{path} cannot be read as an image: {error}') from error


def open_upright(path: Path) -> Image.Image:
    """Return a decoded Pillow image in its own mode, palettes kept; raises SourceError."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image)
    except PILLOW_ERRORS as error:
        raise SourceError(f'{path} cannot be read as an image: {error}') from error
