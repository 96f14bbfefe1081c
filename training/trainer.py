"""One process's share of a training run: the network, its optimiser, and one step of them."""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from tam_ros.model.edgetam import EdgeTAM
from training.checkpoints import Checkpoint
from training.distill import Teacher, distillation_loss
from training.prompting import PromptKind
from training.rollout import Batch, Choices, RolloutOptions, Trace, roll_out
from training.settings import Phase, Settings


@dataclass(frozen=True)
class Place:
    """Where a process runs."""

    rank: int = 0
    """Among the processes."""
    processes: int = 1
    """That share every step."""
    device: str = 'cpu'
    """As PyTorch names it."""
    bf16: bool = False
    """Whether precision is mixed."""
    workers: int = 1
    """Loader processes of its own."""


@dataclass(frozen=True)
class RunningMean:
    """An exponential mean of weights, for `AveragedModel`: fast at first, then as decay says."""

    decay: float
    """What of the mean stays in a step, in 0..1, once many weights have been averaged."""

    def __call__(self, means: list[Tensor], values: list[Tensor], averaged: Tensor | int) -> None:
        """Move means towards values of the same type, in place, when so many are averaged.

        What are no floating-point values, such as the counts of batch norm, are copied.
        """
        count = int(averaged)
        decay = min(self.decay, (1 + count) / (10 + count))
        for mean, value in zip(means, values):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


class Trainer:
    """One process's share of a training run: network, optimiser, average, and one step."""

    def __init__(self, settings: Settings, place: Place, teacher: Teacher | None = None):
        if teacher is not None and settings.distillation is None:
            raise ValueError('a teacher needs settings.distillation: how much its answers count')
        self.settings = settings
        self.place = place
        self.teacher = teacher
        torch.manual_seed(settings.seed)
        self.step = 0
        self.network = EdgeTAM(settings.model).to(place.device)
        self.average = AveragedModel(
            self.network, multi_avg_fn=RunningMean(settings.average_decay), use_buffers=True
        )
        self._count_averaged()
        self.optimizer = torch.optim.AdamW(_parameter_groups(self.network, settings), lr=1e-3)
        self._phase: Phase | None = None

    # -- state ------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """Return everything that a later run needs to go on."""
        return Checkpoint(
            step=self.step,
            model=self.settings.model,
            network=self.network.state_dict(),
            average=self.mean_weights(),
            optimizer=self.optimizer.state_dict(),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same model."""
        self.step = checkpoint.step
        self.network.load_state_dict(checkpoint.network)
        self.average.module.load_state_dict(checkpoint.average)
        self._count_averaged()
        self.optimizer.load_state_dict(checkpoint.optimizer)

    def begin_with(self, weights: dict[str, Tensor]) -> None:
        """Begin with weights of an earlier network; parts that it lacked stay fresh."""
        state = self.network.state_dict()
        self.network.load_state_dict({**state, **weights})
        self.average.module.load_state_dict(self.network.state_dict())

    def mean_weights(self) -> dict[str, Tensor]:
        """Return the running mean of the weights, by their names in the network."""
        return self.average.module.state_dict()

    def _count_averaged(self) -> None:
        """Count the weights before the first step among those that the mean is over."""
        self.average.n_averaged.fill_(self.step + 1)

    # -- one step ---------------------------------------------------------------------------

    def train_step(self, batch: Batch, place: float | None = None) -> Trace:
        """Do one optimiser step on a batch and return what its rollout judged.

        place: in the schedule, in steps of it; that of the next step by default.
        """
        phase, done = self.settings.at(self.step if place is None else place)
        self._enter(phase)
        start, end = phase.learning_rate
        for group in self.optimizer.param_groups:
            rate = _cosine(start, end, done) * group.get('rate', 1.0)
            group['lr'] = rate * min(1.0, (self.step + 1) / self.settings.warmup_steps)
        batch = Batch(*(x.to(self.place.device) for x in batch))
        generator = torch.Generator().manual_seed(
            (self.settings.seed * 1_000_003 + self.step) * 64 + self.place.rank
        )
        options = self._options(phase, done, generator)
        with torch.autocast(self.place.device.split(':')[0], torch.bfloat16, self.place.bf16):
            trace = roll_out(self._resized, batch, options, Choices(generator))
            loss = trace.loss
            if self.teacher is not None and self.settings.distillation is not None:
                loss = loss + distillation_loss(
                    self.teacher, trace, batch, self.settings.distillation
                )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._average_gradients()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)
        self.optimizer.step()
        self.step += 1
        self.average.update_parameters(self.network)
        return trace

    def _options(self, phase: Phase, done: float, generator) -> RolloutOptions:
        alone: dict[PromptKind, float] = {'box': 0.5, 'click': 0.5}
        kinds = self.settings.prompts if phase.frames > 1 else alone
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
        config = replace(self.settings.model, image_size=phase.side)
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


def _parameter_groups(network: EdgeTAM, settings: Settings) -> list[dict[str, Any]]:
    """Decay matrices and filters, not norms, biases and embeddings, nor a trunk kept slow."""
    slow = list(network.image_encoder.trunk.parameters()) if settings.trunk_rate != 1 else []
    held = set(map(id, slow))
    quick = [p for p in network.parameters() if id(p) not in held]
    matrices = [p for p in quick if p.ndim > 1 and p.shape[0] > 1]
    others = [p for p in quick if not (p.ndim > 1 and p.shape[0] > 1)]
    groups: list[dict[str, Any]] = [
        {'params': matrices, 'weight_decay': settings.weight_decay},
        {'params': others},  # with AdamW's own slight decay
        {'params': slow, 'weight_decay': 0.0, 'rate': settings.trunk_rate},
    ]
    return [group for group in groups if group['params']]


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
