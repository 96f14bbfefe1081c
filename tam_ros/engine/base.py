"""The seam between tracker and networks: four stages, and a store for memories.

Arrays that an engine returns are opaque to the tracker: they live where the engine works. What
is documented as numpy lives on the host. Only indexing an opaque batch along its first axis with
a list of rows is asked of them.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from tam_ros.preprocess import Resampling

NumericMode = Literal['interactive', 'benchmark']
NUMERIC_MODES: tuple[NumericMode, ...] = ('interactive', 'benchmark')

Array = Any  # opaque: a tensor, an OrtValue, ...


class EngineError(ValueError):
    """An engine cannot be made as asked; the message names the value and what is available."""


class NotFiniteError(EngineError):
    """An engine answers with NaN or infinity; the message says what may be the matter."""


def check_mode(mode: str) -> None:
    """Raise EngineError for a numeric mode that there is not."""
    if mode not in NUMERIC_MODES:
        raise EngineError(f'mode {mode!r} is unknown: choose from {", ".join(NUMERIC_MODES)}')


@dataclass(frozen=True)
class EngineSpec:
    """What the tracker must know of an engine."""

    model: str
    """Name of the network."""
    image_size: int
    """Side of the network's input, in pixels."""
    mask_side: int
    """Side of the low-resolution logits."""
    recent_memories: int
    """How many tracked frames the network can tell apart by age."""
    mode: NumericMode
    """'interactive' adds what helps with clicks (stability fallback, binarised prompt masks,
    filled holes); 'benchmark' computes what published evaluations compute."""
    device: str
    """Such as cpu or cuda:0."""
    weights: str = ''
    """Name of the file they came from, or what they are."""
    runtime: str = ''
    """What runs the network, with version and precision."""
    static_shapes: bool = False
    """Whether every new size of a batch takes long when it first comes."""
    resampling: Resampling = 'bicubic'
    """How images are brought to the input's size; see `preprocess`."""
    matches: bool = False
    """Whether frames are matched with remembered ones: `matched` of plans is read."""


@dataclass(frozen=True)
class DecoderPrompts:
    """Prompts of a batch of B objects with N points each (N may be 0), on the host."""

    points_xy: np.ndarray
    """(B, N, 2) float32, in network pixels."""
    labels: np.ndarray
    """(B, N) int64, as in `prompts`."""
    former_logits: np.ndarray | None = None
    """(B, m, m) float32, of an answer to be refined."""
    masks: np.ndarray | None = None
    """(B, S, S) bool, complete masks that are their own answer."""

    @classmethod
    def none(cls, batch: int) -> 'DecoderPrompts':
        """Return the prompts of objects that are only tracked."""
        return cls(np.zeros((batch, 0, 2), np.float32), np.zeros((batch, 0), np.int64))

    @property
    def multimask(self) -> bool:
        """Whether the prompt is ambiguous, so that the best of three masks answers."""
        return self.labels.shape[1] <= 1


class Candidates(Protocol):
    """(K, m, m) float32 numpy logits by an object's place in the batch, fetched when asked for."""

    def __getitem__(self, row: int, /) -> np.ndarray:
        """Return the candidates of one object."""


@dataclass(frozen=True)
class Decoded:
    """Masks of a batch of B objects."""

    logits: np.ndarray
    """(B, m, m) float32."""
    predicted_ious: np.ndarray
    """(B,) of these masks, in [0, 1]."""
    presence_logits: np.ndarray
    """(B,); above 0 the object is in the frame."""
    pointers: Array
    """An opaque batch for `write_pointers`."""
    mask_logits: Array
    """An opaque batch for `encode_memory`."""
    candidate_logits: Candidates
    """Those that the decoder chose from."""
    candidate_ious: np.ndarray
    """(B, K), predicted, in [0, 1]."""


@dataclass(frozen=True)
class MemoryPlan:
    """Which stored memories each of B objects attends to in one frame.

    -1 where there is none; missing entries follow the present ones.
    """

    rows: np.ndarray
    """(B,) rows of the store."""
    slots: np.ndarray
    """(B, M) memory slots of the store."""
    ages: np.ndarray
    """(B, M) temporal slots: 0 for the newest tracked frame, `recent_memories` for a prompted."""
    pointer_slots: np.ndarray
    """(B, P) pointer slots of the store."""
    matched: np.ndarray
    """(B, 3) slots of the newest prompted memory, of a landmark or else that one again, and of the
    newest of all, for networks that match a frame with remembered ones."""
    matched_frames: np.ndarray
    """(B, 3) numbers of the images that those remember, equal for the same image: a frame, or a
    part of one."""


class MemoryStore(Protocol):
    """Preallocated memories and pointers of a fixed number of objects, on the engine's device."""

    def write(self, rows: list[int], slots: list[int], memories: Array) -> None:
        """Store a batch of memories, one per (row, slot)."""

    def write_pointers(self, rows: list[int], slots: list[int], pointers: Array) -> None:
        """Store a batch of object pointers, one per (row, slot)."""


Store = TypeVar('Store', bound=MemoryStore)


class Engine(Protocol[Store]):
    """Runs the stages. The image is encoded once a frame, the rest once for all objects.

    Of stores it takes those that it has made.
    """

    spec: EngineSpec

    def encode_image(self, image: np.ndarray) -> Array:
        """Encode a (S, S, 3) RGB image, uint8 or float32 of 0 to 255; returns features."""

    def nbytes(self, features: Array) -> int:
        """Return the bytes that an encoded image occupies."""

    def attend_memory(self, features: Array, store: Store, plan: MemoryPlan) -> Array:
        """Condition features on the planned memories; returns an opaque batch of B."""

    def decode_mask(
        self, features: Array, attended: Array | None, prompts: DecoderPrompts
    ) -> Decoded:
        """Decode masks of B objects; attended is None for objects that have no memory yet."""

    def encode_memory(self, features: Array, mask_logits: Array, *, from_prompt: bool) -> Array:
        """Make memories of a frame from B masks: numpy or opaque (B, m, m) logits."""

    def device_memory_mb(self) -> float:
        """Return the MiB held on an accelerator; 0 where the engine works in host memory."""

    def allocate_store(self, objects: int, slots: int, pointers: int) -> Store:
        """Return an empty store for that many objects, memories and pointers of each."""
