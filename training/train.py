"""Train tam_nano or its teacher; resumable from the last checkpoint at any minute.

Usage: python -m training.train --assets DIR --videos DIR --run DIR [--rendered DIR] [--filmed DIR]
[--schedule cpu] [--processes 2] ... ; run again with the same --run to go on.
"""

import argparse
import dataclasses
import itertools
import math
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tam_ros.engine.base import EngineError
from tam_ros.engine.torch_engine import check_device
from tam_ros.model.checkpoint import CheckpointError
from training.checkpoints import export_weights, load_checkpoint, read_weights, save_checkpoint
from training.data import ClipDataset, ClipShape, Sources, batches
from training.distill import Teacher
from training.log import Log
from training.material import open_material
from training.rollout import Batch
from training.settings import (
    COMPARISON_PHASES,
    CPU_FILM_PHASES,
    CPU_LITE0_PHASES,
    CPU_MORE_PHASES,
    CPU_PHASES,
    CPU_PROMPT_PHASES,
    GPU_LITE0_PHASES,
    GPU_PHASES,
    SHAPES,
    TRAINED_COMPARISON_PHASES,
    Distillation,
    Phase,
    Settings,
    scale_steps,
)
from training.trainer import Place, Trainer

SAVE_EVERY_S = 120.0
SCHEDULES = {
    'cpu': CPU_PHASES,
    'cpu_more': CPU_MORE_PHASES,
    'cpu_prompts': CPU_PROMPT_PHASES,
    'cpu_film': CPU_FILM_PHASES,
    'cpu_lite0': CPU_LITE0_PHASES,
    'gpu': GPU_PHASES,
    'gpu_lite0': GPU_LITE0_PHASES,
    'comparison': COMPARISON_PHASES,
    'trained_comparison': TRAINED_COMPARISON_PHASES,
}


def run(rank: int, args: argparse.Namespace) -> None:
    """Train in one process until the schedule, or the time allowed, is over."""
    torch.set_num_threads(args.threads)
    if args.processes > 1:
        store = f'tcp://127.0.0.1:{args.port}'
        dist.init_process_group('gloo', store, rank=rank, world_size=args.processes)
    place = Place(rank, args.processes, args.device, args.bf16, args.workers)
    settings = make_settings(args)
    teacher = Teacher(args.teacher, args.device) if args.teacher else None
    trainer = Trainer(settings, place, teacher)
    path = args.run / 'checkpoint.pt'
    if path.exists():
        trainer.restore(load_checkpoint(path))
    elif args.start_from:
        trainer.begin_with(read_weights(args.start_from))
    sources = Sources(
        open_material(args.assets, args.videos, args.cache),
        rendered=sorted(args.rendered.glob('*.npz')) if args.rendered else [],
        filmed=sorted(args.filmed.glob('*.npz')) if args.filmed else [],
    )
    log = None
    if rank == 0:
        log = Log(args.run, None if args.by_time else settings.steps, trainer.step)
    pace = Pace(60 * args.minutes, args.by_time)
    train(trainer, sources, log, files=Files(path, args.export), pace=pace)


class Files(NamedTuple):
    """What is written every two minutes: the checkpoint to go on from, and if asked for a folder
    that holds the mean weights in half precision, and the log."""

    checkpoint: Path
    export: Path | None = None


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long a run may take, and whether its schedule is stretched to just that."""

    seconds: float
    """After which the run ends."""
    by_time: bool = False
    """Whether steps of the schedule are parts of the time: then the last phase ends with it,
    however many real steps there were."""

    def place(self, trainer: Trainer, gone: float) -> float:
        """Return where in the schedule a run is after so many seconds, in steps."""
        return trainer.settings.steps * gone / self.seconds if self.by_time else trainer.step


def train(trainer: Trainer, sources: Sources, log, *, files: Files, pace: Pace) -> None:
    """Go through the phases from where the trainer stands."""
    settings = trainer.settings
    started = saved = time.monotonic()
    place = pace.place(trainer, 0.0)
    while place < settings.steps:
        phase, _ = settings.at(place)
        for batch in _phase_batches(trainer, phase, sources, endless=pace.by_time):
            place = pace.place(trainer, time.monotonic() - started)
            if settings.at(place)[0] is not phase or place >= settings.steps:
                break
            trace = trainer.train_step(batch, place)
            now = time.monotonic()
            over = _agree(trainer.place, now - started > pace.seconds)
            if log is not None:
                log.add(trainer.step, phase.name, trace)
                if now - saved > SAVE_EVERY_S or over:
                    _save(trainer, files)
                    saved = now
            if over:
                return
        place = pace.place(trainer, time.monotonic() - started)
    if log is not None:
        _save(trainer, files)


def _save(trainer: Trainer, files: Files) -> None:
    save_checkpoint(files.checkpoint, trainer.checkpoint())
    if files.export is not None:
        export_weights(trainer.mean_weights(), files.export / 'weights.safetensors')
        shutil.copy(files.checkpoint.with_name('log.jsonl'), files.export)


def _agree(place: Place, over: bool) -> bool:
    """Return whether the first process says that time is over."""
    if place.processes == 1:
        return over
    flag = torch.tensor(float(over))
    dist.broadcast(flag, 0)
    return bool(flag)


def _phase_batches(
    trainer: Trainer, phase: Phase, sources: Sources, *, endless: bool
) -> Iterable[Batch]:
    """Yield the rest of a phase's batches for this process, or ever more of them."""
    settings, place = trainer.settings, trainer.place
    shape = ClipShape(
        phase.frames, phase.side, phase.objects, phase.rendered, filmed_share=phase.filmed
    )
    dataset = ClipDataset(sources, shape, settings.seed)
    steps = itertools.count(trainer.step) if endless else settings.rest(trainer.step)
    numbers = (
        (step * place.processes + place.rank) * phase.clips + i
        for step in steps
        for i in range(phase.clips)
    )
    return batches(dataset, numbers, clips=phase.clips, workers=place.workers)


