"""Track clips with ground truth, and score masks, boundaries, identity and speed.

Prompts are drawn from the truth of the frame in which an object first appears; then the tracker
is on its own. Prints a table; writes scores.json and a contact sheet for each clip.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tam_ros.engine.arguments import add_engine_arguments, engine_choice, refuse
from tam_ros.engine.base import Engine
from tam_ros.engine.load import load_engine
from tam_ros.evaluation.clips import DEFAULT_RATE_HZ, TruthClip, clip_names, read_clip
from tam_ros.evaluation.pictures import save_sheet
from tam_ros.evaluation.runs import Clock, stream_clip, track_clip
from tam_ros.evaluation.scores import ClipScore, score_clip
from tam_ros.evaluation.tables import format_table, scores_to_json
from tam_ros.evaluation.trackers import SessionTracker, Tracker, TruthTracker
from tam_ros.evaluation.truth_prompts import PROMPT_KINDS, PromptKind
from tam_ros.image_files import SourceError
from tam_ros.paths import make_folder, user_path
from tam_ros.tracker.continuity import AHEAD_S
from tam_ros.tracker.forecast import FORECAST_TIMES
from tam_ros.tracker.options import ROI_CHOICES, SessionOptions
from tam_ros.tracker.policies import POLICIES
from tam_ros.weights import DownloadError


@dataclass(frozen=True)
class Contender:
    """What is evaluated."""

    make: Callable[[TruthClip], Tracker]
    """Makes the tracker, anew for each clip."""
    prompt_kinds: Sequence[PromptKind] = PROMPT_KINDS
    """Kinds of prompts to give it, a run with each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate what the command line names; return the exit status."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    try:
        clips = read_clips(args)
        contenders = list_contenders(args)
        make_folder(args.out, 'set --out to a folder that can be written')
    except (ValueError, OSError, DownloadError) as error:
        refuse(parser, error)
    scores, failure = take_scores(evaluate(contenders, clips, args))
    if scores:
        report(scores, args.out)
    if failure:
        print(f'{parser.prog}: {failure}', file=sys.stderr)
    return 1 if failure else 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog='evaluate', description=__doc__)
    add = parser.add_argument
    add(
        'folder',
        type=user_path,
        help='of clips: NAME/rgb and NAME/masks with images (n = object n), or a DAVIS folder',
    )
    add('--clips', type=_words, default=[], help='names, with commas (default: all)')
    add_engine_arguments(parser)
    add('--policy', type=_words, default=['fifo'], help=f'of memory: {", ".join(POLICIES)}')
    add('--truth', action='store_true', help='evaluate the truth itself, for what delay costs')
    add('--prompts', type=_words, default=['mask'], help=f'of: {", ".join(PROMPT_KINDS)}')
    add('--max-frames', type=int, help='frames of each clip, at most')
    add('--every', type=int, default=1, help='take every k-th frame of a clip')
    add('--roi', default='off', choices=ROI_CHOICES, help='auto: windows around small objects')
    add('--fps', type=float, default=DEFAULT_RATE_HZ, help='frames per second of all clips')
    add(
        '--out',
        type=user_path,
        default=Path('evaluation'),
        help='folder for scores.json and sheets',
    )
    _add_streaming(parser)
    return parser


def _add_streaming(parser: argparse.ArgumentParser) -> None:
    live = parser.add_argument_group('streaming J&F: track again, against the clock')
    live.add_argument('--streaming', action='store_true', help='measure it')
    live.add_argument('--latency-ms', type=float, help='of each frame (default: as measured)')
    live.add_argument('--delay-ms', type=float, default=0.0, help='on top, of camera, transport')
    live.add_argument(
        '--keep-newest', action='store_true', help='while busy, let the newest frame wait'
    )
    live.add_argument(
        '--forecast', default='none', choices=FORECAST_TIMES, help='show where objects will be'
    )
    live.add_argument(
        '--forecast-ms', type=float, default=100.0, help='after the frame (fixed_ms)'
    )


def _words(text: str) -> list[str]:
    return text.split(',')


def list_contenders(args) -> list[Contender]:
    """Return the trackers that the command line asks for; raises ValueError or DownloadError."""
    check_choices(args)
    if args.truth:
        options = _session_options(args)
        return [Contender(lambda clip: TruthTracker(clip, options), args.prompts)]
    return session_contenders(load_engine(engine_choice(args)), args)


