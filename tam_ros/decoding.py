"""Images as ROS's messages hold them, to RGB arrays; only ImageError is raised.

Pixels are viewed in place and converted by OpenCV, row padding included. Nothing is decoded or
converted before the size that a message declares has been checked. Knows the fields of messages,
and nothing of ROS: they may come from a topic or from a file.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from PIL import Image as Pillow

from tam_ros.options import check_options, option

# encoding: (channels, OpenCV conversion to RGB; None for what is RGB already)
_8_BITS = {
    'rgb8': (3, None),
    '8UC3': (3, cv2.COLOR_BGR2RGB),  # OpenCV's own order
    'bgr8': (3, cv2.COLOR_BGR2RGB),
    'rgba8': (4, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, cv2.COLOR_BGRA2RGB),
    'mono8': (1, cv2.COLOR_GRAY2RGB),
    '8UC1': (1, cv2.COLOR_GRAY2RGB),
    # OpenCV names a Bayer pattern by its second row's second and third pixel.
    'bayer_rggb8': (1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': (1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': (1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': (1, cv2.COLOR_BayerGB2RGB),
}
_16_BITS = {f'{name[:-1]}16': how for name, how in _8_BITS.items() if name.endswith('8')}
_16_BITS |= {'16UC3': _8_BITS['8UC3'], '16UC1': _8_BITS['8UC1']}
_YUV_422 = {
    'yuv422': (2, cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': (2, cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': (2, cv2.COLOR_YUV2RGB_YUY2),
    'yuyv': (2, cv2.COLOR_YUV2RGB_YUY2),
}
# Luma of the whole image, below it both chroma in pairs, for every second row and column.
_YUV_420 = {'nv12': (1, cv2.COLOR_YUV2RGB_NV12), 'nv21': (1, cv2.COLOR_YUV2RGB_NV21)}
_TO_RGB = _8_BITS | _16_BITS | _YUV_422 | _YUV_420
DEPTH = '16UC1'  # millimetres, by convention
COMPRESSED = ('JPEG', 'PNG', 'WEBP')
JPEG_START, PNG_START = b'\xff\xd8', b'\x89PNG'  # Pillow calls JPEGs of several pictures MPO
LONGEST_SIDE = 65_535  # of a JPEG; it also bounds what resizing a long thin image takes
MOST_SCANS = 64  # of a JPEG; progressive ones have ten, and each costs a pass over all pixels
RANGE_PERCENTILES = (0.1, 99.9)  # so that a hot pixel does not decide
RANGE_SAMPLES = 100_000


class Image(Protocol):
    """The fields of a sensor_msgs/Image that are read."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any
    """Its bytes, as an array or any other buffer of them."""


class CompressedImage(Protocol):
    """The fields of a sensor_msgs/CompressedImage that are read."""

    format: str
    data: Any
    """As those of an `Image`."""


ConvertOther = Callable[[Any], np.ndarray | None]


class ImageError(ValueError):
    """An image message cannot be used; the message names what is wrong."""


@dataclass(frozen=True)
class ImageOptions:
    """How image messages are read; raises ValueError for a value that is not allowed."""

    max_image_pixels: int = option(
        36_000_000,
        'Width x height up to which images are decoded; larger ones are ignored.',
        between=(1024, 178_000_000),  # where Pillow refuses to read a header
    )
    significant_bits: int = option(
        16,
        'Bits that the camera uses of a 16-bit channel: brighter values are white. 0: from the '
        'darkest to the brightest pixels of each image, as for thermal cameras; then 16UC1 is '
        'tracked in, too.',
        between=(0, 16),
    )

    def __post_init__(self) -> None:
        check_options(self)


DEFAULT_OPTIONS = ImageOptions()


def image_to_rgb(
    msg: Image,
    options: ImageOptions = DEFAULT_OPTIONS,
    *,
    convert_other: ConvertOther = lambda msg: None,
) -> np.ndarray:
    """Return a (H, W, 3) uint8 RGB image; it may be a read-only view of the message.

    convert_other: converts, where it can, what has an encoding that is not known here. Raises
    ImageError for encodings that are not known, for data that does not fit the declared size, and
    for sizes out of bounds.
    """
    _check_size(msg.width, msg.height, options)
    if msg.encoding == DEPTH:
        _check_depth(options)
    try:
        return _image_to_rgb(msg, options, convert_other)
    except (cv2.error, MemoryError) as error:  # such as an odd width, two pixels to a colour
        why = getattr(error, 'err', '') or 'out of memory'
        raise ImageError(f'{_described(msg)} cannot be converted: {why}') from error


def _image_to_rgb(msg: Image, options: ImageOptions, convert_other: ConvertOther) -> np.ndarray:
    if msg.encoding not in _TO_RGB:
        return _other_to_rgb(msg, convert_other)
    channels, conversion = _TO_RGB[msg.encoding]
    if msg.encoding in _16_BITS:
        dtype = '>u2' if msg.is_bigendian else '<u2'
        pixels = _to_8_bits(view_pixels(msg, channels, dtype=dtype), options.significant_bits)
    else:
        pixels = view_pixels(msg, channels, rows=_rows(msg))
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)


def _rows(msg: Image) -> int:
    """Return the number of rows that a message holds, those with chroma only included."""
    if msg.encoding not in _YUV_420:
        return msg.height
    if msg.width % 2 or msg.height % 2:
        raise ImageError(f'{_described(msg)} is odd: its width and height must be even')
    return msg.height * 3 // 2


