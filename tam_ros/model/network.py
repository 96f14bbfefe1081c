"""What EdgeTAM and EfficientTAM share: the four stages of promptable tracking.

Stateless, for any number of objects: memories come in as arguments. Which memories, and in which
order, is not known here. The families are in `edgetam` and `efficienttam`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tam_ros.model.layers import IMAGENET_MEAN, IMAGENET_STD, MLP, resize_bilinear
from tam_ros.model.mask_decoder import DecoderOutput, MaskDecoder
from tam_ros.model.memory_encoder import MemoryEncoder
from tam_ros.model.prompt_encoder import PromptEncoder
from tam_ros.model.propagation import DenseMemories, GroupTensors
from tam_ros.networks import NetworkConfig

ABSENT_LOGIT = -1024.0  # mask logits of an object that is not in the frame
MEMORY_SCALE, MEMORY_BIAS = 20.0, -10.0  # masks enter the memory encoder as -10 to 10
STABILITY_OFFSET, STABILITY_THRESHOLD = 0.05, 0.98


DecoderMaps = tuple[Tensor, Tensor | None, Tensor | None]  # of strides 16, 8 and 4


class Features(NamedTuple):
    """One encoded image; h is a sixteenth of the network's side."""

    top: Tensor  # 1, C, h, h
    stride8: Tensor | None = None  # 1, C / 4, 2h, 2h: of EdgeTAM
    stride4: Tensor | None = None  # 1, C / 8, 4h, 4h: of EdgeTAM
    keys: Tensor | None = None  # 1, 2h * 2h, match_dim: of dense propagation, where there is any


class Memories(NamedTuple):
    """What B objects remember; M memories and P pointers each."""

    tokens: Tensor  # B, M, latents, memory_dim
    slots: Tensor  # B, M int64: temporal slot, 0 newest tracked frame ... last = prompted frame
    pointers: Tensor  # B, P, C
    mask: Tensor | None  # B, M + P bool, True where there is a memory; None where all are
    dense: DenseMemories | None = None  # with propagation


class StoreTensors(NamedTuple):
    """Memories of R objects in S slots, and pointers in P."""

    tokens: Tensor  # R, S, attended tokens, memory_dim
    pointers: Tensor  # R, P, C
    dense: Tensor | None = None  # R, S, cells, memory_dim: with propagation


class PlanTensors(NamedTuple):
    """Which of a store B objects attend to; -1 where there is none."""

    rows: Tensor  # B int64
    slots: Tensor  # B, M int64: of the store
    ages: Tensor  # B, M int64: temporal slots, as in Memories
    pointer_slots: Tensor  # B, P int64


class PromptTensors(NamedTuple):
    """Prompts of B objects, in network pixels; N may be 0."""

    points_xy: Tensor  # B, N, 2
    labels: Tensor  # B, N int64
    former_logits: Tensor | None  # B, 1, 4h, 4h: of an answer to be refined
    multimask: bool  # whether the best of three masks answers, or the single mask
    refined: Tensor | None = None  # B bool: who has a former answer; None where all or none have


class Decoding(NamedTuple):
    """The chosen mask of B objects, and the K candidates it was chosen from."""

    logits: Tensor  # B, 4h, 4h
    predicted_iou: Tensor  # B
    presence_logit: Tensor  # B: above 0 the object is in the frame
    pointer: Tensor  # B, C
    candidate_logits: Tensor  # B, K, 4h, 4h
    candidate_ious: Tensor  # B, K


