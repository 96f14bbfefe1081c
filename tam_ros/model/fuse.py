"""Merge layers that are linear in a row; exact for inference, up to rounding."""

import torch
from torch import nn

from tam_ros.model.memory_attention import RotaryAttention
from tam_ros.model.network import TrackingNetwork


def fuse(model: TrackingNetwork, *, values: bool = True) -> TrackingNetwork:
    """Fuse a loaded model in place for inference and return it.

    What there is on an image's way is the network's matter. values: whether memories are attended
    to as they are and what was attended is projected, instead of every value: a quarter of the
    products.
    """
    model.eval()
    model.fuse_images()
    if values:
        for layer in model.memory_attention.layers:
            _fuse_values(layer.cross_attn_image)
    return model.requires_grad_(False)


@torch.no_grad()
def _fuse_values(attn: RotaryAttention) -> None:
    """Project after attention: its weights sum to one, so the bias comes through as well."""
    value, out = attn.v_proj, attn.out_proj
    chained = nn.Linear(value.in_features, out.out_features)
    chained.weight.data = out.weight @ value.weight
    chained.bias.data = out.weight @ value.bias + out.bias
    attn.v_proj, attn.out_proj = nn.Identity(), chained


@torch.no_grad()
def fuse_children(module: nn.Module) -> None:
    """Replace the parts of a module that know how to fuse themselves."""
    for name, child in module.named_children():
        if hasattr(child, 'fused'):
            setattr(module, name, child.fused())
        else:
            fuse_children(child)


@torch.no_grad()
def chain(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """Return the 1x1 convolution that equals second(first(x))."""
    a, b = first.weight[:, :, 0, 0], second.weight[:, :, 0, 0]
    chained = nn.Conv2d(first.in_channels, second.out_channels, 1)
    chained.weight.data = (b @ a)[:, :, None, None]
    chained.bias.data = b @ first.bias + second.bias
    return chained
