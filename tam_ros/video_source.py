"""What can stand in for a camera: a video, a folder of images, a webcam; frames with their times.

Videos come upright, at the times that they say themselves; folders may have depth. Knows nothing
of ROS.
"""

import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from tam_ros.image_files import IMAGE_SUFFIXES, SourceError, list_images, read_image
from tam_ros.rgbd_folder import HIGHEST_RATE_HZ, CameraFile, is_rgbd, open_rgbd

DEFAULT_RATE_HZ = 30.0
PROBED_FRAMES = 32  # from which the rate of a video is measured
RATE_TOLERANCE = 0.05  # of the stated rate; stamps may be whole milliseconds
LONGEST_GAP_S = 10.0  # between two frames; longer ones are taken for damaged stamps
LEAST_PART = 0.9  # of its frames and its duration that a video must have


@dataclass(frozen=True)
class Frame:
    """A picture and its time."""

    image_bgr: np.ndarray
    """(H, W, 3) uint8."""
    time_s: float
    """Since the first frame of the source; ascends from frame to frame."""
    depth_mm: np.ndarray | None = None
    """(H, W) uint16 aligned depth in millimetres, 0 a hole; None where there is none."""
    pose: Sequence[float] | None = None
    """Of the camera, as one of `CameraFile.poses`; None where it is not known."""


@dataclass(frozen=True)
class Source:
    """Frames to come, each once."""

    rate_hz: float
    """Frames per second, in the mean."""
    frames: Iterator[Frame]
    """Raises SourceError where the source breaks off."""
    count: int | None = None
    """Of frames in all; None where nothing says so."""
    is_live: bool = False
    """Whether frames come when they are shot, as of a webcam."""
    camera: CameraFile | None = None
    """That of frames with depth; None where there is no depth."""


def open_source(name: str, *, loop: bool = False) -> Source:
    """Open a video or image file, a folder of images, or a webcam (`0`, `/dev/video0`).

    A folder with `rgb/`, `depth/` and `camera.json` gives frames with depth; see `rgbd_folder`.

    loop: start again at the end, for ever. Raises SourceError, also for a video without frames.
    """
    source = _open_once(name)
    return replace(source, frames=_rounds(name, source), count=None) if loop else source


def _open_once(name: str) -> Source:
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        return _open_rgbd(path) if is_rgbd(path) else _open_images(list_images(path))
    number = webcam_number(name)
    if number is not None:
        return _open_webcam(name, number)
    if not path.is_file():
        raise SourceError(f'{name} is no file, folder or webcam number')
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return _open_images([path])
    return open_video(path)


def _rounds(name: str, source: Source) -> Iterator[Frame]:
    start_s = last_s = 0.0
    while True:
        for frame in source.frames:
            last_s = start_s + frame.time_s
            yield replace(frame, time_s=last_s)
        start_s = last_s + 1 / source.rate_hz
        source = _open_once(name)


def at_rate(source: Source, rate_hz: float) -> Source:
    """Return a source with its frames at even times; of a live one, those that come by them."""
    frames = _thinned(source.frames, rate_hz) if source.is_live else _even(source.frames, rate_hz)
    return replace(source, rate_hz=rate_hz, frames=frames)


def _even(frames: Iterator[Frame], rate_hz: float) -> Iterator[Frame]:
    return (replace(frame, time_s=i / rate_hz) for i, frame in enumerate(frames))


def _thinned(frames: Iterator[Frame], rate_hz: float) -> Iterator[Frame]:
    due_s = 0.0
    for frame in frames:
        if frame.time_s >= due_s:
            # From the frame on where it is late: after a gap, no burst makes up for it.
            due_s = max(due_s + 1 / rate_hz, frame.time_s)
            yield frame


class Pace:
    """Says when frames are due: by their times from the first on; a late one delays the rest."""

    def __init__(self) -> None:
        self._start_s = -math.inf

    def wait_s(self, time_s: float, now_s: float) -> float:
        """Return the seconds to wait for a frame. now_s: of a steady clock."""
        self._start_s = max(self._start_s, now_s - time_s)
        return self._start_s + time_s - now_s


# -- images ---------------------------------------------------------------------------------


def _open_images(files: Sequence[Path]) -> Source:
    images = map(read_image, files)
    frames = (Frame(image, i / DEFAULT_RATE_HZ) for i, image in enumerate(images))
    return Source(DEFAULT_RATE_HZ, frames, len(files))


