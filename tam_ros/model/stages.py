"""The stages with plain tensors in and out, as they are exported.

Memories are gathered from the store inside, as the engines would. What a caller may or may not
have is said by flags, so that one graph serves both.
"""

import torch
from torch import Tensor, nn

from tam_ros.model.network import (
    Features,
    PlanTensors,
    PromptTensors,
    StoreTensors,
    TrackingNetwork,
)
from tam_ros.model.propagation import GroupTensors


class Stage(nn.Module):
    """One stage of a network. The maps of its features come one by one, in their order."""

    def __init__(self, network: TrackingNetwork):
        super().__init__()
        self.network = network

    @property
    def _maps(self) -> int:
        return len(self.network.config.feature_names)


class EncodeImage(Stage):
    """An (S, S, 3) RGB image of 0 to 255 to features."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        (image,) = tensors
        features = self.network.encode_image(image.permute(2, 0, 1)[None])
        return tuple(x for x in features if x is not None)


class AttendMemory(Stage):
    """Features and what B objects remember to conditioned features.

    After the features come the store, (R, S, tokens, C) memories and (R, P, C) pointers of R
    objects, and the plan: (B,) rows, (B, M) slots and ages, (B, P) pointer slots, -1 where there
    is none. With dense propagation: the (R, S, cells, C) store of dense tokens, then per group
    of objects that remember the same frame the row and slot of its keys and its hint (G), rows
    and slots of its members (G, V), and the objects' places (B, MATCHED).
    """

    def forward(self, *tensors: Tensor) -> Tensor:
        features, tensors = Features(*tensors[: self._maps]), tensors[self._maps :]
        tokens, pointers, *plan = tensors[:6]
        dense, *groups = tensors[6:] or (None,)
        memories = self.network.gather(
            StoreTensors(tokens, pointers, dense),
            PlanTensors(*plan),
            GroupTensors(*groups) if groups else None,
        )
        return self.network.attend_alike(features, memories)


class DecodeMask(Stage):
    """Features and what they were conditioned to for B objects, to the objects' masks."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        features, attended = Features(*tensors[: self._maps]), tensors[self._maps]
        count = attended.shape[0]
        none = torch.zeros(count, 0, dtype=torch.int64, device=attended.device)
        prompts = PromptTensors(attended.new_zeros(count, 0, 2), none, None, True)
        return tuple(self.network.decode_mask(features, attended, prompts, dynamic=False))


class DecodePrompt(Stage):
    """Prompts of B objects, with or without features conditioned on memories, to their masks.

    After the features: (B, N, 2) points, (B, N) labels, (B, 1, 4h, 4h) former answers, (B,) bool
    whether there is one, whether the best of three masks answers, and whether the single mask
    may be replaced where it is unstable. All four candidates are returned, the single one first.
    """

    def __init__(self, network: TrackingNetwork, *, remembers: bool):
        super().__init__(network)
        self.remembers = remembers

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        features, tensors = Features(*tensors[: self._maps]), tensors[self._maps :]
        attended = None
        if self.remembers:
            attended, tensors = tensors[0], tensors[1:]
        points, labels, former, refined, multimask, dynamic = tensors
        prompts = PromptTensors(points, labels, former, False, refined)
        output = self.network.decode_candidates(features, attended, prompts)
        best = self.network.choose(output, multimask=True, dynamic=False)
        single = self.network.choose(output, multimask=False, dynamic=False)
        stable = self.network.choose(output, multimask=False, dynamic=True)
        chosen = [
            torch.where(multimask, a, torch.where(dynamic, b, c))
            for a, b, c in zip(best[:4], stable[:4], single[:4])
        ]
        candidates = [torch.cat(pair, dim=1) for pair in zip(single[4:], best[4:])]
        return tuple(chosen + candidates)


class PointFromMask(Stage):
    """Features and complete (B, 1, S, S) masks of 0 and 1 to the objects' pointers."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        features, masks = Features(*tensors[: self._maps]), tensors[self._maps]
        return tuple(self.network.point_from_mask(features, masks))


class EncodeMemory(Stage):
    """Features and (B, 4h, 4h) mask logits to memories, and to dense tokens where there are any.

    The last argument says whether the masks are made 0 and 1 first.
    """

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        features, tensors = Features(*tensors[: self._maps]), tensors[self._maps :]
        logits, binarize = tensors[0][:, None], tensors[1]
        memory = self.network.encode_memory(features, logits, binarize=binarize)
        return self.network.split_tokens(memory)