class TrackingNetwork(nn.Module):
    """The network. Parameter names are those of the official checkpoints.

    The families add `image_encoder`, `memory_attention`, and what a memory becomes.
    """

    def __init__(self, config: NetworkConfig, *, high_resolution: bool):
        super().__init__()
        dim, memory_dim = config.model_dim, config.memory_dim
        self.config = config
        self.maskmem_tpos_enc = nn.Parameter(
            torch.zeros(config.recent_memories + 1, 1, 1, memory_dim)
        )
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, dim))
        self.no_mem_pos_enc = nn.Parameter(torch.zeros(1, 1, dim))  # in checkpoints, never read
        self.no_obj_ptr = nn.Parameter(torch.zeros(1, dim))
        self.mask_downsample = nn.Conv2d(1, 1, 4, 4)
        self.memory_encoder = MemoryEncoder(dim, memory_dim)
        self.sam_prompt_encoder = PromptEncoder(dim, config.image_size)
        self.sam_mask_decoder = MaskDecoder(config, high_resolution=high_resolution)
        self.obj_ptr_proj = MLP(dim, dim, dim, dim)
        dense = torch.zeros(1, dim, config.feature_side, config.feature_side)
        self.register_buffer('dense_positions', dense, persistent=False)
        self._normalize_by(IMAGENET_MEAN, IMAGENET_STD)

    def _normalize_by(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Set the mean and deviation, of RGB in 0..1, that images are normalised by."""
        for name, values in (('pixel_mean', mean), ('pixel_std', std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        """The type that most is computed in; see `precision`."""
        return self.no_mem_embed.dtype

    def precompute(self) -> None:
        """Compute what follows from the weights alone; call after loading them."""
        positions = self.sam_prompt_encoder.dense_positions(self.config.feature_side)
        self.dense_positions = positions.to(self.dtype)

    # -- what the families say ----------------------------------------------------------------

    def encode_image(self, image: Tensor) -> Features:
        """Encode an (N, 3, S, S) RGB image with values 0 to 255."""
        raise NotImplementedError

    def attend_memory(self, features: Features, memories: Memories) -> Tensor:
        """Return (B, C, h, h) features conditioned on each object's memories.

        Whatever further channels follow is for `decode_mask`.
        """
        raise NotImplementedError

    def attend_alike(self, features: Features, memories: Memories) -> Tensor:
        """Do the same for objects that all have one memory, or all several."""
        return self.attend_memory(features, memories)

    def encode_memory(
        self, features: Features, mask_logits: Tensor, *, binarize: bool | Tensor
    ) -> Tensor:
        """Return the (B, tokens, memory_dim) memory of (B, 1, 4h, 4h) mask logits.

        binarize may be a 0-d tensor where it is not known yet, in an exported graph.
        """
        raise NotImplementedError

    def decode_candidates(
        self, features: Features, attended: Tensor | None, prompts: PromptTensors
    ) -> DecoderOutput:
        """Decode all four candidate masks; attended as for `decode_mask`."""
        raise NotImplementedError

    def fuse_images(self) -> None:
        """Merge what is linear in a row on the way from an image to features, in place."""

    def prepare_for_graph(self) -> None:
        """Leave out what helps PyTorch's kernels alone."""

    def gather_dense(
        self, store: StoreTensors, groups: GroupTensors | None
    ) -> DenseMemories | None:
        """Gather what is matched with a frame from a store; None of networks that match none."""
        return None

    # -- what they share ----------------------------------------------------------------------

    def split_tokens(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Return what is attended to of (..., tokens, C) memories, and what is matched, if any."""
        attended = self.config.attended_tokens
        if attended == tokens.shape[-2]:
            return (tokens,)
        # Spelled out, as an ellipsis is traced to other nodes of a graph.
        before = (slice(None),) * (tokens.ndim - 2)
        return tokens[before + (slice(attended),)], tokens[before + (slice(attended, None),)]

    def gather(
        self,
        store: StoreTensors,
        plan: PlanTensors,
        groups: GroupTensors | None,
        *,
        complete: bool = False,
    ) -> Memories:
        """Gather what B objects remember from a store; complete: where no plan lacks anything."""
        dense = self.gather_dense(store, groups)
        row = plan.rows[:, None]
        return Memories(
            store.tokens[row, plan.slots.clamp(min=0)],
            plan.ages.clamp(min=0),
            store.pointers[row, plan.pointer_slots.clamp(min=0)],
            None if complete else torch.cat([plan.slots, plan.pointer_slots], dim=1) >= 0,
            dense,
        )

    def decode_mask(
        self, features: Features, attended: Tensor | None, prompts: PromptTensors, dynamic: bool
    ) -> Decoding:
        """Decode masks from memory-conditioned features, or from plain ones on a first prompt.

        Multimask prompts are answered by the best of three masks by predicted IoU, others by the
        single mask; with dynamic, the best of the three replaces that where it is unstable.
        """
        output = self.decode_candidates(features, attended, prompts)
        return self.choose(output, multimask=prompts.multimask, dynamic=dynamic)

    def choose(self, output: DecoderOutput, *, multimask: bool, dynamic: bool) -> Decoding:
        present = output.presence_logit > 0  # B, 1
        logits = output.logits.masked_fill(~present[..., None, None], ABSENT_LOGIT)
        chosen = _choose_candidate(logits, output.ious, multimask, dynamic)  # B, in 0..3
        rows = torch.arange(chosen.shape[0], device=chosen.device)
        token = output.tokens[rows, chosen if multimask else torch.zeros_like(chosen)]
        pointer = self.obj_ptr_proj(token).where(present, self.no_obj_ptr)
        candidates = slice(1, 4) if multimask else slice(0, 1)
        return Decoding(
            logits[rows, chosen],
            output.ious[rows, chosen],
            output.presence_logit[:, 0],
            pointer,
            logits[:, candidates],
            output.ious[:, candidates],
        )

    def point_from_mask(self, features: Features, masks: Tensor) -> Decoding:
        """Decode given (B, 1, S, S) masks of 0 and 1: only the pointer of the answer is meant.

        A given mask is its own answer; the decoder only makes the object pointer for it, from
        features without the no-memory embedding.
        """
        labels = torch.zeros((masks.shape[0], 0), dtype=torch.int64, device=masks.device)
        points = masks.new_zeros(masks.shape[0], 0, 2)
        prompts = PromptTensors(points, labels, self.mask_downsample(masks), multimask=False)
        output = self._run_decoder((features.top, features.stride8, features.stride4), prompts)
        return self.choose(output, multimask=False, dynamic=False)

    def _normalized(self, image: Tensor) -> Tensor:
        return ((image / 255 - self.pixel_mean) / self.pixel_std).to(self.dtype)

    def _first_look(self, top: Tensor) -> Tensor:
        """Return stride-16 features as the decoder wants them where nothing is remembered."""
        return top + self.no_mem_embed.reshape(1, -1, 1, 1)

    def _attend(self, features: Features, memories: Memories, places: Tensor) -> Tensor:
        """Attend to memories whose tokens lie at (tokens, memory_dim) places."""
        temporal = self.maskmem_tpos_enc.flatten(1)[memories.slots]  # B, M, memory_dim
        positions = places + temporal[:, :, None]  # B, M, tokens, memory_dim
        return self.memory_attention(
            features.top, memories.tokens, positions, memories.pointers, memories.mask
        )

    def _run_decoder(self, maps: DecoderMaps, prompts: PromptTensors) -> DecoderOutput:
        image, stride8, stride4 = maps
        encoder = self.sam_prompt_encoder
        sparse = encoder.encode_points(prompts.points_xy, prompts.labels).to(image.dtype)
        dense = encoder.encode_mask(prompts.former_logits, prompts.refined)  # B, C, h, h
        image = image + dense.to(image.dtype)
        image = image.expand(sparse.shape[0], -1, -1, -1)
        return self.sam_mask_decoder(image, self.dense_positions, sparse, (stride4, stride8))

    def _encode_map(
        self, features: Features, mask_logits: Tensor, binarize: bool | Tensor
    ) -> Tensor:
        """Return the (B, memory_dim, h, h) memory map of (B, 1, 4h, 4h) mask logits."""
        logits = resize_bilinear(mask_logits, self.config.image_size)
        if isinstance(binarize, bool):
            mask = (logits > 0).to(logits.dtype) if binarize else logits.sigmoid()
        else:
            mask = (logits > 0).to(logits.dtype).where(binarize, logits.sigmoid())
        mask = mask * MEMORY_SCALE + MEMORY_BIAS
        return self.memory_encoder(features.top, mask.to(features.top.dtype))


def _choose_candidate(logits: Tensor, ious: Tensor, multimask: bool, dynamic: bool) -> Tensor:
    """Return per object the index of the answer among the decoder's (B, 4, ...) masks."""
    best = ious[:, 1:].argmax(dim=1) + 1
    if multimask:
        return best
    single = torch.zeros_like(best)
    if not dynamic:
        return single
    return single.where(_stability(logits[:, 0]) >= STABILITY_THRESHOLD, best)


def _stability(logits: Tensor) -> Tensor:
    """Return per (B, H, W) mask the IoU of itself thresholded a little higher and lower."""
    inner = (logits > STABILITY_OFFSET).sum((1, 2))
    outer = (logits > -STABILITY_OFFSET).sum((1, 2))
    return torch.where(outer > 0, inner / outer.clamp(min=1), 1.0)
