"""Track objects in every frame of a video, a folder of images or a rosbag2 bag, without ROS.

Writes an overlay video, masks as indexed PNGs, COCO's JSON, a table, a page of pictures, and for
a bag one with the result topics. Started again, the same command goes on where it stopped.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from tam_ros.engine.arguments import add_engine_arguments, engine_choice, refuse
from tam_ros.engine.load import load_engine
from tam_ros.offline.bag_source import is_bag, open_bag
from tam_ros.offline.file_tracker import FileTracker
from tam_ros.offline.interruption import Interruption
from tam_ros.offline.journal import Identity
from tam_ros.offline.plan import Plan
from tam_ros.offline.prompt_files import Given, prompts_of_options, read_prompt_file
from tam_ros.offline.recording import Recording, open_files
from tam_ros.offline.results import Results
from tam_ros.offline.run import Outcome, Run
from tam_ros.offline.search_options import add_search_arguments, search_of_arguments
from tam_ros.paths import user_path
from tam_ros.rgbd_folder import HIGHEST_RATE_HZ
from tam_ros.tracker.memory_options import MemoryOptions
from tam_ros.tracker.policies import POLICIES, make_policy
from tam_ros.weights import DownloadError

MOST_WARNINGS = 5  # that are printed


def main(arguments: Sequence[str] | None = None) -> int:
    """Track in what the command line names; return the exit status."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    try:
        return track_file(args)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    except (ValueError, OSError, DownloadError) as error:
        refuse(parser, error)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='track_file', description=__doc__)
    add = parser.add_argument
    add('recording', type=user_path, help='video, image, folder of images, or rosbag2 bag')
    add('--out', type=user_path, required=True, help='folder for results; its own for each run')
    for kind, form, what in (
        ('box', 'X0,Y0,X1,Y1', 'box around an object'),
        ('click', 'X,Y', 'point on an object'),
        ('mask', 'FILE', 'image whose pixels n are object n'),
    ):
        add(
            f'--{kind}',
            dest='given',
            action='append',
            default=[],
            metavar=form,
            type=partial(_given, kind),
            help=f'{what} in the first frame; several may be given',
        )
    add('--prompts', type=user_path, help='JSON file of prompts and searches, for any frame')
    add('--topic', default='', help="of a bag's images (default: the only one)")
    add('--rate', type=_rate_hz, default=0.0, help="frames per second (default: a video's own)")
    add('--restart', action='store_true', help='begin anew, without what is in --out')
    add('--policy', default=MemoryOptions.memory_policy, choices=tuple(POLICIES), help='of memory')
    add_search_arguments(parser)
    add_engine_arguments(parser)
    return parser


def _given(kind: str, text: str) -> Given:
    return kind, text


def _rate_hz(text: str) -> float:
    try:
        if 0 < float(text) <= HIGHEST_RATE_HZ:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f'{text} is no rate: use up to {HIGHEST_RATE_HZ:g} Hz')


def track_file(args: argparse.Namespace) -> int:
    """Track as the options say; return the exit status.

    Raises ValueError, OSError or DownloadError for what cannot be done, before anything is.
    """
    warnings = _Warnings()
    recording = open_recording(args, warnings)
    plan = read_plan(args)
    first = recording.first()
    plan.check(first.size_wh, recording.count if recording.is_counted else None)
    memory = MemoryOptions(plan.max_objects, memory_policy=args.policy)
    _check_room(memory)
    engine = load_engine(engine_choice(args))  # before anything that is there is changed
    identity = _identity(args, recording, first.size_wh)
    with Results(args.out, recording, identity, restart=args.restart) as results:
        run = Run(recording, plan, results)
        if _is_done(run.what_holds(), results):
            return 0
        with Interruption() as interruption:
            check = interruption.check
            tracker = FileTracker(engine, memory, say=tqdm.write, check=check)
            outcome = run.go(tracker, interruption)
    warnings.summarise()
    return report(outcome, recording, args.out)


def _is_done(holding: int, results: Results) -> bool:
    """Forget the frames that hold no more; say what is kept, and return whether that is all.

    holding: frames whose prompts are as they were.
    """
    done = len(results.journal)
    if holding < done:
        print(f'prompts have changed: of {done} frames that were done, {holding} are kept')
        results.keep(holding)
    if results.journal.is_complete:
        print(f'all {done} frames are done: {results.folder}')
    elif holding:
        print(
            f'going on after {holding} frames: objects are known by their prompts and last masks, '
            'so results may differ a little from those without a stop'
        )
    return results.journal.is_complete


def open_recording(args: argparse.Namespace, warn: '_Warnings') -> Recording:
    """Open what the command line names; raises SourceError, or ValueError for its options."""
    if is_bag(args.recording):
        if args.rate:
            raise ValueError('--rate is for videos and images: a bag has its own times')
        return open_bag(args.recording, args.topic, warn=warn)
    if args.topic:
        raise ValueError(f'--topic {args.topic}: {args.recording} is no bag')
    return open_files(args.recording, rate_hz=args.rate)


def read_plan(args: argparse.Namespace) -> Plan:
    """Return what the command line asks to track; raises PromptError or SourceError."""
    search = search_of_arguments(args)
    is_prompted = bool(args.prompts) + bool(args.given)
    if is_prompted > 1 or not (is_prompted or search):
        raise ValueError(
            'say what to track: give --box, --click and --mask, or else --prompts; or --discover'
        )
    planned = read_prompt_file(args.prompts) if args.prompts else prompts_of_options(args.given)
    if args.prompts and not planned:
        raise ValueError(f'{args.prompts} has no prompts')
    return Plan([*planned, search] if search else planned)


def _check_room(options: MemoryOptions) -> None:
    """Raise ValueError for more objects than the memory policy can follow."""
    most = make_policy(options.memory_policy).max_objects
    if most is not None and options.max_objects > most:
        raise ValueError(
            f'--policy {options.memory_policy} tracks at most {most} objects, asked for are '
            f'{options.max_objects}: use another, or fewer objects'
        )


def _identity(
    args: argparse.Namespace, recording: Recording, size_wh: tuple[int, int]
) -> Identity:
    """Return what must be the same for frames of two runs to belong together."""
    return {
        'recording': recording.path.resolve().name,
        'topic': recording.topic,
        'size_wh': size_wh,
        'rate': args.rate,
        'model': args.model,
        'weights': args.weights,
        'image_size': args.image_size,
        'policy': args.policy,
    }


def report(outcome: Outcome, recording: Recording, out: Path) -> int:
    """Say what there is, and why no more; return the exit status."""
    of_all = '' if recording.count is None else f' of {recording.count}'
    print(f'{outcome.done} frames are done: {out}')
    if outcome.failure:
        print(f'track_file: {outcome.failure}', file=sys.stderr)
        return 1
    if outcome.signal:
        print(f'stopped after {outcome.done}{of_all} frames: the same command goes on from there')
        return 128 + outcome.signal
    return 0


class _Warnings:
    """Prints the first warnings, and counts the rest."""

    def __init__(self) -> None:
        self._count = 0
        self._said: set[str] = set()

    def __call__(self, text: str) -> None:
        if text in self._said:
            return
        self._said.add(text)
        if len(self._said) <= MOST_WARNINGS:
            tqdm.write(text, file=sys.stderr)

    def summarise(self) -> None:
        """Say how many there were, where not all were printed."""
        if len(self._said) > MOST_WARNINGS:
            print(f'{len(self._said)} frames were left out', file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
