"""How much of what is there a search finds: recall at IoU 0.5, precision, processor seconds.

    PYTHONPATH=. python benchmark/discovery.py CLIPS [--assets DIR] [--split test] [--photos 20]
    [--every 3] [--option name=value]

On the first frames of the development clips among CLIPS (folders as for `evaluate`), and on the
photos of DIR/coco of a split (test: nothing was trained or chosen on them). Truth names some
of the objects of a picture only, so a proposal that fits none of them may be one as well.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from arguments import option
from tables import print_head, print_row

from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.evaluation.clips import read_clip
from tam_ros.evaluation.measures import region_similarity
from tam_ros.masks import label_image
from tam_ros.tracker.discovery import DiscoveryRequest, discover
from tam_ros.tracker.options import DiscoveryOptions
from tam_ros.tracker.session import Session
from training.photos import find_known
from training.splits import clips_of

LEAST_PIXELS = 64
GOOD_IOU = 0.5


@dataclass(frozen=True)
class Picture:
    """An image, and the true masks of some of its objects."""

    image_rgb: np.ndarray
    """(H, W, 3) uint8."""
    masks: Sequence[np.ndarray]
    """Each (H, W) bool, of `LEAST_PIXELS` or more."""


@dataclass(frozen=True)
class Searched:
    """What one search came to."""

    objects: int
    """That the truth knows."""
    proposals: int
    """That were found."""
    hits: int
    """Objects that a proposal of their own fits."""
    processor_s: float
    """Of the search, the image's encoding included."""


def main() -> None:
    """Print a row for each set of pictures."""
    args = parse_arguments()
    engine = load_engine(EngineChoice(args.model, args.weights, threads=args.threads))
    options = DiscoveryOptions(**{'max_s': 600.0} | typed(args.option))
    print_head('pictures', 'number', 'objects', 'proposals', 'recall', 'precision', 'seconds')
    sets = {'clips': list(clip_pictures(args.clips))}
    if args.assets:
        photos = find_known(args.assets / 'coco', args.split)[:: args.every][: args.photos]
        sets[f'photos ({args.split})'] = [as_picture(*photo.read()) for photo in photos]
    for name, pictures in sets.items():
        report(name, [search(engine, picture, options) for picture in pictures])


def typed(options: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Return options, each of the type of its default."""
    return {name: type(getattr(DiscoveryOptions, name))(value) for name, value in options}


def clip_pictures(folder: Path) -> Iterator[Picture]:
    """Yield the first frames of the development clips."""
    for name in clips_of('development', []):
        clip = read_clip(folder / name, max_frames=3)
        yield as_picture(clip.image_rgb(0), np.where(clip.counted(0), clip.truth[0], 0))


def as_picture(image_rgb: np.ndarray, labels: np.ndarray) -> Picture:
    """Return an image with the objects of its (H, W) labels that are large enough to judge."""
    masks = (labels == n for n in np.unique(labels) if n)
    return Picture(
        np.ascontiguousarray(image_rgb), [m for m in masks if np.count_nonzero(m) >= LEAST_PIXELS]
    )


def search(engine, picture: Picture, options: DiscoveryOptions) -> Searched:
    """Search one picture, and compare what is found with what is there."""
    session, before = Session(engine, max_objects=1), time.process_time()
    session.step(picture.image_rgb, 0)
    found = discover(session, DiscoveryRequest(), options)
    processor_s = time.process_time() - before
    height, width = picture.image_rgb.shape[:2]
    masks = [label_image({1: result.mask}, (width, height)) == 1 for result in found]
    fits = np.array([[region_similarity(m, t) >= GOOD_IOU for m in masks] for t in picture.masks])
    # No two proposals fit one object, as masks that are the same are merged.
    hits = int(fits.any(1).sum()) if masks and picture.masks else 0
    return Searched(len(picture.masks), len(found), hits, processor_s)


def report(name: str, searched: Sequence[Searched]) -> None:
    """Print what the searches of a set came to, all objects together."""
    objects, proposals, hits = (
        sum(getattr(s, field) for s in searched) for field in ('objects', 'proposals', 'hits')
    )
    print_row(
        name,
        len(searched),
        objects,
        proposals,
        f'{hits / max(objects, 1):.2f}',
        f'{hits / max(proposals, 1):.2f}',
        f'{np.mean([s.processor_s for s in searched]):.2f}',
    )


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add = parser.add_argument
    add('clips', type=Path, help='folder of clips: NAME/rgb, NAME/masks')
    add('--assets', type=Path, help='folder with coco/')
    add('--split', default='test', help='of coco/attribution.json (default: test)')
    add('--photos', type=int, help='that many at most')
    add('--every', type=int, default=1, help='take every n-th photo')
    add('--model', default=EngineChoice.model)
    add('--weights', default='')
    add('--threads', type=int, default=1)
    add('--option', type=option, action='append', default=[], help='name=value')
    return parser.parse_args()


if __name__ == '__main__':
    main()
