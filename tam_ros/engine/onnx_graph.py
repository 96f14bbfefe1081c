"""One graph on ONNX Runtime: its device, how its file is opened, and its arrays.

Knows nothing of what graphs compute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import onnxruntime
from numpy.typing import DTypeLike
from onnxruntime import OrtValue
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from tam_ros.digests import sha256_of
from tam_ros.engine import graph_names as names
from tam_ros.engine.base import EngineError
from tam_ros.engine.manifest import Manifest, Precision, manifest_path
from tam_ros.paths import make_folder
from tam_ros.weights import EMBEDDED_FOLDER, weights_folder

PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}
# Whose shapes vary too much for TensorRT to build engines for: prompts are rare.
NOT_FOR_TENSORRT = (
    names.DECODE_PROMPT,
    names.DECODE_PROMPT_TRACKED,
    names.POINT_FROM_MASK,
    names.WRITE_ROWS,
)
UNREADABLE = (  # what ONNX Runtime raises over a file
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
TENSORRT_CACHE = 'tensorrt'  # name of the folder of built engines
DIGITS = 16  # of an export's sha256

Provider = tuple[str, dict[str, Any]]  # its name and options


@dataclass(frozen=True)
class Device:
    """Where graphs run."""

    kind: str
    """One of PROVIDERS."""
    index: int = 0
    """The accelerator's number."""

    @property
    def memory(self) -> str:
        """The name that ONNX Runtime has for this device's memory."""
        return 'cpu' if self.kind == 'cpu' else 'cuda'

    def __str__(self) -> str:
        return self.kind if self.kind == 'cpu' else f'{self.kind}:{self.index}'


def parse_device(device: str) -> Device:
    """Return a device whose provider is here, or raise EngineError that lists those that are."""
    kind, _, index = device.partition(':')
    here = onnxruntime.get_available_providers()
    available = [name for name, provider in PROVIDERS.items() if provider in here]
    if kind not in available or (index and not index.isdecimal()) or (kind == 'cpu' and index):
        raise EngineError(
            f'device {device!r} is not available to this onnxruntime: choose from '
            f'{", ".join(available)} (accelerators need onnxruntime-gpu; a number may follow, as '
            'in cuda:0)'
        )
    return Device(kind, int(index or 0))


@dataclass(frozen=True)
class DeviceArray:
    """A batch on the device. Some of its rows come by way of the host; any stage takes both."""

    value: OrtValue
    """All rows."""
    count: int | None = None
    """How many rows mean something, others only fill a batch up; None for all."""

    def __len__(self) -> int:
        return self.value.shape()[0] if self.count is None else self.count

    @overload
    def __getitem__(self, rows: list[int]) -> 'np.ndarray | DeviceArray': ...

    @overload
    def __getitem__(self, rows: int | tuple[slice, ...]) -> np.ndarray: ...

    def __getitem__(self, rows: int | list[int] | tuple[slice, ...]) -> 'np.ndarray | DeviceArray':
        if isinstance(rows, list) and rows == list(range(len(self))):
            return self
        return np.asarray(self)[rows]

    def __array__(self, dtype: DTypeLike = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.value.numpy()[: self.count], dtype)

    @property
    def size(self) -> int:
        """All rows, with those that only fill the batch up."""
        return self.value.shape()[0]


Features = dict[str, DeviceArray]  # by the names in the manifest
Input = np.ndarray | DeviceArray


