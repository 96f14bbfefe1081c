"""Memory encoder of SAM 2: fuse a frame's features with its mask into a narrow map."""

import torch
from torch import Tensor, nn

from tam_ros.model.layers import LayerNorm2d
from tam_ros.model.packed import activated


class MaskDownsampler(nn.Module):
    """Bring a mask of stride 1 to stride 16 and the model's width."""

    def __init__(self, dim: int):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((1, 4, 16, 64), (4, 16, 64, 256)):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), LayerNorm2d(outputs), nn.GELU()]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(256, dim, 1))

    def forward(self, mask: Tensor) -> Tensor:
        return self.encoder(mask)


class FuserBlock(nn.Module):
    """A ConvNeXt block with layer scale."""

    def __init__(self, dim: int):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)  # N H W C
        y = self.gamma * self.pwconv2(activated(self.pwconv1, y, 'gelu'))
        return x + y.permute(0, 3, 1, 2)


class Fuser(nn.Module):
    """Two ConvNeXt blocks."""

    def __init__(self, dim: int):
        super().__init__()
        self.layers = nn.ModuleList(FuserBlock(dim) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Features before memory attention and a mask to a (B, memory_dim, h, h) memory."""

    def __init__(self, dim: int, memory_dim: int):
        super().__init__()
        self.mask_downsampler = MaskDownsampler(dim)
        self.pix_feat_proj = nn.Conv2d(dim, dim, 1)
        self.fuser = Fuser(dim)
        self.out_proj = nn.Conv2d(dim, memory_dim, 1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Encode (1 or B, dim, h, h) features with a scaled (B, 1, 16h, 16h) mask."""
        x = self.pix_feat_proj(features) + self.mask_downsampler(mask)  # B, dim, h, h
        return self.out_proj(self.fuser(x))
