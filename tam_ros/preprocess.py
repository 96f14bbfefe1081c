"""Bring camera images and given masks to the network's square."""

from typing import Literal

import cv2
import numpy as np
from PIL import Image

from tam_ros.arrays import as_array, shape_of

Resampling = Literal['bicubic', 'area']

MASK_LOGIT = 10.0  # a given mask enters as -10 (outside) and 10 (inside)
HALF = 0.5
AREA_TO_KEEP = 0.9  # of a mask, at least


def check_image(image_rgb: object) -> np.ndarray:
    """Return a (H, W, 3) uint8 image, also from Pillow or a tensor; raises ValueError."""
    image = as_array(image_rgb, 'image')
    if image.ndim != 3 or image.shape[2] != 3 or not image.size or image.dtype != np.uint8:
        raise ValueError(
            f'image is {image.dtype} of {shape_of(image)}: expected uint8 of shape '
            '(height, width, 3)'
        )
    return image


def resize_video_frame(
    image_rgb: np.ndarray, side: int, resampling: Resampling = 'bicubic'
) -> np.ndarray:
    """Return a (side, side, 3) uint8 frame; aspect ratio not kept.

    resampling: 'bicubic' is antialiased, as the papers' code does it; 'area' takes a tenth of the
    time, and is bilinear where the image is smaller than that.
    """
    if resampling == 'area':
        is_smaller = max(image_rgb.shape[:2]) < side  # which area would make blocks of
        interpolation = cv2.INTER_LINEAR if is_smaller else cv2.INTER_AREA
        return cv2.resize(image_rgb, (side, side), interpolation=interpolation)
    return np.asarray(Image.fromarray(image_rgb).resize((side, side), Image.Resampling.BICUBIC))


def resize_still(
    image_rgb: np.ndarray, side: int, resampling: Resampling = 'bicubic'
) -> np.ndarray:
    """Return a (side, side, 3) float32 image of 0 to 255.

    With 'bicubic' it is antialiased bilinear: the papers' code resizes still images otherwise than
    frames of a video.
    """
    if resampling == 'area':
        return resize_video_frame(image_rgb, side, resampling).astype(np.float32)
    channels = np.moveaxis(image_rgb, 2, 0).astype(np.float32)
    return np.stack([_resize_antialiased(channel, side) for channel in channels], axis=2)


def network_mask(mask: np.ndarray, side: int) -> np.ndarray:
    """Return a given (H, W) mask, not an empty one, as (side, side) bool; something is left."""
    given = mask != 0
    coverage = _resize_antialiased(given.astype(np.float32), side)
    resized: np.ndarray = coverage >= least_coverage(coverage, given.mean())
    return resized


def logits_of_mask(mask: np.ndarray, side: int) -> np.ndarray:
    """Return (side, side) float32 low-resolution logits of a network-sized bool mask.

    Some are positive, unless it is empty.
    """
    coverage = _resize_antialiased(mask.astype(np.float32), side)
    least = least_coverage(_resize_antialiased(coverage, len(mask)), mask.mean())
    if least < HALF:
        least *= 1 - 1e-3  # logits of what is inside are above 0
    logits: np.ndarray = 2 * MASK_LOGIT * (coverage - least)
    return logits


def least_coverage(coverage: np.ndarray, share: float) -> float:
    """Return which (cells) coverage by a mask makes cells its own; share: its part of the image.

    One half, except for small and thin masks, which would lose too much of their area or vanish:
    then that with which they keep it.
    """
    if not share:
        return HALF
    count = max(1, round(share * coverage.size))
    if np.count_nonzero(coverage >= HALF) >= AREA_TO_KEEP * count:
        return HALF
    return float(np.partition(coverage, -count, axis=None)[-count])


def _resize_antialiased(channel: np.ndarray, side: int) -> np.ndarray:
    if channel.shape == (side, side):
        return channel
    return np.asarray(Image.fromarray(channel).resize((side, side), Image.Resampling.BILINEAR))
