"""Scaled dot-product attention, by what is fastest where it runs."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tam_ros.model.layers import is_inference_on_cpu

SCORES_AT_A_TIME = 2**22  # so many stay in the processor's cache


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attend (..., Nq, D) queries to (..., Nk, D) keys and return (..., Nq, C) of C-wide values.

    mask: broadcastable to (..., Nq, Nk), True where a key may be seen, or added to the scores.

    PyTorch's fused kernel for CPUs is no faster in bfloat16 than in float32, and takes values as
    wide as the keys only. There, products with a softmax between are faster.
    """
    fused_is_slow = q.dtype == torch.bfloat16 or v.shape[-1] < q.shape[-1]
    if fused_is_slow and is_inference_on_cpu(q):
        return _attend_in_parts(q, k, v, mask)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _attend_in_parts(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attend a few heads, or some queries of one head, at a time, always in the same memory.

    The system would fill fresh memory for each part's scores with zeros first.
    """
    shape = (*q.shape[:-1], v.shape[-1])
    if mask is not None:
        mask = mask.expand(*q.shape[:-1], k.shape[-2]).flatten(0, -3)
    q, k, v = (q * q.shape[-1] ** -0.5).flatten(0, -3), k.flatten(0, -3), v.flatten(0, -3)
    (heads, queries, _), keys = q.shape, k.shape[1]
    rows = max(1, min(queries, SCORES_AT_A_TIME // keys))
    together = max(1, SCORES_AT_A_TIME // (queries * keys))
    scores = q.new_empty(min(heads, together) * rows * keys)
    weights = torch.empty_like(scores)
    attended = q.new_empty(heads, queries, v.shape[-1])
    for head in range(0, heads, together):
        some = slice(head, head + together)
        for row in range(0, queries, rows):
            part = q[some, row : row + rows]
            size = part.shape[0] * part.shape[1] * keys
            score, weight = (x[:size].view(*part.shape[:2], keys) for x in (scores, weights))
            torch.bmm(part, k[some].transpose(1, 2), out=score)
            if mask is not None:
                _apply(mask[some, row : row + rows], score)
            torch.softmax(score, -1, out=weight)
            attended[some, row : row + rows] = torch.bmm(weight, v[some])
    return attended.view(shape)


def _apply(mask: Tensor, scores: Tensor) -> None:
    if mask.dtype == torch.bool:
        scores.masked_fill_(~mask, -math.inf)
    else:
        scores.add_(mask)
