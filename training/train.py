"""Train tam_nano or its teacher; resumable from the last checkpoint at any minute.

Usage: python -m training.train --assets DIR --videos DIR --run DIR [--rendered DIR] [--filmed DIR]
[--schedule cpu] [--processes 2] ... ; run again with the same --run to go on.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from tam_ros.model.edgetam import EdgeTAM
from training.checkpoints import Checkpoint, load_checkpoint, read_weights, save_checkpoint
from training.data import ClipDataset, ClipShape, Sources, batches
from training.distill import Teacher, distillation_loss
from training.log import Log
from training.material import open_material
from training.rollout import Batch, Choices, RolloutOptions, Trace, roll_out
from training.settings import (
    COMPARISON_PHASES,
    CPU_FILM_PHASES,
    CPU_MORE_PHASES,
    CPU_PHASES,
    CPU_PROMPT_PHASES,
    GPU_PHASES,
    SHAPES,
    Distillation,
    Phase,
    Settings,
    scale_steps,
)

SAVE_EVERY_S = 120.0
SCHEDULES = {
    'cpu': CPU_PHASES,
    'cpu_more': CPU_MORE_PHASES,
    'cpu_prompts': CPU_PROMPT_PHASES,
    'cpu_film': CPU_FILM_PHASES,
    'gpu': GPU_PHASES,
    'comparison': COMPARISON_PHASES,
}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a process runs: its rank among processes, device, precision and loader processes."""

    rank: int = 0
    processes: int = 1
    device: str = 'cpu'
    bf16: bool = False
    workers: int = 1


class Trainer:
    """One process's share of a training run: network, optimiser, average, and one step."""

    def __init__(self, settings: Settings, place: Place, teacher: Teacher | None = None):
        self.settings = settings
        self.place = place
        self.teacher = teacher
        torch.manual_seed(settings.seed)
        self.step = 0
        self.network = EdgeTAM(settings.model).to(place.device)
        self.average = EdgeTAM(settings.model).to(place.device)
        self.average.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            _decay_groups(self.network, settings.weight_decay), lr=1e-3
        )
        self._phase: Phase | None = None

    # -- state ------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """Return everything that a later run needs to go on."""
        return Checkpoint(
            step=self.step,
            model=self.settings.model,
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same model."""
        self.step = checkpoint.step
        self.network.load_state_dict(checkpoint.network)
        self.average.load_state_dict(checkpoint.average)
        self.optimizer.load_state_dict(checkpoint.optimizer)

    def begin_with(self, weights: dict[str, torch.Tensor]) -> None:
        """Begin with weights of an earlier network; parts that it lacked stay fresh."""
        state = self.network.state_dict()
        self.network.load_state_dict({**state, **weights})
        self.average.load_state_dict(self.network.state_dict())

    # -- one step ---------------------------------------------------------------------------

    def train_step(self, batch: Batch) -> Trace:
        """Do one optimiser step on a batch and return what its rollout judged."""
        phase, done = self.settings.at(self.step)
        self._enter(phase)
        start, end = phase.learning_rate
        for group in self.optimizer.param_groups:
            group['lr'] = _cosine(start, end, done) * min(
                1.0, (self.step + 1) / self.settings.warmup_steps
            )
        batch = Batch(*(x.to(self.place.device) for x in batch))
        generator = torch.Generator().manual_seed(
            (self.settings.seed * 1_000_003 + self.step) * 64 + self.place.rank
        )
        options = self._options(phase, done, generator)
        with torch.autocast(self.place.device.split(':')[0], torch.bfloat16, self.place.bf16):
            trace = roll_out(self._resized, batch, options, Choices(generator))
            loss = trace.loss
            if self.teacher is not None:
                loss = loss + distillation_loss(
                    self.teacher, trace, batch, self.settings.distillation
                )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._average_gradients()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return trace

    def _options(self, phase: Phase, done: float, generator) -> RolloutOptions:
        kinds = self.settings.prompts if phase.frames > 1 else {'box': 0.5, 'click': 0.5}
        weights = torch.tensor(list(kinds.values()))
        kind = list(kinds)[int(torch.multinomial(weights, 1, generator=generator))]
        start, end = phase.true_memory
        return RolloutOptions(
            kind=kind,
            corrections=self._corrections(phase, generator),
            late_correction=0.05,
            true_first=self.settings.true_first,
            true_memory=start + (end - start) * done,
        )

    def _corrections(self, phase: Phase, generator) -> int:
        """Draw how often the prompted frame is corrected."""
        if phase.frames == 1:
            return int(torch.randint(3, (), generator=generator))
        return int(torch.rand((), generator=generator) < 0.2)

    def _enter(self, phase: Phase) -> None:
        """Prepare the network for a phase: its image size, and what is frozen."""
        if phase is self._phase:
            return
        self._phase = phase
        config = dataclasses.replace(self.settings.model, image_size=phase.side)
        resized = EdgeTAM(config).to(self.place.device)
        _share_parameters(self.network, resized)
        resized.precompute()
        resized.train()
        self.network.image_encoder.requires_grad_(not phase.freeze_encoder)
        if phase.freeze_encoder:
            resized.image_encoder.eval()
        self._resized = resized

    def _average_gradients(self) -> None:
        """Give every process the mean of all processes' gradients."""
        if self.place.processes == 1:
            return
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.flatten() for g in grads])
        dist.all_reduce(flat)
        flat /= self.place.processes
        for parameter, mean in zip(parameters, flat.split([g.numel() for g in grads])):
            parameter.grad = mean.view_as(parameter)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Follow the weights by an exponential mean, fast at first; copy batch norm's counts."""
        decay = min(self.settings.average_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(
            self.average.state_dict().values(), self.network.state_dict().values()
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def _decay_groups(network: nn.Module, weight_decay: float) -> list[dict]:
    """Decay matrices and filters, not norms, biases and embeddings."""
    matrices = [p for p in network.parameters() if p.ndim > 1 and p.shape[0] > 1]
    others = [p for p in network.parameters() if not (p.ndim > 1 and p.shape[0] > 1)]
    return [{'params': matrices, 'weight_decay': weight_decay}, {'params': others}]


def _share_parameters(source: nn.Module, target: nn.Module) -> None:
    """Make the target use the source's parameters and persistent buffers themselves."""
    for name, module in target.named_modules():
        owner = source.get_submodule(name)
        module._parameters = owner._parameters
        for key, buffer in owner._buffers.items():
            if key not in owner._non_persistent_buffers_set:
                module._buffers[key] = buffer


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * done)).item())


