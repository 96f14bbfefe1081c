"""Merge layers that are linear in a row; exact for inference, up to rounding."""

import torch
from torch import nn

from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.memory_attention import RotaryAttention
from tam_ros.model.network import TrackingNetwork


def fuse(model: TrackingNetwork, *, values: bool = True) -> TrackingNetwork:
    """Fuse a loaded model in place for inference and return it.

    In an EdgeTAM, folds batch norms into convolutions, merges the three branches of RepViT's
    token mixers, and folds the pyramid's finest two 1x1 convolutions with the decoder's 1x1
    convolutions that are the only ones to read them. values: whether memories are attended to as
    they are and what was attended is projected, instead of every value: a quarter of the products.
    """
    model.eval()
    if isinstance(model, EdgeTAM):
        _fuse_edgetam(model)
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
def _fuse_edgetam(model: EdgeTAM) -> None:
    _fuse_children(model.image_encoder.trunk)
    finest, fine = model.image_encoder.neck.convs[3], model.image_encoder.neck.convs[2]
    decoder = model.sam_mask_decoder
    finest.conv, decoder.conv_s0 = _chain(finest.conv, decoder.conv_s0), nn.Identity()
    fine.conv, decoder.conv_s1 = _chain(fine.conv, decoder.conv_s1), nn.Identity()


def _fuse_children(module: nn.Module) -> None:
    for name, child in module.named_children():
        if hasattr(child, 'fused'):
            setattr(module, name, child.fused())
        else:
            _fuse_children(child)


def _chain(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """Return the 1x1 convolution that equals second(first(x))."""
    a, b = first.weight[:, :, 0, 0], second.weight[:, :, 0, 0]
    chained = nn.Conv2d(first.in_channels, second.out_channels, 1)
    chained.weight.data = (b @ a)[:, :, None, None]
    chained.bias.data = b @ first.bias + second.bias
    return chained
