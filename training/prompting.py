"""Draw prompts from true masks as users give them: masks, loose boxes, clicks, corrections."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tam_ros.model.network import PromptTensors
from tam_ros.prompts import BACKGROUND, BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, OBJECT
from tam_ros.tracker.decoding import FORMER_LOGIT_LIMIT

PromptKind = Literal['mask', 'box', 'click']
BOX_JITTER = 0.1  # of a box's side, as SAM 2 trains


def draw_box(masks: Tensor, generator: torch.Generator) -> PromptTensors:
    """Return box prompts around (N, S, S) bool masks, each corner shifted a little at random."""
    count, side = len(masks), masks.shape[-1]
    columns, rows = masks.any(1).float(), masks.any(2).float()  # N, S
    low = torch.stack([columns.argmax(1), rows.argmax(1)], -1)  # N, 2
    high = side - torch.stack([columns.flip(1).argmax(1), rows.flip(1).argmax(1)], -1)
    corners = torch.stack([low, high], 1).float()  # N, 2, 2
    noise = torch.rand(corners.shape, generator=generator).to(masks.device) * 2 - 1
    corners = corners + noise * BOX_JITTER * (high - low)[:, None]
    labels = torch.tensor([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT], device=masks.device)
    return PromptTensors(corners.clamp(0, side - 1), labels.expand(count, -1), None, False)


def draw_click(masks: Tensor, generator: torch.Generator) -> PromptTensors:
    """Return one click inside each of (N, S, S) bool masks: near the middle, or anywhere."""
    score = masks.float()
    if torch.rand((), generator=generator) < 0.5:  # prefer points far from the border
        pool = masks.shape[-1] // 16 * 2 + 1
        score = score * F.avg_pool2d(score[:, None], pool, 1, pool // 2)[:, 0] ** 4
    points = _sample(score, generator)
    labels = torch.full((len(masks), 1), OBJECT, device=masks.device)
    return PromptTensors(points[:, None], labels, None, True)


def draw_correction(
    before: PromptTensors, answer: Tensor, masks: Tensor, generator: torch.Generator
) -> PromptTensors:
    """Add a click where an answer is wrong, and the answer itself to be refined.

    answer is (N, m, m) logits, masks (N, S, S) bool. Where nothing is wrong the click falls on
    the object.
    """
    predicted = F.interpolate(answer[:, None], masks.shape[-1:] * 2, mode='bilinear')[:, 0] > 0
    wrong = (predicted != masks).float()
    wrong = torch.where(wrong.flatten(1).any(1)[:, None, None], wrong, masks.float())
    points = _sample(wrong, generator)
    x, y = points.long().unbind(-1)
    inside = masks[torch.arange(len(masks), device=masks.device), y, x]
    labels = torch.where(inside, OBJECT, BACKGROUND)
    return PromptTensors(
        torch.cat([before.points_xy, points[:, None]], 1),
        torch.cat([before.labels, labels[:, None]], 1),
        answer.detach().clamp(-FORMER_LOGIT_LIMIT, FORMER_LOGIT_LIMIT)[:, None],
        False,
    )


def _sample(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Return (N, 2) x, y drawn from (N, S, S) weights; the middle where all are zero."""
    side = weights.shape[-1]
    # The largest of log(weight) + Gumbel noise is a draw in proportion to the weights.
    uniform = torch.rand(weights.shape, generator=generator).to(weights.device)
    gumbel = -(-uniform.clamp_min(1e-9).log()).log()
    best = (weights.clamp_min(1e-12).log() + gumbel).flatten(1).argmax(1)
    best = torch.where(weights.flatten(1).any(1), best, side * side // 2 + side // 2)
    return torch.stack([best % side, best.div(side, rounding_mode='floor')], -1).float()
