"""2D spatial perceiver (EdgeTAM paper, section 3.2): a memory map to a few latents."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.layers import sine_positions
from tam_ros.networks import EdgeTAMConfig


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend (B, Nq, dim) to (B, Nk, dim) with one head."""
    return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]


class LatentAttention(nn.Module):
    """Latents attend to memory tokens."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm_x = nn.LayerNorm(dim)
        self.norm_latents = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)

    def forward(self, latents: Tensor, x: Tensor, positions: Tensor | None) -> Tensor:
        q = self.to_q(self.norm_latents(latents))
        k, v = self.to_kv(self.norm_x(x)).chunk(2, dim=-1)
        if positions is not None:  # positions go to keys and values alike, after projection
            k, v = k + positions, v + positions
        return self.to_out(_attend(q, k, v))


class SelfAttention(nn.Module):
    """Latents attend to one another."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.norm(latents)
        k, v = self.to_kv(x).chunk(2, dim=-1)
        if latents.shape[1] == 1:  # one token: its softmax is 1
            return self.to_out(v)
        return self.to_out(_attend(self.to_q(x), k, v))


def feed_forward(dim: int) -> nn.Sequential:
    """Return the perceiver's pre-norm feed-forward layer."""
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Linear(dim, 4 * dim, bias=False),
        nn.GELU(),
        nn.Linear(4 * dim, dim, bias=False),
    )


class PerceiverLayer(nn.Module):
    """Cross-attention, feed-forward, self-attention, feed-forward, each with a residual."""

    def __init__(self, dim: int):
        super().__init__()
        self.attn = LatentAttention(dim)
        self.ff = feed_forward(dim)
        self.self_attn = SelfAttention(dim)
        self.self_ff = feed_forward(dim)

    def forward(self, latents: Tensor, x: Tensor, positions: Tensor | None) -> Tensor:
        latents = latents + self.attn(latents, x, positions)
        latents = latents + self.ff(latents)
        latents = latents + self.self_attn(latents)
        return latents + self.self_ff(latents)


class SpatialPerceiver(nn.Module):
    """Compress a (B, C, h, h) memory map to (B, global + grid, C) tokens."""

    def __init__(self, config: EdgeTAMConfig):
        super().__init__()
        dim, side = config.memory_dim, config.feature_side
        self.grid_side = config.grid_side
        self.latents = nn.Parameter(torch.randn(config.global_latents, dim))
        self.latents_2d = nn.Parameter(torch.randn(config.grid_latents, dim))
        self.layers = nn.ModuleList(PerceiverLayer(dim) for _ in range(config.perceiver_depth))
        self.norm = nn.LayerNorm(dim)
        positions = sine_positions(side, dim).flatten(1).T[None]  # 1, h * h, C
        self.register_buffer('input_positions', positions.contiguous(), persistent=False)
        grid = sine_positions(config.grid_side, dim).flatten(1).T
        output = torch.cat([torch.zeros(config.global_latents, dim), grid])
        self.register_buffer('output_positions', output, persistent=False)  # tokens, C

    def forward(self, memory: Tensor) -> Tensor:
        parts = []
        if len(self.latents):
            parts.append(self._global(memory))
        if len(self.latents_2d):
            parts.append(self._grid(memory))
        return torch.cat(parts, dim=1)

    def _global(self, memory: Tensor) -> Tensor:
        tokens = memory.flatten(2).transpose(1, 2)  # B, h * h, C
        latents = self.latents.expand(memory.shape[0], -1, -1)
        for layer in self.layers:
            latents = layer(latents, tokens, self.input_positions)
        return self.norm(latents)

    def _grid(self, memory: Tensor) -> Tensor:
        batch, dim, side, _ = memory.shape
        window = side // self.grid_side
        x = memory.unflatten(2, (self.grid_side, window)).unflatten(4, (self.grid_side, window))
        x = x.permute(0, 2, 4, 3, 5, 1)  # B, grid row, grid column, row, column, C
        x = x.reshape(-1, window * window, dim)  # each latent sees its own window only
        latents = self.latents_2d.repeat(batch, 1)[:, None]  # B * grid, 1, C
        for layer in self.layers:
            latents = layer(latents, x, None)
        return self.norm(latents).reshape(batch, -1, dim)
