"""Load the engine that a user chooses; one that is not asked for need not be installed."""

import gc
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tam_ros.engine.allocation import give_freed_memory_back
from tam_ros.engine.base import NUMERIC_MODES, Engine, EngineError, NumericMode
from tam_ros.engine.embedded import (
    embedded_sizes,
    has_embedded_graphs,
    read_embedded_manifest,
)
from tam_ros.engine.manifest import PRECISIONS, Manifest, manifest_path, read_manifest
from tam_ros.networks import MODELS
from tam_ros.options import option
from tam_ros.paths import user_path
from tam_ros.weights import EMBEDDED, EMBEDDED_FOLDER, export_folder, find_weights

EngineName = Literal['torch', 'onnx']
ENGINES: tuple[EngineName, ...] = ('torch', 'onnx')
ENGINE_CHOICES = ('', *ENGINES)
EnginePrecision = Literal['', 'fp32', 'bf16', 'fp16']
ENGINE_PRECISIONS: tuple[EnginePrecision, ...] = ('', 'fp32', 'bf16', 'fp16')


@dataclass(frozen=True)
class EngineChoice:
    """Which network tracks, and what runs it.

    Loading checks the values, for some depend on the device and on what there is. A precision or
    image_size that is left open is, for a folder of graphs, that of the export.
    """

    model: str = option(
        'tam_nano',
        'Network to track with: tam_nano, small and with weights of its own, edgetam, '
        'or efficienttam_s, efficienttam_ti, each also with _1, _2 or _512x512. _1 and _2 pool '
        'memory attention, which is faster.',
        choices=tuple(MODELS),
        live=False,
    )
    weights: str = option(
        '',
        'Checkpoint file (.pt or .safetensors), ~ is your home; empty for those that come with '
        'tam_nano, or that download_weights fetched. With engine onnx, the folder that '
        'export_onnx made. Damaged files are refused. '
        "'reproducible' makes untrained weights by rule, for tests: their masks mean nothing.",
        live=False,
    )
    engine: EngineName | Literal[''] = option(
        '',
        'What runs the network: torch (PyTorch) or onnx (ONNX Runtime). Empty: onnx for tam_nano '
        'with its own weights and wherever weights is a folder, torch otherwise, whatever is '
        'installed. With onnx and no weights: the graphs that come with tam_nano (256, 384 and '
        '512 px, fp32), for others the folder in the cache.',
        choices=ENGINE_CHOICES,
        live=False,
    )
    device: str = option(
        'cpu',
        'Where the network runs: cpu, cuda or cuda:N; with engine onnx also tensorrt or '
        'tensorrt:N. One that is missing is an error.',
        live=False,
    )
    precision: EnginePrecision = option(
        '',
        'Floating-point type of the network: fp32, bf16, fp16 (on GPUs); empty for fp32, or what '
        'was exported. bf16 needs a CPU that has instructions for it; TAM_ROS_EMULATE_BF16=1 in '
        'the environment forces it.',
        choices=ENGINE_PRECISIONS,
        live=False,
    )
    image_size: int = option(
        0,
        "Side of the network input in pixels; 0 for the model's own: 384 for tam_nano, 512 for "
        '_512x512, 1024 for the others. Smaller is faster and sees less detail.',
        between=(0, 2048),
        live=False,
    )
    mode: NumericMode = option(
        'interactive',
        'interactive adds what helps with clicks; benchmark computes what published results do.',
        choices=NUMERIC_MODES,
        live=False,
    )
    threads: int = option(
        0, 'CPU threads of the network; 0 for all cores.', between=(0, 256), live=False
    )

    @property
    def resolved_engine(self) -> EngineName:
        """What runs the network. That does not depend on what is installed."""
        if self.engine:
            return self.engine
        if self.weights:
            return 'onnx' if user_path(self.weights).is_dir() else 'torch'
        return 'onnx' if embedded_sizes(self.model) else 'torch'


def load_engine(choice: EngineChoice) -> Engine:
    """Load an engine; raises EngineError, CheckpointError, PathError or DownloadError."""
    loaders = {'torch': _load_torch, 'onnx': _load_onnx}
    if choice.resolved_engine not in loaders:
        raise EngineError(f'engine {choice.engine!r} is unknown: choose from {", ".join(ENGINES)}')
    return loaders[choice.resolved_engine](choice)


