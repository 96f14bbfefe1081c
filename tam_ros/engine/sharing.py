"""Let the graphs of several exports share their weights, which lie once in files beside them.

What is in the checkpoint as it is, or transposed, graphs read out of the checkpoint itself; the
rest, fused weights and tables of positions, goes into one file of its own. ONNX Runtime folds
the casts and transpositions that this takes when it loads a graph.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

MIN_BYTES = 1024  # smaller tensors stay in the graph
ALIGNMENT = 64  # bytes, for those who map the file into memory
STORED: dict[str, tuple[np.dtype, int]] = {
    'F16': (np.dtype('<f2'), TensorProto.FLOAT16),
    'F32': (np.dtype('<f4'), TensorProto.FLOAT),
}


@dataclass(frozen=True)
class Span:
    """Where a tensor lies."""

    file: str
    """Name of the file, in the graphs' folder."""
    offset: int
    """Of its first byte there."""
    length: int
    """In bytes."""
    data_type: int
    """As `TensorProto` numbers them."""
    transposed: bool = False
    """Whether the bytes are those of its transpose."""


class SharedTensors:
    """The tensors of a checkpoint, and those that graphs have beyond it, in a file beside it."""

    def __init__(self, checkpoint: Path, extra: str):
        self._extra = extra
        self._content = bytearray()
        self._spans: dict[str, Span] = {}
        for span, array in _tensors_of(checkpoint):
            self._spans.setdefault(_digest(array), span)
            if array.ndim == 2:
                transposed = Span(**{**vars(span), 'transposed': True})
                self._spans.setdefault(_digest(array.T), transposed)

    def find_or_add(self, array: np.ndarray) -> Span:
        """Return where a float32 tensor lies."""
        digest = _digest(array)
        if digest not in self._spans:
            self._content += bytes(-len(self._content) % ALIGNMENT)
            self._spans[digest] = Span(
                self._extra, len(self._content), array.nbytes, TensorProto.FLOAT
            )
            self._content += array.astype('<f4').tobytes()
        return self._spans[digest]

    def write(self, folder: Path) -> Path:
        """Write the file of what the checkpoint has not; returns its path."""
        path = folder / self._extra
        path.write_bytes(self._content)
        return path


def share_weights(source: Path, target: Path, tensors: SharedTensors) -> None:
    """Write a graph again, with its large tensors in the shared files."""
    model = onnx.load(source)
    model.producer_version = ''  # which differs between PyTorch's builds for CPU and GPU
    made = [node for tensor in model.graph.initializer for node in _shared(tensor, tensors)]
    nodes = [*made, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, target)


def _shared(tensor: TensorProto, tensors: SharedTensors) -> Iterator[NodeProto]:
    """Turn a tensor into a reference to the shared files; yield the nodes that restore it."""
    array = numpy_helper.to_array(tensor)
    if array.dtype != np.float32 or array.nbytes < MIN_BYTES:
        return
    span = tensors.find_or_add(array)
    name, shape = tensor.name, array.shape[::-1] if span.transposed else array.shape
    stored = f'{name}_stored'
    if span.transposed:
        yield helper.make_node('Transpose', [stored], [f'{name}_half'], perm=[1, 0])
        yield helper.make_node('Cast', [f'{name}_half'], [name], to=TensorProto.FLOAT)
    elif span.data_type != TensorProto.FLOAT:
        yield helper.make_node('Cast', [stored], [name], to=TensorProto.FLOAT)
    else:
        stored = name
    tensor.CopyFrom(_reference(stored, shape, span))


def _reference(name: str, shape: tuple[int, ...], span: Span) -> TensorProto:
    tensor = TensorProto(
        name=name,
        dims=shape,
        data_type=span.data_type,
        data_location=TensorProto.EXTERNAL,
    )
    place = {'location': span.file, 'offset': span.offset, 'length': span.length}
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _tensors_of(checkpoint: Path) -> Iterator[tuple[Span, np.ndarray]]:
    """Yield where each tensor of a safetensors file lies, and its values as float32."""
    content = checkpoint.read_bytes()
    start = 8 + int.from_bytes(content[:8], 'little')
    for entry in json.loads(content[8:start]).values():
        if entry.get('dtype') not in STORED:  # the file's metadata, or no floating-point numbers
            continue
        kind, data_type = STORED[entry['dtype']]
        begin, end = (start + offset for offset in entry['data_offsets'])
        array = np.frombuffer(content[begin:end], kind).astype(np.float32)
        span = Span(checkpoint.name, begin, end - begin, data_type)
        yield span, array.reshape(entry['shape'])


def _digest(array: np.ndarray) -> str:
    """Identify a tensor by its values in their order; its shape is the reader's."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
