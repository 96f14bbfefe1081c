"""Export a network as ONNX graphs for the ONNX Runtime engine, and check each against PyTorch.

Usage: export_onnx [--model NAME] [--weights FILE] [--image-size PX] [--precision fp32|fp16]
[--max-objects N] [--out DIR]
"""

import argparse
import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from tqdm import tqdm

from tam_ros.engine.base import EngineError
from tam_ros.engine.graphs import (
    ATTEND_FIRST,
    ATTEND_MEMORY,
    DECODE_MASK,
    DECODE_PROMPT,
    DECODE_PROMPT_TRACKED,
    DECODED,
    ENCODE_IMAGE,
    ENCODE_MEMORY,
    GROUPS,
    PLAN,
    POINT_FROM_MASK,
    PRECISIONS,
    WRITE_ROWS,
    Manifest,
    Precision,
    graph_path,
    manifest_path,
    sha256_of,
    write_manifest,
)
from tam_ros.engine.torch_engine import build_network
from tam_ros.model.checkpoint import CheckpointError
from tam_ros.model.config import MODELS, EfficientTAMConfig, NetworkConfig
from tam_ros.model.fuse import fuse
from tam_ros.model.network import TrackingNetwork
from tam_ros.model.propagation import HINTS, DensePropagation
from tam_ros.model.stages import (
    AttendMemory,
    DecodeMask,
    DecodePrompt,
    EncodeImage,
    EncodeMemory,
    PointFromMask,
    feature_names,
)
from tam_ros.weights import REPRODUCIBLE, DownloadError, export_folder, find_weights

OPSET, IR_VERSION = 18, 10  # as PyTorch's exporter writes them
# What rounding may make of a graph's outputs. Untrained weights amplify it at single values, so
# the median is held, which any mistake would move.
MEDIAN_DIFFERENCE = {'fp32': 1e-3, 'fp16': 5e-2}
# In half precision these stay in single: what the host reads and writes, and sensitive sums.
HOST_TENSORS = [
    *('image', 'points', 'former', 'masks', 'logits'),
    *('iou', 'score', 'candidate_logits', 'candidate_ious'),
]
SINGLE_PRECISION_OPS = ['LayerNormalization', 'ReduceMean', 'Softmax', 'Sin', 'Cos']


class ExportError(RuntimeError):
    """A graph does not do what the network does."""


@dataclass(frozen=True)
class Sizes:
    """How many there are of what varies: objects, memories, pointers, points, groups, members."""

    objects: int = 3
    memories: int = 5
    pointers: int = 7
    points: int = 4
    groups: int = 6
    members: int = 9


# Another case than the one that is traced, to see that nothing of that was baked in.
CHECKED = (Sizes(), Sizes(objects=1, memories=7, pointers=16, points=1, groups=2, members=1))


@dataclass(frozen=True)
class Origin:
    """What a network is: its model, and its weights' file name and the file's sha256, if any."""

    model: str
    weights: str
    sha256: str = ''


@dataclass(frozen=True)
class Graph:
    """One graph to be: its stage, inputs and outputs by name, and examples of the inputs.

    examples makes the inputs for given sizes. varying names their dimensions that vary.
    """

    name: str
    stage: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: Callable[[Sizes], tuple[Tensor, ...]]
    varying: tuple[dict[int, str], ...]


@dataclass(frozen=True)
class Difference:
    """How far a graph's outputs are from PyTorch's."""

    largest: float
    median: float


