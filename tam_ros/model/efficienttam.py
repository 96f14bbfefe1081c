"""EfficientTAM (arXiv 2411.18933): a plain vision transformer, and memories as whole maps."""

import torch
from torch import Tensor

from tam_ros.model.layers import sine_positions
from tam_ros.model.mask_decoder import DecoderOutput
from tam_ros.model.memory_attention import MapMemoryAttention
from tam_ros.model.network import Features, Memories, PromptTensors, TrackingNetwork
from tam_ros.model.vit import ViTEncoder
from tam_ros.networks import EfficientTAMConfig


class EfficientTAM(TrackingNetwork):
    """The network. It has one feature map, of stride 16."""

    config: EfficientTAMConfig

    def __init__(self, config: EfficientTAMConfig):
        super().__init__(config, high_resolution=False)
        self.image_encoder = ViTEncoder(config)
        self.memory_attention = MapMemoryAttention(config)
        places = sine_positions(config.feature_side, config.memory_dim).flatten(1).T
        self.register_buffer('places', places.contiguous(), persistent=False)  # tokens, C

    def precompute(self) -> None:
        """Compute what follows from the weights alone; call after loading them."""
        super().precompute()
        self.image_encoder.trunk.precompute()

    def encode_image(self, image: Tensor) -> Features:
        """Encode an (N, 3, S, S) RGB image with values 0 to 255."""
        return Features(self.image_encoder(self._normalized(image)))

    def attend_memory(self, features: Features, memories: Memories) -> Tensor:
        """Return (B, C, h, h) features conditioned on each object's memories.

        With pooling, objects of a single memory are apart: theirs is not pooled.
        """
        if not self.config.attends_apart or memories.mask is None:
            return self.attend_alike(features, memories)
        count = memories.tokens.shape[1]
        single = memories.mask[:, :count].sum(1) == 1
        attended = features.top.new_empty(len(single), *features.top.shape[1:])
        for rows, kept in ((single, 1), (~single, count)):
            if rows.any():
                chosen = _select(memories, memories.mask[rows], rows, kept)
                attended[rows] = self.attend_alike(features, chosen)
        return attended

    def attend_alike(self, features: Features, memories: Memories) -> Tensor:
        """Do the same for objects that all have one memory, or all several."""
        return self._attend(features, memories, self.places)

    def decode_candidates(
        self, features: Features, attended: Tensor | None, prompts: PromptTensors
    ) -> DecoderOutput:
        """Decode all four candidate masks; attended as for `decode_mask`."""
        top = self._first_look(features.top) if attended is None else attended
        return self._run_decoder((top, None, None), prompts)

    def encode_memory(
        self, features: Features, mask_logits: Tensor, *, binarize: bool | Tensor
    ) -> Tensor:
        """Return the (B, h * h, memory_dim) memory of (B, 1, 4h, 4h) mask logits."""
        return self._encode_map(features, mask_logits, binarize).flatten(2).transpose(1, 2)


def _select(memories: Memories, mask: Tensor, rows: Tensor, kept: int) -> Memories:
    """Return the first kept memories, and all pointers, of the objects in (B,) bool rows.

    mask: of these objects.
    """
    count = memories.tokens.shape[1]
    return Memories(
        memories.tokens[rows, :kept],
        memories.slots[rows, :kept],
        memories.pointers[rows],
        torch.cat([mask[:, :kept], mask[:, count:]], dim=1),
    )
