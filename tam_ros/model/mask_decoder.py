"""Mask decoder of SAM 2 (arXiv 2408.00714): two-way transformer, upscaling and heads."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.layers import MLP, LayerNorm2d
from tam_ros.networks import NetworkConfig


class Attention(nn.Module):
    """Multi-head attention with separate projections and a narrower inner width."""

    def __init__(self, dim: int, inner: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend (B, Nq, dim) to (B, Nk, dim)."""
        q, k, v = map(self._split, (self.q_proj(q), self.k_proj(k), self.v_proj(v)))
        out = F.scaled_dot_product_attention(q, k, v)  # B, heads, Nq, inner / heads
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # B, heads, N, inner / heads


class TwoWayLayer(nn.Module):
    """Tokens attend to themselves and to the image, then the image to the tokens (post-norm)."""

    def __init__(self, dim: int, heads: int, ffn: int, *, first: bool):
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, dim, heads)
        self.cross_attn_token_to_image = Attention(dim, dim // 2, heads)
        self.mlp = MLP(dim, ffn, dim)
        self.cross_attn_image_to_token = Attention(dim, dim // 2, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, image: Tensor, tokens0: Tensor, positions: Tensor):
        """Return new (tokens, image); tokens0 are the initial tokens, used as their positions."""
        if self.first:  # no positions and no residual in the first layer
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        else:
            q = tokens + tokens0
            tokens = self.norm1(tokens + self.self_attn(q, q, tokens))
        keys = image + positions
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + tokens0, keys, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = image + self.cross_attn_image_to_token(keys, tokens + tokens0, tokens)
        return tokens, self.norm4(image)


class TwoWayTransformer(nn.Module):
    """Two two-way layers and a last look of the tokens at the image."""

    def __init__(self, dim: int, heads: int, ffn: int):
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(dim, heads, ffn, first=i == 0) for i in range(2))
        self.final_attn_token_to_image = Attention(dim, dim // 2, heads)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, tokens0: Tensor, image: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return (tokens, image) from (B, T, C), (B, N, C) and (1, N, C)."""
        tokens = tokens0
        for layer in self.layers:
            tokens, image = layer(tokens, image, tokens0, positions)
        attended = self.final_attn_token_to_image(tokens + tokens0, image + positions, image)
        return self.norm_final_attn(tokens + attended), image


class DecoderOutput(NamedTuple):
    """All candidates of one decoder pass; index 0 is the single mask, 1 to 3 the multimasks."""

    logits: Tensor  # B, 4, 4h, 4h
    ious: Tensor  # B, 4: predicted IoU in [0, 1]
    tokens: Tensor  # B, 4, C
    presence_logit: Tensor  # B, 1
    hints: Tensor | None = None  # B, HINTS, 4h, 4h: with dense propagation, what it carried
    prior: Tensor | None = None  # B, 1, 4h, 4h: the part of the logits that cues alone make


class MaskDecoder(nn.Module):
    """Predict masks, their IoUs and the object's presence from features and prompts."""

    def __init__(self, config: NetworkConfig, *, high_resolution: bool):
        super().__init__()
        dim = config.model_dim
        self.transformer = TwoWayTransformer(dim, config.decoder_heads, config.decoder_ffn_dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(4, dim)
        self.obj_score_token = nn.Embedding(1, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, 2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2),
            nn.GELU(),
        )
        if high_resolution:  # they narrow the finer maps of the image, once a frame
            self.conv_s0 = nn.Conv2d(dim, dim // 8, 1)
            self.conv_s1 = nn.Conv2d(dim, dim // 4, 1)
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim, dim // 8) for _ in range(4)
        )
        self.iou_prediction_head = MLP(dim, dim, dim, 4)
        self.pred_obj_score_head = MLP(dim, dim, dim, 1)

    def forward(self, image: Tensor, positions: Tensor, sparse: Tensor, skips) -> DecoderOutput:
        """Decode (B, C, h, h) features with (B, n, C) prompt tokens.

        positions is (1, C, h, h); skips are the (stride 4, stride 8) high-resolution maps,
        None where there are none.
        """
        side = image.shape[-1]
        learned = [self.obj_score_token, self.iou_token, self.mask_tokens]
        learned = torch.cat([e.weight for e in learned])[None].expand(image.shape[0], -1, -1)
        tokens, source = self.transformer(
            torch.cat([learned, sparse], dim=1),  # B, 6 + n, C
            image.flatten(2).transpose(1, 2),  # B, h * h, C
            positions.flatten(2).transpose(1, 2),
        )
        source = source.transpose(1, 2).unflatten(2, (side, side))  # B, C, h, h
        mask_tokens = tokens[:, 2:6]
        return DecoderOutput(
            logits=self._masks(self._upscale(source, skips), mask_tokens).float(),
            ious=self.iou_prediction_head(tokens[:, 1]).float().sigmoid(),
            tokens=mask_tokens,
            presence_logit=self.pred_obj_score_head(tokens[:, 0]).float(),
        )

    def _upscale(self, source: Tensor, skips: tuple[Tensor | None, Tensor | None]):
        s0, s1 = skips
        up1, norm, act1, up2, act2 = self.output_upscaling
        x = up1(source)  # B, C / 4, 2h, 2h
        x = up2(act1(norm(x if s1 is None else x + s1)))  # B, C / 8, 4h, 4h
        return act2(x if s0 is None else x + s0)

    def _masks(self, pixels: Tensor, mask_tokens: Tensor) -> Tensor:
        mlps = enumerate(self.output_hypernetworks_mlps)
        filters = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in mlps], dim=1)  # B, 4, C / 8
        return (filters @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])  # B, 4, 4h, 4h
