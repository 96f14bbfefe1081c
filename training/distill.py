"""Distillation (EdgeTAM paper, section 3.3): pull the student's features to a teacher's."""

import dataclasses
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tam_ros.model.edgetam import EdgeTAM
from training.checkpoints import read_model
from training.rollout import Batch, Choices, Trace, roll_out
from training.settings import Distillation


class Teacher:
    """A trained network that shows its features for the student's batches."""

    def __init__(self, path: Path, device: str):
        self._config, self._weights = read_model(path)
        self._device = device
        self._networks: dict[int, EdgeTAM] = {}

    @torch.no_grad()
    def show(self, batch: Batch, student: Trace) -> Trace:
        """Roll the teacher out over the batch with the prompts that the student had."""
        network = self._network(batch.images.shape[-1])
        return roll_out(network, batch, student.options, Choices(again=student.choices))

    def _network(self, side: int) -> EdgeTAM:
        if side not in self._networks:
            network = EdgeTAM(dataclasses.replace(self._config, image_size=side))
            network.load_state_dict(self._weights)
            network = network.to(self._device).eval().requires_grad_(False)
            network.precompute()
            self._networks = {side: network}
        return self._networks[side]


def distillation_loss(
    teacher: Teacher, trace: Trace, batch: Batch, weights: Distillation
) -> Tensor:
    """Return the weighted squared differences of image features and of attended features."""
    shown = teacher.show(batch, trace)
    loss = weights.image * F.mse_loss(trace.tops, shown.tops)
    if trace.attended and weights.memory:
        pairs = zip(trace.attended, shown.attended)
        loss = loss + weights.memory * torch.stack([F.mse_loss(a, b) for a, b in pairs]).mean()
    return loss
