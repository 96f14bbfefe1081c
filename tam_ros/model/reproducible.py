"""Reproducible weights that need no download: every value follows from its name in the checkpoint.

They make every machine compute the same numbers, which is what tests and benchmarks need.
A network with them has learned nothing: its masks mean nothing.
"""

import math
import zlib

import numpy as np
import torch
from torch import Tensor, nn

SEED_STRIDE = 7919  # between the streams of a name


def reproducible_state_dict(model: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Return a value for every entry of the model's state dict, lively enough to show mistakes.

    seed: other values for another one.
    """
    state = model.state_dict()
    return {key: torch.from_numpy(_value(key, tuple(v.shape), seed)) for key, v in state.items()}


@torch.no_grad()
def soften_attention(model: nn.Module) -> None:
    """Make every attention sixteen times softer, in place.

    With the plain reproducible weights tracking is chaotic: a rounding error grows a hundredfold
    a frame. Softened it stays, so that many frames can be compared.
    """
    for key, value in model.named_parameters():
        if 'q_proj' in key or 'k_proj' in key:
            value /= 4


def _value(key: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    if key.endswith('num_batches_tracked'):
        return np.zeros(shape, np.int64)
    stream = np.random.RandomState((zlib.crc32(key.encode()) + SEED_STRIDE * seed) % 2**32)
    normal, uniform = stream.standard_normal(shape), stream.random_sample(shape)
    value = np.asarray(_shaped(key, normal, uniform), np.float64)
    if key == 'sam_mask_decoder.pred_obj_score_head.layers.2.bias':
        value = value + 5  # objects count as present
    return value.astype(np.float32)


def _shaped(key: str, normal: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Scale a normal and a uniform sample to what suits an entry of this name."""
    if key.endswith(('running_var', 'bn.weight')):
        in_residual = 'token_mixer' in key or ('conv2.bn.weight' in key and 'stem' not in key)
        damped = in_residual and key.endswith('weight')
        return (0.5 + uniform) * (0.25 if damped else 1.0)
    if key.endswith(('running_mean', 'bias')):
        return 0.1 * normal
    if key.endswith('gamma'):
        return 0.3 * normal
    if key.endswith('gaussian_matrix'):
        return normal
    if normal.ndim == 1:  # scales of norms
        return 1 + 0.1 * normal
    return normal * _spread(key, normal.shape)


def _spread(key: str, shape: tuple[int, ...]) -> float:
    """Return the standard deviation of a weight matrix or an embedding."""
    if 'pos_embed' in key:
        return 0.1
    if not key.endswith('weight') or 'embed' in key or 'token' in key:
        return 0.5
    sharp = key.startswith('memory_attention') and ('q_proj' in key or 'k_proj' in key)
    return (4 if sharp else 1) / math.sqrt(math.prod(shape[1:]))
