"""Batches of clips: composed on the fly and rendered before, each by its number from a seed.

A clip depends on the seed and its number alone, so that training resumes where it stopped
whatever the number of loader processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from training.clips import Clip, load_clip
from training.compose import compose_clip
from training.material import Material
from training.rollout import Batch

SMALLEST_TARGET = 0.001  # of the image: smaller objects are not prompted


@dataclass(frozen=True)
class ClipShape:
    """frames per clip, side in pixels, objects followed per clip, share of rendered clips."""

    frames: int
    side: int
    objects: int = 2
    rendered_share: float = 0.0


class ClipDataset(Dataset):
    """Numbered training clips as (T, 3, S, S) uint8 images and (K, T, S, S) bool masks."""

    def __init__(self, material: Material, rendered: list[Path], shape: ClipShape, seed: int):
        self._material = material
        self._rendered = rendered
        self._shape = shape
        self._seed = seed

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        cv2.setNumThreads(1)
        rng, shape = np.random.default_rng([self._seed, number]), self._shape
        if self._rendered and rng.random() < shape.rendered_share:
            path = self._rendered[rng.integers(len(self._rendered))]
            clip = vary(rng, load_clip(path), shape.frames, shape.side)
        else:
            clip = compose_clip(rng, self._material, shape.frames, shape.side)
        masks = clip.masks[None] == choose_targets(rng, clip, shape.objects)[:, None, None, None]
        images = np.ascontiguousarray(clip.images.transpose(0, 3, 1, 2))
        return torch.from_numpy(images), torch.from_numpy(masks)


def choose_targets(rng: np.random.Generator, clip: Clip, count: int) -> np.ndarray:
    """Return (count,) labels of objects in the first frame; repeated where there are few."""
    areas = np.bincount(clip.masks[0].ravel(), minlength=256)[1:]
    labels = np.flatnonzero(areas >= min(SMALLEST_TARGET * clip.masks[0].size, areas.max())) + 1
    few = len(labels) < count
    return rng.choice(labels, count, replace=few)


def vary(rng: np.random.Generator, clip: Clip, frames: int, side: int) -> Clip:
    """Cut (frames, side, side) out of a longer and larger clip: in time, place and scale.

    Time may run backwards and pictures are mirrored; the first frame always shows an object.
    """
    length = len(clip.images)
    gap = rng.integers(1, max(1, (length - 1) // max(frames - 1, 1)) + 1)
    start = rng.integers(length - gap * (frames - 1))
    chosen = start + gap * np.arange(frames)
    chosen = chosen[::-1] if rng.random() < 0.5 else chosen
    if not clip.masks[chosen[0]].any():
        chosen = np.arange(frames)
    rows, columns = _square(rng, clip.masks[chosen[0]])
    flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
    images = [clip.images[t][rows, columns][:, flip] for t in chosen]
    masks = [clip.masks[t][rows, columns][:, flip] for t in chosen]
    size, nearest = (side, side), cv2.INTER_NEAREST
    return Clip(
        np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]),
        np.stack([cv2.resize(mask, size, interpolation=nearest) for mask in masks]),
    )


def _square(rng: np.random.Generator, mask: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of a random square that holds a good part of an object."""
    whole = (mask > 0).sum()
    for _ in range(5):
        size = int(min(mask.shape) * rng.uniform(0.55, 1))
        y, x = (rng.integers(length - size + 1) for length in mask.shape)
        window = slice(y, y + size), slice(x, x + size)
        if (mask[window] > 0).sum() > 0.5 * whole:
            return window
    return slice(0, min(mask.shape)), slice(0, min(mask.shape))


def batches(
    dataset: ClipDataset, numbers: Iterator[int], *, clips: int, workers: int
) -> Iterator[Batch]:
    """Yield batches of the numbered clips, in order."""
    loader = DataLoader(
        dataset,
        batch_size=clips,
        sampler=numbers,
        num_workers=workers,
        drop_last=True,
        prefetch_factor=3 if workers else None,
    )
    for images, masks in loader:
        yield Batch(images, masks)