class GraphMaker:
    """Makes the graphs of one network."""

    def __init__(self, network: TrackingNetwork):
        self.network = network
        self.config = network.config
        self.features = feature_names(network.config)
        self._random = torch.Generator().manual_seed(0)

    def graphs(self) -> list[Graph]:
        """Return all graphs of stages."""
        graphs = [
            self._encode_image(),
            self._attend(ATTEND_MEMORY),
            self._decode_mask(),
            self._decode_prompt(DECODE_PROMPT, remembers=False),
            self._decode_prompt(DECODE_PROMPT_TRACKED, remembers=True),
            self._point_from_mask(),
            self._encode_memory(),
        ]
        if _attends_apart(self.config):
            graphs.insert(1, self._attend(ATTEND_FIRST))
        return graphs

    def _encode_image(self) -> Graph:
        side = self.config.image_size
        return Graph(
            ENCODE_IMAGE,
            EncodeImage(self.network),
            ('image',),
            self.features,
            lambda sizes: (255 * self._uniform(side, side, 3),),
            ({},),
        )

    def _attend(self, name: str) -> Graph:
        inputs = ('memories', 'pointers', *PLAN)
        varying = [{0: 'stored', 1: 'slots'}, {0: 'stored', 1: 'pointer_slots'}, {0: 'objects'}]
        memories = {} if name == ATTEND_FIRST else {1: 'attended'}
        varying += [{0: 'objects', **memories}] * 2 + [{0: 'objects', 1: 'pointers'}]
        if self.config.dense_tokens:
            inputs += ('dense', *GROUPS)
            varying += [{0: 'stored', 1: 'slots'}] + [{0: 'groups'}] * 3
            varying += [{0: 'groups', 1: 'members'}] * 2 + [{0: 'objects'}]

        def examples(sizes: Sizes) -> tuple[Tensor, ...]:
            if name == ATTEND_FIRST:
                sizes = replace(sizes, memories=1)
            return (*self._feature_examples(), *self._memory_examples(sizes))

        stage = AttendMemory(self.network)
        return self._graph(name, stage, inputs, ('attended',), examples, varying)

    def _decode_mask(self) -> Graph:
        return self._graph(
            DECODE_MASK,
            DecodeMask(self.network),
            ('attended',),
            DECODED,
            lambda sizes: (*self._feature_examples(), self._attended(sizes)),
            [{0: 'objects'}],
        )

    def _decode_prompt(self, name: str, *, remembers: bool) -> Graph:
        inputs = ('points', 'labels', 'former', 'refined', 'multimask', 'dynamic')
        varying = [{0: 'objects', 1: 'points'}] * 2 + [{0: 'objects'}] * 2 + [{}] * 2
        if remembers:
            inputs, varying = ('attended', *inputs), [{0: 'objects'}, *varying]

        def examples(sizes: Sizes) -> tuple[Tensor, ...]:
            attended = (self._attended(sizes),) if remembers else ()
            return (*self._feature_examples(), *attended, *self._prompt_examples(sizes))

        stage = DecodePrompt(self.network, remembers=remembers)
        return self._graph(name, stage, inputs, DECODED, examples, varying)

    def _point_from_mask(self) -> Graph:
        side = self.config.image_size

        def examples(sizes: Sizes) -> tuple[Tensor, ...]:
            masks = (self._uniform(sizes.objects, 1, side, side) > 0.5).float()
            return (*self._feature_examples(), masks)

        stage = PointFromMask(self.network)
        return self._graph(POINT_FROM_MASK, stage, ('masks',), DECODED, examples, [{0: 'objects'}])

    def _encode_memory(self) -> Graph:
        def examples(sizes: Sizes) -> tuple[Tensor, ...]:
            return (*self._feature_examples(), self._logits(sizes), torch.tensor(False))

        return self._graph(
            ENCODE_MEMORY,
            EncodeMemory(self.network),
            ('logits', 'binarize'),
            ('memories', 'dense') if self.config.dense_tokens else ('memories',),
            examples,
            [{0: 'objects'}, {}],
        )

    def _graph(self, name, stage, inputs, outputs, examples, varying) -> Graph:
        """Return a graph whose inputs follow the features."""
        varying = ({},) * len(self.features) + tuple(varying)
        return Graph(name, stage, (*self.features, *inputs), outputs, examples, varying)

    # -- examples of inputs -----------------------------------------------------------------

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._random)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._random)

    def _below(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=self._random)

    def _feature_examples(self) -> tuple[Tensor, ...]:
        side = self.config.image_size
        with torch.inference_mode():
            maps = EncodeImage(self.network)(255 * self._uniform(side, side, 3))
        return tuple(x.clone() for x in maps)

    def _logits(self, sizes: Sizes) -> Tensor:
        return 5 * self._normal(sizes.objects, self.config.mask_side, self.config.mask_side)

    def _attended(self, sizes: Sizes) -> Tensor:
        side, dim = self.config.feature_side, self.config.model_dim
        attended = self._normal(sizes.objects, dim, side, side)
        if not self.config.dense_tokens:
            return attended
        hints = self._uniform(sizes.objects, 16 * HINTS, side, side)  # as `match` packs them
        return torch.cat([attended, hints], dim=1)

    def _memory_examples(self, sizes: Sizes) -> tuple[Tensor, ...]:
        stored, slots, pointer_slots = 4, 8, 17
        config, count = self.config, sizes.objects
        plan = [
            self._normal(stored, slots, config.attended_tokens, config.memory_dim),
            self._normal(stored, pointer_slots, config.model_dim),
            self._below(stored, count),
            self._below(slots, count, sizes.memories),
            self._below(config.recent_memories + 1, count, sizes.memories),
            self._below(pointer_slots, count, sizes.pointers),
        ]
        plan[5][-1, -1] = -1  # a pointer that is missing
        if not config.dense_tokens:
            return tuple(plan)
        groups, members = sizes.groups, sizes.members
        return (
            *plan,
            0.1 * self._normal(stored, slots, config.dense_tokens, config.memory_dim),
            self._below(stored, groups),
            self._below(slots, groups),
            self._below(HINTS, groups),
            self._below(stored, groups, members),
            self._below(slots, groups, members),
            self._below(groups * members, count, HINTS),
        )

    def _prompt_examples(self, sizes: Sizes) -> tuple[Tensor, ...]:
        count, points = sizes.objects, sizes.points
        return (
            self.config.image_size * self._uniform(count, points, 2),
            self._below(4, count, points),
            self._logits(sizes)[:, None],
            torch.arange(count) % 2 == 0,
            torch.tensor(points == 1),
            torch.tensor(True),
        )