# -- a whole run ------------------------------------------------------------------------------


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
    log = Log(args.run, settings.steps, trainer.step) if rank == 0 else None
    train(trainer, sources, log, save_to=path, seconds=60 * args.minutes)


def train(trainer: Trainer, sources: Sources, log, *, save_to: Path, seconds: float) -> None:
    """Go through the phases from where the trainer stands."""
    started = saved = time.monotonic()
    while trainer.step < trainer.settings.steps:
        for batch in _phase_batches(trainer, sources):
            trace = trainer.train_step(batch)
            now = time.monotonic()
            over = _agree(trainer.place, now - started > seconds)
            if log is not None:
                log.add(trainer.step, trainer.settings.at(trainer.step - 1)[0].name, trace)
                if now - saved > SAVE_EVERY_S or over:
                    save_checkpoint(save_to, trainer.checkpoint())
                    saved = now
            if over:
                return
    if log is not None:
        save_checkpoint(save_to, trainer.checkpoint())


def _agree(place: Place, over: bool) -> bool:
    """Return whether the first process says that time is over."""
    if place.processes == 1:
        return over
    flag = torch.tensor(float(over))
    dist.broadcast(flag, 0)
    return bool(flag)


def _phase_batches(trainer: Trainer, sources: Sources) -> Iterable[Batch]:
    """Yield the rest of the present phase's batches for this process."""
    settings, place = trainer.settings, trainer.place
    phase, _ = settings.at(trainer.step)
    before = sum(p.steps for p in settings.phases[: settings.phases.index(phase)])
    shape = ClipShape(
        phase.frames, phase.side, phase.objects, phase.rendered, filmed_share=phase.filmed
    )
    dataset = ClipDataset(sources, shape, settings.seed)
    numbers = [
        (step * place.processes + place.rank) * phase.clips + i
        for step in range(trainer.step, before + phase.steps)
        for i in range(phase.clips)
    ]
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
    return Settings(model, phases, seed=args.seed, distillation=distillation)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--assets', type=Path, required=True, help='photos/ and cutouts/')
    parser.add_argument('--videos', type=Path, help='folder of .mp4 files, as backgrounds')
    parser.add_argument('--rendered', type=Path, help='clips of training.render')
    parser.add_argument('--filmed', type=Path, help='clips of training.film')
    parser.add_argument('--cache', type=Path, help='keeps reduced video frames')
    parser.add_argument('--run', type=Path, required=True, help='checkpoint, log and curves')
    parser.add_argument('--model', default='tam_nano', choices=list(SHAPES))
    parser.add_argument('--latents', type=int, nargs=2, metavar=('GLOBAL', 'GRID'))
    parser.add_argument('--schedule', default='cpu', choices=list(SCHEDULES))
    parser.add_argument('--scale', type=float, default=1.0, help='multiplies all steps')
    parser.add_argument('--minutes', type=float, default=1e9, help='stop, resumable, after these')
    parser.add_argument('--start-from', type=Path, help='checkpoint or weights to begin with')
    parser.add_argument('--teacher', type=Path, help='checkpoint or weights to distil from')
    parser.add_argument('--distill', type=float, nargs=2, default=(1.0, 1.0))
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--bf16', action='store_true', help='mixed precision')
    parser.add_argument('--processes', type=int, default=1, help='share every step (CPU)')
    parser.add_argument('--threads', type=int, default=1, help='per process')
    parser.add_argument('--workers', type=int, default=1, help='loader processes of each process')
    parser.add_argument('--port', type=int, default=29533)
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args(arguments)


def main() -> None:
    """Train in as many processes as asked for."""
    args = parse()
    args.run.mkdir(parents=True, exist_ok=True)
    if args.processes == 1:
        run(0, args)
    else:
        mp.spawn(run, (args,), args.processes)


if __name__ == '__main__':
    main()