def free_memory() -> None:
    """Give back what engines held that are gone: on the host, and where PyTorch ran, on GPUs."""
    gc.collect()
    torch = sys.modules.get('torch')
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    give_freed_memory_back()


def _load_torch(choice: EngineChoice) -> Engine:
    path = find_weights(choice.model, choice.weights)
    try:
        import torch  # noqa: TID251
    except ModuleNotFoundError as error:
        raise EngineError(
            f'engine torch needs PyTorch ({error}): install torch, or use engine onnx'
        ) from error

    from tam_ros.engine.torch_engine import load_torch_engine

    if choice.threads:
        torch.set_num_threads(choice.threads)
    return load_torch_engine(
        choice.model,
        path,
        image_size=choice.image_size,
        mode=choice.mode,
        device=choice.device,
        precision=choice.precision or 'fp32',
    )


def _load_onnx(choice: EngineChoice) -> Engine:
    try:
        from tam_ros.engine.onnx_engine import OnnxEngine
    except ModuleNotFoundError as error:
        raise EngineError(
            f'engine onnx needs onnxruntime ({error}): install onnxruntime, or onnxruntime-gpu '
            'for accelerators; or use engine torch'
        ) from error
    _check_size(choice)
    folder, manifest = _read_graphs(choice)
    engine = OnnxEngine(
        folder,
        manifest=manifest,
        mode=choice.mode,
        device=choice.device,
        threads=choice.threads,
    )
    _check_manifest(folder, manifest, choice)
    return engine


def _check_size(choice: EngineChoice) -> None:
    """Raise EngineError for a size that no export could have either."""
    if choice.model in MODELS and choice.image_size:
        try:
            replace(MODELS[choice.model], image_size=choice.image_size)
        except ValueError as error:
            raise EngineError(str(error)) from error


def _read_graphs(choice: EngineChoice) -> tuple[Path, Manifest]:
    """Return the folder of the graphs that are asked for, and its manifest, checked."""
    if choice.weights:
        folder = user_path(choice.weights)
        return folder, read_manifest(folder, choice.model)
    if has_embedded_graphs(choice.model, choice.image_size, choice.precision):
        return EMBEDDED_FOLDER, read_embedded_manifest(choice.model, choice.image_size)
    folder = export_folder(choice.model)
    exported = manifest_path(folder).is_file() and choice.precision in ('', *PRECISIONS)
    if embedded_sizes(choice.model) and not exported:
        raise EngineError(_what_is_embedded(choice))
    return folder, read_manifest(folder, choice.model)


def _what_is_embedded(choice: EngineChoice) -> str:
    """Return what helps where a model's graphs come with it, but not those asked for."""
    asked = {'image_size': choice.image_size, 'precision': choice.precision}
    asked = {key: value for key, value in asked.items() if value}
    if choice.precision in ('', *PRECISIONS):
        options = [f'--{key.replace("_", "-")} {value}' for key, value in asked.items()]
        command = ' '.join(['ros2 run tam_ros export_onnx --model', choice.model, *options])
        export = f'make graphs with `{command}` (either needs PyTorch)'
    else:
        export = f'use a precision of {", ".join(PRECISIONS)}'
    return (
        f'{choice.model} comes with graphs for ONNX Runtime at '
        f'{", ".join(map(str, embedded_sizes(choice.model)))} px in fp32, asked for is '
        f'{", ".join(f"{key} {value}" for key, value in asked.items())}: '
        f'set engine to torch, or {export}'
    )


def _check_manifest(folder: Path, manifest: Manifest, choice: EngineChoice) -> None:
    """Raise EngineError where a folder holds something else than what is asked for."""
    for name in ('model', 'image_size', 'precision'):
        asked, exported = getattr(choice, name), getattr(manifest, name)
        if asked and asked != exported:
            raise EngineError(
                f'{folder} was exported with {name} {exported}, asked for is {asked}: set {name} '
                'to that, or export again'
            )
    embedded = EMBEDDED.get(choice.model)
    if not choice.weights and embedded and manifest.weights_sha256 != embedded.sha256:
        raise EngineError(
            f'{folder} was exported from other weights ({manifest.weights}) than those that come '
            f'with {choice.model} now: export again, or set weights to that folder'
        )
