"""Layers by oneDNN's kernels for the CPU: weights laid out once, activations on the way.

PyTorch lays weights out anew at every call, and reads and writes everything once more for an
activation. These are the kernels that its compiler uses, without a compiler on the robot.
"""

import functools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.layers import is_inference_on_cpu

Activation = Literal['none', 'relu', 'gelu', 'relu6']
PLAIN = {'relu': F.relu, 'gelu': F.gelu, 'relu6': F.relu6}
# How the kernels name an activation, and its numbers, where that is otherwise.
KERNELS: dict[str, tuple[str, list[float]]] = {'relu6': ('hardtanh', [0.0, 6.0])}


class PackedLinear(nn.Module):
    """An `nn.Linear` for inference on the CPU. It cannot be moved, converted or saved."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach().contiguous())
        self._bias = None if layer.bias is None else layer.bias.detach()

    def forward(self, x: Tensor, activation: Activation = 'none') -> Tensor:
        name, numbers = KERNELS.get(activation, (activation, []))
        return torch.ops.mkldnn._linear_pointwise(
            x, self._weight, self._bias, name, numbers, 'none'
        )


def pack(module: nn.Module) -> None:
    """Pack the linear layers of a module that is ready for inference, in place."""
    if not _has_kernels():
        return
    for part in module.modules():
        for name, child in part.named_children():
            if type(child) is nn.Linear:
                setattr(part, name, PackedLinear(child))


def activated(layer: nn.Module, x: Tensor, activation: Activation) -> Tensor:
    """Return activation(layer(x)), in one pass where that is possible."""
    if isinstance(layer, PackedLinear):
        return layer(x, activation)
    if type(layer) is nn.Conv2d and _fits(layer, x) and _has_kernels():
        name, numbers = KERNELS.get(activation, (activation, []))
        shape = map(list, (layer.padding, layer.stride, layer.dilation))
        return torch.ops.mkldnn._convolution_pointwise(
            x, layer.weight, layer.bias, *shape, layer.groups, name, numbers, 'none'
        )
    return PLAIN[activation](layer(x))


def _fits(layer: nn.Conv2d, x: Tensor) -> bool:
    """Whether a kernel can do this now: not under autocast, where the types may differ."""
    return is_inference_on_cpu(x) and layer.weight.dtype == x.dtype


@functools.cache
def _has_kernels() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, '_reorder_linear_weight'
    )
