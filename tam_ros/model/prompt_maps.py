"""Prompt maps: show the decoder where boxes and clicks are, as pictures beside the tokens.

A cue that EdgeTAM lacks and small networks need: a token says where a corner is in a code that
takes long to learn, a map says it in every pixel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tam_ros.model.contrast import Seeds
from tam_ros.model.layers import MapGains
from tam_ros.networks import EdgeTAMConfig
from tam_ros.prompts import BACKGROUND, BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, OBJECT

MAPS = 3  # inside the box, near a click on the object, near one on the background
BOX_MARGIN = 0.1  # of a box's side: how far beyond it an object may reach
OUTSIDE_LOGIT = -20.0  # added to an answer there
CLICK_RADIUS = 1 / 32  # standard deviation of a click's blob, as a part of the image's side
CLICK_REACH = 0.15  # likewise: how far an object probably reaches around a click on it


class PromptMaps(MapGains):
    """Draws prompts at stride 4 and turns them into what the decoder's maps gain."""

    def __init__(self, config: EdgeTAMConfig):
        # Without bias: where nothing is prompted, nothing is added.
        super().__init__(MAPS, config.model_dim, bias=False)
        centres = (torch.arange(config.mask_side) + 0.5) / config.mask_side
        self.register_buffer('centres', centres, persistent=False)

    def show(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the decoder's gains of the (B, MAPS, 4h, 4h) maps of `draw`."""
        return self.gains(F.pixel_unshuffle(F.pixel_unshuffle(maps, 2), 2))

    def wall(self, points_xy: Tensor, labels: Tensor) -> Tensor:
        """Return the (B, 1, 4h, 4h) logits that keep an answer in its box, 0 where there is none.

        points_xy is (B, N, 2) in 0..1. A click on the object counts as in the box.
        """
        corner = (labels == BOX_TOP_LEFT) | (labels == BOX_BOTTOM_RIGHT)
        inside = (corner | (labels == OBJECT))[..., None]
        low = points_xy.masked_fill(~inside, 1.0).amin(dim=1)  # B, 2
        high = points_xy.masked_fill(~inside, 0.0).amax(dim=1)
        margin = BOX_MARGIN * (high - low)
        low, high = (low - margin)[..., None], (high + margin)[..., None]
        beyond = (self.centres < low) | (self.centres > high)  # B, 2, 4h
        outside = beyond[:, 1, :, None] | beyond[:, 0, None, :]
        outside = outside & corner.any(dim=1)[:, None, None]
        return OUTSIDE_LOGIT * outside[:, None]

    def seeds(
        self,
        maps: Tensor,
        points_xy: Tensor,
        labels: Tensor,
        former_logits: Tensor | None = None,
        refined: Tensor | None = None,
    ) -> Seeds:
        """Return what (B, N, 2) points in 0..1, and the maps drawn of them, say of the cells.

        former_logits: (B, 1, 4h, 4h), of an answer that they refine; refined: (B,) bool, whose
        counts, None for all.
        """
        box, on, off = _to_cells(maps).unbind(1)
        around = self._blobs(points_xy, labels == OBJECT, CLICK_REACH)[:, None]
        region = (labels == BOX_TOP_LEFT).any(1)
        inside = box.where(region[:, None], _to_cells(around)[:, 0])
        known = box
        if former_logits is not None:
            former = _to_cells(former_logits.float().sigmoid())[:, 0]
            refined = torch.ones_like(region) if refined is None else refined
            inside, known = (former.where(refined[:, None], x) for x in (inside, known))
            region = region | refined
        return Seeds(inside, known * (1 - off) + on, (1 - inside) * (1 - on) + off, region)

    def draw(self, points_xy: Tensor, labels: Tensor) -> Tensor:
        """Return the (B, MAPS, 4h, 4h) maps of points in 0..1, values from 0 to 1."""
        clicks = [self._blobs(points_xy, labels == kind) for kind in (OBJECT, BACKGROUND)]
        return torch.stack([self._box(points_xy, labels), *clicks], dim=1)

    def _box(self, points_xy: Tensor, labels: Tensor) -> Tensor:
        """Return (B, 4h, 4h): 1 inside the box, with a border one map pixel soft."""
        side = len(self.centres)
        low = _corner(points_xy, labels == BOX_TOP_LEFT)[..., None]  # B, 2, 1
        high = _corner(points_xy, labels == BOX_BOTTOM_RIGHT)[..., None]
        from_low, to_high = self.centres - low, high - self.centres  # B, 2, 4h
        inside = (torch.minimum(from_low, to_high) * side + 0.5).clamp(0, 1)
        return inside[:, 1, :, None] * inside[:, 0, None, :]

    def _blobs(self, points_xy: Tensor, chosen: Tensor, radius: float = CLICK_RADIUS) -> Tensor:
        """Return (B, 4h, 4h): 1 at chosen points, fading around them."""
        offsets = (self.centres - points_xy[..., None]) / radius  # B, N, 2, 4h
        x, y = torch.exp(-0.5 * offsets**2).unbind(2)
        blobs = y[..., :, None] * x[..., None, :] * chosen[..., None, None]  # B, N, 4h, 4h
        return 1 - (1 - blobs).prod(dim=1)


def _to_cells(maps: Tensor) -> Tensor:
    """Average (B, C, 4h, 4h) maps over stride-8 cells: (B, C, cells)."""
    return F.avg_pool2d(maps, 2).flatten(2)


def _corner(points_xy: Tensor, chosen: Tensor) -> Tensor:
    """Return (B, 2), the chosen point of each row, 0 where there is none."""
    return (points_xy * chosen[..., None]).sum(dim=1)
