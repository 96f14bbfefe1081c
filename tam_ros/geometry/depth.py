"""Depth images: their units, their holes, and the compressed ones of ROS as bytes."""

import struct
from dataclasses import dataclass

import cv2
import numpy as np

PNG_START = b'\x89PNG\r\n\x1a\n'
HEADER_BYTES = 12  # of compressedDepth: a number and two parameters, both of inverse depth alone
MAX_PIXELS = 36_000_000
MILLIMETRE = 1e-3
KINDS = ('u2', 'f4')
Window = tuple[slice, slice]


class DepthError(ValueError):
    """A depth image cannot be used; the message names what is wrong."""


def size_difference(size_wh: tuple[int, ...], others: str, other_wh: tuple[int, ...]) -> str:
    """Say that something is not as large as others, such as 'depth is'; '' where it is."""
    if size_wh == other_wh:
        return ''
    return 'it is of {}x{} pixels, {} of {}x{}'.format(*size_wh, others, *other_wh)


@dataclass(frozen=True)
class DepthImage:
    """A depth image as it came; only what is asked for is converted. Raises DepthError."""

    values: np.ndarray
    """(H, W) uint16 or float32 in units of `unit_m`, along z; holes are 0, negative, NaN, inf."""
    unit_m: float = 0.0
    """Metres per unit; 0: as REP 118 has it, millimetres of uint16, metres of float32."""
    max_m: float = np.inf
    """Depth in metres beyond which a value counts as a hole."""

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype.str[1:] not in KINDS:
            raise DepthError(
                f'depth of shape {self.values.shape} and type {self.values.dtype}: '
                'give (H, W) uint16 or float32'
            )

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.values.shape[1], self.values.shape[0]

    def metres(self, window: Window = np.s_[:, :]) -> np.ndarray:
        """Return (h, w) float32 depth of a part of the image in metres, new; 0 is a hole."""
        cut = self.values[window]
        unit = self.unit_m or (MILLIMETRE if cut.dtype.kind == 'u' else 1.0)
        depth_m = np.multiply(cut, np.float32(unit), dtype=np.float32)
        known = depth_m <= self.max_m if cut.dtype.kind == 'u' else self._known(depth_m)
        return np.where(known, depth_m, np.float32(0))

    def _known(self, depth_m: np.ndarray) -> np.ndarray:
        return (depth_m > 0) & (depth_m <= self.max_m) & (depth_m < np.inf)


def decode_compressed_depth(data: bytes, encoding: str) -> np.ndarray:
    """Return the (H, W) uint16 values of a compressedDepth message.

    data: a PNG behind a header of 12 bytes. encoding: the message's `format`, such as
    '16UC1; compressedDepth png'. Raises DepthError for anything else, which it names.
    """
    kind, _, how = (part.strip() for part in encoding.partition(';'))
    if kind != '16UC1' or 'rvl' in how:
        raise DepthError(f'compressed depth "{encoding}" is not read: use 16UC1 as PNG')
    png = bytes(data)[HEADER_BYTES:]
    _check_png(png)
    values = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise DepthError(f'compressed depth of {len(data)} bytes is cut off or damaged')
    return values


def _check_png(png: bytes) -> None:
    """Refuse what is no PNG with one channel of 16 bits, and sizes that would exhaust memory."""
    if not png.startswith(PNG_START) or len(png) < 26:
        raise DepthError(
            f'compressed depth holds no PNG behind {HEADER_BYTES} bytes: use png, not rvl'
        )
    width, height, bits, color = struct.unpack('>IIBB', png[16:26])
    if (bits, color) != (16, 0):
        raise DepthError(f'compressed depth is a PNG of {bits} bits: 16 bits, grey, are needed')
    if not 0 < width * height <= MAX_PIXELS:
        raise DepthError(f'compressed depth of {width}x{height} pixels: at most {MAX_PIXELS}')
