"""The engine that runs a network with PyTorch."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tam_ros.engine.allocation import keep_freed_memory
from tam_ros.engine.base import (
    Decoded,
    DecoderPrompts,
    EngineError,
    EngineSpec,
    MemoryPlan,
    NumericMode,
    check_mode,
)
from tam_ros.engine.grouping import StoredGroups, locate_groups
from tam_ros.engine.instructions import check_bf16
from tam_ros.model.checkpoint import load_weights, read_weights
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.efficienttam import EfficientTAM
from tam_ros.model.fuse import fuse
from tam_ros.model.network import (
    Decoding,
    Features,
    PlanTensors,
    PromptTensors,
    StoreTensors,
    TrackingNetwork,
)
from tam_ros.model.packed import pack
from tam_ros.model.precision import narrow
from tam_ros.model.propagation import GroupTensors
from tam_ros.model.reproducible import reproducible_state_dict
from tam_ros.networks import MODELS, EdgeTAMConfig, ModelConfig
from tam_ros.weights import REPRODUCIBLE

TorchPrecision = Literal['fp32', 'bf16', 'fp16']
DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


def load_torch_engine(
    model: str,
    weights: str | Path = REPRODUCIBLE,
    *,
    image_size: int = 0,
    mode: NumericMode = 'interactive',
    device: str = 'cpu',
    precision: TorchPrecision = 'fp32',
) -> 'TorchEngine':
    """Build a network, load its weights, fuse it and put it on a device.

    weights is a checkpoint file or 'reproducible'; image_size 0 means the model's own.
    Raises EngineError or CheckpointError naming what is wrong.
    """
    network = build_network(choose_config(model, image_size), weights)
    name = Path(weights).name
    return TorchEngine(
        network, model=model, weights=name, mode=mode, device=device, precision=precision
    )


def choose_config(model: str, image_size: int = 0) -> ModelConfig:
    """Return a model's configuration, 0 for its own size; raises EngineError for what is none."""
    if model not in MODELS:
        raise EngineError(f'model {model!r} is unknown: choose from {", ".join(MODELS)}')
    config = MODELS[model]
    try:
        return replace(config, image_size=image_size) if image_size else config
    except ValueError as error:
        raise EngineError(str(error)) from error


def make_network(config: ModelConfig) -> TrackingNetwork:
    """Return the network of a configuration, untrained."""
    return EdgeTAM(config) if isinstance(config, EdgeTAMConfig) else EfficientTAM(config)


def build_network(config: ModelConfig, weights: str | Path) -> TrackingNetwork:
    """Return a network in evaluation mode with weights loaded, not fused."""
    network = make_network(config)
    if str(weights) == REPRODUCIBLE:
        network.load_state_dict(reproducible_state_dict(network))
    else:
        load_weights(network, weights)
    return network.eval()


def read_checkpoint(model: str, path: Path) -> dict[str, Tensor]:
    """Return the values of a model's checkpoint, read as strictly as for loading it."""
    with torch.device('meta'):  # names, shapes and types will do
        expected = make_network(choose_config(model)).state_dict()
    return read_weights(path, expected)


def check_device(device: str) -> torch.device:
    """Return a device that is here, or raise EngineError that lists what is."""
    available = ['cpu'] + [f'cuda:{i}' for i in range(torch.cuda.device_count())]
    wanted = 'cuda:0' if device == 'cuda' else device
    if wanted not in available:
        raise EngineError(
            f'device {device!r} is not available here: choose from {", ".join(available)}'
        )
    return torch.device(wanted)


