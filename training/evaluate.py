"""What `tam_ros.evaluation` measures, beside trackers without a network, and calibration.

Run as `python -m training.evaluate DIR`, with the options of `ros2 run tam_ros evaluate`; see
--help. Writes curves of J and the calibration of predicted IoU and object score as well.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from tam_ros.engine.torch_engine import TorchEngine
from tam_ros.evaluation import command
from tam_ros.evaluation.clips import TruthClip
from tam_ros.evaluation.command import Contender
from tam_ros.evaluation.scores import ClipScore
from tam_ros.evaluation.tables import group_scores
from tam_ros.evaluation.trackers import Tracker
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.weights import DownloadError
from training.baselines import BoxTracker, available_baselines
from training.calibration import describe_calibration, records_of, save_calibration
from training.checkpoints import load_checkpoint
from training.curves import save_curves
from training.splits import SPLITS, clips_of


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate what the command line names."""
    parser = command.make_parser()
    parser.prog, parser.description = 'python -m training.evaluate', __doc__
    parser.add_argument(
        '--baselines',
        nargs='?',
        const='also',
        choices=('also', 'only'),
        help='evaluate trackers without a network, also or only',
    )
    parser.add_argument(
        '--runs',
        type=Path,
        nargs='+',
        default=[],
        help='evaluate these runs of training.train, each in its own shape, and no other network',
    )
    parser.add_argument('--split', choices=SPLITS, help='evaluate the clips of this split')
    args = parser.parse_args(arguments)
    try:
        if args.split:
            args.clips = clips_of(args.split, args.clips)
        clips = command.read_clips(args)
        contenders = list_contenders(args)
    except (ValueError, OSError, DownloadError) as error:
        parser.error(str(error))
    scores, failure = command.take_scores(command.evaluate(contenders, clips, args))
    if scores:
        command.report(scores, args.out)
        report_calibration(scores, args.out)
    for clip in clips:
        of_clip = [score for score in scores if score.clip == clip.name]
        if of_clip:
            save_curves(args.out / f'{clip.name}_j.png', of_clip)
    if failure:
        parser.error(failure)


def _anew(baseline: type[Tracker]) -> Callable[[TruthClip], Tracker]:
    return lambda clip: baseline()


def list_contenders(args) -> list[Contender]:
    """Return what to evaluate, baselines last, each with the prompts that it takes."""
    if args.runs:
        command.check_choices(args)
        engines = (
            load_run(run, image_size=args.image_size, threads=args.threads) for run in args.runs
        )
        networks = [c for engine in engines for c in command.session_contenders(engine, args)]
    else:
        networks = [] if args.baselines == 'only' else command.list_contenders(args)
    baselines = available_baselines() if args.baselines else []
    if baselines and BoxTracker not in baselines:
        print('no csrt baseline: it needs opencv-contrib-python')
    return networks + [
        Contender(
            _anew(baseline),
            [kind for kind in args.prompts if kind in baseline.prompt_kinds],
        )
        for baseline in baselines
    ]


def load_run(run: Path, *, image_size: int = 0, threads: int = 0) -> TorchEngine:
    """Return an engine with a run's mean weights, in the shape that it trains."""
    checkpoint = load_checkpoint(run / 'checkpoint.pt')
    side = image_size or checkpoint.model.image_size
    network = EdgeTAM(dataclasses.replace(checkpoint.model, image_size=side))
    network.load_state_dict(checkpoint.average)
    if threads:
        torch.set_num_threads(threads)
    return TorchEngine(network, model=run.name, weights=f'step {checkpoint.step}')


def report_calibration(scores: Sequence[ClipScore], out: Path) -> None:
    """Print how well each tracker that tells its confidence knows it, and draw that."""
    for (tracker, prompt), group in group_scores(scores).items():
        records = records_of(group)
        if records:
            print(f'{tracker}, {prompt}: {describe_calibration(records)}')
            path = out / f'calibration_{prompt}_{tracker.replace("/", "_")}.png'
            save_calibration(path, records, f'{tracker}, {prompt} prompts')


if __name__ == '__main__':
    main()
