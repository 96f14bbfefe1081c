"""The losses of SAM 2 (arXiv 2408.00714, appendix D): focal, dice, IoU and presence logit.

SAM 2 weighs them 20, 1, 1 and 1, with a focal alpha of 0.25. From nothing and in small batches
that ends in empty masks: 160 steps stayed under an IoU of 0.05 where the weights here, which pull
harder towards objects, were at 0.13 and rising.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tam_ros.model.mask_decoder import DecoderOutput

FOCAL_WEIGHT, DICE_WEIGHT, IOU_WEIGHT, PRESENCE_WEIGHT = 5.0, 3.0, 1.0, 1.0
OTHERS_WEIGHT = 0.1  # of the candidates that are not the best: none of them may die out
# Of what dense propagation carried, and of the prior that follows: their features learn from the
# shortest way there is.
CARRIED_WEIGHT = 0.5
HINT_EPSILON = 1e-3


class Judged(NamedTuple):
    """The loss of N answers and what of them is reported."""

    loss: Tensor  # scalar
    iou: Tensor  # N: true IoU of the best candidate, where the object is present
    present: Tensor  # N bool


def judge(output: DecoderOutput, masks: Tensor, *, multimask: bool) -> Judged:
    """Compare candidates with (N, S, S) bool masks.

    With multimask the best of three candidates counts, otherwise the single one. Masks of
    objects that are absent cost nothing: there the presence logit alone is judged.
    """
    candidates = slice(1, 4) if multimask else slice(0, 1)
    logits, ious = output.logits[:, candidates].float(), output.ious[:, candidates].float()
    present = masks.flatten(1).any(1)
    logits = F.interpolate(logits, scale_factor=2.0, mode='bilinear', align_corners=False)
    target = F.adaptive_avg_pool2d(masks[:, None].float(), logits.shape[-1])  # N, 1, s, s
    mask_loss = FOCAL_WEIGHT * _focal(logits, target) + DICE_WEIGHT * _dice(logits, target)
    true_iou = _iou(logits > 0, target > 0.5)  # N, K
    best, rows = mask_loss.argmin(1), torch.arange(len(masks), device=masks.device)
    shaped = mask_loss[rows, best] + OTHERS_WEIGHT * mask_loss.mean(1)
    shaped = shaped + IOU_WEIGHT * (ious - true_iou).abs().mean(1)
    presence_loss = F.binary_cross_entropy_with_logits(
        output.presence_logit[:, 0].float(), present.float()
    )
    if output.prior is not None:
        shaped = shaped + CARRIED_WEIGHT * _carried_loss(output.prior, output.hints, masks)
    loss = (shaped * present).sum() / present.sum().clamp(min=1) + PRESENCE_WEIGHT * presence_loss
    return Judged(loss, true_iou[rows, best], present)


def _carried_loss(prior: Tensor, hints: Tensor | None, masks: Tensor) -> Tensor:
    """Return (N,) losses of the hints, if any, and of the prior, each judged like a mask."""
    logits = prior.float()
    if hints is not None:
        logits = torch.cat([hints.float().logit(eps=HINT_EPSILON), logits], dim=1)
    target = F.adaptive_avg_pool2d(masks[:, None].float(), logits.shape[-1])
    return (FOCAL_WEIGHT * _focal(logits, target) + DICE_WEIGHT * _dice(logits, target)).mean(1)


def _focal(logits: Tensor, target: Tensor, alpha: float = 0.5, gamma: float = 2.0) -> Tensor:
    """Return (N, K) sigmoid focal losses of (N, K, s, s) logits against soft targets."""
    target = target.expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
    difference = (logits.sigmoid() - target).abs()
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * difference**gamma * entropy).mean((2, 3))


def _dice(logits: Tensor, target: Tensor) -> Tensor:
    """Return (N, K) dice losses."""
    probability, target = logits.sigmoid().flatten(2), target.expand_as(logits).flatten(2)
    overlap = 2 * (probability * target).sum(2)
    return 1 - (overlap + 1) / (probability.sum(2) + target.sum(2) + 1)


def _iou(predicted: Tensor, target: Tensor) -> Tensor:
    intersection = (predicted & target).sum((2, 3))
    return intersection / (predicted | target).sum((2, 3)).clamp(min=1)
