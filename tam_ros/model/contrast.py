"""Prompt contrast: which cells look like what a prompt names, and not like what it leaves out.

A cue that EdgeTAM lacks and small networks need. How objects look differs more from picture to
picture than a small network can learn, but a prompt shows examples of its own: nearly all that
lies outside of a box is not the object, so what lies inside and looks the same hardly is either.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.layers import MapGains
from tam_ros.model.propagation import PLACE
from tam_ros.networks import EdgeTAMConfig

PRIOR_WIDTH = 16
MOST_EVIDENCE = 8.0  # log odds
LEAST_SEED = 1e-6  # of a cell: a prompt may leave no cell for one side
LEAST_LIKENESS = 1e-30
ITSELF = -1e4  # a cell's affinity to itself: it is no evidence of its own


class Seeds(NamedTuple):
    """What prompts say of each cell, as (B, cells) parts of 1.

    inside: the object may be there. objects, rest: examples of the object, and of what is not it.
    region: (B,) bool, whether more than clicks was given.
    """

    inside: Tensor
    objects: Tensor
    rest: Tensor
    region: Tensor


class PromptContrast(MapGains):
    """Compares stride-8 cells with the seeds of a prompt, by the keys of dense propagation."""

    def __init__(self, config: EdgeTAMConfig):
        super().__init__(1, config.model_dim, bias=False)
        # How sharply likeness and distance decide; distance counts in sizes of the prompt.
        self.log_sharpness = nn.Parameter(torch.tensor(10.0).log())
        self.log_nearness = nn.Parameter(torch.tensor(4.0).log())
        self.trust = nn.Parameter(torch.ones(2))  # with a region, and with clicks alone
        self.bias = nn.Parameter(torch.full((2,), -2.0))
        self.refine = nn.Sequential(
            nn.Conv2d(1 + config.model_dim // 8, PRIOR_WIDTH, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(PRIOR_WIDTH, 1, 3, padding=1),
        )

    def evidence(self, keys: Tensor, seeds: Seeds) -> Tensor:
        """Return (B, 1, 4h, 4h) log odds that a pixel is like the object rather than the rest.

        keys are the (1 or B, cells, match_dim) of dense propagation.
        """
        affinity = self._affinity(keys.float(), seeds.inside)  # B, cells, cells
        likeness = (affinity - affinity.detach().amax(2, keepdim=True)).exp()
        shares = torch.stack([_shares(seeds.objects), _shares(seeds.rest)], dim=2)
        objects, rest = (likeness @ shares).clamp_min(LEAST_LIKENESS).log().unbind(2)
        odds = (objects - rest).clamp(-MOST_EVIDENCE, MOST_EVIDENCE)  # B, cells
        side = round(keys.shape[1] ** 0.5)
        return F.interpolate(odds.unflatten(1, (1, side, side)), scale_factor=2.0, mode='bilinear')

    def prior(self, evidence: Tensor, seeds: Seeds, stride4: Tensor) -> Tensor:
        """Return (B, 1, 4h, 4h) mask logits from evidence and fine features.

        The decoder's answer is added to them.
        """
        stride4 = stride4.float()
        kind = (~seeds.region).long()
        trust, bias = (x[kind][:, None, None, None] for x in (self.trust, self.bias))
        stride4 = stride4.expand(evidence.shape[0], -1, -1, -1)
        fine = self.refine(torch.cat([evidence / MOST_EVIDENCE, stride4], dim=1))
        return trust * evidence + bias + fine

    def show(self, evidence: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the decoder's gains of (B, 1, 4h, 4h) evidence."""
        return self.gains(F.pixel_unshuffle(F.pixel_unshuffle(evidence / MOST_EVIDENCE, 2), 2))

    def _affinity(self, keys: Tensor, inside: Tensor) -> Tensor:
        """Return (B, cells, cells): s q.k - n |x - p|^2, up to a term of x alone.

        As in dense propagation, but distances are in sizes of what is prompted.
        """
        feature, place, _ = keys.split([keys.shape[-1] - PLACE, PLACE - 1, 1], dim=-1)
        area = 4 * inside.mean(1).clamp_min(LEAST_SEED)  # the image reaches from -1 to 1
        near = (self.log_nearness.exp() / area)[:, None, None]
        feature = (self.log_sharpness.exp() * feature).expand(near.shape[0], -1, -1)
        minus_near = -near.expand(-1, keys.shape[1], 1)
        query = torch.cat([feature, 2 * near * place, minus_near], dim=-1)
        itself = torch.eye(keys.shape[1], dtype=torch.bool, device=keys.device)
        return (query @ keys.transpose(1, 2)).float().masked_fill(itself, ITSELF)


def _shares(examples: Tensor) -> Tensor:
    """Return how much each of (B, cells) examples counts."""
    examples = examples + LEAST_SEED
    return examples / examples.sum(1, keepdim=True)