def _open_rgbd(folder: Path) -> Source:
    found = open_rgbd(folder)
    rate_hz = found.camera.rate_hz
    frames = (
        Frame(view.image_bgr, i / rate_hz, view.depth_mm, view.pose)
        for i, view in enumerate(found.views())
    )
    return Source(rate_hz, frames, len(found.images), camera=found.camera)


# -- webcams --------------------------------------------------------------------------------


def webcam_number(name: str) -> int | None:
    """Return the number of a webcam that is called `0`, `/dev/video0` or by a link to that."""
    device = os.path.realpath(name) if name.startswith('/dev/') else name
    found = re.fullmatch('(?:/dev/video)?([0-9]{1,4})', device)
    return int(found[1]) if found else None


def _open_webcam(name: str, number: int) -> Source:
    capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise SourceError(f'webcam {name} cannot be opened')
    rate_hz = _sane(capture.get(cv2.CAP_PROP_FPS)) or DEFAULT_RATE_HZ
    return Source(rate_hz, _live_frames(name, capture), is_live=True)


def _live_frames(name: str, capture: cv2.VideoCapture) -> Iterator[Frame]:
    start_s = None
    for image in _images(capture):
        start_s = time.monotonic() if start_s is None else start_s
        yield Frame(image, time.monotonic() - start_s)
    raise SourceError(f'webcam {name} gives no {"more " if start_s is not None else ""}frames')


# -- video files ----------------------------------------------------------------------------


def open_video(path: Path) -> Source:
    """Open a video file; raises SourceError, also for one without frames."""
    capture = _capture(path)
    stamps_s: list[float] = []
    while len(stamps_s) < PROBED_FRAMES and capture.grab():
        stamps_s.append(_stamp_s(capture))
    if not stamps_s:
        raise SourceError(f'{path} has no frames that can be decoded here ({_codec(capture)})')
    capture = _capture(path)  # seeking back is not exact in every format
    rate_hz = _rate_hz(stamps_s, capture.get(cv2.CAP_PROP_FPS))
    return Source(rate_hz, _video_frames(path, capture, rate_hz), _count(capture))


def _capture(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise SourceError(f'{path} cannot be opened as a video')
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # upright, which not every version is unasked
    return capture


def _images(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while (read := capture.read())[0]:
        yield read[1]


def _video_frames(path: Path, capture: cv2.VideoCapture, rate_hz: float) -> Iterator[Frame]:
    read, time_s, last_stamp_s = 0, 0.0, 0.0
    for image in _images(capture):
        stamp_s = _stamp_s(capture)
        if read:
            gap_s = stamp_s - last_stamp_s
            time_s += gap_s if 0 < gap_s <= LONGEST_GAP_S else 1 / rate_hz
        last_stamp_s = stamp_s
        yield Frame(image, time_s)
        read += 1
    _check_end(path, capture, read, time_s)


def _check_end(path: Path, capture: cv2.VideoCapture, read: int, time_s: float) -> None:
    """Raise SourceError where a video ends well before what it says; counts may be estimates."""
    count, stated_hz = _count(capture), _sane(capture.get(cv2.CAP_PROP_FPS))
    if not count or not stated_hz:
        return
    if read < LEAST_PART * count and time_s < LEAST_PART * (count - 1) / stated_hz:
        raise SourceError(
            f'{path} breaks off after {read} of {count} frames: it is cut or damaged'
        )


def _stamp_s(capture: cv2.VideoCapture) -> float:
    """Return the time of the frame that was just taken, from the start of the file."""
    return capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3


def _rate_hz(stamps_s: Sequence[float], stated_hz: float) -> float:
    """Return frames per second: as stated, unless the stamps of the first frames say otherwise."""
    stated_hz = _sane(stated_hz)
    gaps_s = np.diff(stamps_s)
    gaps_s = gaps_s[(gaps_s > 0) & (gaps_s <= LONGEST_GAP_S)]
    if not len(gaps_s):
        return stated_hz or DEFAULT_RATE_HZ
    measured_hz = float(1 / gaps_s.mean())
    is_as_stated = abs(measured_hz - stated_hz) <= RATE_TOLERANCE * stated_hz
    return stated_hz if is_as_stated else measured_hz


def _sane(rate_hz: float) -> float:
    """Return a rate that a driver or file states; 0 for one that cannot be."""
    return rate_hz if 0 < rate_hz <= HIGHEST_RATE_HZ else 0.0


def _count(capture: cv2.VideoCapture) -> int | None:
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)  # negative where it is not known
    return int(count) if 0 < count < 1e9 else None


def _codec(capture: cv2.VideoCapture) -> str:
    letters = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, 'little', signed=True)
    return f'codec {letters.decode("ascii", "replace")}'
