"""How true boxes and clouds of objects are on a rendered clip with depth, and what they take.

    python benchmark/rgbd.py [FOLDER] [--model tam_nano]

Things on a table, one pushed and one rolling, before a camera that goes around them (by default
demo/clip_3d). Masks are true, or a network's that was shown the first frame's boxes; depth is
exact, or with the faults of a stereo camera.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from depth_methods import METHODS, Answer, Method
from tables import print_head, print_row, table

from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.evaluation.boxes import BoxScore, BoxScores
from tam_ros.evaluation.depth_clips import DepthClip
from tam_ros.evaluation.depth_noise import StereoNoise
from tam_ros.geometry.box_filter import BoxFilter
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.options import GeometryOptions
from tam_ros.geometry.oriented_box import Stance
from tam_ros.geometry.placement import Placement
from tam_ros.masks import MaskCrop
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session

CLIP = Path(__file__).resolve().parents[1] / 'demo' / 'clip_3d'
OURS = 'ours, up known'
CONDITIONS = {'exact': None, 'stereo': StereoNoise()}
FIGURES = (
    'position, mm',
    'p95',
    'sides, mm',
    '% of points off',
    'flips a minute',
    'frames behind',
)
Masks = list[dict[int, MaskCrop]]  # for each frame, by number of the object


@dataclass
class Run:
    """What one program says of a clip."""

    scores: BoxScores
    """Of its boxes and points."""
    took_ms: list[float] = field(default_factory=list)
    """Processor time of each frame, for all objects together."""


def true_masks(clip: DepthClip) -> Masks:
    """Return the true masks of what is seen."""
    numbers = clip.truth.objects
    seen = [{n: clip.crop(t, n) for n in numbers} for t in range(len(clip))]
    return [{n: crop for n, crop in masks.items() if crop is not None} for masks in seen]


def tracked_masks(clip: DepthClip, model: str) -> Masks:
    """Return the masks of a network that is shown the boxes of the first frame."""
    session = Session(load_engine(EngineChoice(model)))
    masks: Masks = []
    number_of: dict[int, int] = {}
    for t in range(len(clip)):
        session.step(clip.clip.image_rgb(t), clip.clip.stamp_ns(t))
        if not t:
            for number, crop in true_masks(clip)[0].items():
                found = session.add_prompt(Prompt(box_xyxy=crop.box_xyxy))
                number_of[found.object_id] = number
        objects = session.latest().objects
        masks.append({number_of[o.object_id]: o.mask for o in objects if o.mask is not None})
    return masks


def depths_mm(clip: DepthClip, noise: StereoNoise | None) -> Iterator[np.ndarray]:
    """Yield the (H, W) uint16 depth of each frame."""
    rng = np.random.default_rng(0)
    for t in range(len(clip)):
        exact_mm = clip.depth_mm(t)
        yield exact_mm if noise is None else noise.apply(exact_mm * np.float32(1e-3), rng)


def run(clip: DepthClip, masks: Masks, noise: StereoNoise | None, method: Method) -> Run:
    """Have a program look at a clip; boxes are smoothed where it says how sure they are."""
    done, filters = Run(BoxScores(clip)), {n: BoxFilter() for n in clip.truth.objects}
    for t, depth_mm in enumerate(depths_mm(clip, noise)):
        place, frame = clip.placement(t), DepthFrame(depth_mm, clip.camera)
        started = time.process_time()
        answers = {
            n: _answer(method, frame, crop, Look(place, clip.clip.stamp_ns(t), filters[n]))
            for n, crop in masks[t].items()
        }
        done.took_ms.append((time.process_time() - started) * 1e3)
        for n, answer in answers.items():
            done.scores.add(t, n, answer.box, answer.points_m)
    return done


@dataclass(frozen=True)
class Look:
    """What is known of an object before a frame is looked at."""

    place: Placement
    """The camera on the table."""
    stamp_ns: int
    """The frame's."""
    boxes: BoxFilter
    """What smooths the object's boxes, on the table, as the node does with `target_frame`."""


def _answer(method: Method, frame: DepthFrame, crop: MaskCrop, look: Look) -> Answer:
    """Return what a program says of an object, on the table."""
    place, before = look.place, look.boxes.axes
    up, axes = place.turn[2], None if before is None else place.turn.T @ before
    answer = method(frame, crop, Stance(up, axes=axes))
    box = place.box(answer.box)
    if answer.covariance is not None:
        covariance, smoothing_s = place.covariance(answer.covariance), GeometryOptions.smoothing_s
        box = look.boxes.update(box, look.stamp_ns, covariance, smoothing_s)
    return replace(answer, box=box, points_m=place.points(answer.points_m))


def _cells(score: BoxScore) -> list[str]:
    """Return the figures of a row in the order of `FIGURES`."""
    return [
        f'{score.position_mm:.1f}',
        f'{score.position_p95_mm:.1f}',
        f'{score.sides_mm:.1f}',
        f'{score.off_percent:.2f}',
        f'{score.flips_per_minute:.0f}',
        '' if np.isnan(score.frames_behind) else f'{score.frames_behind:.2f}',
    ]


def print_tables(folder: Path = CLIP, model: str = 'tam_nano') -> None:
    """Measure, and print a table of programs, and one of objects by ours."""
    cv2.setNumThreads(1)
    clip = DepthClip(folder)
    kinds = {'true': true_masks(clip), model: tracked_masks(clip, model)}
    of_objects = []
    print_head('masks', 'depth', 'who', *FIGURES, 'boxes', 'ms per frame')
    for (whose, masks), (depth, noise) in product(kinds.items(), CONDITIONS.items()):
        for who, method in METHODS.items():
            done = run(clip, masks, noise, method)
            score = done.scores.score()
            took = f'{np.median(done.took_ms):.1f}'
            print_row(whose, depth, who, *_cells(score), score.boxes, took)
            if who == OURS:
                of_objects += [
                    (clip.truth.objects[n].name, whose, depth, *_cells(done.scores.score([n])))
                    for n in done.scores.numbers
                ]
    print('\n' + table(('object', 'masks', 'depth', *FIGURES), sorted(of_objects)))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, nargs='?', default=CLIP)
    parser.add_argument('--model', default='tam_nano', help='whose masks beside the true ones')
    options = parser.parse_args()
    print_tables(options.folder, options.model)


if __name__ == '__main__':
    main()
