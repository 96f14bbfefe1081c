"""Score a tracker on clips with ground truth: J, F, identity switches and time per frame.

Prompts are drawn from the truth of the frame in which an object first appears; then the tracker
is on its own. Run as `python -m training.evaluate --eval DIR`; see --help.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from tam_ros.engine.base import Engine
from tam_ros.engine.torch_engine import load_torch_engine
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.session import Session
from training.baselines import BoxTracker, available_baselines
from training.calibration import Confidence, describe_calibration, save_calibration
from training.score_pictures import save_curves, save_sheet
from training.scores import (
    ClipScore,
    Tracked,
    format_table,
    group_scores,
    score_clip,
    scores_to_json,
)
from training.truth_clips import (
    PROMPT_KINDS,
    Masks,
    PromptKind,
    TruthClip,
    draw_prompt,
    read_clip,
)

FRAME_NS = 1_000_000_000 // 24  # DAVIS is filmed at 24 frames a second
MAX_OBJECTS = 32


class Tracker(Protocol):
    """What is evaluated. Every frame is a `step`; objects that appear in it are started then."""

    name: str

    def step(self, image_rgb: np.ndarray) -> Masks:
        """Find all started objects in the next frame, (H, W, 3) uint8."""

    def start(self, image_rgb: np.ndarray, prompts: Mapping[int, Prompt]) -> Masks:
        """Start objects on the frame of the last step; a refused one is missing in the answer."""

    def confidences(self) -> dict[int, Confidence]:
        """Return how sure the last step was of each object; empty if the tracker cannot tell."""


class OverheardEngine:
    """An engine that keeps its last answer: sessions do not tell the presence logit."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self.decoded = None

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def decode_mask(self, *arguments):
        self.decoded = self._engine.decode_mask(*arguments)
        return self.decoded


class SessionTracker:
    """The public session as a `Tracker`: all objects in one session, none sharing pixels."""

    def __init__(self, engine: Engine):
        self.name = engine.spec.model
        self._engine = OverheardEngine(engine)
        self._session = Session(self._engine, max_objects=MAX_OBJECTS)
        self._truth_ids: dict[int, int] = {}  # by the session's
        self._confidences: dict[int, Confidence] = {}
        self._stamp_ns = 0

    def step(self, image_rgb: np.ndarray) -> Masks:
        self._stamp_ns += FRAME_NS
        result = self._session.step(image_rgb, self._stamp_ns)
        if result.objects:  # in the order of the decoded batch
            decoded = self._engine.decoded
            self._confidences = {
                self._truth_ids[o.object_id]: Confidence(float(iou), float(logit))
                for o, iou, logit in zip(result.objects, decoded.iou, decoded.score)
            }
        return self._masks()

    def start(self, image_rgb: np.ndarray, prompts: Mapping[int, Prompt]) -> Masks:
        for truth_id, prompt in prompts.items():
            try:
                answer = self._session.add_prompt(prompt)
            except PromptError:
                continue
            self._truth_ids[answer.object_id] = truth_id
        return {key: mask for key, mask in self._masks().items() if key in prompts}

    def confidences(self) -> dict[int, Confidence]:
        return self._confidences

    def _masks(self) -> Masks:
        labels = self._session.latest().label_image()
        return {truth_id: labels == key for key, truth_id in self._truth_ids.items()}


def evaluate_clip(
    make_tracker: Callable[[], Tracker], clip: TruthClip, prompt_kind: PromptKind
) -> ClipScore:
    """Track a clip and score it."""
    return score_clip(clip, track_clip(make_tracker(), clip, prompt_kind))


def track_clip(tracker: Tracker, clip: TruthClip, prompt_kind: PromptKind) -> Tracked:
    """Run a tracker over a clip, and start each object where it first appears."""
    tracked, first = Tracked(tracker.name, prompt_kind), clip.first_frames()
    for t in tqdm(range(len(clip)), f'{tracker.name} {clip.name} {prompt_kind}', disable=None):
        image = clip.image_rgb(t)
        started_s = time.perf_counter()
        masks = tracker.step(image)
        tracked.step_ms.append((time.perf_counter() - started_s) * 1e3)
        tracked.confidences.append(tracker.confidences())
        truth = clip.masks(t)
        prompts = {n: draw_prompt(truth[n], prompt_kind) for n in truth if first[n] == t}
        answers = tracker.start(image, prompts) if prompts else {}
        tracked.masks.append(masks | answers)
        tracked.refused.update(prompts.keys() - answers.keys())
    return tracked


