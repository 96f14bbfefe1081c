"""A plain vision transformer with windowed attention, the trunk of EfficientTAM (section 3.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.attention import attend
from tam_ros.model.layers import LayerNorm2d
from tam_ros.model.packed import activated
from tam_ros.networks import EfficientTAMConfig

PATCH = 16
PRETRAINED_SIDE = 14  # patches along a side of the position embedding in checkpoints
GLOBAL_EVERY = 3  # every third block attends to the whole image


class FeedForward(nn.Module):
    """Two linear layers with GELU between them, under the names of the checkpoints."""

    def __init__(self, dim: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)])

    def forward(self, x: Tensor) -> Tensor:
        return self.layers[1](activated(self.layers[0], x, 'gelu'))


class SelfAttention(nn.Module):
    """Multi-head attention within each of (N, tokens, dim)."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # N, tokens, 3, heads, dim / heads
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return self.proj(attend(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A pre-norm transformer block; window 0 attends to the whole map."""

    def __init__(self, dim: int, heads: int, window: int):
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = SelfAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = FeedForward(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform (N, H, W, dim)."""
        y = self.norm1(x)
        if self.window:
            y = self._attend_windows(y)
        else:
            y = self.attn(y.flatten(1, 2)).unflatten(1, y.shape[1:3])
        x = x + y
        return x + self.mlp(self.norm2(x))

    def _attend_windows(self, x: Tensor) -> Tensor:
        """Attend within windows. The map is padded by zeros, and they are attended to as well."""
        count, height, width, _ = x.shape
        window = self.window
        x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
        down, across = x.shape[1] // window, x.shape[2] // window
        x = x.unflatten(1, (down, window)).unflatten(3, (across, window))
        x = x.transpose(2, 3).flatten(0, 2).flatten(1, 2)  # windows, window * window, dim
        x = self.attn(x).unflatten(1, (window, window)).unflatten(0, (count, down, across))
        x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return x[:, :height, :width]


class PatchEmbed(nn.Module):
    """Linear embedding of square patches."""

    def __init__(self, dim: int):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, PATCH, PATCH)

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).permute(0, 2, 3, 1)  # N, h, h, dim


class ViT(nn.Module):
    """The trunk: one map of stride 16."""

    positions: Tensor  # 1, h, h, dim

    def __init__(self, config: EfficientTAMConfig):
        super().__init__()
        dim, side = config.trunk_width, config.feature_side
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + PRETRAINED_SIDE**2, dim))
        self.patch_embed = PatchEmbed(dim)
        self.blocks = nn.ModuleList(
            Block(dim, config.trunk_heads, 0 if i % GLOBAL_EVERY == 2 else config.window)
            for i in range(config.trunk_depth)
        )
        self.register_buffer('positions', torch.zeros(1, side, side, dim), persistent=False)

    def precompute(self) -> None:
        """Resize the position embedding to the map; its first row is of a class token."""
        side = self.positions.shape[1]
        grid = self.pos_embed[:, 1:].unflatten(1, (PRETRAINED_SIDE, PRETRAINED_SIDE))
        grid = grid.permute(0, 3, 1, 2)  # 1, dim, 14, 14
        resized = F.interpolate(grid, (side, side), mode='bicubic', align_corners=False)
        self.positions = resized.permute(0, 2, 3, 1).contiguous()

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, dim, h, h) of a normalised (N, 3, S, S) image."""
        x = self.patch_embed(image) + self.positions
        for block in self.blocks:
            x = block(x)
        return x.permute(0, 3, 1, 2)


class Projection(nn.Module):
    """The neck: two convolutions to the model's width, under the names of the checkpoints."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv_1x1 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm_0 = LayerNorm2d(outputs)
        self.conv_3x3 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm_1 = LayerNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm_1(self.conv_3x3(self.norm_0(self.conv_1x1(x))))


class Neck(nn.Module):
    """Holds the one projection under the name that checkpoints use."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.convs = nn.ModuleList([Projection(inputs, outputs)])

    def forward(self, x: Tensor) -> Tensor:
        return self.convs[0](x)


class ViTEncoder(nn.Module):
    """Normalised image (N, 3, S, S) to one map of stride 16."""

    def __init__(self, config: EfficientTAMConfig):
        super().__init__()
        self.trunk = ViT(config)
        self.neck = Neck(config.trunk_width, config.model_dim)

    def forward(self, image: Tensor) -> Tensor:
        return self.neck(self.trunk(image))
