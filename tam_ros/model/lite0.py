"""EfficientNet-Lite0 (arXiv 1905.11946, without squeeze-excite and swish) as the image trunk.

Its batch norms are fused into the convolutions, so what is trained further are plain ones with
biases: the statistics that they were trained with hold. The last block and the head are left out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.packed import activated

STEM_WIDTH, EXPANSION = 32, 6
STAGES = (  # blocks, kernel, stride of the first, width
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
)
MAP_STAGES = (1, 2, 4, 5)  # the last ones of strides 4, 8, 16 and 32


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME does for even sides.

    At stride 2 that is one pixel less at the left and top than at the right and bottom.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups=1):
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        if self.groups > 1 and x.device.type == 'cpu' and torch.is_autocast_enabled('cpu'):
            # Gradients of depthwise kernels in bfloat16 take two to ten times as long on a CPU.
            with torch.autocast('cpu', enabled=False):
                return self._convolve(x.float())
        return self._convolve(x)

    def _convolve(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self._even(), self.bias, self.stride, self.padding, 1, self.groups)

    def fused(self) -> nn.Conv2d:
        """Return the plain convolution, padded alike on all sides, that does the same."""
        weight = self._even()
        fused = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            weight.shape[2:],
            self.stride,
            self.padding,
            groups=self.groups,
        )
        fused.weight.data, fused.bias.data = weight.data, self.bias.data
        return fused

    def _even(self) -> Tensor:
        """Return the kernel, at stride 2 with a row and a column of zeros before it."""
        return F.pad(self.weight, (1, 0, 1, 0)) if self.stride[0] == 2 else self.weight


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, and project, with a residual where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = expansion * inputs
        self.expand = SameConv(inputs, inner) if expansion > 1 else None
        self.depthwise = SameConv(inner, inner, kernel, stride, groups=inner)
        self.project = SameConv(inner, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else activated(self.expand, x, 'relu6')
        out = self.project(activated(self.depthwise, inner, 'relu6'))
        return x + out if self.residual else out


class Standardize(nn.Module):
    """Bring a map's channels to mean 0 and deviation 1 by what they were on many pictures.

    Channels of the pretrained network deviate by about 8, and heads learn slowly from those.
    """

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer('mean', torch.zeros(width, 1, 1))
        self.register_buffer('scale', torch.ones(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.scale


class Lite0(nn.Module):
    """The trunk: features at strides 4, 8, 16 and 32."""

    # Of RGB in 0..1: what it was trained with, (x - 127) / 128 of 0..255.
    pixel_mean, pixel_std = (127 / 255,) * 3, (128 / 255,) * 3
    widths = tuple(STAGES[k][-1] for k in MAP_STAGES)

    def __init__(self):
        super().__init__()
        self.stem = SameConv(3, STEM_WIDTH, 3, stride=2)
        inputs = STEM_WIDTH
        self.stages = nn.ModuleList()
        for depth, kernel, stride, width in STAGES:
            expansion = EXPANSION if self.stages else 1
            first = InvertedBottleneck(inputs, width, kernel, stride, expansion)
            others = (
                InvertedBottleneck(width, width, kernel, 1, EXPANSION) for _ in range(depth - 1)
            )
            self.stages.append(nn.Sequential(first, *others))
            inputs = width
        self.standards = nn.ModuleList(Standardize(width) for width in self.widths)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the standardised maps of an (N, 3, S, S) image normalised its way, finest first.

        S is a multiple of 32.
        """
        maps = self.raw_maps(image)
        return [standard(x) for standard, x in zip(self.standards, maps)]

    def raw_maps(self, image: Tensor) -> list[Tensor]:
        """Return the maps as the blocks leave them."""
        x, maps = activated(self.stem, image, 'relu6'), []  # N, 32, S / 2, S / 2
        for k, stage in enumerate(self.stages):
            x = stage(x)
            if k in MAP_STAGES:
                maps.append(x)
        return maps
