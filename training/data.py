"""Batches of clips: composed, rendered and filmed ones, each by its number from a seed.

A clip depends on the seed and its number alone, so that training resumes where it stopped
whatever the number of loader processes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from tam_ros.image_files import SourceError
from training.clips import Clip
from training.collage import film_clip, vary
from training.compose import compose_clip
from training.material import Material
from training.rollout import Batch

SMALLEST_TARGET = 0.001  # of the image: smaller objects are not prompted


@dataclass(frozen=True)
class Sources:
    """Where clips come from."""

    material: Material
    """What clips are composed of."""
    rendered: Sequence[Path] = ()
    """Clips of `training.render`; where there are none, clips are composed instead."""
    filmed: Sequence[Path] = ()
    """Clips of `training.film`; likewise."""


@dataclass(frozen=True)
class ClipShape:
    """What clips are like."""

    frames: int
    """Per clip."""
    side: int
    """Of its images, in pixels."""
    objects: int = 2
    """That are followed."""
    rendered_share: float = 0.0
    """Of the clips, in [0, 1], those from `rendered`."""
    filmed_share: float = 0.0
    """Likewise from `filmed`; the rest is composed."""


class ClipDataset(Dataset):
    """Numbered training clips as (T, 3, S, S) uint8 images and (K, T, S, S) bool masks."""

    def __init__(self, sources: Sources, shape: ClipShape, seed: int):
        self._sources = sources
        self._shape = shape
        self._seed = seed

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        cv2.setNumThreads(1)
        rng, shape = np.random.default_rng([self._seed, number]), self._shape
        clip = self._draw(rng, shape.frames, shape.side)
        masks = clip.masks[None] == choose_targets(rng, clip, shape.objects)[:, None, None, None]
        images = np.ascontiguousarray(clip.images.transpose(0, 3, 1, 2))
        return torch.from_numpy(images), torch.from_numpy(masks)

    def _draw(self, rng: np.random.Generator, frames: int, side: int) -> Clip:
        sources, shape, kind = self._sources, self._shape, rng.random()
        if sources.rendered and kind < shape.rendered_share:
            path = sources.rendered[int(rng.integers(len(sources.rendered)))]
            return vary(rng, path, frames, side)
        if sources.filmed and kind >= 1 - shape.filmed_share:
            return film_clip(rng, sources.material, sources.filmed, frames, side)
        return compose_clip(rng, sources.material, frames, side)


def choose_targets(rng: np.random.Generator, clip: Clip, count: int) -> np.ndarray:
    """Return (count,) labels of objects in the first frame; repeated where there are few."""
    areas = np.bincount(clip.masks[0].ravel(), minlength=256)[1:]
    labels = np.flatnonzero(areas >= min(SMALLEST_TARGET * clip.masks[0].size, areas.max())) + 1
    few = len(labels) < count
    return rng.choice(labels, count, replace=few)


def batches(
    dataset: ClipDataset, numbers: Iterable[int], *, clips: int, workers: int
) -> Iterator[Batch]:
    """Yield batches of the numbered clips, in order; raises SourceError.

    Loader processes are spawned, not forked: a fork of a process whose OpenCV has decoded or
    resized anything waits for ever for the threads that were left behind.
    """
    loader = DataLoader(
        dataset,
        batch_size=clips,
        sampler=numbers,
        num_workers=workers,
        drop_last=True,
        prefetch_factor=3 if workers else None,
        multiprocessing_context='spawn' if workers else None,
    )
    try:
        for images, masks in loader:
            yield Batch(images, masks)
    except SourceError as error:  # a loader's has its traceback as the message
        raise SourceError(str(error).strip().splitlines()[-1].split(': ', 1)[-1]) from error