def _check_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the type of a precision that a device can compute in, or raise EngineError."""
    if precision not in DTYPES:
        raise EngineError(f'precision {precision!r} is unknown: choose from {", ".join(DTYPES)}')
    if precision == 'fp16' and device.type == 'cpu':
        raise EngineError("precision 'fp16' needs a GPU: use 'bf16' or 'fp32' on the CPU")
    if precision == 'bf16' and device.type == 'cpu':
        check_bf16()
    return DTYPES[precision]


def _prepared(
    network: TrackingNetwork, dtype: torch.dtype, device: torch.device, *, fused: bool
) -> TrackingNetwork:
    """Make a loaded network ready to compute on a device, in place, and return it."""
    on_cpu = device.type == 'cpu'
    # On accelerators fused attention wants values as wide as keys.
    network = fuse(network, values=on_cpu) if fused else network.eval()
    network = narrow(network, dtype).to(device)
    # The trunk's depthwise convolutions are a quarter faster with channels innermost.
    network.image_encoder.to(memory_format=torch.channels_last)
    with torch.inference_mode():
        network.precompute()
    if on_cpu and fused:
        keep_freed_memory()
        # Single precision keeps PyTorch's order of sums elsewhere: a ViT amplifies rounding.
        wide = dtype == torch.float32
        for part in (network.memory_attention, network.memory_encoder) if wide else (network,):
            pack(part)
    return network


@dataclass(frozen=True)
class TorchMemoryStore:
    """Memories and pointers of a fixed number of objects, on the device."""

    memories: Tensor
    """(objects, slots, tokens, memory_dim): those attended to, then those matched, if any."""
    pointers: Tensor
    """(objects, pointer slots, C)."""

    @torch.inference_mode()
    def write(self, rows: list[int], slots: list[int], memories: Tensor) -> None:
        """Store a batch of memories, one per (row, slot)."""
        self.memories[rows, slots] = memories

    @torch.inference_mode()
    def write_pointers(self, rows: list[int], slots: list[int], pointers: Tensor) -> None:
        """Store a batch of object pointers, one per (row, slot)."""
        self.pointers[rows, slots] = pointers


class HostRows:
    """A tensor on any device, whose rows come to the host as numpy when they are asked for."""

    def __init__(self, tensor: Tensor):
        self._tensor = tensor

    def __getitem__(self, row: int, /) -> np.ndarray:
        return self._tensor[row].cpu().numpy()


class TorchEngine:
    """Runs the four stages of a network; see `engine.base.Engine`.

    fused: merge linear layers first, and pack them (exact up to rounding). Takes ownership of the
    network. On a CPU the process keeps the memory that it frees from then on. Load and call it in
    one and the same thread there: with two, OpenMP helpers outnumber cores and sleep at each step.
    """

    def __init__(
        self,
        network: TrackingNetwork,
        *,
        model: str = 'edgetam',
        weights: str = '',
        mode: NumericMode = 'interactive',
        device: str = 'cpu',
        precision: TorchPrecision = 'fp32',
        fused: bool = True,
    ):
        check_mode(mode)
        self._device = check_device(device)
        dtype = _check_precision(precision, self._device)
        self._network = _prepared(network, dtype, self._device, fused=fused)
        config = network.config
        self.spec = EngineSpec(
            model=model,
            image_size=config.image_size,
            mask_side=config.mask_side,
            recent_memories=config.recent_memories,
            mode=mode,
            device=str(self._device),
            weights=weights,
            runtime=f'PyTorch {torch.__version__}, {precision}',
            resampling=config.resampling,
            matches=config.dense_tokens > 0,
        )

    @torch.inference_mode()
    def encode_image(self, image: np.ndarray) -> Features:
        """Encode a (S, S, 3) RGB image, uint8 or float32 of 0 to 255."""
        pixels = torch.tensor(image).to(self._device)  # copied: the image may be read-only
        pixels = pixels.permute(2, 0, 1)[None].float()  # channels innermost in memory, as read
        return self._network.encode_image(pixels)

    def nbytes(self, features: Features) -> int:
        """Return the bytes that an encoded image occupies."""
        return sum(part.nbytes for part in features if part is not None)

    @torch.inference_mode()
    def attend_memory(
        self, features: Features, store: TorchMemoryStore, plan: MemoryPlan
    ) -> Tensor:
        """Condition features on the planned memories of B objects."""
        missing = (plan.slots < 0).any() or (plan.pointer_slots < 0).any()
        tokens, *dense = self._network.split_tokens(store.memories)
        groups = self._group_tensors(plan) if dense else None
        memories = self._network.gather(
            StoreTensors(tokens, store.pointers, *dense),
            PlanTensors(*self._tensors(plan, PlanTensors._fields)),
            groups,
            complete=not missing,
        )
        return self._network.attend_memory(features, memories)

    @torch.inference_mode()
    def decode_mask(
        self, features: Features, attended: Tensor | None, prompts: DecoderPrompts
    ) -> Decoded:
        """Decode the masks of B objects."""
        if prompts.masks is not None:
            masks = self._tensor(prompts.masks)[:, None].float()
            return self._to_decoded(self._network.point_from_mask(features, masks))
        logits = prompts.former_logits
        tensors = PromptTensors(
            self._tensor(prompts.points_xy),
            self._tensor(prompts.labels),
            None if logits is None else self._tensor(logits)[:, None],
            prompts.multimask,
        )
        dynamic = self.spec.mode == 'interactive'
        return self._to_decoded(self._network.decode_mask(features, attended, tensors, dynamic))

    @torch.inference_mode()
    def encode_memory(
        self, features: Features, mask_logits: np.ndarray | Tensor, *, from_prompt: bool
    ) -> Tensor:
        """Return (B, tokens, C) memories of B masks."""
        if isinstance(mask_logits, np.ndarray):
            mask_logits = self._tensor(mask_logits)
        binarize = from_prompt and self.spec.mode == 'interactive'
        return self._network.encode_memory(features, mask_logits[:, None], binarize=binarize)

    @torch.inference_mode()
    def allocate_store(self, objects: int, slots: int, pointers: int) -> TorchMemoryStore:
        """Return a store of zeros for that many objects."""
        config = self._network.config
        zeros = functools.partial(torch.zeros, device=self._device, dtype=self._network.dtype)
        return TorchMemoryStore(
            zeros(objects, slots, config.tokens, config.memory_dim),
            zeros(objects, pointers, config.model_dim),
        )

    def device_memory_mb(self) -> float:
        """Return the MiB that PyTorch holds on the GPU; 0 on the CPU."""
        if self._device.type == 'cpu':
            return 0.0
        return torch.cuda.memory_reserved(self._device) / 2**20

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def _group_tensors(self, plan: MemoryPlan) -> GroupTensors:
        return GroupTensors(*self._tensors(locate_groups(plan), GroupTensors._fields))

    def _tensors(self, arrays: MemoryPlan | StoredGroups, names: Sequence[str]) -> list[Tensor]:
        return [self._tensor(getattr(arrays, name)) for name in names]

    def _to_decoded(self, decoding: Decoding) -> Decoded:
        return Decoded(
            logits=decoding.logits.cpu().numpy(),
            predicted_ious=decoding.predicted_iou.cpu().numpy(),
            presence_logits=decoding.presence_logit.cpu().numpy(),
            pointers=decoding.pointer,
            mask_logits=decoding.logits,
            candidate_logits=HostRows(decoding.candidate_logits),
            candidate_ious=decoding.candidate_ious.cpu().numpy(),
        )
