"""Images as camera drivers encode them, made from RGB without the code under test."""

import numpy as np
from robot import image_message
from sensor_msgs.msg import Image

ENCODINGS = (
    'rgb8',
    'bgr8',
    'mono8',
    'rgba8',
    'bgra8',
    'yuv422',
    'yuv422_yuy2',
    'bayer_rggb8',
    'bayer_bggr8',
    'bayer_gbrg8',
    'bayer_grbg8',
    'mono16',
    'rgb16',
    'bgr16',
    'rgba16',
    'bgra16',
    'bayer_rggb16',
    'nv12',
    'nv21',
)
CHANNEL = {'r': 0, 'g': 1, 'b': 2}


def four_colors(*, grey: bool = False) -> np.ndarray:
    """Return a (240, 320, 3) image with another colour, or grey, in each quarter."""
    colors = [(200, 40, 60), (30, 180, 70), (50, 60, 220), (120, 130, 110)]
    image = np.zeros((240, 320, 3), np.uint8)
    for i, color in enumerate(colors):
        y, x = 120 * (i // 2), 160 * (i % 2)
        image[y : y + 120, x : x + 160] = color[0] if grey else color
    return image


def camera_message(
    image_rgb: np.ndarray, encoding: str, *, padding: int = 0, is_bigendian: bool = False
) -> Image:
    """Return the message of a camera of this encoding, with bytes of padding after each row."""
    pixels = encode(image_rgb, encoding)
    message = image_message(
        pixels.byteswap() if is_bigendian else pixels, encoding, padding=padding
    )
    message.is_bigendian = int(is_bigendian)
    message.height = image_rgb.shape[0]  # chroma below the image does not count
    return message


def encode(image_rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Return the pixels that a camera of this encoding sends, (H, W) or (H, W, C)."""
    if encoding.endswith('16'):
        return encode(image_rgb, f'{encoding[:-2]}8') * np.uint16(257)  # 255 becomes 65535
    if encoding.startswith('nv'):
        return _yuv420(image_rgb, u_first=encoding == 'nv12')
    if encoding.startswith('bayer'):
        return _mosaic(image_rgb, encoding[6:10])
    if encoding.startswith('yuv422'):
        return _yuv422(image_rgb, luma_first=encoding.endswith('yuy2'))
    if encoding == 'mono8':
        return image_rgb[..., 0]
    ordered = image_rgb if encoding.startswith('rgb') else image_rgb[..., ::-1]
    if encoding.endswith('a8'):
        opaque = np.full((*image_rgb.shape[:2], 1), 255, np.uint8)
        ordered = np.concatenate([ordered, opaque], axis=2)
    return ordered


def _mosaic(image_rgb: np.ndarray, pattern: str) -> np.ndarray:
    """Keep one channel per pixel; the pattern names those of the first two rows."""
    mosaic = np.empty(image_rgb.shape[:2], np.uint8)
    for i, name in enumerate(pattern):
        y, x = divmod(i, 2)
        mosaic[y::2, x::2] = image_rgb[y::2, x::2, CHANNEL[name]]
    return mosaic


def _yuv422(image_rgb: np.ndarray, *, luma_first: bool) -> np.ndarray:
    """Return (H, W, 2): luma and, alternating, both chroma."""
    luma, u, v = _yuv(image_rgb)
    chroma = np.where(np.arange(luma.shape[1]) % 2 == 0, u, v)
    pair = (luma, chroma) if luma_first else (chroma, luma)
    return np.stack(pair, axis=2).round().astype(np.uint8)


def _yuv420(image_rgb: np.ndarray, *, u_first: bool) -> np.ndarray:
    """Return (H * 3 / 2, W): luma, and below it both chroma of every second row and column."""
    luma, u, v = _yuv(image_rgb)
    pair = (u, v) if u_first else (v, u)
    chroma = np.stack([plane[::2, ::2] for plane in pair], axis=2).reshape(-1, luma.shape[1])
    return np.concatenate([luma, chroma]).round().astype(np.uint8)


def _yuv(image_rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return luma and both chroma of each pixel (ITU-R BT.601, studio range)."""
    r, g, b = np.moveaxis(image_rgb / 255.0, 2, 0)
    luma = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112 * b
    v = 128 + 112 * r - 93.786 * g - 18.214 * b
    return luma, u, v