# -- the command ----------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate what the command line names."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    if not (args.weights or args.baselines):
        parser.error('nothing to evaluate: give --weights, --baselines or both')
    try:
        contenders = list_contenders(args)
        clips = read_clips(args)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    scores = [
        run_one(make_tracker, clip, kind, args.out)
        for make_tracker, kinds in contenders
        for kind in kinds
        for clip in clips
    ]
    report(scores, args.out, args.json)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='python -m training.evaluate', description=__doc__)
    add = parser.add_argument
    add('--eval', type=Path, required=True, help='folder of clips: NAME/rgb, NAME/masks')
    add('--clips', type=_words, default=[], help='names, with commas (default: all)')
    add('--model', default='tam_nano', help='name of the network')
    add('--weights', default='', help="checkpoint, or 'reproducible'; none: baselines only")
    add('--image-size', type=int, default=0, help="network input (default: the model's)")
    add('--device', default='cpu')
    add('--prompts', type=_words, default=PROMPT_KINDS, help='default: mask,box,click')
    add('--baselines', action='store_true', help='also evaluate trackers without a network')
    add('--max-frames', type=int, help='frames of each clip, at most')
    add('--every', type=int, default=1, help='take every k-th frame of a clip')
    add('--out', type=Path, help='folder for contact sheets, curves of J and calibration')
    add('--json', type=Path, help='file for all scores')
    return parser


def _words(text: str) -> list[str]:
    return text.split(',')


def list_contenders(args) -> list[tuple[Callable[[], Tracker], list[PromptKind]]]:
    """Return what makes each tracker, and the kinds of prompts to give it."""
    unknown = set(args.prompts) - set(PROMPT_KINDS)
    if unknown:
        raise ValueError(f'prompts {sorted(unknown)} are unknown: use {", ".join(PROMPT_KINDS)}')
    contenders = []
    if args.weights:
        engine = load_torch_engine(
            args.model, args.weights, image_size=args.image_size, device=args.device
        )
        contenders.append((lambda: SessionTracker(engine), list(args.prompts)))
    baselines = available_baselines() if args.baselines else []
    if baselines and BoxTracker not in baselines:
        print('no csrt baseline: it needs opencv-contrib-python')
    return contenders + [
        (baseline, [kind for kind in args.prompts if kind in baseline.prompt_kinds])
        for baseline in baselines
    ]


def read_clips(args) -> list[TruthClip]:
    """Read the clips that are asked for; raises ValueError for those that are not there."""
    present = sorted(path.parent.name for path in args.eval.glob('*/rgb'))
    missing = set(args.clips) - set(present)
    if missing or not present:
        raise ValueError(f'no clips {sorted(missing)} in {args.eval}: there are {present}')
    return [
        read_clip(args.eval / name, every=args.every, max_frames=args.max_frames)
        for name in args.clips or present
    ]


def run_one(
    make_tracker: Callable[[], Tracker], clip: TruthClip, kind: PromptKind, out: Path | None
) -> ClipScore:
    """Evaluate one tracker on one clip, and write its contact sheet into the folder out."""
    tracked = track_clip(make_tracker(), clip, kind)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        save_sheet(out / f'{clip.name}_{kind}_{tracked.tracker}.png', clip, tracked)
    return score_clip(clip, tracked)


def report(scores: Sequence[ClipScore], out: Path | None, json_file: Path | None) -> None:
    """Print the table and the calibration, and write JSON and pictures where asked for."""
    print(format_table(scores))
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(scores_to_json(scores), indent=1))
    for (tracker, prompt), group in group_scores(scores).items():
        records = [record for score in group for record in score.records]
        if records:
            print(f'{tracker}, {prompt}: {describe_calibration(records)}')
        if records and out:
            title = f'{tracker}, {prompt} prompts'
            save_calibration(out / f'calibration_{prompt}_{tracker}.png', records, title)
    for clip in {score.clip for score in scores} if out else ():
        save_curves(out / f'{clip}_j.png', [s for s in scores if s.clip == clip])


if __name__ == '__main__':
    main()
