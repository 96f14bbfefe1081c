"""Make many clips of a few: cut out of longer ones, and put over each other.

Everything follows from the random generator given. Usage, to look at some:
python -m training.collage --assets DIR --filmed DIR --sheet FILE
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tam_ros.image_files import list_files
from training.clips import Clip, clip_length, contact_sheet, load_clip, resize_clip
from training.compose import add_things, develop
from training.material import Material, open_material

FILM_GAP = 4  # at most, in frames of the clip: those of films lie far apart as it is


def film_clip(
    rng: np.random.Generator, material: Material, films: Sequence[Path], frames: int, side: int
) -> Clip:
    """Cut a clip out of a film; things may move over it, or an object of another film."""

    def cut() -> Clip:
        return vary(rng, films[int(rng.integers(len(films)))], frames, side, longest_gap=FILM_GAP)

    clip = cut()
    kind = rng.random()
    if kind < 0.35:
        paste(rng, cut(), clip)
    elif kind < 0.5:
        add_things(rng, material, clip.images, clip.masks, int(rng.integers(1, 3)))
    if not clip.masks[0].any():  # all covered
        return film_clip(rng, material, films, frames, side)
    return Clip(develop(rng, clip.images), clip.masks)


def paste(rng: np.random.Generator, source: Clip, target: Clip) -> None:
    """Put an object of one clip over the frames of another, smaller and elsewhere."""
    side = target.masks.shape[1]
    label = rng.choice(np.unique(source.masks[0][source.masks[0] > 0]))
    scale, new = rng.uniform(0.5, 1.0), int(target.masks.max()) + 1
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
    matrix[:, 2] = rng.uniform(-0.4, 0.4, 2) * side + (1 - scale) * side / 2
    for t, (image, labels) in enumerate(zip(source.images, source.masks)):
        # The outermost pixels of a mask drawn by hand may show what is behind.
        inner = cv2.erode((labels == label).astype(np.float32), np.ones((3, 3), np.uint8))
        alpha = cv2.warpAffine(cv2.GaussianBlur(inner, (0, 0), 0.8), matrix, (side, side))
        moved = cv2.warpAffine(image, matrix, (side, side))
        seen, alpha = target.images[t], alpha[..., None]
        seen[:] = seen * (1 - alpha) + moved * alpha
        target.masks[t][alpha[..., 0] > 0.5] = new


def vary(
    rng: np.random.Generator, path: Path, frames: int, side: int, *, longest_gap: int = 1000
) -> Clip:
    """Cut (frames, side, side) out of a stored clip: in time, place, scale and width.

    Time may run backwards and pictures are mirrored; the first frame always shows an object.
    """
    length = clip_length(path)
    gap = rng.integers(1, min(longest_gap, max(1, (length - 1) // max(frames - 1, 1))) + 1)
    start = rng.integers(length - gap * (frames - 1))
    chosen = start + gap * np.arange(frames)
    chosen = chosen[::-1] if rng.random() < 0.5 else chosen
    clip = load_clip(path, chosen.tolist())
    if not clip.masks[0].any():
        clip = Clip(clip.images[::-1], clip.masks[::-1])
    if not clip.masks[0].any():
        clip = _from_first_sight(path, frames)
    rows, columns = _window(rng, clip.masks[0])
    flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
    window = slice(None), rows, columns
    cut = Clip(clip.images[window][:, :, flip], clip.masks[window][:, :, flip])
    return resize_clip(cut, (side, side))


def _from_first_sight(path: Path, frames: int) -> Clip:
    """Return the stretch of a clip from where an object is seen first, held if it is too short."""
    clip = load_clip(path)
    first = int(np.argmax(clip.masks.any((1, 2))))
    chosen = np.minimum(first + np.arange(frames), len(clip.masks) - 1)
    return Clip(clip.images[chosen], clip.masks[chosen])


def _window(rng: np.random.Generator, mask: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of a random window that holds a good part of an object.

    It is a square, or wider where the picture is: the tracker squeezes wide pictures, too.
    """
    whole = (mask > 0).sum()
    for _ in range(5):
        height = int(min(mask.shape) * rng.uniform(0.55, 1))
        widest = max(height, min(mask.shape[1], height * mask.shape[1] // mask.shape[0]))
        size = height, int(rng.integers(height, widest + 1))
        y, x = (rng.integers(have - need + 1) for have, need in zip(mask.shape, size))
        window = slice(y, y + size[0]), slice(x, x + size[1])
        if (mask[window] > 0).sum() > 0.5 * whole:
            return window
    return slice(None), slice(None)


def main() -> None:
    """Write a contact sheet of the first clips of a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--assets', type=Path, required=True)
    parser.add_argument('--filmed', type=Path, required=True)
    parser.add_argument('--sheet', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--count', type=int, default=8)
    parser.add_argument('--side', type=int, default=192)
    args = parser.parse_args()
    material, films = open_material(args.assets), list_files(args.filmed, ('.npz',))
    clips = [
        film_clip(np.random.default_rng([args.seed, i]), material, films, 8, args.side)
        for i in range(args.count)
    ]
    cv2.imwrite(str(args.sheet), contact_sheet(clips)[..., ::-1])


if __name__ == '__main__':
    main()
