"""Make training clips of real videos: masks drawn in key frames, carried by a tracker in between.

A frame between two key frames is kept where the tracker, coming from either side, finds the same.
Usage: python -m training.film --videos DIR --out DIR [--weights FILE] [--sheet FILE]
"""

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch

from tam_ros.engine.base import Engine
from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.evaluation.measures import region_similarity
from tam_ros.image_files import list_files
from tam_ros.masks import label_image, tight_crop
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session
from training.clips import Clip, contact_sheet, load_clip, resize_clip, save_clip
from training.labels import LABELS, Labels, load_labels
from training.material import video_frames

EVERY = 2  # frames from one that is carried to the next
LEAST_AGREEMENT = 0.85  # IoU of the masks carried from both sides
LEAST_FRAMES = 8
FRAME_NS = 33_000_000
SHEET_SIZE_WH = 256, 144

Known = dict[int, dict[str, np.ndarray]]  # masks by frame and object, where they are known


def make_clips(labels: Labels, images: list[np.ndarray], engine: Engine) -> Iterator[Clip]:
    """Yield a clip of all objects of a video together, then one of each object alone.

    A clip holds the frames in which each of its objects is known, so they are not evenly spaced.
    images: all frames, (H, W, 3) uint8 RGB of the size that was drawn on.
    """
    known = known_masks(labels, images, engine)
    # An object that few key frames tell of would leave few frames to all of them together.
    together = [
        n for n, drawn in labels.objects.items() if 2 * len(drawn) > len(labels.key_frames)
    ]
    alone = [[name] for name in labels.objects if [name] != together]
    for group in [together, *alone] if together else alone:
        frames = [t for t in sorted(known) if all(name in known[t] for name in group)]
        if len(frames) < LEAST_FRAMES:
            continue
        masks = [_label_image([known[t][name] for name in group]) for t in frames]
        yield Clip(np.stack([images[t] for t in frames]), np.stack(masks))


def known_masks(labels: Labels, images: list[np.ndarray], engine: Engine) -> Known:
    """Return the masks of key frames, and of frames between them on which both sides agree."""
    known: Known = {}
    for frame in labels.key_frames:
        masks = {name: labels.mask(name, frame) for name in labels.objects}
        known[frame] = {name: mask for name, mask in masks.items() if mask is not None}
    for first, last in pairwise(labels.key_frames):
        frames = [*range(first, last, EVERY), last]
        pictures = [images[t] for t in frames]
        forward = carry(engine, pictures, known[first])
        backward = carry(engine, pictures[::-1], known[last])[::-1]
        for i, frame in enumerate(frames[1:-1], start=1):
            nearer = forward[i] if 2 * i < len(frames) else backward[i]
            known[frame] = {
                name: nearer[name]
                for name in forward[i].keys() & backward[i].keys()
                if region_similarity(forward[i][name], backward[i][name]) >= LEAST_AGREEMENT
            }
    return known


def carry(engine: Engine, images: list[np.ndarray], masks: dict[str, np.ndarray]):
    """Return the masks of objects in all images, given those in the first one."""
    visible = {name: mask for name, mask in masks.items() if mask.any()}
    absent = {name: mask for name, mask in masks.items() if name not in visible}
    session = Session(engine, max_objects=max(1, len(visible)))
    carried, ids = [], {}
    for t, image in enumerate(images):
        session.step(image, t * FRAME_NS)
        for name, mask in visible.items() if t == 0 else ():
            ids[name] = session.add_prompt(Prompt(mask=mask)).object_id
        found = session.latest().label_image()
        carried.append(absent | {name: found == number for name, number in ids.items()})
    return carried


def _label_image(masks: list[np.ndarray]) -> np.ndarray:
    """Number the pixels of masks from 1; where some overlap, the smallest is in front."""
    order = sorted(range(len(masks)), key=lambda i: -masks[i].sum())
    crops = {i + 1: tight_crop(0, 0, masks[i]) for i in order}
    height, width = masks[0].shape
    return label_image(crops, (width, height)).astype(np.uint8)


def read_video(path: Path, size_wh: tuple[int, int]) -> list[np.ndarray]:
    """Return all frames of a video in a size, RGB; raises SourceError."""
    return [
        cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), size_wh, interpolation=cv2.INTER_AREA)
        for frame in video_frames(path)
    ]


def main() -> None:
    """Write the clips of all labelled videos; those of a video that are there already stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--videos', type=Path, required=True)
    parser.add_argument('--labels', type=Path, default=LABELS)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--weights', default='', help='of the tracker, otherwise the shipped ones')
    parser.add_argument('--image-size', type=int, default=0, help='of the tracker, in pixels')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--sheet', type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    engine = load_engine(
        EngineChoice('tam_nano', args.weights, engine='torch', image_size=args.image_size)
    )
    args.out.mkdir(parents=True, exist_ok=True)
    for path in list_files(args.labels, ('.json',)):
        if (args.out / f'{path.stem}_0.npz').exists():
            continue
        labels = load_labels(path)
        images = read_video(args.videos / labels.video, labels.size_wh)
        for number, clip in enumerate(make_clips(labels, images, engine)):
            save_clip(args.out / f'{path.stem}_{number}.npz', clip)
            print(f'{path.stem} {number}: {len(clip.images)} frames', flush=True)
    if args.sheet:
        paths = sorted(args.out.glob('*_0.npz'))
        clips = [resize_clip(load_clip(path), SHEET_SIZE_WH) for path in paths]
        cv2.imwrite(str(args.sheet), contact_sheet(clips)[..., ::-1])


if __name__ == '__main__':
    main()
