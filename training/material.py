"""Pictures that composed clips are made of: cut-outs, photos and video frames, from a folder.

The folder holds cutouts/NNNN.jpg with NNNN.png masks, photos/*.jpg, if you like coco/ as `photos`
wants it, and beside it a folder of videos may be named, which are reduced and kept in memory.
Photos and cut-outs are decoded when they are asked for.
"""

import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tam_ros.image_files import SourceError, list_files, read_image
from tam_ros.video_source import open_video
from training.photos import (
    Instance,
    KnownPhoto,
    cut_out,
    find_known,
    large_instances,
    read_with_mask,
)

PHOTO_SUFFIXES, VIDEO_SUFFIXES = ('.jpg', '.jpeg'), ('.mp4',)
KNOWN_CUTOUTS = 0.4  # of all cut-outs, where there are photos whose objects are known
VIDEO_SIDE = 288  # short side at which video frames are kept
VIDEO_FRAMES = 160  # kept per video, from its start


@dataclass(frozen=True)
class Material:
    """Where to draw from."""

    photos: list[Path]
    """Files without masks."""
    cutouts: list[Path]
    """Files with a mask beside each, of the suffix .png."""
    videos: list[list[np.ndarray]]
    """Per video its frames as JPEG bytes, in order."""
    known: list[KnownPhoto] = field(default_factory=list)
    """Photos whose objects are known."""
    instances: list[Instance] = field(default_factory=list)
    """Those of their objects to cut out."""

    def photo(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random (H, W, 3) RGB photo."""
        return _read(self.photos[rng.integers(len(self.photos))])

    def cutout(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random (H, W, 4) RGBA object, cropped to its mask."""
        if self.instances and rng.random() < KNOWN_CUTOUTS:
            return self.instances[rng.integers(len(self.instances))].cut_out()
        path = self.cutouts[rng.integers(len(self.cutouts))]
        photo, mask = read_with_mask(path, path.with_suffix('.png'))
        return cut_out(photo, mask > 0)

    def video(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return (count, H, W, 3) frames of a random video, at a random pace and either way."""
        frames = self.videos[rng.integers(len(self.videos))]
        step = rng.integers(1, max(2, min(5, len(frames) // count)))
        start = rng.integers(len(frames) - step * (count - 1))
        chosen = frames[start : start + step * count : step]
        chosen = chosen[::-1] if rng.random() < 0.5 else chosen
        return np.stack([cv2.imdecode(f, cv2.IMREAD_COLOR)[..., ::-1] for f in chosen])

    def picture(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random (H, W, 3) photo or video frame."""
        return self.video(rng, 1)[0] if rng.random() < 0.3 and self.videos else self.photo(rng)


def open_material(assets: Path, videos: Path | None = None, cache: Path | None = None) -> Material:
    """Open a folder of photos and cut-outs, and the videos of another.

    cache: a folder that keeps the reduced video frames for the next time.
    Raises SourceError naming the folder that has no pictures, or the video that cannot be read.
    """
    photos, cut = (list_files(assets / name, PHOTO_SUFFIXES) for name in ('photos', 'cutouts'))
    cutouts = [path for path in cut if path.with_suffix('.png').exists()]
    if not photos or not cutouts:
        raise SourceError(f'{assets} needs photos/*.jpg and cutouts/*.jpg with .png masks')
    films = list_files(videos, VIDEO_SUFFIXES) if videos else []
    known = find_known(assets / 'coco')
    frames = [_frames(film, cache) for film in films]
    return Material(photos, cutouts, frames, known, large_instances(known))


def _read(path: Path) -> np.ndarray:
    return read_image(path)[..., ::-1]


def _frames(film: Path, cache: Path | None) -> list[np.ndarray]:
    kept = cache / _kept_name(film) if cache else None
    if kept is not None and kept.exists():
        return _load_frames(kept)
    frames = _decode(film)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f'.{os.getpid()}.npz')  # several processes may come here
        numbered: dict[str, Any] = {f'{i}': f for i, f in enumerate(frames)}
        np.savez(unfinished, **numbered)
        unfinished.replace(kept)
    return frames


def _kept_name(film: Path) -> str:
    """Return a name that no other video has, not even one that takes this one's place."""
    status = film.stat()
    return f'{film.stem}-{status.st_size}-{status.st_mtime_ns}-{VIDEO_SIDE}.npz'


def _load_frames(kept: Path) -> list[np.ndarray]:
    try:
        with np.load(kept) as parts:
            return [parts[f'{i}'] for i in range(len(parts.files))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SourceError(f'{kept} is damaged, delete it: {error}') from error


def video_frames(film: Path) -> Iterator[np.ndarray]:
    """Yield the (H, W, 3) BGR frames of a video, upright; raises SourceError."""
    return (frame.image_bgr for frame in open_video(film).frames)


def _decode(film: Path) -> list[np.ndarray]:
    frames: list[np.ndarray] = []
    for image in islice(video_frames(film), VIDEO_FRAMES):
        scale = VIDEO_SIDE / min(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frames.append(cv2.imencode('.jpg', image)[1].ravel())
    return frames
