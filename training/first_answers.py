"""How well first answers to prompts fit whole objects: photos with masks, no tracking.

Run as `python -m training.first_answers --assets DIR`: the photos of DIR/coco whose split says
that nothing was trained on them. Boxes, one click in the middle, and three clicks, as
`tam_ros.evaluation` draws them; a refused prompt counts as an IoU of 0.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tam_ros.engine.base import Engine
from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.evaluation.measures import region_similarity
from tam_ros.evaluation.truth_prompts import CORRECTIONS, PromptKind, draw_correction, draw_prompt
from tam_ros.masks import label_image
from tam_ros.prompts import PromptError
from tam_ros.tracker.image import ImageSegmenter
from tam_ros.tracker.results import ObjectResult
from tam_ros.tracker.session import Session
from training.evaluate import load_run
from training.photos import KnownPhoto, find_known

KINDS: tuple[PromptKind, ...] = ('box', 'click', '3clicks')
SMALL = 0.03  # of the image: how large small objects are at most
LEAST_PIXELS = 64


@dataclass(frozen=True)
class FirstAnswer:
    """The answer to one prompt."""

    kind: PromptKind
    """Of the prompt, one of `KINDS`."""
    area: float
    """Of the object, as a part of the image."""
    iou: float
    """With the true mask; 0 where the prompt was refused."""
    best_iou: float
    """Of the candidate that the truth would choose; `iou` where there is one answer."""
    is_refused: bool
    """Whether the prompt, or the first of three clicks, was refused."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the networks that the command line names, and print a table of each."""
    parser = argparse.ArgumentParser(prog='python -m training.first_answers', description=__doc__)
    add = parser.add_argument
    add('--assets', type=Path, required=True, help='folder with coco/')
    add('--split', default='test', help='of coco/attribution.json (default: test)')
    add('--runs', type=Path, nargs='*', default=[], help='of training.train, in their own shape')
    add('--model', default='tam_nano', help='with its own weights, where no --runs are given')
    add('--weights', default='', help='of that model')
    add('--photos', type=int, help='that many at most')
    args = parser.parse_args(arguments)
    photos = find_known(args.assets / 'coco', args.split)[: args.photos]
    if not photos:
        parser.error(f'{args.assets}/coco has no photos of split {args.split!r}')
    for engine in _engines(args):
        print(f'{engine.spec.model} ({engine.spec.weights}), {len(photos)} photos')
        print(format_table(list(answer_all(engine, photos))), flush=True)


def _engines(args) -> Iterator[Engine]:
    for run in args.runs:
        yield load_run(run)
    if not args.runs:
        yield load_engine(EngineChoice(args.model, args.weights))


def answer_all(engine: Engine, photos: Iterable[KnownPhoto]) -> Iterator[FirstAnswer]:
    """Yield the answers to each kind of prompt for every object that is large enough to judge."""
    for photo in photos:
        image_rgb, labels = photo.read()
        session, segmenter = Session(engine, max_objects=1), ImageSegmenter(engine, image_rgb)
        session.step(image_rgb, 0)
        for mask in (labels == n for n in np.unique(labels) if n):
            if np.count_nonzero(mask) >= LEAST_PIXELS:
                yield from (_answer(session, segmenter, mask, kind) for kind in KINDS)


def _answer(
    session: Session, segmenter: ImageSegmenter, mask: np.ndarray, kind: PromptKind
) -> FirstAnswer:
    area = float(mask.mean())
    session.reset()
    try:
        found = session.add_prompt(draw_prompt(mask, kind))
    except PromptError:
        return FirstAnswer(kind, area, 0.0, 0.0, is_refused=True)
    for _ in range(CORRECTIONS.get(kind, 0)):
        found = _corrected(session, found, mask)
    iou = region_similarity(_full(found, mask.shape), mask)
    best = _best_candidate(segmenter, mask) if kind == 'click' else iou
    return FirstAnswer(kind, area, iou, max(best, iou), is_refused=False)


def _corrected(session: Session, found: ObjectResult, mask: np.ndarray) -> ObjectResult:
    """Return the answer after another click; the one before it if that is refused."""
    click = draw_correction(_full(found, mask.shape), mask)
    if click is None:
        return found
    try:
        return session.add_prompt(click, object_id=found.object_id)
    except PromptError:
        return found


def _best_candidate(segmenter: ImageSegmenter, mask: np.ndarray) -> float:
    answers = segmenter.segment(draw_prompt(mask, 'click'))
    return max(region_similarity(answer.mask, mask) for answer in answers)


def _full(found: ObjectResult, shape: tuple[int, ...]) -> np.ndarray:
    return label_image({1: found.mask}, (shape[1], shape[0])) == 1


def format_table(answers: Sequence[FirstAnswer]) -> str:
    """Return means by kind of prompt, of all objects and of small and other ones."""
    lines = [
        '| prompt | objects | IoU | small | others | IoU >= 0.5 | refused | truth chooses |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for kind in KINDS:
        of_kind = [a for a in answers if a.kind == kind]
        if not of_kind:
            continue
        small = [a for a in of_kind if a.area < SMALL]
        others = [a for a in of_kind if a.area >= SMALL]
        good = np.mean([a.iou >= 0.5 for a in of_kind])
        refused = np.mean([a.is_refused for a in of_kind])
        best = f'{np.mean([a.best_iou for a in of_kind]):.3f}' if kind == 'click' else ''
        lines.append(
            f'| {kind} | {len(of_kind)} | {_mean_iou(of_kind)} | {_mean_iou(small)} '
            f'| {_mean_iou(others)} | {good:.2f} | {refused:.2f} | {best} |'
        )
    return '\n'.join(lines)


def _mean_iou(answers: Sequence[FirstAnswer]) -> str:
    return f'{np.mean([a.iou for a in answers]):.3f}' if answers else '-'


if __name__ == '__main__':
    main()
