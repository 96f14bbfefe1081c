"""Makes small video files for tests, of every kind that has been read wrongly."""

import struct
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIZE_WH = 64, 48
QUADRANTS = ((0, 0, 255), (255, 0, 0), (0, 255, 0), (0, 0, 0))  # BGR; top left, top right, ...
_DEFAULT_DURATION, _DURATION = bytes.fromhex('23e383'), bytes.fromhex('4489')  # of Matroska


def write_video(path: Path, codec: str, images, rate_hz: float = 12.5) -> Path:
    size_wh = images[0].shape[1::-1]
    fourcc = cv2.VideoWriter_fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, rate_hz, size_wh)
    assert writer.isOpened()
    for image in images:
        writer.write(image)
    writer.release()
    return path


def grey_images(count: int) -> list[np.ndarray]:
    levels = np.linspace(20, 220, count).astype(np.uint8)
    return [np.full((*SIZE_WH[::-1], 3), level, np.uint8) for level in levels]


def quadrants() -> np.ndarray:
    """Return an image with a colour in each quarter."""
    corners = np.array(QUADRANTS, np.uint8).reshape(2, 2, 3)
    return corners.repeat(SIZE_WH[1] // 2, 0).repeat(SIZE_WH[0] // 2, 1)


def write_lying_video(path: Path, degrees: int) -> Path:
    """Write an MP4 that says, as phones do, by what it is to be turned clockwise."""
    write_video(path, 'mp4v', [quadrants()] * 6)
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    matrix = struct.pack('>9i', a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    content = path.read_bytes()
    start = content.index(b'tkhd') + 4 + 40  # in the header of the track
    path.write_bytes(content[:start] + matrix + content[start + 36 :])
    return path


def write_cut_download(path: Path, images, part: float) -> Path:
    """Write the first part of an MP4 whose index comes first, as those made for downloading."""
    content = write_video(path, 'mp4v', images).read_bytes()
    start = content.index(b'moov') - 4
    index = bytearray(content[start:])
    table = index.index(b'stco') + 8  # where in the file pictures are
    (count,) = struct.unpack_from('>i', index, table)
    before = content.index(b'mdat') - 4
    for at in range(table + 4, table + 4 + 4 * count, 4):
        struct.pack_into('>i', index, at, struct.unpack_from('>i', index, at)[0] + len(index))
    whole = content[:before] + bytes(index) + content[before:start]
    path.write_bytes(whole[: int(part * len(whole))])
    return path


def write_uneven_gif(path: Path, durations_ms: list[int]) -> Path:
    """Write an animation whose frames stay for different times."""
    first, *others = map(Image.fromarray, grey_images(len(durations_ms)))
    first.save(path, save_all=True, append_images=others, duration=durations_ms)
    return path


def write_webm_as_browsers_do(path: Path, count: int) -> Path:
    """Write a WebM that says neither how long it is nor how long a frame is; stamps waver."""
    content = bytearray(write_video(path, 'VP80', grey_images(count)).read_bytes())
    for element in (_DEFAULT_DURATION, _DURATION):
        start = content.index(element)
        length = len(element) + 1 + (content[start + len(element)] & 0x7F)
        content[start : start + length] = b'\xec' + bytes([0x80 | length - 2]) + bytes(length - 2)
    for number in range(1, count, 2):  # every second frame comes 3 ms late
        stamp = struct.pack('>h', 80 * number)
        start = content.index(b'\x81' + stamp)  # in the block of track 1
        content[start + 1 : start + 3] = struct.pack('>h', 80 * number + 3)
    path.write_bytes(content)
    return path


def write_av1(path: Path) -> Path:
    first, *others = map(Image.fromarray, grey_images(6))
    first.save(path, format='AVIF', save_all=True, append_images=others, duration=50)
    return path
