"""Small layers and position encodings that several network parts share."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in 0..1


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of an NCHW map, at each pixel."""

    def __init__(self, channels: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # N C H W -> N H W C
        x = F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)  # N H W C -> N C H W


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *dims: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(dims, dims[1:]))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class MapGains(nn.Module):
    """What maps at stride 4 add to the three maps that the mask decoder looks at."""

    def __init__(self, count: int, dim: int, *, bias: bool):
        super().__init__()
        self.to_embedding = nn.Conv2d(16 * count, dim, 1, bias=bias)
        self.to_stride8 = nn.Conv2d(4 * count, dim // 4, 3, padding=1, bias=bias)
        self.to_stride4 = nn.Conv2d(count, dim // 8, 3, padding=1, bias=bias)

    def gains(self, packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn maps into (B, dim, h, h), (B, dim / 4, 2h, 2h) and (B, dim / 8, 4h, 4h).

        packed is (B, 16 * count, h, h): the (B, count, 4h, 4h) maps, unshuffled by 2 twice.
        """
        stride8 = F.pixel_shuffle(packed, 2)
        stride4 = F.pixel_shuffle(stride8, 2)
        return self.to_embedding(packed), self.to_stride8(stride8), self.to_stride4(stride4)


def resize_bilinear(maps: Tensor, side: int) -> Tensor:
    """Resize (N, C, H, W) maps to (N, C, side, side), sampling at pixel centres."""
    return F.interpolate(maps, (side, side), mode='bilinear', align_corners=False)


def sine_positions(side: int, channels: int) -> Tensor:
    """Return the (channels, side, side) sine encoding of a square map: y features, then x."""
    per_axis = channels // 2
    coordinate = torch.arange(1, side + 1) / (side + 1e-6) * 2 * math.pi
    feature = torch.arange(per_axis)
    divisor = 10000.0 ** (2 * (feature // 2) / per_axis)
    angle = coordinate[:, None] / divisor  # side, per_axis
    axis = torch.where(feature % 2 == 0, angle.sin(), angle.cos())
    y = axis[:, None, :].expand(side, side, per_axis)
    x = axis[None, :, :].expand(side, side, per_axis)
    return torch.cat([y, x], dim=-1).permute(2, 0, 1).contiguous()


def rotary_table(side: int, dim: int, theta: float = 10000.0) -> Tensor:
    """Return (side * side, dim / 2) unit complex rotations of axial RoPE, row-major.

    The first half of the rotations follows x, the second y; coordinates are integers.
    """
    frequency = theta ** (-4 * torch.arange(dim // 4) / dim)
    index = torch.arange(side * side)
    x = torch.outer((index % side).float(), frequency)
    y = torch.outer(index.div(side, rounding_mode='floor').float(), frequency)
    angle = torch.cat([x, y], dim=-1)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(tokens: Tensor, table: Tensor) -> Tensor:
    """Rotate adjacent channel pairs of (..., N, dim) tokens by an (N, dim / 2) rotary table.

    A table may also be the real view of that, (N, dim / 2, 2): the same, slower, but without the
    complex numbers that ONNX lacks.
    """
    pairs = tokens.unflatten(-1, (-1, 2))  # ..., N, dim / 2, 2
    if table.is_complex():
        turned = torch.view_as_real(torch.view_as_complex(pairs.float()) * table)
        return turned.flatten(-2).to(tokens.dtype)
    (x, y), (cos, sin) = pairs.unbind(-1), table.unbind(-1)
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1).flatten(-2)


def is_inference_on_cpu(x: Tensor) -> bool:
    """Whether a CPU computes with x now, with neither gradients nor a graph to be made of it."""
    return x.device.type == 'cpu' and not (
        torch.is_grad_enabled() or torch.compiler.is_compiling()
    )