class Graph:
    """One graph, loaded. Callers may offer more inputs than it has.

    threads: of the CPU provider, 0 for all cores. cache: for the engines that TensorRT builds.
    """

    def __init__(
        self,
        path: Path,
        device: Device,
        precision: Precision,
        *,
        threads: int = 0,
        cache: Path | None = None,
    ):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Each graph has threads of its own: those that spin take the cores from the next graph.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self._device = device
        providers = _providers(path, device, precision, cache)
        self._session = _open_session(path, options, providers)
        self._dtypes = _input_dtypes(self._session, path)
        self._outputs = [o.name for o in self._session.get_outputs()]

    def dtype(self, name: str) -> type:
        """Return the numpy type of an input."""
        return self._dtypes[name]

    def run(
        self, inputs: Mapping[str, Input], *, into: dict[str, DeviceArray] | None = None
    ) -> dict[str, DeviceArray]:
        """Run on inputs from the host or the device; outputs stay on the device.

        into: arrays that take outputs, which may be inputs at the same time.
        """
        binding = self._session.io_binding()
        for name, dtype in self._dtypes.items():
            value = inputs[name]
            if isinstance(value, DeviceArray):
                binding.bind_ortvalue_input(name, value.value)
            else:
                binding.bind_cpu_input(name, np.ascontiguousarray(value, dtype))
        for name in self._outputs:
            if into and name in into:
                binding.bind_ortvalue_output(name, into[name].value)
            else:
                binding.bind_output(name, self._device.memory, self._device.index)
        self._session.run_with_iobinding(binding)
        return dict(zip(self._outputs, map(DeviceArray, binding.get_outputs())))


_DTYPES = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(int64)': np.int64,
    'tensor(bool)': np.bool_,
}


def _open_session(
    path: Path, options: onnxruntime.SessionOptions, providers: list[Provider]
) -> onnxruntime.InferenceSession:
    try:
        session = onnxruntime.InferenceSession(path, options, providers=providers)
    except UNREADABLE as error:
        reason = str(error).split('\n')[0]
        raise EngineError(f'{path} is no graph for this onnxruntime: {reason}') from error
    _check_provider(session, path, providers[0])
    return session


def _input_dtypes(session: onnxruntime.InferenceSession, path: Path) -> dict[str, type]:
    """Return the numpy types of a graph's inputs, by name."""
    types = {i.name: i.type for i in session.get_inputs()}
    unknown = [f'{name} of {kind}' for name, kind in types.items() if kind not in _DTYPES]
    if unknown:
        raise EngineError(f'{path} has an input {unknown[0]}: export the network again')
    return {name: _DTYPES[kind] for name, kind in types.items()}


def tensorrt_cache(folder: Path, manifest: Manifest) -> Path:
    """Return the folder for built engines, made: beside the graphs, if those are a user's own.

    Each export has another one: whether weights have changed, TensorRT does not look.
    """
    root = weights_folder() if folder.resolve() == EMBEDDED_FOLDER else folder
    cache = root / TENSORRT_CACHE / sha256_of(manifest_path(folder, manifest.prefix))[:DIGITS]
    make_folder(cache, 'set TAM_ROS_WEIGHTS to a folder that can be written')
    return cache


def _providers(
    path: Path, device: Device, precision: Precision, cache: Path | None
) -> list[Provider]:
    """Return the providers of a graph and their options, first choice first."""
    cuda = (PROVIDERS['cuda'], {'device_id': device.index})
    if device.kind == 'cpu':
        return [(PROVIDERS['cpu'], {})]
    if device.kind == 'cuda' or path.stem.endswith(NOT_FOR_TENSORRT):
        return [cuda]
    options = {
        'device_id': device.index,
        'trt_fp16_enable': precision == 'fp16',
        'trt_engine_cache_enable': True,
        'trt_engine_cache_path': str(cache),
        'trt_timing_cache_enable': True,
    }
    return [(PROVIDERS['tensorrt'], options), cuda]


def _check_provider(
    session: onnxruntime.InferenceSession, path: Path, first_choice: Provider
) -> None:
    """Raise EngineError where ONNX Runtime fell back to another provider than its first choice."""
    wanted, _ = first_choice
    if session.get_providers()[0] != wanted:
        raise EngineError(
            f'{wanted} could not be started for {path.name}: onnxruntime would use '
            f'{session.get_providers()[0]}. Its libraries (CUDA, cuDNN, TensorRT) are not there, '
            'or of other versions than this onnxruntime-gpu was built for'
        )
