"""Pure functions between depth, calibrations and masks as messages, and the geometry's values."""

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from tam_ros.geometry.camera import Calibration
from tam_ros.geometry.depth import DepthError, decode_compressed_depth
from tam_ros.masks import MaskCrop, tight_crop
from tam_ros.msg import TrackedObject
from tam_ros.ros.conversions import array_to_image, roi_to_box
from tam_ros.ros.decoding import ImageError, view_pixels

TYPES = {'16UC1': 'u2', 'mono16': 'u2', '32FC1': 'f4'}
HOLES = {'u': 0, 'f': np.nan}  # by kind of number, as REP 118 has them


def message_to_depth(msg: Image | CompressedImage) -> np.ndarray:
    """Return the depth in a message, (H, W) uint16 or float32 of any byte order, as it is there.

    Of an Image it is a view. Raises DepthError.
    """
    if isinstance(msg, CompressedImage):
        return decode_compressed_depth(bytes(msg.data), msg.format)
    return _view(msg)


def _view(msg: Image) -> np.ndarray:
    if msg.encoding not in TYPES:
        raise DepthError(f'depth encoding {msg.encoding!r} is not known: use {", ".join(TYPES)}')
    order = '>' if msg.is_bigendian else '<'
    try:
        return view_pixels(msg, 1, dtype=order + TYPES[msg.encoding])
    except ImageError as error:
        raise DepthError(str(error)) from error


def depth_to_message(values: np.ndarray, header: Header) -> Image:
    """Return (H, W) uint16 or float32 values, of any byte order, as a message."""
    native = np.asarray(values, values.dtype.newbyteorder('='))
    return array_to_image(native, '16UC1' if native.dtype.kind == 'u' else '32FC1', header)


def with_holes(values: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Return a copy of (H, W) depth values with holes at (H, W) bool."""
    return np.where(holes, np.array(HOLES[values.dtype.kind], values.dtype), values)


def info_to_calibration(msg: CameraInfo, *, rectified: bool = False) -> Calibration:
    """Return what a camera tells of itself; raises CalibrationError.

    rectified: the images are, so that P holds and there is no distortion.
    """
    matrix = [*msg.p[0:3], *msg.p[4:7], *msg.p[8:11]] if rectified else msg.k
    roi = msg.roi
    return Calibration(
        width=msg.width,
        height=msg.height,
        matrix=tuple(map(float, matrix)),
        coefficients=() if rectified else tuple(map(float, msg.d)),
        model=msg.distortion_model,
        binning_xy=(msg.binning_x, msg.binning_y),
        roi_xywh=(roi.x_offset, roi.y_offset, roi.width, roi.height),
    )


def object_to_mask(msg: TrackedObject, size_wh: tuple[int, int]) -> MaskCrop | None:
    """Return the mask of an object in an image of a size; None where it is not visible.

    Raises ImageError for a mask that is not of the size of its box, or not in the image.
    """
    x0, y0, x1, y1 = roi_to_box(msg.box)
    if x0 == x1 or y0 == y1:
        return None
    if x1 > size_wh[0] or y1 > size_wh[1]:
        raise ImageError(
            f'object {msg.id}: box to {x1}, {y1} is not in an image of {size_wh[0]}x{size_wh[1]}'
        )
    if (msg.mask.width, msg.mask.height) != (x1 - x0, y1 - y0):
        raise ImageError(
            f'object {msg.id}: mask of {msg.mask.width}x{msg.mask.height} in a box of '
            f'{x1 - x0}x{y1 - y0}'
        )
    if msg.mask.encoding not in ('mono8', '8UC1'):
        raise ImageError(f'object {msg.id}: mask encoding {msg.mask.encoding!r}: mono8 is needed')
    return tight_crop(x0, y0, view_pixels(msg.mask, 1) > 0)