def view_pixels(
    msg: Image, channels: int, *, dtype: str = 'u1', rows: int | None = None
) -> np.ndarray:
    """View a message as (rows, W, channels), or (rows, W) for one channel, without padding.

    rows: its height where left out. Raises ImageError where the data is too short.
    """
    rows = msg.height if rows is None else rows
    size = np.dtype(dtype).itemsize
    row = msg.width * channels * size
    step = msg.step or row
    if not msg.width or not rows:
        raise ImageError(f'image of {msg.width}x{msg.height} pixels is empty')
    if step < row or len(msg.data) < step * (rows - 1) + row:
        raise ImageError(
            f'{_described(msg)} with step {msg.step} has {len(msg.data)} bytes: '
            f'expected {max(step, row) * rows}'
        )
    shape, strides = (rows, msg.width, channels), (step, channels * size, size)
    axes = 2 if channels == 1 else 3
    return np.ndarray(shape[:axes], dtype, buffer=msg.data, strides=strides[:axes])


def _to_8_bits(pixels: np.ndarray, significant_bits: int) -> np.ndarray:
    """Return uint16 pixels of any byte order as uint8 ones; significant_bits as in the options."""
    native = np.ascontiguousarray(pixels, np.uint16)
    flat = native.reshape(len(native), -1)
    low, high = (0, 2**significant_bits - 1) if significant_bits else _range(flat)
    scaled = cv2.convertScaleAbs(cv2.subtract(flat, low), alpha=255 / max(high - low, 1))
    return scaled.reshape(native.shape)


def _range(pixels: np.ndarray) -> tuple[float, float]:
    """Return the darkest and the brightest value, but for a few pixels."""
    every = pixels.size // RANGE_SAMPLES | 1  # odd, not to stay in one column
    low, high = np.percentile(pixels.ravel()[::every], RANGE_PERCENTILES)
    return float(low), float(high)


def _other_to_rgb(msg: Image, convert_other: ConvertOther) -> np.ndarray:
    rgb = convert_other(msg)
    if rgb is not None:
        return rgb
    known = ', '.join(name for name in _TO_RGB if name != DEPTH)
    raise ImageError(
        f'image encoding {msg.encoding!r} cannot be tracked in: publish one of {known}'
    )


def compressed_to_rgb(msg: CompressedImage, options: ImageOptions = DEFAULT_OPTIONS) -> np.ndarray:
    """Decode a JPEG, PNG or WebP into a (H, W, 3) uint8 RGB image; raises ImageError.

    Pixels stay where the sensor has them: orientation in Exif data is not applied, for camera
    models and masks refer to the image as it is stored.
    """
    data = bytes(msg.data)
    if msg.format.partition(';')[0].strip() == DEPTH:
        _check_depth(options)
    _check_header(data, msg, options)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if image is None:
            raise ImageError(f'{_described(msg)} cannot be decoded: it is cut or damaged')
        if image.dtype == np.uint16:
            image = _to_8_bits(image, options.significant_bits)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    except (cv2.error, MemoryError) as error:
        raise ImageError(f'{_described(msg)} cannot be decoded: {error}') from error


def _check_header(data: bytes, msg: CompressedImage, options: ImageOptions) -> None:
    """Raise ImageError unless the header, which is read without decoding, declares a fit image."""
    try:
        with Pillow.open(io.BytesIO(data), formats=COMPRESSED) as image:
            width, height = image.size
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise ImageError(
            f'{_described(msg)} exceeds max_image_pixels, {options.max_image_pixels}: {error}'
        ) from error
    except Exception as error:  # noqa: BLE001 - damaged headers make Pillow raise many kinds
        raise ImageError(f'{_described(msg)} cannot be decoded: JPEG, PNG and WebP can') from error
    _check_size(width, height, options)
    if data.startswith(JPEG_START) and data.count(b'\xff\xda') > MOST_SCANS:
        raise ImageError(f'{_described(msg)} has more than {MOST_SCANS} scans')
    if data.startswith(PNG_START) and not _has_whole_chunks(data):
        raise ImageError(f'{_described(msg)} cannot be decoded: it is cut or damaged')


def _has_whole_chunks(png: bytes) -> bool:
    """Return whether all chunks of a PNG are there: OpenCV takes memory for what they claim."""
    at = 8
    while at < len(png):
        at += 12 + int.from_bytes(png[at : at + 4], 'big')
    return at == len(png)


def _check_size(width: int, height: int, options: ImageOptions) -> None:
    if width * height > options.max_image_pixels:
        raise ImageError(
            f'image of {width}x{height} pixels exceeds max_image_pixels, '
            f'{options.max_image_pixels}: publish smaller ones, or raise that'
        )
    if max(width, height) > LONGEST_SIDE:
        raise ImageError(
            f'image of {width}x{height} pixels has a side of more than {LONGEST_SIDE}'
        )


def _check_depth(options: ImageOptions) -> None:
    """Raise ImageError for what is likely depth, unless it is to be shown by its range."""
    if options.significant_bits:
        raise ImageError(
            f'image encoding {DEPTH!r} cannot be tracked in: it means depth; if these are '
            'brightness or heat, set significant_bits to 0, or publish mono16'
        )


def _described(msg: Any) -> str:
    """Return in words which message of either type it is."""
    if hasattr(msg, 'encoding'):
        return f'image of {msg.width}x{msg.height} {msg.encoding}'
    return f'compressed image of {len(msg.data)} bytes and format {msg.format!r}'
