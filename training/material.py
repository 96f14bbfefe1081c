"""Pictures that composed clips are made of: cut-outs, photos and video frames, from a folder.

The folder holds cutouts/NNNN.jpg with NNNN.png masks, photos/*.jpg, and beside it a folder of
videos may be named. Nothing is decoded before it is asked for.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

VIDEO_SIDE = 288  # short side at which video frames are kept
VIDEO_FRAMES = 160  # kept per video, from its start


@dataclass(frozen=True)
class Material:
    """Where to draw from. videos holds per video its frames as JPEG bytes, in order."""

    photos: list[Path]
    cutouts: list[Path]
    videos: list[list[np.ndarray]]

    def photo(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random (H, W, 3) RGB photo."""
        return _read(self.photos[rng.integers(len(self.photos))])

    def cutout(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random (H, W, 4) RGBA object, cropped to its mask."""
        path = self.cutouts[rng.integers(len(self.cutouts))]
        mask = cv2.imread(str(path.with_suffix('.png')), cv2.IMREAD_GRAYSCALE)
        image = np.dstack([_read(path), (mask > 0).astype(np.uint8) * 255])
        x, y, w, h = cv2.boundingRect(image[..., 3])
        return image[y : y + h, x : x + w]

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
    Raises FileNotFoundError naming the folder that has no pictures.
    """
    photos = sorted(assets.glob('photos/*.jpg'))
    cutouts = sorted(p for p in assets.glob('cutouts/*.jpg') if p.with_suffix('.png').exists())
    if not photos or not cutouts:
        raise FileNotFoundError(f'{assets} needs photos/*.jpg and cutouts/*.jpg with .png masks')
    films = sorted(videos.glob('*.mp4')) if videos else []
    return Material(photos, cutouts, [_frames(film, cache) for film in films])


def _read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]


def _frames(film: Path, cache: Path | None) -> list[np.ndarray]:
    kept = cache / f'{film.stem}.npz' if cache else None
    if kept is not None and kept.exists():
        with np.load(kept) as parts:
            return [parts[f'{i}'] for i in range(len(parts.files))]
    frames = _decode(film)
    if kept is not None:
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f'.{os.getpid()}.npz')  # several processes may come here
        np.savez(unfinished, **{f'{i}': f for i, f in enumerate(frames)})
        unfinished.replace(kept)
    return frames


def video_frames(film: Path) -> Iterator[np.ndarray]:
    """Yield the (H, W, 3) BGR frames of a video, none of a file that cannot be read."""
    video = cv2.VideoCapture(str(film))
    while (read := video.read())[0]:
        yield read[1]


def _decode(film: Path) -> list[np.ndarray]:
    frames: list[np.ndarray] = []
    for image in islice(video_frames(film), VIDEO_FRAMES):
        scale = VIDEO_SIDE / min(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frames.append(cv2.imencode('.jpg', image)[1].ravel())
    return frames
