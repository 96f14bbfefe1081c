"""Image messages to RGB arrays; what `tam_ros.decoding` does not know is left to cv_bridge."""

import contextlib
import functools
from collections.abc import Callable

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from tam_ros import decoding
from tam_ros.decoding import (
    DEFAULT_OPTIONS,
    ImageError,
    ImageOptions,
    compressed_to_rgb,
    view_pixels,
)

__all__ = [
    'DEFAULT_OPTIONS',
    'ImageError',
    'ImageOptions',
    'compressed_to_rgb',
    'image_to_rgb',
    'message_to_rgb',
    'view_pixels',
]


def message_to_rgb(
    msg: Image | CompressedImage, options: ImageOptions = DEFAULT_OPTIONS
) -> np.ndarray:
    """Return the image in a message of either type, as its own function does."""
    if isinstance(msg, CompressedImage):
        return compressed_to_rgb(msg, options)
    return image_to_rgb(msg, options)


def image_to_rgb(msg: Image, options: ImageOptions = DEFAULT_OPTIONS) -> np.ndarray:
    """Return a (H, W, 3) uint8 RGB image as `tam_ros.decoding` does; raises ImageError."""
    return decoding.image_to_rgb(msg, options, convert_other=_convert_other)


def _convert_other(msg: Image) -> np.ndarray | None:
    """Let cv_bridge convert an encoding that is not known, where it is installed."""
    convert = _cv_bridge()
    if convert is not None:
        with contextlib.suppress(Exception):  # it raises what its parts and Boost raise
            rgb = convert(msg, 'rgb8')
            if rgb.shape == (msg.height, msg.width, 3) and rgb.dtype == np.uint8:
                return rgb
    return None


@functools.lru_cache(maxsize=1)
def _cv_bridge() -> Callable | None:
    """Return cv_bridge's conversion, None where it cannot be imported; that is tried once."""
    try:
        from cv_bridge import CvBridge

        return CvBridge().imgmsg_to_cv2
    except Exception:  # noqa: BLE001 - built for another numpy, it fails in more ways than one
        return None
