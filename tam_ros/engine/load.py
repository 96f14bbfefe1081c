"""Load the engine that a user chooses; one that is not asked for need not be installed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tam_ros.engine.base import Engine, EngineError, NumericMode
from tam_ros.engine.graphs import Manifest, read_manifest
from tam_ros.paths import user_path
from tam_ros.weights import EMBEDDED, export_folder, find_weights

EngineName = Literal['torch', 'onnx']
ENGINES: tuple[EngineName, ...] = ('torch', 'onnx')
EnginePrecision = Literal['', 'fp32', 'bf16', 'fp16']
ENGINE_PRECISIONS: tuple[EnginePrecision, ...] = ('', 'fp32', 'bf16', 'fp16')


@dataclass(frozen=True)
class EngineChoice:
    """An engine to be loaded.

    weights: for torch a checkpoint file, for onnx a folder that `export_onnx` made; empty for the
    model's own. image_size: 0 for the model's own, or what was exported. precision: empty for
    fp32, or what was exported. threads: on the CPU, 0 for all cores.
    """

    model: str
    weights: str = ''
    name: EngineName = 'torch'
    image_size: int = 0
    mode: NumericMode = 'interactive'
    device: str = 'cpu'
    precision: EnginePrecision = ''
    threads: int = 0


def load_engine(choice: EngineChoice) -> Engine:
    """Load an engine; raises EngineError, CheckpointError, PathError or DownloadError."""
    loaders = {'torch': _load_torch, 'onnx': _load_onnx}
    if choice.name not in loaders:
        raise EngineError(f'engine {choice.name!r} is unknown: choose from {", ".join(ENGINES)}')
    return loaders[choice.name](choice)


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
            'for accelerators'
        ) from error
    folder = user_path(choice.weights) if choice.weights else export_folder(choice.model)
    manifest = read_manifest(folder, choice.model)
    engine = OnnxEngine(
        folder,
        manifest=manifest,
        mode=choice.mode,
        device=choice.device,
        threads=choice.threads,
    )
    _check_manifest(folder, manifest, choice)
    return engine


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
