"""A folder of images with depth: `rgb/`, `depth/` and `camera.json`, as `play_video` plays it.

An image and its depth have the same name. Depth is 16-bit PNG in millimetres along the optical
axis, 0 a hole, aligned to the image. Knows nothing of ROS.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tam_ros.image_files import IMAGE_SUFFIXES, SourceError, list_files, list_images, read_image

HIGHEST_RATE_HZ = 1000.0
PARTS = ('rgb', 'depth', 'camera.json')
POSE_NUMBERS = 7


@dataclass(frozen=True)
class CameraFile:
    """What `camera.json` says: the calibration as ROS's CameraInfo has it, the rate, the path."""

    width: int
    """Of the images, in pixels."""
    height: int
    """Of the images, in pixels."""
    k: Sequence[float]
    """3x3 by rows, in pixels; the centre of the first pixel is at 0, 0."""
    d: Sequence[float] = ()
    """Of the distortion; none, or all 0, for none."""
    distortion_model: str = 'plumb_bob'
    """As ROS names it."""
    rate_hz: float = 30.0
    """Frames per second, above 0."""
    parent_frame: str = ''
    """Frame that the poses are in; empty where there are none."""
    poses: Sequence[Sequence[float]] = ()
    """(T, 7) x, y, z in metres and quaternion x, y, z, w of the camera's optical frame in the
    parent frame, for each image; empty where they are not known."""

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height


@dataclass(frozen=True)
class RgbdView:
    """An image with its depth."""

    image_bgr: np.ndarray
    """(H, W, 3) uint8."""
    depth_mm: np.ndarray
    """(H, W) uint16 millimetres along the optical axis; 0 is a hole."""
    pose: Sequence[float] | None
    """As one of `CameraFile.poses`; None where it is not known."""


@dataclass(frozen=True)
class RgbdFolder:
    """The files of a folder; each image has the depth at the same place."""

    images: Sequence[Path]
    """T files in natural order."""
    depths: Sequence[Path]
    """T files."""
    camera: CameraFile
    """Of all of them."""

    def view(self, t: int) -> RgbdView:
        """Read an image and its depth; raises SourceError, naming the file."""
        image_bgr = read_image(self.images[t])
        self._check_size(self.images[t], image_bgr)
        pose = self.camera.poses[t] if self.camera.poses else None
        return RgbdView(image_bgr, self.depth_mm(t), pose)

    def depth_mm(self, t: int) -> np.ndarray:
        """Read the depth of an image, as of `RgbdView`; raises SourceError, naming the file."""
        depth_mm = read_image(self.depths[t], cv2.IMREAD_UNCHANGED)
        if depth_mm.dtype != np.uint16 or depth_mm.ndim != 2:
            channels = 1 if depth_mm.ndim == 2 else depth_mm.shape[2]
            raise SourceError(
                f'{self.depths[t]} has {8 * depth_mm.itemsize} bits in {channels} channels: depth '
                'is PNG of 16 bits in 1 channel, in millimetres'
            )
        self._check_size(self.depths[t], depth_mm)
        return depth_mm

    def views(self) -> Iterator[RgbdView]:
        """Read all, one by one."""
        return map(self.view, range(len(self.images)))

    def _check_size(self, path: Path, pixels: np.ndarray) -> None:
        size_wh = pixels.shape[1::-1]
        if size_wh != self.camera.size_wh:
            raise SourceError(
                '{} is of {}x{} pixels, camera.json says {}x{}: image, aligned depth and '
                'calibration are of one size'.format(path, *size_wh, *self.camera.size_wh)
            )


def is_rgbd(folder: Path) -> bool:
    """Return whether a folder is meant to be one of images with depth; raises SourceError."""
    has_part = any((folder / part).exists() for part in PARTS)
    return has_part and not list_files(folder, IMAGE_SUFFIXES)


def open_rgbd(folder: Path) -> RgbdFolder:
    """List the files of a folder and read its `camera.json`; raises SourceError."""
    for part in PARTS:
        if not (folder / part).exists():
            raise SourceError(
                f'{folder} has no {part}: images with depth are {", ".join(PARTS)}; images alone '
                'are a folder of nothing else'
            )
    images = list_images(folder / 'rgb')
    depths = {path.stem: path for path in list_files(folder / 'depth', ('.png',))}
    for image in images:
        if image.stem not in depths:
            raise SourceError(f'{image} has no {folder / "depth" / image.stem}.png')
    camera = read_camera(folder / 'camera.json')
    if camera.poses and len(camera.poses) != len(images):
        raise SourceError(
            f'{folder / "camera.json"} has {len(camera.poses)} poses for {len(images)} images'
        )
    return RgbdFolder(images, [depths[image.stem] for image in images], camera)


# -- camera.json ----------------------------------------------------------------------------


def read_camera(path: Path) -> CameraFile:
    """Read a `camera.json`; raises SourceError, naming the key that is wrong.

    Whether the calibration makes sense is not looked at.
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise SourceError(f'{path} cannot be read: {error.strerror}') from error
    except ValueError as error:
        raise SourceError(f'{path} is no JSON: {error}') from error
    if not isinstance(content, dict):
        raise SourceError(f'{path} holds no keys: {", ".join(KEYS)}')
    _check_keys(path, content)
    return CameraFile(**content)


def _check_keys(path: Path, content: dict[str, Any]) -> None:
    known = [field.name for field in fields(CameraFile)]
    for key, value in content.items():
        if key not in known:
            raise SourceError(f'{path}: {key} is not known: use {", ".join(known)}')
        wanted, is_right = KEYS[key]
        if not is_right(value):
            raise SourceError(f'{path}: {key} is {json.dumps(value):.60}: {wanted} needed')
    for key in ('width', 'height', 'k'):
        if key not in content:
            raise SourceError(f'{path} has no {key}: {KEYS[key][0]} needed')
    if content.get('poses') and not content.get('parent_frame'):
        raise SourceError(f'{path} has poses but no parent_frame, which they are in')


def _is_number(value: Any) -> bool:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and math.isfinite(value)


def _are_numbers(values: Any, count: int | None = None) -> bool:
    if not isinstance(values, list) or not all(map(_is_number, values)):
        return False
    return count is None or len(values) == count


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _is_pose(value: Any) -> bool:
    return _are_numbers(value, POSE_NUMBERS) and any(value[3:])


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    'width': ('pixels, above 0, are', _is_length),
    'height': ('pixels, above 0, are', _is_length),
    'k': ('nine numbers are', lambda value: _are_numbers(value, 9)),
    'd': ('numbers are', _are_numbers),
    'distortion_model': ('a name is', _is_text),
    'rate_hz': (
        f'a rate up to {HIGHEST_RATE_HZ:.0f} is',
        lambda value: _is_number(value) and 0 < value <= HIGHEST_RATE_HZ,
    ),
    'parent_frame': ('a name is', _is_text),
    'poses': (
        'for each image x, y, z, qx, qy, qz, qw are',
        lambda value: isinstance(value, list) and all(map(_is_pose, value)),
    ),
}
