"""RepViT, the image trunk (arXiv 2307.09283), as EdgeTAM uses it: four stage outputs, no head.

Convolution and batch norm stay apart, as they are trained and as checkpoints name them;
`fuse.py` merges them for inference.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.layers import IMAGENET_MEAN, IMAGENET_STD
from tam_ros.model.packed import activated


class ConvNorm(nn.Module):
    """A bias-free convolution followed by batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups=1):
        super().__init__()
        padding = kernel // 2
        self.c = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.c(x))

    def fused(self) -> nn.Conv2d:
        """Return one convolution with bias that does the same in evaluation mode."""
        conv = self.c
        scale = self.bn.weight / (self.bn.running_var + self.bn.eps).sqrt()
        fused = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            groups=conv.groups,
        )
        fused.weight.data = conv.weight * scale[:, None, None, None]
        fused.bias.data = self.bn.bias - self.bn.running_mean * scale
        return fused


class TokenMixer(nn.Module):
    """Depthwise 3x3 + depthwise 1x1 + identity."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = ConvNorm(width, width, kernel=3, groups=width)
        self.conv1 = ConvNorm(width, width, kernel=1, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.conv1(x) + x

    def fused(self) -> nn.Conv2d:
        """Return the single depthwise 3x3 convolution that equals the three branches."""
        merged, centre = self.conv.fused(), self.conv1.fused()
        merged.weight.data += F.pad(centre.weight, (1, 1, 1, 1))
        merged.weight.data[:, :, 1, 1] += 1
        merged.bias.data += centre.bias
        return merged


class SqueezeExcite(nn.Module):
    """Scale channels by a gate computed from their global means."""

    def __init__(self, width: int):
        super().__init__()
        squeezed = max(8, int(width / 4 + 4) // 8 * 8)  # a quarter, rounded to a multiple of 8
        self.fc1 = nn.Conv2d(width, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = x.mean((2, 3), keepdim=True)  # N, width, 1, 1
        return x * self.fc2(F.relu(self.fc1(gate))).sigmoid()


class ChannelMixer(nn.Module):
    """Pointwise expansion by two, GELU, and back; without the residual."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = ConvNorm(width, 2 * width)
        self.conv2 = ConvNorm(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(activated(self.conv1, x, 'gelu'))


class Block(nn.Module):
    """One RepViT block: token mixer, optional squeeze-excite, channel mixer with residual."""

    def __init__(self, width: int, *, squeeze_excite: bool):
        super().__init__()
        self.token_mixer = TokenMixer(width)
        self.se = SqueezeExcite(width) if squeeze_excite else nn.Identity()
        self.channel_mixer = ChannelMixer(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.se(self.token_mixer(x))
        return x + self.channel_mixer(x)


class Downsample(nn.Module):
    """Halve the resolution and change the width."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.pre_block = Block(inputs, squeeze_excite=False)
        self.spatial_downsample = ConvNorm(inputs, inputs, kernel=3, stride=2, groups=inputs)
        self.channel_downsample = ConvNorm(inputs, outputs)
        self.ffn = ChannelMixer(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.spatial_downsample(self.pre_block(x))  # N, inputs, H / 2, W / 2
        x = self.channel_downsample(x)  # N, outputs, H / 2, W / 2
        return x + self.ffn(x)


class Stage(nn.Module):
    """Blocks of one width; every second block, from the first, has squeeze-excite."""

    def __init__(self, inputs: int, width: int, depth: int):
        super().__init__()
        self.downsample = Downsample(inputs, width) if inputs != width else nn.Identity()
        self.blocks = nn.Sequential(
            *(Block(width, squeeze_excite=i % 2 == 0) for i in range(depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.downsample(x))


class Stem(nn.Module):
    """Two stride-2 convolutions from RGB to the first width."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = ConvNorm(3, width // 2, kernel=3, stride=2)
        self.conv2 = ConvNorm(width // 2, width, kernel=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(activated(self.conv1, x, 'gelu'))


class RepViT(nn.Module):
    """The trunk: features at strides 4, 8, 16 and 32."""

    pixel_mean, pixel_std = IMAGENET_MEAN, IMAGENET_STD

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]):
        super().__init__()
        self.widths = widths
        self.stem = Stem(widths[0])
        inputs = (widths[0], *widths)
        for k, depth in enumerate(depths):
            self.add_module(f'stages_{k}', Stage(inputs[k], widths[k], depth))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the four stage outputs of a normalised (N, 3, S, S) image, finest first."""
        x, outputs = self.stem(image), []  # N, widths[0], S / 4, S / 4
        for k in range(4):
            x = getattr(self, f'stages_{k}')(x)
            outputs.append(x)
        return outputs
