"""Bring camera images and given masks to the network's square."""

from typing import Literal

import cv2
import numpy as np
from PIL import Image

from tam_ros.arrays import as_array, shape_of
from tam_ros.prompts import PromptError

Resampling = Literal['bicubic', 'area']

MASK_LOGIT = 10.0  # a given mask enters as -10 (outside) and 10 (inside)


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
    """Return a given (H, W) mask as (side, side) bool; raises PromptError if none is left."""
    resized = _resize_antialiased((mask != 0).astype(np.float32), side) >= 0.5
    if not resized.any():
        raise PromptError(
            f'the mask of {np.count_nonzero(mask)} pixels vanishes when the image is brought to '
            f'{side}x{side}: give a larger object or set a larger image_size'
        )
    return resized


def logits_of_mask(mask: np.ndarray, side: int) -> np.ndarray:
    """Return (side, side) float32 low-resolution logits of a network-sized bool mask."""
    logits = np.where(mask, MASK_LOGIT, -MASK_LOGIT).astype(np.float32)
    return _resize_antialiased(logits, side)


def _resize_antialiased(channel: np.ndarray, side: int) -> np.ndarray:
    if channel.shape == (side, side):
        return channel
    return np.asarray(Image.fromarray(channel).resize((side, side), Image.Resampling.BILINEAR))