def export(
    model: str,
    weights: str,
    folder: Path,
    *,
    image_size: int = 0,
    precision: Precision = 'fp32',
    max_objects: int = 16,
    report: Callable[[str], None] = print,
) -> Manifest:
    """Export a model with weights, as `find_weights` takes them, to a folder.

    Raises EngineError, CheckpointError or DownloadError for what cannot be exported, ExportError
    where a graph does something else than the network.
    """
    if model not in MODELS:
        raise EngineError(f'model {model!r} is unknown: choose from {", ".join(MODELS)}')
    source = find_weights(model, weights)
    config = MODELS[model]
    try:
        config = replace(config, image_size=image_size) if image_size else config
    except ValueError as error:
        raise EngineError(str(error)) from error
    network = build_network(config, source)
    origin = Origin(
        model, Path(source).name, '' if source == REPRODUCIBLE else sha256_of(Path(source))
    )
    return export_network(
        network, origin, folder, precision=precision, max_objects=max_objects, report=report
    )


def export_network(
    network: TrackingNetwork,
    origin: Origin,
    folder: Path,
    *,
    precision: Precision = 'fp32',
    max_objects: int = 16,
    report: Callable[[str], None] = print,
) -> Manifest:
    """Export a network, of which this takes ownership, to a folder; returns its manifest."""
    network = _prepared(network)
    folder.mkdir(parents=True, exist_ok=True)
    manifest_path(folder).unlink(missing_ok=True)  # until all is written
    digests = {}
    graphs = GraphMaker(network).graphs()
    for graph in tqdm(graphs, desc=f'exporting {origin.model}', unit='graph'):
        path = graph_path(folder, graph.name)
        _write(graph, path, precision)
        difference = _check(graph, path, precision)
        report(
            f'{graph.name}: {difference.largest:.1e} from PyTorch at most, '
            f'{difference.median:.1e} in the median'
        )
        digests[graph.name] = sha256_of(path)
    path = graph_path(folder, WRITE_ROWS)
    onnx.save(_write_rows_graph(precision), path)
    digests[WRITE_ROWS] = sha256_of(path)
    config = network.config
    manifest = Manifest(
        model=origin.model,
        weights=origin.weights,
        weights_sha256=origin.sha256,
        image_size=config.image_size,
        mask_side=config.mask_side,
        recent_memories=config.recent_memories,
        precision=precision,
        opset=OPSET,
        max_objects=max_objects,
        features=feature_names(config),
        tokens=config.attended_tokens,
        dense_tokens=config.dense_tokens,
        memory_dim=config.memory_dim,
        model_dim=config.model_dim,
        graphs=digests,
    )
    write_manifest(folder, manifest)
    return manifest


def _prepared(network: TrackingNetwork) -> TrackingNetwork:
    """Fuse a network, and replace what ONNX lacks and what helps PyTorch's kernels alone."""
    network = fuse(network)
    with torch.no_grad():
        network.precompute()
    for module in network.modules():
        for name, table in module._buffers.items():
            if table is not None and table.is_complex():  # ONNX has no complex numbers
                module._buffers[name] = torch.view_as_real(table).clone()
        if isinstance(module, DensePropagation):
            module.in_turns = False
    return network


