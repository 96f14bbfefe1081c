"""Prompt encoder of Segment Anything (arXiv 2304.02643): points, boxes and masks to embeddings."""

import math

import torch
from torch import Tensor, nn

from tam_ros.model.layers import LayerNorm2d

PADDING_LABEL = -1  # labels: 0 background, 1 object, 2 and 3 the corners of a box


class FourierPositions(nn.Module):
    """Random Fourier features of coordinates in [0, 1]."""

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer('positional_encoding_gaussian_matrix', torch.randn(2, dim // 2))

    def forward(self, coordinates: Tensor) -> Tensor:
        """Encode (..., 2) x, y coordinates into (..., dim)."""
        angle = 2 * math.pi * ((2 * coordinates - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """Turn point and mask prompts into sparse tokens and a dense map."""

    def __init__(self, dim: int, image_size: int):
        super().__init__()
        self.image_size = image_size
        self.pe_layer = FourierPositions(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.no_mask_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, 2, 2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, dim, 1),
        )

    def encode_points(self, points_xy: Tensor, labels: Tensor) -> Tensor:
        """Return (B, N + 1, dim) tokens of (B, N, 2) points in network pixels and (B, N) labels.

        One padding token always follows; without any point two of them stand (spec of SAM).
        """
        batch, count = labels.shape
        missing = 1 if count else 2
        points_xy = torch.cat([points_xy, points_xy.new_zeros(batch, missing, 2)], dim=1)
        labels = torch.cat([labels, labels.new_full((batch, missing), PADDING_LABEL)], dim=1)
        tokens = self.pe_layer((points_xy + 0.5) / self.image_size)
        kinds = torch.cat([e.weight for e in [self.not_a_point_embed, *self.point_embeddings]])
        padding = (labels == PADDING_LABEL)[..., None]
        return tokens.masked_fill(padding, 0) + kinds[labels + 1]

    def encode_mask(self, mask_logits: Tensor | None, given: Tensor | None = None) -> Tensor:
        """Return the dense (B or 1, dim, h, h) map of (B, 1, 4h, 4h) logits, or of no mask.

        given: (B,) bool, which of the logits count; None for all.
        """
        nothing = self.no_mask_embed.weight[:, :, None, None]  # 1, dim, 1, 1: broadcasts
        if mask_logits is None:
            return nothing
        dense = self.mask_downscaling(mask_logits)
        return dense if given is None else dense.where(given[:, None, None, None], nothing)

    def dense_positions(self, side: int) -> Tensor:
        """Return the (1, dim, side, side) encoding of pixel centres."""
        centre = (torch.arange(side, device=self.no_mask_embed.weight.device) + 0.5) / side
        y, x = torch.meshgrid(centre, centre, indexing='ij')
        return self.pe_layer(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]
