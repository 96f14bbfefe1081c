"""The seam between tracker and networks: four stages, and a store for memories.

Arrays that an engine returns are opaque to the tracker: they live where the engine works. What
is documented as numpy lives on the host. Only indexing an opaque batch along its first axis with
a list of rows is asked of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from tam_ros.preprocess import Resampling

NumericMode = Literal['interactive', 'benchmark']
NUMERIC_MODES: tuple[NumericMode, ...] = ('interactive', 'benchmark')

Array = Any  # opaque: a tensor, an OrtValue, ...


class EngineError(ValueError):
    """An engine cannot be made as asked; the message names the value and what is available."""


class NotFiniteError(EngineError):
    """An engine answers with NaN or infinity; the message says what may be the matter."""


@dataclass(frozen=True)
class EngineSpec:
    """What the tracker must know of an engine.

    image_size: side of the network input in pixels; mask_side: side of the low-resolution logits.
    recent_memories: how many tracked frames the network can tell apart by age.
    mode: 'interactive' adds what helps with clicks (stability fallback, binarised prompt masks,
    filled holes); 'benchmark' computes what published evaluations compute.
    weights: name of the file they came from, or what they are. runtime: what runs the network.
    static_shapes: whether every new size of a batch takes long when it first comes.
    resampling: how images are brought to the input's size; see `preprocess`.
    """

    model: str
    image_size: int
    mask_side: int
    recent_memories: int
    mode: NumericMode
    device: str
    weights: str = ''
    runtime: str = ''
    static_shapes: bool = False
    resampling: Resampling = 'bicubic'


@dataclass(frozen=True)
class DecoderPrompts:
    """Prompts of a batch of B objects with N points each (N may be 0), on the host.

    points_xy: (B, N, 2) float32 network pixels. labels: (B, N) int64 as in `prompts`.
    former_logits: (B, m, m) float32, of an answer to be refined, or None.
    masks: (B, S, S) bool, complete masks that are their own answer, or None.
    """

    points_xy: np.ndarray
    labels: np.ndarray
    former_logits: np.ndarray | None = None
    masks: np.ndarray | None = None

    @classmethod
    def none(cls, batch: int) -> 'DecoderPrompts':
        """Return the prompts of objects that are only tracked."""
        return cls(np.zeros((batch, 0, 2), np.float32), np.zeros((batch, 0), np.int64))

    @property
    def multimask(self) -> bool:
        """Whether the prompt is ambiguous, so that the best of three masks answers."""
        return self.labels.shape[1] <= 1


@dataclass(frozen=True)
class Decoded:
    """Masks of a batch of B objects.

    logits: (B, m, m) float32 numpy. predicted_ious: (B,) numpy, of these masks, in [0, 1].
    presence_logits: (B,) numpy; above 0 the object is in the frame.
    pointers, mask_logits: opaque batches for `write_pointers` and `encode_memory`.
    candidate_logits: by index (K, m, m) float32 numpy, fetched from the device when asked for.
    candidate_ious: (B, K) numpy, predicted.
    """

    logits: np.ndarray
    predicted_ious: np.ndarray
    presence_logits: np.ndarray
    pointers: Array
    mask_logits: Array
    candidate_logits: Sequence[np.ndarray]
    candidate_ious: np.ndarray


@dataclass(frozen=True)
class MemoryPlan:
    """Which stored memories each of B objects attends to in one frame; -1 where there is none.

    rows: (B,) rows of the store. slots: (B, M) memory slots; ages: (B, M) temporal slots, 0 for
    the newest tracked frame and `recent_memories` for a prompted one. pointer_slots: (B, P).
    Missing entries follow the present ones. matched: (B, 2) slots of the newest prompted memory
    and of the newest of all, for networks that match a frame with a remembered one;
    matched_frames: (B, 2) the frames that they remember.
    """

    rows: np.ndarray
    slots: np.ndarray
    ages: np.ndarray
    pointer_slots: np.ndarray
    matched: np.ndarray
    matched_frames: np.ndarray


class MemoryStore(Protocol):
    """Preallocated memories and pointers of a fixed number of objects, on the engine's device."""

    def write(self, rows: list[int], slots: list[int], memories: Array) -> None:
        """Store a batch of memories, one per (row, slot)."""

    def write_pointers(self, rows: list[int], slots: list[int], pointers: Array) -> None:
        """Store a batch of object pointers, one per (row, slot)."""


class Engine(Protocol):
    """Runs the stages. The image is encoded once a frame, the rest once for all objects."""

    spec: EngineSpec

    def encode_image(self, image: np.ndarray) -> Array:
        """Encode a (S, S, 3) RGB image, uint8 or float32 of 0 to 255; returns features."""

    def nbytes(self, features: Array) -> int:
        """Return the bytes that an encoded image occupies."""

    def attend_memory(self, features: Array, store: MemoryStore, plan: MemoryPlan) -> Array:
        """Condition features on the planned memories; returns an opaque batch of B."""

    def decode_mask(
        self, features: Array, attended: Array | None, prompts: DecoderPrompts
    ) -> Decoded:
        """Decode masks of B objects; attended is None for objects that have no memory yet."""

    def encode_memory(self, features: Array, mask_logits: Array, *, from_prompt: bool) -> Array:
        """Make memories of a frame from B masks: numpy or opaque (B, m, m) logits."""

    def device_memory_mb(self) -> float:
        """Return the MiB held on an accelerator; 0 where the engine works in host memory."""

    def allocate_store(self, objects: int, slots: int, pointers: int) -> MemoryStore:
        """Return an empty store for that many objects, memories and pointers of each."""
