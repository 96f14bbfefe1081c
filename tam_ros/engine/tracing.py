"""Trace stages to ONNX files, halve their precision, and compare them with PyTorch."""

import contextlib
import itertools
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch import Tensor

from tam_ros.engine.graph_names import WRITE_ROWS
from tam_ros.engine.manifest import Precision
from tam_ros.engine.stage_graphs import Sizes, StageGraph

OPSET, IR_VERSION = 18, 10  # as PyTorch's exporter writes them
# What rounding may make of a graph's outputs. Untrained weights amplify it at single values, so
# the median is held (2e-3 was seen, on ONNX Runtime 1.23); a mistake moves it by as much as the
# outputs are large, about 1.
MEDIAN_DIFFERENCE = {'fp32': 5e-3, 'fp16': 5e-2}
# In half precision these stay in single: what the host reads and writes, and sensitive sums.
HOST_TENSORS = [
    *('image', 'points', 'former', 'masks', 'logits'),
    *('iou', 'score', 'candidate_logits', 'candidate_ious'),
]
SINGLE_PRECISION_OPS = [
    'LayerNormalization',
    'ReduceMean',
    'Softmax',
    'Sin',
    'Cos',
    'ConstantOfShape',  # whose value the converter of ONNX Runtime 1.23 leaves as it was
]


# Another case than the one that is traced, to see that nothing of that was baked in.
CHECKED = (Sizes(), Sizes(objects=1, memories=7, pointers=16, points=1, groups=2, members=1))


class ExportError(RuntimeError):
    """A graph does not do what the network does."""


@dataclass(frozen=True)
class Difference:
    """How far a graph's outputs are from PyTorch's, at most over its outputs and sizes."""

    largest: float
    """Of all values."""
    median: float
    """Of an output's values."""

    def __str__(self) -> str:
        return f'{self.largest:.1e} from PyTorch at most, {self.median:.1e} in the median'


def write_graph(graph: StageGraph, path: Path, precision: Precision = 'fp32') -> None:
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
    _strip(model)
    _save(model, path, precision)


def write_rows_graph(path: Path, precision: Precision = 'fp32') -> None:
    """Write the graph that puts (N, ...) values into a store at (N, 2) rows and slots."""
    graph = helper.make_graph(
        [helper.make_node('ScatterND', ['store', 'index', 'values'], ['written'])],
        WRITE_ROWS,
        [
            helper.make_tensor_value_info('store', TensorProto.FLOAT, None),
            helper.make_tensor_value_info('index', TensorProto.INT64, ['count', 2]),
            helper.make_tensor_value_info('values', TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info('written', TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid('', OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    _save(model, path, precision)


def _save(model: onnx.ModelProto, path: Path, precision: Precision) -> None:
    onnx.save(model, path)
    if precision == 'fp16':
        halve_graph(path)


def halve_graph(path: Path) -> None:
    """Convert a graph to half precision, in place."""
    # Here: importing it takes as long as all the rest.
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(
        onnx.load(path), keep_io_types=HOST_TENSORS, op_block_list=SINGLE_PRECISION_OPS
    )
    # The converter casts a tensor once for each of its readers, under one name.
    nodes = {node.output[0]: node for node in model.graph.node}
    del model.graph.node[:]
    model.graph.node.extend(nodes.values())
    onnx.save(model, path)


def compare_graph(graph: StageGraph, path: Path, precision: Precision) -> Difference:
    """Return how far a graph's outputs are from the stage's, for several sizes.

    Raises ExportError if that is more than rounding.
    """
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


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes for debugging, above all this machine's paths."""
    graph = model.graph
    named = (graph.input, graph.output, graph.value_info, graph.initializer, graph.node)
    for item in (model, graph, *model.functions, *itertools.chain(*named)):
        del item.metadata_props[:]


def _dimensions(varying: Sequence[dict[int, str]]) -> tuple[dict[int, torch.export.Dim], ...]:
    """Return the varying dimensions; equal names are equal dimensions."""
    names = {name for dimensions in varying for name in dimensions.values()}
    dims = {name: torch.export.Dim(name) for name in names}
    return tuple({axis: dims[name] for axis, name in d.items()} for d in varying)


def _feeds(
    session: onnxruntime.InferenceSession, graph: StageGraph, inputs: Sequence[Tensor]
) -> dict[str, np.ndarray]:
    """Return the inputs that a graph has kept, in the precision it takes them."""
    by_name = dict(zip(graph.inputs, inputs))
    half = {'tensor(float16)': np.float16}
    return {
        i.name: by_name[i.name].numpy().astype(half.get(i.type, by_name[i.name].numpy().dtype))
        for i in session.get_inputs()
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's remarks on libraries that this project does not use."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
    logger.setLevel(level)
