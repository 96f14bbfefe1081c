"""Compare memory policies on clips with ground truth, and how they find hidden objects again.

    python benchmark/memory_policies.py --eval DIR [--hide 1.0] [--policies fifo,dam] [--every 3]

Prompts are the first masks. With --hide, a slab covers each clip's first object for that many
seconds from a third of the clip on (see `occlusion`).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `training`, which is not installed

from occlusion import OccludedClip, hide_object

from tam_ros.engine.base import Engine
from tam_ros.engine.torch_engine import load_torch_engine
from tam_ros.tracker.policies import POLICIES, make_policy
from tam_ros.tracker.session import Session, SessionOptions
from tam_ros.weights import find_weights
from training.calibration import describe_calibration
from training.evaluate import FRAME_NS, MAX_OBJECTS, SessionTracker, track_clip
from training.scores import ClipScore, Tracked, mean_of_clips, score_clip, summarize
from training.truth_clips import Masks, TruthClip, read_clip

FOUND_J = 0.5
LEAST_AFTER = 8  # frames of a clip in which the object is back


class PolicyTracker(SessionTracker):
    """A session with a memory policy, as the evaluation tracks with it."""

    def __init__(self, engine: Engine, policy: str, options: SessionOptions):
        super().__init__(engine)
        self.name = policy
        self._session = Session(
            self._engine, options, max_objects=MAX_OBJECTS, policy=make_policy(policy)
        )
        self.cpu_ms: list[float] = []

    def step(self, image_rgb: np.ndarray) -> Masks:
        started_s = time.process_time()  # of all threads, whatever else the machine does
        masks = super().step(image_rgb)
        self.cpu_ms.append((time.process_time() - started_s) * 1e3)
        return masks


@dataclass(frozen=True)
class Return:
    """How a hidden object was found again.

    found_s: seconds from its return to the first frame with J of at least FOUND_J, NaN if never.
    false_share: of the hidden frames, those with a mask. j_after: mean J from the return on.
    """

    clip: str
    found_s: float
    false_share: float
    j_after: float


def return_of(clip: OccludedClip, tracked: Tracked, score: ClipScore) -> Return:
    """Measure how object 1 of a clip was found again."""
    scored = next(o for o in score.objects if o.object_id == 1)
    after = np.array(scored.j[clip.stop - scored.first_frame :])
    found = np.flatnonzero(after >= FOUND_J)
    hidden = [tracked.masks[t][1].any() for t in range(clip.start, clip.stop)]
    found_s = found[0] * FRAME_NS * 1e-9 if len(found) else float('nan')
    return Return(clip.name, found_s, float(np.mean(hidden)), float(after.mean()))


def hide_first(clip: TruthClip, seconds: float) -> OccludedClip | None:
    """Hide object 1 from a third of a clip on; None of too short a clip."""
    start = len(clip) // 3
    stop = start + round(seconds * 1e9 / FRAME_NS)
    return hide_object(clip, 1, start, stop) if stop + LEAST_AFTER <= len(clip) else None


def most_objects(policy: str) -> int:
    """Return how many objects a policy can track."""
    return make_policy(policy).max_objects or MAX_OBJECTS


def print_scores(policy: str, scores: Sequence[ClipScore], cpu_ms: float) -> None:
    """Print a line of means, and what each clip scored."""
    clips, objects = mean_of_clips(scores), summarize(scores)
    each = ', '.join(f'{s.clip} {summarize([s]).j_and_f:.3f}' for s in scores)
    print(
        f'| {policy} | {len(scores)} | {clips.j_and_f:.3f} | {objects.j_and_f:.3f} | '
        f'{objects.id_switches} | {cpu_ms:.0f} | {each} |',
        flush=True,
    )


def print_returns(policy: str, returns: Sequence[Return]) -> None:
    """Print a line of means, and when each clip's object was found."""
    each = ', '.join(f'{r.clip} {r.found_s:.2f}' for r in returns)
    found = [r.found_s for r in returns if not np.isnan(r.found_s)]
    print(
        f'| {policy} | {len(found)} of {len(returns)} | '
        f'{np.mean(found) if found else float("nan"):.2f} | '
        f'{np.mean([r.false_share for r in returns]):.2f} | '
        f'{np.mean([r.j_after for r in returns]):.3f} | {each} |',
        flush=True,
    )


def main() -> None:
    """Compare what the command line names."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    engine = load_torch_engine(args.model, find_weights(args.model, args.weights), mode=args.mode)
    options = SessionOptions(**dict(args.option))
    clips = [
        read_clip(args.eval / name, every=args.every, max_frames=args.max_frames)
        for name in args.clips
    ]
    if args.hide:
        clips = [c for c in (hide_first(clip, args.hide) for clip in clips) if c]
        print('| policy | found | seconds | false masks | J after | seconds of each clip |')
    else:
        print('| policy | clips | J&F clips | J&F objects | id switches | CPU ms/frame | each |')
    for policy in args.policies:
        fitting = [c for c in clips if len(c.first_frames()) <= most_objects(policy)]
        trackers = [PolicyTracker(engine, policy, options) for _ in fitting]
        runs = [track_clip(tracker, clip, 'mask') for tracker, clip in zip(trackers, fitting)]
        scores = [score_clip(clip, tracked) for clip, tracked in zip(fitting, runs)]
        if args.hide:
            print_returns(policy, [return_of(*run) for run in zip(fitting, runs, scores)])
        else:
            cpu_ms = np.mean([np.median(tracker.cpu_ms) for tracker in trackers])
            print_scores(policy, scores, cpu_ms)
        if args.calibration and make_policy(policy).pathways == 1:
            print(describe_calibration([r for score in scores for r in score.records]))


def parse_arguments() -> argparse.Namespace:
    """Return the options."""

    def words(text: str) -> list[str]:
        return text.split(',')

    def option(text: str) -> tuple[str, float]:
        name, value = text.split('=')
        return name, float(value)

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--eval', type=Path, required=True, help='clips: NAME/rgb, NAME/masks')
    parser.add_argument('--clips', type=words, help='names, with commas (default: all)')
    parser.add_argument('--policies', type=words, default=list(POLICIES))
    parser.add_argument('--every', type=int, default=1, help='take every k-th frame')
    parser.add_argument('--max-frames', type=int, help='of each clip')
    parser.add_argument('--hide', type=float, default=0.0, help='seconds; 0 hides nothing')
    parser.add_argument('--option', type=option, action='append', default=[], help='name=value')
    parser.add_argument('--calibration', action='store_true', help='print it for each policy')
    parser.add_argument('--model', default='tam_nano')
    parser.add_argument('--weights', default='')
    parser.add_argument('--mode', default='interactive')
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    args.clips = args.clips or sorted(path.parent.name for path in args.eval.glob('*/rgb'))
    return args


if __name__ == '__main__':
    main()