def make_settings(args: argparse.Namespace) -> Settings:
    """Return the settings that the command line asks for."""
    model = SHAPES[args.model]
    if args.latents:
        model = dataclasses.replace(
            model, global_latents=args.latents[0], grid_latents=args.latents[1]
        )
    phases = scale_steps(SCHEDULES[args.schedule], args.scale)
    distillation = Distillation(*args.distill) if args.teacher else None
    return Settings(
        model, phases, seed=args.seed, distillation=distillation, trunk_rate=args.trunk_rate
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--assets', type=Path, required=True, help='photos/ and cutouts/')
    parser.add_argument('--videos', type=Path, help='folder of .mp4 files, as backgrounds')
    parser.add_argument('--rendered', type=Path, help='clips of training.render')
    parser.add_argument('--filmed', type=Path, help='clips of training.film')
    parser.add_argument('--cache', type=Path, help='keeps reduced video frames')
    parser.add_argument('--run', type=Path, required=True, help='checkpoint, log and curves')
    parser.add_argument('--export', type=Path, help='folder for half-precision weights as well')
    parser.add_argument('--model', default='tam_nano', choices=list(SHAPES))
    parser.add_argument('--trunk-rate', type=float, default=1.0, help="of the others' rate")
    parser.add_argument('--latents', type=int, nargs=2, metavar=('GLOBAL', 'GRID'))
    parser.add_argument('--schedule', default='cpu', choices=list(SCHEDULES))
    parser.add_argument('--scale', type=float, default=1.0, help='multiplies all steps')
    parser.add_argument(
        '--minutes', type=float, default=math.inf, help='stop, resumable, after these'
    )
    parser.add_argument(
        '--by-time', action='store_true', help='stretch the schedule to just these minutes'
    )
    parser.add_argument('--start-from', type=Path, help='checkpoint or weights to begin with')
    parser.add_argument('--teacher', type=Path, help='checkpoint or weights to distil from')
    parser.add_argument('--distill', type=float, nargs=2, default=(1.0, 1.0))
    parser.add_argument('--seed', type=int, default=0)
    _add_place(parser)
    args = parser.parse_args(arguments)
    if args.by_time and (args.processes > 1 or math.isinf(args.minutes)):
        parser.error('--by-time needs --minutes, and is for one process')
    try:
        check_device(args.device)
        if args.start_from:
            read_weights(args.start_from)
    except (EngineError, CheckpointError, OSError) as error:
        parser.error(str(error))
    return args


def _add_place(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group('where it runs').add_argument
    add('--device', default='cpu')
    add('--bf16', action='store_true', help='mixed precision')
    add('--processes', type=int, default=1, help='share every step (CPU)')
    add('--threads', type=int, default=1, help='per process')
    add('--workers', type=int, default=1, help='loader processes of each process')
    add('--port', type=int, default=29533)


def main() -> None:
    """Train in as many processes as asked for."""
    args = parse()
    for folder in filter(None, (args.run, args.export)):
        folder.mkdir(parents=True, exist_ok=True)
    if args.processes == 1:
        run(0, args)
    else:
        mp.spawn(run, (args,), args.processes)


if __name__ == '__main__':
    main()