def session_contenders(engine: Engine, args) -> list[Contender]:
    """Return a session on an engine for each memory policy that the command line asks for."""
    options = _session_options(args)

    def make(policy: str) -> Callable[[TruthClip], Tracker]:
        name = f'{engine.spec.model}/{policy}'
        return lambda clip: SessionTracker(engine, POLICIES[policy](), options, name)

    return [Contender(make(policy), args.prompts) for policy in args.policy]


def _session_options(args) -> SessionOptions:
    return SessionOptions(roi=args.roi, forecast=args.forecast, forecast_ms=args.forecast_ms)


def check_choices(args) -> None:
    """Raise ValueError for prompts and policies that there are not."""
    _check_names('prompts', args.prompts, PROMPT_KINDS)
    _check_names('policy', args.policy, POLICIES)


def _check_names(option: str, names: Sequence[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f'--{option} {",".join(unknown)} is unknown: use {", ".join(known)}')


def check_times(args) -> None:
    """Raise ValueError for options of frames and times that mean nothing."""
    if args.every < 1 or not 0 < args.fps < math.inf:
        raise ValueError(f'--every {args.every} --fps {args.fps:g}: use 1 or more, and above 0')
    if args.every / args.fps > AHEAD_S:  # a session takes the next frames for odd ones
        raise ValueError(
            f'--every {args.every} --fps {args.fps:g}: frames are {args.every / args.fps:g} s '
            f'apart, use at most {AHEAD_S:g} s'
        )
    if args.max_frames is not None and args.max_frames < 3:
        raise ValueError(f'--max-frames {args.max_frames}: use 3 or more')
    for name in ('latency_ms', 'delay_ms', 'forecast_ms'):
        value = getattr(args, name)
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f'--{name.replace("_", "-")} {value:g}: use 0 or more')


def read_clips(args) -> list[TruthClip]:
    """Read the clips that are asked for; raises ValueError for what cannot be read."""
    check_times(args)
    present = clip_names(args.folder)
    if not present:
        raise ValueError(
            f'{args.folder} has no clips: NAME/rgb and NAME/masks, or as in DAVIS '
            'JPEGImages/480p/NAME and Annotations/480p/NAME'
        )
    missing = set(args.clips) - set(present)
    if missing:
        raise ValueError(f'no clips {sorted(missing)} in {args.folder}: there are {present}')
    return [
        read_clip(
            args.folder / name, every=args.every, max_frames=args.max_frames, rate_hz=args.fps
        )
        for name in args.clips or present
    ]


def evaluate(
    contenders: Sequence[Contender], clips: Sequence[TruthClip], args
) -> Iterator[ClipScore]:
    """Evaluate every contender on every clip; write the contact sheets."""
    args.out.mkdir(parents=True, exist_ok=True)
    for contender in contenders:
        for kind in contender.prompt_kinds:
            for clip in clips:
                yield evaluate_clip(contender.make, clip, kind, clock=_clock(args), out=args.out)


def take_scores(scores: Iterator[ClipScore]) -> tuple[list[ClipScore], str]:
    """Return the scores until a file cannot be read or written, and what failed, '' if nothing.

    What was measured in hours is not lost over an image.
    """
    taken: list[ClipScore] = []
    try:
        taken.extend(scores)
    except (SourceError, OSError) as error:
        return taken, str(error)
    return taken, ''


def evaluate_clip(
    make_tracker: Callable[[TruthClip], Tracker],
    clip: TruthClip,
    kind: PromptKind,
    *,
    clock: Clock | None = None,
    out: Path | None = None,
) -> ClipScore:
    """Track a clip and score it, with a clock once more against that.

    out: folder for contact sheets, if there are to be any.
    """
    tracked = track_clip(make_tracker(clip), clip, kind)
    score = score_clip(clip, tracked)
    if out:
        save_sheet(out / _file_name(clip, tracked.tracker, kind), clip, tracked)
    if clock is None:
        return score
    streamed = stream_clip(make_tracker(clip), clip, kind, clock)
    if out:
        save_sheet(out / _file_name(clip, tracked.tracker, kind, 'live'), clip, streamed)
    return replace(score, streamed=score_clip(clip, streamed))


def _clock(args) -> Clock | None:
    clock = Clock(args.latency_ms, args.delay_ms, args.keep_newest)
    return clock if args.streaming or clock != Clock() else None


def _file_name(clip: TruthClip, *parts: str) -> str:
    return '_'.join([clip.name, *parts]).replace('/', '_') + '.png'


def report(scores: Sequence[ClipScore], out: Path) -> None:
    """Print the table and write the scores."""
    print(format_table(scores))
    path = out / 'scores.json'
    path.write_text(json.dumps(scores_to_json(scores), indent=1))
    print(f'scores of every frame and contact sheets are in {out}', file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
