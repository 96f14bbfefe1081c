"""How an object is found again after a slab has hidden it, for each memory policy.

    python benchmark/occlusion.py FOLDER --clips bear,chair,tennis [--seconds 1] [--policy fifo]

Prompts are the first masks. The slab covers each clip's object 1 from a third of the clip on.
Truth and images agree: what the slab covers is absent. FOLDER is as for `evaluate`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from arguments import option, words
from tables import print_head, print_row

from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.evaluation.clips import TruthClip, read_clip
from tam_ros.evaluation.measures import FOUND_IOU
from tam_ros.evaluation.runs import Tracked, track_clip
from tam_ros.evaluation.scores import score_clip
from tam_ros.evaluation.trackers import SessionTracker
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import POLICIES, make_policy

HIDDEN = 1  # the object that is hidden
MARGIN = 0.1  # of the slab around it, as a part of its sides
LEAST_AFTER = 8  # frames of a clip in which the object is back


@dataclass(frozen=True)
class OccludedClip(TruthClip):
    """A clip with a textured slab over an object for some frames."""

    box_xyxy: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Of the slab in pixels, x1 and y1 exclusive."""
    start: int = 0
    """First frame with the slab."""
    stop: int = 0
    """First frame after it without."""

    def image_rgb(self, t: int) -> np.ndarray:
        """Return frame t, (H, W, 3) uint8, with the slab where it is there."""
        image = super().image_rgb(t)
        if self.start <= t < self.stop:
            x0, y0, x1, y1 = self.box_xyxy
            image[y0:y1, x0:x1] = slab_texture(x1 - x0, y1 - y0)
        return image


def hide_object(clip: TruthClip, seconds: float) -> OccludedClip:
    """Hide object 1 wherever it is for some seconds; raises ValueError for too short a clip."""
    start = len(clip) // 3
    stop = start + round(seconds * clip.rate_hz)
    if stop + LEAST_AFTER > len(clip):
        raise ValueError(
            f'{clip.name} has {len(clip)} frames: too few to hide one for {seconds} s'
        )
    hidden = (clip.truth[start:stop] == HIDDEN).any(0).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(hidden)
    dx, dy = round(MARGIN * width), round(MARGIN * height)
    x0, y0 = max(x - dx, 0), max(y - dy, 0)
    x1 = min(x + width + dx, hidden.shape[1])
    y1 = min(y + height + dy, hidden.shape[0])
    truth = clip.truth.copy()
    truth[start:stop, y0:y1, x0:x1] = 0
    box = x0, y0, x1, y1
    return OccludedClip(clip.name, clip.image_files, truth, clip.rate_hz, box, start, stop)


def slab_texture(width: int, height: int) -> np.ndarray:
    """Return a grey, grainy (height, width, 3) uint8 surface; always the same."""
    grain = np.random.default_rng(0).normal(0, 1, (height, width))
    grain = cv2.GaussianBlur(grain, (0, 0), 2)
    grey = np.clip(118 + 90 * grain, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@dataclass(frozen=True)
class Return:
    """How a hidden object was found again."""

    found_s: float
    """Seconds from its return to the first frame with a J of 0.5, NaN if never."""
    false_share: float
    """Of the hidden frames, those with a mask, in [0, 1]."""
    j_after: float
    """Mean J from the return on, in [0, 1]."""


def return_of(clip: OccludedClip, tracked: Tracked) -> Return:
    """Measure how the object of a clip was found again."""
    (scored,) = (o for o in score_clip(clip, tracked).objects if o.object_id == HIDDEN)
    after = np.array(scored.j[clip.stop - scored.first_frame :])
    found = np.flatnonzero(after >= FOUND_IOU)
    hidden = [tracked.masks[t][HIDDEN].any() for t in range(clip.start, clip.stop)]
    found_s = found[0] / clip.rate_hz if len(found) else float('nan')
    return Return(found_s, float(np.mean(hidden)), float(after.mean()))


def print_returns(policy: str, returns: Sequence[Return]) -> None:
    """Print the means of a policy."""
    found = [r.found_s for r in returns if not np.isnan(r.found_s)]
    print_row(
        policy,
        f'{len(found)} of {len(returns)}',
        f'{np.mean(found) if found else float("nan"):.2f}',
        f'{np.mean([r.false_share for r in returns]):.2f}',
        f'{np.mean([r.j_after for r in returns]):.3f}',
    )


def main() -> None:
    """Compare what the command line names."""
    args = parse_arguments()
    engine = load_engine(EngineChoice(args.model, args.weights, threads=args.threads))
    options = SessionOptions(**dict(args.option))
    clips = [hide_object(read_clip(args.folder / name), args.seconds) for name in args.clips]
    print_head('policy', 'found', 'after seconds', 'hidden frames with a mask', 'J after')
    for policy in args.policy:
        trackers = [SessionTracker(engine, make_policy(policy), options) for _ in clips]
        runs = [track_clip(tracker, clip, 'mask') for tracker, clip in zip(trackers, clips)]
        print_returns(policy, [return_of(*run) for run in zip(clips, runs)])


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path, help='folder of clips: NAME/rgb, NAME/masks')
    parser.add_argument('--clips', type=words, required=True, help='names, with commas')
    parser.add_argument('--policy', type=words, default=list(POLICIES))
    parser.add_argument('--seconds', type=float, default=1.0, help='that the object is hidden')
    parser.add_argument('--option', type=option, action='append', default=[], help='name=value')
    parser.add_argument('--model', default=EngineChoice.model)
    parser.add_argument('--weights', default='')
    parser.add_argument('--threads', type=int, default=0)
    return parser.parse_args()


if __name__ == '__main__':
    main()
