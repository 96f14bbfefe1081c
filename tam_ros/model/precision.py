"""Compute in a narrower type than float32: what of a network may, and what may not."""

import torch
from torch import nn

from tam_ros.model.network import TrackingNetwork

# In float32 whatever is asked for: coordinates of prompts, and the matching of cues, whose keys
# and places are compared sharply.
WIDE_PARTS = ('sam_prompt_encoder', 'mask_downsample', 'propagation', 'prompt_maps', 'contrast')
WIDE_TENSORS = ('pixel_mean', 'pixel_std')


def narrow(network: TrackingNetwork, dtype: torch.dtype) -> TrackingNetwork:
    """Make a network compute in a narrower floating-point type, in place, and return it."""
    for name, module in network.named_modules():
        if name.split('.')[0] not in WIDE_PARTS:
            _narrow_tensors(module, dtype)
    return network


def _narrow_tensors(module: nn.Module, dtype: torch.dtype) -> None:
    for tensors in (module._parameters, module._buffers):
        for name, value in tensors.items():
            if value is not None and value.is_floating_point() and name not in WIDE_TENSORS:
                value.data = value.data.to(dtype)