def _attends_apart(config: NetworkConfig) -> bool:
    return isinstance(config, EfficientTAMConfig) and bool(config.pooling)


def _write(graph: Graph, path: Path, precision: Precision) -> None:
    """Trace a stage and write it as ONNX."""
    with _quiet():
        program = torch.onnx.export(
            graph.stage,
            graph.examples(CHECKED[0]),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=(_dimensions(graph.varying),),
            verbose=False,
        )
    model = program.model_proto
    if precision == 'fp16':
        model = _to_half(model)
    onnx.save(model, path)


def _dimensions(varying: Sequence[dict[int, str]]) -> tuple[dict[int, torch.export.Dim], ...]:
    """Return the varying dimensions; equal names are equal dimensions."""
    names = {name for dimensions in varying for name in dimensions.values()}
    dims = {name: torch.export.Dim(name) for name in names}
    return tuple({axis: dims[name] for axis, name in d.items()} for d in varying)


def _to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(
        model, keep_io_types=HOST_TENSORS, op_block_list=SINGLE_PRECISION_OPS
    )


def _check(graph: Graph, path: Path, precision: Precision) -> Difference:
    """Return how far a graph's outputs are from the stage's, for several sizes."""
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    differences = []
    for sizes in CHECKED:
        inputs = graph.examples(sizes)
        with torch.inference_mode():
            expected = graph.stage(*inputs)
        expected = expected if isinstance(expected, tuple) else (expected,)
        actual = session.run(None, _feeds(session, graph, inputs))
        for name, a, b in zip(graph.outputs, actual, expected):
            if a.shape != tuple(b.shape):
                raise ExportError(f'{path.name}: {name} is {a.shape}, expected {tuple(b.shape)}')
            away = np.abs(a.astype(np.float32) - b.numpy())
            differences.append((float(away.max()), float(np.median(away))))
    largest, median = map(max, zip(*differences))
    if not median < MEDIAN_DIFFERENCE[precision]:
        raise ExportError(
            f'{path.name} is {median:.1e} away from PyTorch in the median, '
            f'{MEDIAN_DIFFERENCE[precision]} is allowed'
        )
    return Difference(largest, median)


def _feeds(session, graph: Graph, inputs: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Return the inputs that a graph has kept, in the precision it takes them."""
    by_name = dict(zip(graph.inputs, inputs))
    half = {'tensor(float16)': np.float16}
    return {
        i.name: by_name[i.name].numpy().astype(half.get(i.type, by_name[i.name].numpy().dtype))
        for i in session.get_inputs()
    }


def _write_rows_graph(precision: Precision) -> onnx.ModelProto:
    """Return the graph that puts (N, ...) values into a store at (N, 2) rows and slots."""
    kind = TensorProto.FLOAT16 if precision == 'fp16' else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node('ScatterND', ['store', 'index', 'values'], ['written'])],
        WRITE_ROWS,
        [
            helper.make_tensor_value_info('store', kind, None),
            helper.make_tensor_value_info('index', TensorProto.INT64, ['count', 2]),
            helper.make_tensor_value_info('values', kind, None),
        ],
        [helper.make_tensor_value_info('written', kind, None)],
    )
    opsets = [helper.make_opsetid('', OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


@contextlib.contextmanager
def _quiet():
    """Silence the exporter's remarks on libraries that this project does not use."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
    logger.setLevel(level)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `export_onnx`; return the exit status."""
    parser = argparse.ArgumentParser(prog='export_onnx', description=__doc__.split('\n')[0])
    parser.add_argument('--model', default='tam_nano', choices=list(MODELS), metavar='MODEL')
    parser.add_argument('--weights', default='', help="checkpoint; empty for the model's own")
    parser.add_argument('--image-size', type=int, default=0, help="0 for the model's own")
    parser.add_argument('--precision', default='fp32', choices=PRECISIONS)
    parser.add_argument('--max-objects', type=int, default=16, help='that will be tracked')
    parser.add_argument('--out', type=Path, help='folder; one in the cache without it')
    options, _ = parser.parse_known_args(arguments)  # `ros2 run` may add --ros-args
    folder = options.out or export_folder(options.model)
    try:
        export(
            options.model,
            options.weights,
            folder,
            image_size=options.image_size,
            precision=options.precision,
            max_objects=options.max_objects,
            report=tqdm.write,
        )
    except (EngineError, CheckpointError, DownloadError, ExportError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f'exported to {folder}')
    return 0
