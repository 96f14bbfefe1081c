"""Dense propagation: carry an object's mask from remembered frames by matching fine features.

A cue that EdgeTAM lacks and small networks need: the perceiver's few latents say what an object
looks like, these stride-8 keys say where each of its pixels went. Each memory carries one dense
token per stride-8 cell after its latents: a unit key, the cell's place, and the mask's four
stride-4 pixels there.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.layers import MapGains
from tam_ros.networks import EdgeTAMConfig

SUBPIXELS = 4  # stride-4 mask pixels in one stride-8 cell
PLACE = 3  # x, y and their squared length, for the influence of distance
HINTS = 2  # masks that are carried: from long ago, and from the newest frame
MATCHED = 3  # remembered frames: two of long ago, whose mean is the first hint, and the newest
PRIOR_WIDTH = 16
SMALLEST_SHARE = 1e-3


class DenseMemories(NamedTuple):
    """Masks to be carried by B objects, in G groups.

    A group is one remembered frame in the part of one hint. It is matched once, whatever the
    number V of objects whose masks it holds.
    """

    keys: Tensor  # G, cells, match_dim
    masks: Tensor  # G, V, cells, SUBPIXELS; anything where a group has fewer objects
    hints: Tensor  # G int64: which hint the frame serves as
    places: Tensor  # B, MATCHED int64: where an object's masks lie in the flat G * V


class GroupTensors(NamedTuple):
    """Where dense tokens lie in a store of R objects and S slots, for G groups as above."""

    leader_rows: Tensor  # G int64: an object that remembers the frame, whose keys are taken
    leader_slots: Tensor  # G int64
    hints: Tensor  # G int64
    member_rows: Tensor  # G, V int64: all of them, whose masks are; filled up with any
    member_slots: Tensor  # G, V int64
    places: Tensor  # B, MATCHED int64


class DensePropagation(MapGains):
    """Makes dense tokens, matches a frame with them, and shows the result to the decoder."""

    def __init__(self, config: EdgeTAMConfig):
        dim = config.model_dim
        super().__init__(HINTS, dim, bias=True)
        if config.match_dim > config.memory_dim - SUBPIXELS:
            raise ValueError(
                f'match_dim {config.match_dim} leaves no room for the mask in tokens of '
                f'{config.memory_dim}: use at most {config.memory_dim - SUBPIXELS}'
            )
        self.token_dim, self.match_dim = config.memory_dim, config.match_dim
        self.key_dim = config.match_dim - PLACE
        self.fine_key = nn.Conv2d(dim // 4, self.key_dim, 3, padding=1)
        self.coarse_key = nn.Conv2d(dim, self.key_dim, 1)
        # A graph has no fast kernels to carry values in turns for, and to cut a store would copy
        # all of it there.
        self.for_graph = False
        # Per hint: how sharply likeness and distance decide. A long-past frame tells little
        # about the place, the last one much.
        self.log_sharpness = nn.Parameter(torch.tensor([50.0, 40.0]).log())
        self.log_nearness = nn.Parameter(torch.tensor([4.0, 60.0]).log())
        # Per hint: how much the few cells of a small object count for more in the vote.
        self.balance = nn.Parameter(torch.tensor([0.25, 0.05]))
        self.trust = nn.Parameter(torch.tensor([1.5, 2.5]))  # in each hint, as a logit
        self.refine = nn.Sequential(
            nn.Conv2d(HINTS + dim // 8, PRIOR_WIDTH, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(PRIOR_WIDTH, 1, 3, padding=1),
        )
        cells = (torch.arange(2 * config.feature_side) + 0.5) / config.feature_side - 1
        y, x = torch.meshgrid(cells, cells, indexing='ij')
        places = torch.stack([x, y, x**2 + y**2], dim=-1).flatten(0, 1)[None]
        self.register_buffer('places', places, persistent=False)  # 1, cells, PLACE

    def make_keys(self, stride8: Tensor, top: Tensor) -> Tensor:
        """Return (N, 2h * 2h, match_dim) keys of a frame: unit features, then the place."""
        coarse = F.interpolate(self.coarse_key(top), scale_factor=2.0, mode='nearest')
        keys = (self.fine_key(stride8) + coarse).flatten(2).transpose(1, 2)
        places = self.places.expand(keys.shape[0], -1, -1)
        return torch.cat([F.normalize(keys, dim=-1), places], dim=-1)

    def make_tokens(self, keys: Tensor, mask_logits: Tensor) -> Tensor:
        """Return (B, 2h * 2h, memory_dim) tokens of keys and (B, 1, 4h, 4h) masks.

        Keys come first, the masks' pixels last, zeros in between: tokens are as wide as latents.
        """
        values = F.pixel_unshuffle(mask_logits.sigmoid(), 2).flatten(2).transpose(1, 2)
        keys = F.pad(keys, (0, self.token_dim - self.match_dim - SUBPIXELS))
        return torch.cat([keys.expand(values.shape[0], -1, -1), values], dim=-1)

    def gather(self, tokens: Tensor, groups: GroupTensors) -> DenseMemories:
        """Gather what `match` takes from a store of (R, S, cells, memory_dim) tokens."""
        leaders = groups.leader_rows, groups.leader_slots
        members = groups.member_rows, groups.member_slots
        if self.for_graph:
            keys, masks = tokens[leaders], tokens[members]
            keys, masks = keys[..., : self.match_dim], masks[..., -SUBPIXELS:]
        else:
            keys, masks = tokens[..., : self.match_dim][leaders], tokens[..., -SUBPIXELS:][members]
        return DenseMemories(keys, masks, groups.hints, groups.places)

    def match(self, keys: Tensor, dense: DenseMemories) -> Tensor:
        """Carry masks to the present frame.

        keys is (1 or G, cells, match_dim). Returns (B, 4 * HINTS * SUBPIXELS, h, h): the
        hints' probabilities of the present stride-4 pixels, packed as `gains` and `unpack` take
        them.
        """
        values = dense.masks.float().transpose(1, 2).flatten(2)  # G, cells, V * SUBPIXELS
        carried = self._carry(keys, dense.keys.float(), values, dense.hints)
        carried = self._balanced(carried, values, dense.hints)
        carried = carried.unflatten(2, (-1, SUBPIXELS)).transpose(1, 2).flatten(0, 1)
        *long_ago, newest = carried[dense.places].unbind(1)  # B, cells, SUBPIXELS
        maps = torch.stack([torch.stack(long_ago).mean(0), newest], 1)
        maps = maps.transpose(2, 3).flatten(1, 2)  # B, HINTS * SUBPIXELS, cells
        side = round(keys.shape[1] ** 0.5)
        return F.pixel_unshuffle(maps.unflatten(2, (side, side)), 2)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return the (B, HINTS, 4h, 4h) hints of `match`."""
        return F.pixel_shuffle(F.pixel_shuffle(packed, 2), 2)

    def prior(self, hints: Tensor, stride4: Tensor) -> Tensor:
        """Return (B, 1, 4h, 4h) mask logits from (B, HINTS, 4h, 4h) hints and fine features.

        The decoder's answer is added to them: it only has to say what the hints do not.
        """
        stride4 = stride4.float()
        trusted = (self.trust[:, None, None] * (2 * hints - 1)).sum(1, keepdim=True)
        stride4 = stride4.expand(hints.shape[0], -1, -1, -1)
        return trusted + self.refine(torch.cat([hints, stride4], dim=1))

    def _carry(self, keys: Tensor, remembered: Tensor, values: Tensor, hints: Tensor) -> Tensor:
        """Return (G, cells, C) values, each cell the mean over remembered cells that fit it.

        The affinity s q.k - n |x - p|^2 is, up to a term of x alone, a dot product with a key
        (k, p, |p|^2) when the query is (s q, 2 n x, -n): one plain attention. Values are as many
        as keys have channels, for the fast kernels; more go in turns.
        """
        feature, place, _ = keys.split([self.key_dim, PLACE - 1, 1], dim=-1)
        sharp = self.log_sharpness.exp()[hints, None, None]
        near = self.log_nearness.exp()[hints, None, None]
        minus_near = -near.expand(-1, keys.shape[1], 1)
        query = torch.cat([sharp * feature, 2 * near * place, minus_near], dim=-1)
        if self.for_graph:
            heads = (x[:, None] for x in (query, remembered, values))
            return F.scaled_dot_product_attention(*heads, scale=1.0)[:, 0]
        query, remembered = query[:, None], remembered[:, None]  # one head
        padded = F.pad(values, (0, -values.shape[-1] % self.match_dim))
        carried = [
            F.scaled_dot_product_attention(query, remembered, part[:, None], scale=1.0)
            for part in padded.split(self.match_dim, dim=-1)
        ]
        return torch.cat(carried, dim=-1)[:, 0, :, : values.shape[-1]]

    def _balanced(self, carried: Tensor, values: Tensor, hints: Tensor) -> Tensor:
        """Raise the odds of (G, cells, V * SUBPIXELS) carried masks by how small the masks are."""
        parts = values.unflatten(2, (-1, SUBPIXELS))
        share = parts.float().mean((1, 3)).clamp(SMALLEST_SHARE, 0.5)  # G, V: of the image
        shift = self.balance[hints, None] * ((1 - share) / share).log()
        shift = shift.repeat_interleave(SUBPIXELS, dim=1)[:, None]
        return (carried.float().logit(eps=1e-4) + shift).sigmoid()
