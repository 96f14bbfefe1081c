"""Memory attention (EdgeTAM paper, section 3.2): condition a frame on an object's memories."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.config import EdgeTAMConfig
from tam_ros.model.layers import rotary_table, rotate, sine_positions


class RotaryAttention(nn.Module):
    """Single-head attention; the caller says which projected keys are rotated, and how."""

    def __init__(self, dim: int, key_dim: int):
        super().__init__()
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(key_dim, dim)
        self.v_proj = nn.Linear(key_dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend (1 or B, Nq, dim) to (B, Nk, dim), already projected and rotated."""
        q = q.expand(len(k), -1, -1)
        q, k, v = q[:, None], k[:, None], v[:, None]  # one head: B, 1, N, dim
        return self.out_proj(F.scaled_dot_product_attention(q, k, v, attn_mask=mask)[:, 0])


class MemoryAttentionLayer(nn.Module):
    """Self-attention on the frame, cross-attention to the memories, feed-forward (pre-norm)."""

    def __init__(self, dim: int, memory_dim: int, ffn: int):
        super().__init__()
        self.self_attn = RotaryAttention(dim, dim)
        self.cross_attn_image = RotaryAttention(dim, memory_dim)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def attend_self(self, x: Tensor, table: Tensor) -> Tensor:
        """Return the self-attention of (B, N, dim) frame tokens."""
        attn, y = self.self_attn, self.norm1(x)
        q, k = rotate(attn.q_proj(y), table), rotate(attn.k_proj(y), table)
        return attn.attend(q, k, attn.v_proj(y))

    def feed_forward(self, x: Tensor) -> Tensor:
        """Return the feed-forward update of (B, N, dim) tokens."""
        return self.linear2(F.relu(self.linear1(self.norm3(x))))


class MemoryAttention(nn.Module):
    """Layers of self- and cross-attention; the output replaces the stride-16 features."""

    def __init__(self, config: EdgeTAMConfig):
        super().__init__()
        dim, side = config.model_dim, config.feature_side
        self.global_latents = config.global_latents
        self.layers = nn.ModuleList(
            MemoryAttentionLayer(dim, config.memory_dim, config.attention_ffn_dim)
            for _ in range(config.memory_layers)
        )
        self.norm = nn.LayerNorm(dim)
        positions = sine_positions(side, dim).flatten(1).T[None]  # 1, N, dim
        self.register_buffer('positions', positions.contiguous(), persistent=False)
        self.register_buffer('frame_table', rotary_table(side, dim), persistent=False)
        grid_table = rotary_table(config.grid_side, dim)
        self.register_buffer('grid_table', grid_table, persistent=False)

    def forward(self, features: Tensor, memory: Tensor, positions: Tensor, pointers: Tensor, mask):
        """Condition features (1 or B, dim, h, h) on memories; return (B, dim, h, h).

        memory and positions are (B, M, tokens, C), pointers (B, P, C) with no position; mask is
        (B, 1, 1, M * tokens + P), True where attended, or None where everything is.
        Until the first cross-attention all objects of a frame are alike, so that part runs once.
        """
        side = features.shape[-1]
        x = features.flatten(2).transpose(1, 2) + 0.1 * self.positions  # 1 or B, N, dim
        values = torch.cat([memory.flatten(1, 2), pointers], dim=1)  # B, M * tokens + P, C
        for layer in self.layers:
            x = x + layer.attend_self(x, self.frame_table)
            attn = layer.cross_attn_image
            k = self._keys(attn, memory + positions, pointers)
            q = rotate(attn.q_proj(layer.norm2(x)), self.frame_table)
            x = x + attn.attend(q, k, attn.v_proj(values), mask)  # B, N, dim
            x = x + layer.feed_forward(x)
        return self.norm(x).transpose(1, 2).unflatten(2, (side, side))

    def _keys(self, attn: RotaryAttention, memory: Tensor, pointers: Tensor) -> Tensor:
        """Project keys; only the grid latents of each memory have a place and are rotated."""
        k = attn.k_proj(memory)  # B, M, tokens, dim
        unplaced, grid = k[:, :, : self.global_latents], k[:, :, self.global_latents :]
        k = torch.cat([unplaced, rotate(grid, self.grid_table)], dim=2).flatten(1, 2)
        return torch.cat([k, attn.k_proj(pointers)], dim=1)  # B, M * tokens + P, dim
