"""EdgeTAM (arXiv 2501.07256): a convolutional trunk, and memories as a few latents."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tam_ros.model.contrast import PromptContrast
from tam_ros.model.fuse import chain, fuse_children
from tam_ros.model.image_encoder import ImageEncoder
from tam_ros.model.mask_decoder import DecoderOutput
from tam_ros.model.memory_attention import LatentMemoryAttention
from tam_ros.model.network import (
    DecoderMaps,
    Features,
    Memories,
    PromptTensors,
    StoreTensors,
    TrackingNetwork,
)
from tam_ros.model.perceiver import SpatialPerceiver
from tam_ros.model.prompt_maps import PromptMaps
from tam_ros.model.propagation import DenseMemories, DensePropagation, GroupTensors
from tam_ros.networks import EdgeTAMConfig


class Cue(NamedTuple):
    """What the decoder is told beside the features: for its maps, and for its masks."""

    gains: DecoderMaps
    prior: Tensor  # B, 1, 4h, 4h: logits


class EdgeTAM(TrackingNetwork):
    """The network, and the cues that ours has beside the published one."""

    config: EdgeTAMConfig

    def __init__(self, config: EdgeTAMConfig):
        super().__init__(config, high_resolution=True)
        self.image_encoder = ImageEncoder(config)
        trunk = self.image_encoder.trunk.body
        self._normalize_by(trunk.pixel_mean, trunk.pixel_std)
        self.memory_attention = LatentMemoryAttention(config)
        self.spatial_perceiver = SpatialPerceiver(config)
        self.propagation = DensePropagation(config) if config.propagation else None
        self.prompt_maps = PromptMaps(config) if config.prompt_maps else None
        self.contrast = PromptContrast(config) if config.prompt_maps else None

    def encode_image(self, image: Tensor) -> Features:
        """Encode an (N, 3, S, S) RGB image with values 0 to 255."""
        stride4, stride8, top = self.image_encoder(self._normalized(image))
        decoder = self.sam_mask_decoder
        stride8, stride4 = decoder.conv_s1(stride8), decoder.conv_s0(stride4)
        if self.propagation is None:
            return Features(top, stride8, stride4)
        keys = self.propagation.make_keys(stride8.float(), top.float())
        return Features(top, stride8, stride4, keys)

    def attend_memory(self, features: Features, memories: Memories) -> Tensor:
        """Return (B, C, h, h) features conditioned on each object's memories.

        With dense propagation its hints follow as further channels; `decode_mask` expects them.
        """
        attended = self._attend(features, memories, self.spatial_perceiver.output_positions)
        if self.propagation is None:
            return attended
        if memories.dense is None:
            raise ValueError('memories have no dense tokens: this network attends to them, too')
        hints = self.propagation.match(features.keys, memories.dense)
        return torch.cat([attended, hints.to(attended.dtype)], dim=1)

    def fuse_images(self) -> None:
        """Merge what is linear in a row on the way from an image to features, in place.

        In the trunk these are batch norms into convolutions, and the three branches of RepViT's
        token mixers; then the pyramid's finest two 1x1 convolutions with the decoder's, which
        alone read them.
        """
        fuse_children(self.image_encoder.trunk)
        finest, fine = self.image_encoder.neck.convs[3], self.image_encoder.neck.convs[2]
        decoder = self.sam_mask_decoder
        finest.conv, decoder.conv_s0 = chain(finest.conv, decoder.conv_s0), nn.Identity()
        fine.conv, decoder.conv_s1 = chain(fine.conv, decoder.conv_s1), nn.Identity()

    def prepare_for_graph(self) -> None:
        """Leave out what helps PyTorch's kernels alone."""
        if self.propagation is not None:
            self.propagation.for_graph = True

    def gather_dense(
        self, store: StoreTensors, groups: GroupTensors | None
    ) -> DenseMemories | None:
        """Gather what is matched with a frame from a store; None without dense propagation."""
        if self.propagation is None or groups is None:
            return None
        return self.propagation.gather(store.dense, groups)

    def decode_candidates(
        self, features: Features, attended: Tensor | None, prompts: PromptTensors
    ) -> DecoderOutput:
        """Decode all four candidate masks; attended as for `decode_mask`."""
        hints = None
        cues: list[Cue] = []
        if attended is None:
            image = self._first_look(features.top)
        elif self.propagation is None:
            image = attended
        else:
            image, packed = attended.tensor_split([self.config.model_dim], dim=1)
            packed = packed.float()
            hints = self.propagation.unpack(packed)
            prior = self.propagation.prior(hints, features.stride4)
            cues.append(Cue(self.propagation.gains(packed), prior))
        if prompts.labels.shape[1]:
            cues += self._prompt_cues(features, prompts)
        maps = image, features.stride8, features.stride4
        for cue in cues:
            maps = _add_each(maps, cue.gains)
        output = self._run_decoder(maps, prompts)
        if not cues:
            return output
        prior = sum(cue.prior for cue in cues)
        return output._replace(logits=output.logits + prior, hints=hints, prior=prior)

    def _prompt_cues(self, features: Features, prompts: PromptTensors) -> list[Cue]:
        """Return what pictures of points and boxes, and their contrast, say of the masks."""
        pictures, contrast = self.prompt_maps, self.contrast
        if pictures is None or contrast is None:
            return []
        points, labels = prompts.points_xy / self.config.image_size, prompts.labels
        maps = pictures.draw(points, labels)
        seeds = pictures.seeds(maps, points, labels, prompts.former_logits, prompts.refined)
        evidence = contrast.evidence(features.keys, seeds)
        shown = pictures.show(maps)
        prior = contrast.prior(evidence, seeds, features.stride4)
        gains = _add_each(shown, contrast.show(evidence))
        return [Cue(gains, prior + pictures.wall(points, labels))]

    def encode_memory(
        self, features: Features, mask_logits: Tensor, *, binarize: bool | Tensor
    ) -> Tensor:
        """Return the (B, tokens, memory_dim) memory of (B, 1, 4h, 4h) mask logits.

        Latents come first; with dense propagation the dense tokens follow.
        """
        latents = self.spatial_perceiver(self._encode_map(features, mask_logits, binarize))
        if self.propagation is None:
            return latents
        dense = self.propagation.make_tokens(features.keys, mask_logits)
        return torch.cat([latents, dense.to(latents.dtype)], dim=1)


def _add_each(maps: DecoderMaps, gains: DecoderMaps) -> DecoderMaps:
    return tuple(a + b.to(a.dtype) for a, b in zip(maps, gains))
