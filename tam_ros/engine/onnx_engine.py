"""The engine that runs exported graphs with ONNX Runtime; needs no PyTorch.

Features, memories and whatever else one stage leaves for another stay where the provider works.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime import OrtValue

from tam_ros.engine import graph_names as names
from tam_ros.engine.base import (
    Candidates,
    Decoded,
    DecoderPrompts,
    EngineSpec,
    MemoryPlan,
    NumericMode,
    check_mode,
)
from tam_ros.engine.grouping import locate_groups
from tam_ros.engine.manifest import Manifest, graph_path, read_manifest
from tam_ros.engine.onnx_graph import (
    DeviceArray,
    Features,
    Graph,
    Input,
    parse_device,
    tensorrt_cache,
)
from tam_ros.engine.padding import pad_plan, padded_count


class OnnxMemoryStore:
    """Memories and pointers of a fixed number of objects, written in place on the device."""

    def __init__(self, arrays: dict[str, DeviceArray], write_rows: Graph):
        self.arrays = arrays
        self._write_rows = write_rows

    @property
    def slots(self) -> int:
        """Memory slots of an object."""
        return self.arrays['memories'].value.shape()[1]

    @property
    def pointer_slots(self) -> int:
        """Pointer slots of an object."""
        return self.arrays['pointers'].value.shape()[1]

    def write(self, rows: list[int], slots: list[int], memories: dict[str, DeviceArray]) -> None:
        """Store a batch of memories, one per (row, slot)."""
        for name, values in memories.items():
            self._put(name, rows, slots, values)

    def write_pointers(self, rows: list[int], slots: list[int], pointers: Input) -> None:
        """Store a batch of object pointers, one per (row, slot)."""
        self._put('pointers', rows, slots, pointers)

    def _put(self, name: str, rows: list[int], slots: list[int], values: Input) -> None:
        index = np.stack([rows, slots], axis=1)
        # A batch that was filled up repeats its first object: written twice to the same place.
        size = values.size if isinstance(values, DeviceArray) else len(values)
        index = np.concatenate([index, index[:1].repeat(size - len(index), axis=0)])
        store = self.arrays[name]
        self._write_rows.run(
            {'store': store, 'index': index, 'values': values}, into={'written': store}
        )


class OnnxEngine:
    """Runs the stages of an exported network; see `engine.base.Engine`.

    folder: made by `export_onnx`. manifest: the folder's, where it has been read; that hashes all
    graphs. device: cpu, cuda, cuda:N, tensorrt or tensorrt:N. threads: of the CPU provider, 0 for
    all cores. static_shapes fills batches and memories up to sizes that do not change, as TensorRT
    needs it; by default where it runs.
    Raises EngineError naming what is wrong.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        manifest: Manifest | None = None,
        mode: NumericMode = 'interactive',
        device: str = 'cpu',
        threads: int = 0,
        static_shapes: bool | None = None,
    ):
        check_mode(mode)
        self._device = parse_device(device)
        self.manifest = manifest or read_manifest(Path(folder))
        self._static = self._device.kind == 'tensorrt' if static_shapes is None else static_shapes
        self._graphs = self._load_graphs(Path(folder), threads)
        self._store_bytes = 0
        self.spec = EngineSpec(
            model=self.manifest.model,
            image_size=self.manifest.image_size,
            mask_side=self.manifest.mask_side,
            recent_memories=self.manifest.recent_memories,
            mode=mode,
            device=str(self._device),
            weights=self.manifest.weights,
            runtime=f'ONNX Runtime {onnxruntime.__version__}, {self.manifest.precision}',
            static_shapes=self._static,
            resampling=self.manifest.resampling,
            matches=self.manifest.dense_tokens > 0,
        )

    def _load_graphs(self, folder: Path, threads: int) -> dict[str, Graph]:
        manifest, device = self.manifest, self._device
        cache = tensorrt_cache(folder, manifest) if device.kind == 'tensorrt' else None
        paths = {name: graph_path(folder, name, manifest.prefix) for name in manifest.graphs}
        return {
            name: Graph(path, device, manifest.precision, threads=threads, cache=cache)
            for name, path in paths.items()
        }

    def encode_image(self, image: np.ndarray) -> Features:
        """Encode a (S, S, 3) RGB image, uint8 or float32 of 0 to 255."""
        return self._run(names.ENCODE_IMAGE, {'image': image})

    def nbytes(self, features: Features) -> int:
        """Return the bytes that an encoded image occupies."""
        return sum(part.value.tensor_size_in_bytes() for part in features.values())

    def attend_memory(self, features: Features, store: OnnxMemoryStore, plan: MemoryPlan) -> Input:
        """Condition features on the planned memories of B objects."""
        single = (plan.slots >= 0).sum(axis=1) == 1
        if not self.manifest.attends_apart or not single.any():
            return self._attend(names.ATTEND_MEMORY, features, store, plan)
        first = self._attend(
            names.ATTEND_FIRST, features, store, _rows_of(plan, single, memories=1)
        )
        if single.all():
            return first
        # Only in the frame after an object joined others: worth a way over the host.
        rest = _rows_of(plan, ~single, plan.slots.shape[1])
        several = self._attend(names.ATTEND_MEMORY, features, store, rest)
        attended = np.empty((len(single), *first[0].shape), first[0].dtype)
        attended[single], attended[~single] = first, several
        return attended

    def _attend(
        self, name: str, features: Features, store: OnnxMemoryStore, plan: MemoryPlan
    ) -> DeviceArray:
        count = len(plan.rows)
        if self._static:
            memories = 1 if name == names.ATTEND_FIRST else store.slots
            plan = pad_plan(plan, memories, store.pointer_slots)
        inputs = vars(plan)
        if self.manifest.dense_tokens:
            inputs |= vars(locate_groups(plan, together=not self._static))
        attended = self._run(name, {**features, **store.arrays, **inputs})['attended']
        return DeviceArray(attended.value, count)

    def decode_mask(
        self, features: Features, attended: Input | None, prompts: DecoderPrompts
    ) -> Decoded:
        """Decode the masks of B objects."""
        count = len(prompts.labels)
        inputs: dict[str, Input]
        if prompts.masks is not None:
            inputs = {'masks': prompts.masks[:, None].astype(np.float32)}
            return _decoded(self._run(names.POINT_FROM_MASK, {**features, **inputs}), count)
        if attended is not None and not prompts.labels.shape[1]:
            inputs = {'attended': self._filled(attended)}
            return _decoded(self._run(names.DECODE_MASK, {**features, **inputs}), count)
        inputs = self._prompt_inputs(prompts)
        if attended is None:
            answer = self._run(names.DECODE_PROMPT, {**features, **inputs})
        else:
            inputs['attended'] = attended
            answer = self._run(names.DECODE_PROMPT_TRACKED, {**features, **inputs})
        # All four candidates: the single one, then the three of an ambiguous prompt.
        return _decoded(answer, count, slice(1, 4) if prompts.multimask else slice(0, 1))

    def encode_memory(
        self, features: Features, mask_logits: Input, *, from_prompt: bool
    ) -> dict[str, DeviceArray]:
        """Return the parts of the memories of B masks."""
        binarize = from_prompt and self.spec.mode == 'interactive'
        inputs = {'logits': self._filled(mask_logits), 'binarize': np.array(binarize)}
        return self._run(names.ENCODE_MEMORY, {**features, **inputs})

    def allocate_store(self, objects: int, slots: int, pointers: int) -> OnnxMemoryStore:
        """Return a store of zeros for that many objects."""
        manifest, write_rows = self.manifest, self._graphs[names.WRITE_ROWS]
        shapes = {
            'memories': (objects, slots, manifest.tokens, manifest.memory_dim),
            'pointers': (objects, pointers, manifest.model_dim),
        }
        if manifest.dense_tokens:
            shapes['dense'] = (objects, slots, manifest.dense_tokens, manifest.memory_dim)
        dtype = write_rows.dtype('store')
        arrays = {
            name: DeviceArray(
                OrtValue.ortvalue_from_numpy(
                    np.zeros(shape, dtype), self._device.memory, self._device.index
                )
            )
            for name, shape in shapes.items()
        }
        self._store_bytes = sum(np.prod(shape) * dtype().itemsize for shape in shapes.values())
        return OnnxMemoryStore(arrays, write_rows)

    def device_memory_mb(self) -> float:
        """Return the MiB of the store; what graphs hold, ONNX Runtime does not tell."""
        return 0.0 if self._device.kind == 'cpu' else self._store_bytes / 2**20

    def _run(self, name: str, inputs: Mapping[str, Input]) -> dict[str, DeviceArray]:
        return self._graphs[name].run(inputs)

    def _filled(self, batch: Input) -> Input:
        """Fill a batch up to a size that does not change, where that is needed."""
        missing = padded_count(len(batch)) - len(batch) if self._static else 0
        if not missing or (isinstance(batch, DeviceArray) and batch.size > len(batch)):
            return batch
        rows = np.asarray(batch)
        return np.concatenate([rows, rows[:1].repeat(missing, axis=0)])

    def _prompt_inputs(self, prompts: DecoderPrompts) -> dict[str, Input]:
        count, side = len(prompts.labels), self.spec.mask_side
        former = prompts.former_logits
        return {
            'points': prompts.points_xy,
            'labels': prompts.labels,
            'former': np.zeros((count, 1, side, side)) if former is None else former[:, None],
            'refined': np.full(count, former is not None),
            'multimask': np.array(prompts.multimask),
            'dynamic': np.array(self.spec.mode == 'interactive'),
        }


def _decoded(
    answer: dict[str, DeviceArray], count: int, candidates: slice | None = None
) -> Decoded:
    """Return the answers of the first count objects; others only filled the batch."""
    answer = {name: DeviceArray(array.value, count) for name, array in answer.items()}
    candidate_logits: Candidates = answer['candidate_logits']
    candidate_ious = np.asarray(answer['candidate_ious'])
    if candidates is not None:
        candidate_logits = answer['candidate_logits'][:, candidates]
        candidate_ious = candidate_ious[:, candidates]
    return Decoded(
        logits=np.asarray(answer['logits']),
        predicted_ious=np.asarray(answer['iou']),
        presence_logits=np.asarray(answer['score']),
        pointers=answer['pointer'],
        mask_logits=answer['logits'],
        candidate_logits=candidate_logits,
        candidate_ious=candidate_ious,
    )


def _rows_of(plan: MemoryPlan, chosen: np.ndarray, memories: int) -> MemoryPlan:
    """Return the plan of some of the objects, cut to their first memories."""
    parts = {f.name: getattr(plan, f.name)[chosen] for f in fields(MemoryPlan)}
    parts['slots'], parts['ages'] = (parts[key][:, :memories] for key in ('slots', 'ages'))
    return MemoryPlan(**parts)
