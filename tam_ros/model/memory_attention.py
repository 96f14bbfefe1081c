"""Memory attention: condition a frame on an object's memories.

EdgeTAM (its paper's section 3.2) attends to latents, EfficientTAM (section 3.2 of its own) to
memory maps, as they are or averaged two by two. Both are single-head rotary attention.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.attention import attend
from tam_ros.model.layers import rotary_table, rotate, sine_positions
from tam_ros.model.packed import activated
from tam_ros.networks import EdgeTAMConfig, EfficientTAMConfig, NetworkConfig

LOG_POOLED = math.log(4)  # a mean of four keys stands for four in the softmax


class RotaryAttention(nn.Module):
    """Single-head attention; the caller says which projected keys are rotated, and how."""

    def __init__(self, dim: int, key_dim: int):
        super().__init__()
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(key_dim, dim)
        self.v_proj = nn.Linear(key_dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend (1 or B, Nq, dim) to (B, Nk, dim), already projected and rotated.

        Where values are not projected yet (`fuse`), out_proj does that as well.
        """
        q = q.expand(k.shape[0], -1, -1)
        q, k, v = q[:, None], k[:, None], v[:, None]  # one head: B, 1, N, dim
        return self.out_proj(attend(q, k, v, mask)[:, 0])


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
        return self.linear2(activated(self.linear1, self.norm3(x), 'relu'))


class MemoryAttention(nn.Module):
    """Layers of self- and cross-attention; the output replaces the stride-16 features.

    What of a memory is attended to, and where it lies, is said by the classes below.
    """

    def __init__(self, config: NetworkConfig):
        super().__init__()
        dim, side = config.model_dim, config.feature_side
        self.pointer_tokens = config.pointer_tokens
        self.layers = nn.ModuleList(
            MemoryAttentionLayer(dim, config.memory_dim, config.attention_ffn_dim)
            for _ in range(config.memory_layers)
        )
        self.norm = nn.LayerNorm(dim)
        positions = sine_positions(side, dim).flatten(1).T[None]  # 1, N, dim
        self.register_buffer('positions', positions.contiguous(), persistent=False)
        self.register_buffer('frame_table', rotary_table(side, dim), persistent=False)

    def forward(
        self,
        features: Tensor,
        memory: Tensor,
        positions: Tensor,
        pointers: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Condition features (1 or B, dim, h, h) on memories; return (B, dim, h, h).

        memory and positions are (B, M, tokens, C), pointers (B, P, dim) with no
        position; mask is (B, M + P) bool, True where there is a memory or a pointer, or None
        where all are. Until the first cross-attention all objects of a frame are alike, so that
        part runs once.
        """
        side = features.shape[-1]
        pointers = pointers.unflatten(2, (self.pointer_tokens, -1)).flatten(1, 2)
        mask = self._attention_mask(mask, memory, pointers)
        x = features.flatten(2).transpose(1, 2) + 0.1 * self.positions  # 1 or B, N, dim
        for layer in self.layers:
            x = x + layer.attend_self(x, self.frame_table)
            attn = layer.cross_attn_image
            k, v = self._keys(attn, memory + positions), self._values(attn, memory)
            k = torch.cat([k.flatten(1, 2), attn.k_proj(pointers)], dim=1)
            v = torch.cat([v.flatten(1, 2), attn.v_proj(pointers)], dim=1)
            q = rotate(attn.q_proj(layer.norm2(x)), self.frame_table)
            x = x + attn.attend(q, k, v, mask)  # B, N, dim
            x = x + layer.feed_forward(x)
        return self.norm(x).transpose(1, 2).unflatten(2, (side, side))

    def _keys(self, attn: RotaryAttention, memory: Tensor) -> Tensor:
        """Project (B, M, tokens, C) memories to (B, M, attended tokens, dim), rotated."""
        raise NotImplementedError

    def _values(self, attn: RotaryAttention, memory: Tensor) -> Tensor:
        """Project (B, M, tokens, C) memories to (B, M, attended tokens, dim)."""
        return attn.v_proj(memory)

    def _attended_tokens(self, memory: Tensor) -> int:
        """Return how many keys one of the (B, M, tokens, C) memories becomes."""
        return memory.shape[2]

    def _attention_mask(self, mask: Tensor | None, memory: Tensor, pointers: Tensor):
        """Return the (B, 1, 1, keys) mask of all tokens, or None."""
        if mask is None:
            return None
        count = memory.shape[1]
        spatial = mask[:, :count].repeat_interleave(self._attended_tokens(memory), dim=1)
        pointer = mask[:, count:].repeat_interleave(self.pointer_tokens, dim=1)
        return torch.cat([spatial, pointer], dim=1)[:, None, None]


class LatentMemoryAttention(MemoryAttention):
    """EdgeTAM: only the grid latents of each memory have a place and are rotated."""

    def __init__(self, config: EdgeTAMConfig):
        super().__init__(config)
        self.global_latents = config.global_latents
        grid_table = rotary_table(config.grid_side, config.model_dim)
        self.register_buffer('grid_table', grid_table, persistent=False)

    def _keys(self, attn: RotaryAttention, memory: Tensor) -> Tensor:
        k = attn.k_proj(memory)
        unplaced, grid = k[:, :, : self.global_latents], k[:, :, self.global_latents :]
        return torch.cat([unplaced, rotate(grid, self.grid_table)], dim=2)


class MapMemoryAttention(MemoryAttention):
    """EfficientTAM: memories are maps like the frame, averaged 2 x 2 where that is asked for.

    A single memory is never averaged, as in the published code.
    """

    def __init__(self, config: EfficientTAMConfig):
        super().__init__(config)
        self.pooling = config.pooling
        self.side = config.feature_side

    def _keys(self, attn: RotaryAttention, memory: Tensor) -> Tensor:
        k = self._pool(rotate(attn.k_proj(memory), self.frame_table))
        return k + LOG_POOLED if self.pooling == 'in_keys' and self._pools(memory) else k

    def _values(self, attn: RotaryAttention, memory: Tensor) -> Tensor:
        return self._pool(attn.v_proj(memory))

    def _attended_tokens(self, memory: Tensor) -> int:
        return memory.shape[2] // (4 if self._pools(memory) else 1)

    def _attention_mask(self, mask: Tensor | None, memory: Tensor, pointers: Tensor):
        allowed = super()._attention_mask(mask, memory, pointers)
        if self.pooling != 'in_logits' or not self._pools(memory):
            return allowed
        pooled = memory.shape[1] * self._attended_tokens(memory)
        bias = memory.new_zeros(1, 1, 1, pooled + pointers.shape[1])
        bias[..., :pooled] = LOG_POOLED
        return bias if allowed is None else bias.masked_fill(~allowed, -math.inf)

    def _pools(self, memory: Tensor) -> bool:
        return bool(self.pooling) and memory.shape[1] > 1

    def _pool(self, tokens: Tensor) -> Tensor:
        """Average (B, M, tokens, dim) tokens of a square map two by two."""
        if not self._pools(tokens):
            return tokens
        count = tokens.shape[0]
        maps = tokens.flatten(0, 1).unflatten(1, (self.side, self.side)).permute(0, 3, 1, 2)
        pooled = F.avg_pool2d(maps, 2)  # 30 times as fast as a mean over two dimensions
        return pooled.permute(0, 2, 3, 1).flatten(1, 2).unflatten(0, (count, -1))
