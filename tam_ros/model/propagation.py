"""Dense propagation: carry an object's mask from remembered frames by matching fine features.

A cue that EdgeTAM lacks and small networks need: the perceiver's few latents say what an object
looks like, these stride-8 keys say where each of its pixels went. Each memory carries one dense
token per stride-8 cell after its latents: a unit key, the cell's place, and the mask's four
stride-4 pixels there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.config import EdgeTAMConfig
from tam_ros.model.layers import MapGains

SUBPIXELS = 4  # stride-4 mask pixels in one stride-8 cell
PLACE = 3  # x, y and their squared length, for the influence of distance
HINTS = 2  # remembered frames that are matched: the newest prompted one, and the newest


class DensePropagation(MapGains):
    """Makes dense tokens, matches a frame with them, and shows the result to the decoder."""

    def __init__(self, config: EdgeTAMConfig):
        dim = config.model_dim
        super().__init__(HINTS, dim, bias=True)
        self.key_dim = config.memory_dim - PLACE - SUBPIXELS
        self.fine_key = nn.Conv2d(dim // 4, self.key_dim, 3, padding=1)
        self.coarse_key = nn.Conv2d(dim, self.key_dim, 1)
        # Per matched frame: how sharply likeness and distance decide.
        self.sharpness = nn.Parameter(torch.tensor([10.0, 10.0]))
        self.nearness = nn.Parameter(torch.tensor([1.0, 6.0]))
        cells = (torch.arange(2 * config.feature_side) + 0.5) / config.feature_side - 1
        y, x = torch.meshgrid(cells, cells, indexing='ij')
        places = torch.stack([x, y, x**2 + y**2], dim=-1).flatten(0, 1)[None]
        self.register_buffer('places', places, persistent=False)  # 1, cells, PLACE

    def make_keys(self, stride8: Tensor, top: Tensor) -> Tensor:
        """Return (N, 2h * 2h, key_dim + PLACE) keys of a frame: unit features, then the place."""
        coarse = F.interpolate(self.coarse_key(top), scale_factor=2.0, mode='nearest')
        keys = (self.fine_key(stride8) + coarse).flatten(2).transpose(1, 2)
        places = self.places.expand(len(keys), -1, -1)
        return torch.cat([F.normalize(keys, dim=-1), places], dim=-1)

    def make_tokens(self, keys: Tensor, mask_logits: Tensor) -> Tensor:
        """Return (B, 2h * 2h, memory_dim) tokens: keys, then (B, 1, 4h, 4h) masks' pixels."""
        values = F.pixel_unshuffle(mask_logits.sigmoid(), 2).flatten(2).transpose(1, 2)
        return torch.cat([keys.expand(len(values), -1, -1), values], dim=-1)

    def match(self, keys: Tensor, tokens: Tensor) -> Tensor:
        """Carry masks to the present frame.

        keys is (1 or B, cells, key_dim + PLACE), tokens (B, HINTS, cells, memory_dim). Returns
        (B, 4 * HINTS * SUBPIXELS, h, h) probabilities of the present stride-4 pixels, for `gains`.
        """
        hints = [self._carry(keys, tokens[:, i], i) for i in range(HINTS)]
        side = round(keys.shape[1] ** 0.5)
        maps = torch.cat(hints, dim=-1).transpose(1, 2).unflatten(2, (side, side))
        return F.pixel_unshuffle(maps, 2)

    def _carry(self, keys: Tensor, tokens: Tensor, hint: int) -> Tensor:
        """Match with one remembered frame: softmax over its cells by likeness and distance.

        The affinity s q.k - n |x - p|^2 is, up to a term of x alone, a dot product with a token
        (k, p, |p|^2, mask) when the query is (s q, 2 n x, -n, 0): one plain attention.
        """
        feature, place, _ = keys.split([self.key_dim, PLACE - 1, 1], dim=-1)
        near = F.softplus(self.nearness[hint])
        minus_near = -near.expand(*place.shape[:-1], 1)
        query = [feature * self.sharpness[hint], 2 * near * place, minus_near]
        query = F.pad(torch.cat(query, dim=-1), (0, SUBPIXELS)).expand(len(tokens), -1, -1)
        query, tokens = query[:, None], tokens[:, None]  # one head
        carried = F.scaled_dot_product_attention(query, tokens, tokens, scale=1.0)
        return carried[:, 0, :, -SUBPIXELS:]  # B, cells, SUBPIXELS
