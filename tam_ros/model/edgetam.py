"""EdgeTAM (arXiv 2501.07256): a convolutional trunk, and memories as a few latents."""

import torch
from torch import Tensor

from tam_ros.model.config import EdgeTAMConfig
from tam_ros.model.image_encoder import ImageEncoder
from tam_ros.model.mask_decoder import DecoderOutput
from tam_ros.model.memory_attention import LatentMemoryAttention
from tam_ros.model.network import (
    DecoderMaps,
    Features,
    Memories,
    PromptTensors,
    TrackingNetwork,
)
from tam_ros.model.perceiver import SpatialPerceiver
from tam_ros.model.prompt_maps import PromptMaps
from tam_ros.model.propagation import DensePropagation


class EdgeTAM(TrackingNetwork):
    """The network, and the cues that ours has beside the published one."""

    def __init__(self, config: EdgeTAMConfig):
        super().__init__(config, high_resolution=True)
        self.image_encoder = ImageEncoder(config)
        self.memory_attention = LatentMemoryAttention(config)
        self.spatial_perceiver = SpatialPerceiver(config)
        self.propagation = DensePropagation(config) if config.propagation else None
        self.prompt_maps = PromptMaps(config) if config.prompt_maps else None

    def encode_image(self, image: Tensor) -> Features:
        """Encode an (N, 3, S, S) RGB image with values 0 to 255."""
        stride4, stride8, top = self.image_encoder(self._normalized(image))
        decoder = self.sam_mask_decoder
        stride8, stride4 = decoder.conv_s1(stride8), decoder.conv_s0(stride4)
        keys = self.propagation.make_keys(stride8, top) if self.propagation else None
        return Features(top, stride8, stride4, keys)

    def attend_memory(self, features: Features, memories: Memories) -> Tensor:
        """Return (B, C, h, h) features conditioned on each object's memories.

        With dense propagation its hints follow as further channels; `decode_mask` expects them.
        """
        attended = self._attend(features, memories, self.spatial_perceiver.output_positions)
        if self.propagation is None:
            return attended
        hints = self.propagation.match(features.keys, memories.dense)
        return torch.cat([attended, hints], dim=1)

    def decode_candidates(
        self, features: Features, attended: Tensor | None, prompts: PromptTensors
    ) -> DecoderOutput:
        """Decode all four candidate masks; attended as for `decode_mask`."""
        maps = features.top, features.stride8, features.stride4
        if attended is None:
            return self._run_decoder((self._first_look(maps[0]), *maps[1:]), prompts)
        if self.propagation is None:
            return self._run_decoder((attended, *maps[1:]), prompts)
        image, packed = attended.tensor_split([self.config.model_dim], dim=1)
        hints = self.propagation.unpack(packed)
        prior = self.propagation.prior(hints, features.stride4)
        maps = _add_each((image, *maps[1:]), self.propagation.gains(packed))
        output = self._run_decoder(maps, prompts)
        return output._replace(logits=output.logits + prior, hints=hints, prior=prior)

    def _run_decoder(self, maps: DecoderMaps, prompts: PromptTensors) -> DecoderOutput:
        if self.prompt_maps is None or not prompts.labels.shape[1]:
            return super()._run_decoder(maps, prompts)
        points, labels = prompts.points_xy, prompts.labels
        output = super()._run_decoder(_add_each(maps, self.prompt_maps(points, labels)), prompts)
        return output._replace(logits=output.logits + self.prompt_maps.wall(points, labels))

    def encode_memory(self, features: Features, mask_logits: Tensor, *, binarize: bool) -> Tensor:
        """Return the (B, tokens, memory_dim) memory of (B, 1, 4h, 4h) mask logits.

        Latents come first; with dense propagation the dense tokens follow.
        """
        latents = self.spatial_perceiver(self._encode_map(features, mask_logits, binarize))
        if self.propagation is None:
            return latents
        dense = self.propagation.make_tokens(features.keys, mask_logits)
        return torch.cat([latents, dense], dim=1)


def _add_each(maps: DecoderMaps, gains: DecoderMaps) -> DecoderMaps:
    return tuple(a + b for a, b in zip(maps, gains))
