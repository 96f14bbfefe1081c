"""What becomes of objects that a detector proposes: one track each, or more, or false ones.

    python benchmark/detections.py FOLDER [--clips bear,tennis] [--truth] [--seeds 3]
    [--latency 0.1,0.5] [--misses 0.2] [--false-alarms 0.2] [--option name=value]

The detector is the truth with faults (see `tam_ros.evaluation.detections`); FOLDER is as for
`evaluate`. With --truth, masks are true as well: what goes wrong then is the association's fault.
"""

import argparse
from pathlib import Path

import numpy as np
from arguments import option, words
from tables import print_head, print_row

from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.evaluation.clips import TruthClip, clip_names, read_clip
from tam_ros.evaluation.detections import Faults, Follow, follow_detections, simulate_detector
from tam_ros.evaluation.trackers import MAX_OBJECTS
from tam_ros.evaluation.truth_engine import TruthEngine
from tam_ros.tracker.options import DetectionOptions
from tam_ros.tracker.session import Session


def main() -> None:
    """Print a row for each clip."""
    args = parse_arguments()
    engine = None if args.truth else load_engine(EngineChoice(args.model, args.weights))
    means = ('tracks per object', 'switches', 'false, confirmed', 'covered', 'J')
    print_head('clip', 'objects', *means)
    for name in args.clips or clip_names(args.folder):
        clip = read_clip(args.folder / name)
        follows = [follow(clip, engine, seed, args) for seed in range(args.seeds)]
        print_follows(name, follows)


def follow(clip: TruthClip, engine, seed: int, args: argparse.Namespace) -> Follow:
    """Follow what a detector with one set of faults says of a clip."""
    faults = Faults(args.every, args.jitter, args.misses, args.false_alarms, args.latency, seed)
    session = Session(engine or TruthEngine(clip), max_objects=MAX_OBJECTS)
    options = DetectionOptions(**dict(args.option))
    return follow_detections(clip, session, options, simulate_detector(clip, faults))


def print_follows(name: str, follows: list[Follow]) -> None:
    """Print means over seeds."""

    def mean(values) -> float:
        return float(np.mean(list(values)))

    print_row(
        name,
        len(follows[0].owners),
        f'{mean(f.tracks_per_object for f in follows):.2f}',
        f'{mean(f.switches for f in follows):.1f}',
        f'{mean(len(f.false_confirmed) for f in follows):.1f}',
        f'{mean(f.covered for f in follows):.2f}',
        f'{mean(f.j for f in follows):.2f}',
    )


def parse_arguments() -> argparse.Namespace:
    """Return the options."""

    def pair(text: str) -> tuple[float, float]:
        low, high = map(float, text.split(','))
        return low, high

    faults = Faults()
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path, help='folder of clips: NAME/rgb, NAME/masks')
    parser.add_argument('--clips', type=words, help='names, with commas')
    parser.add_argument('--truth', action='store_true', help='with true masks')
    parser.add_argument('--model', default=EngineChoice.model)
    parser.add_argument('--weights', default='')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--every', type=int, default=faults.every, help='frames per message')
    parser.add_argument('--jitter', type=float, default=faults.jitter)
    parser.add_argument('--misses', type=float, default=faults.misses)
    parser.add_argument('--false-alarms', type=float, default=faults.false_alarms)
    parser.add_argument('--latency', type=pair, default=faults.latency_s, help='seconds: LOW,HIGH')
    parser.add_argument('--option', type=option, action='append', default=[], help='name=value')
    return parser.parse_args()


if __name__ == '__main__':
    main()
