"""Load weights into a network, strictly, from official PyTorch checkpoints or safetensors.

No code from a file is ever run: PyTorch files are read with `weights_only=True`.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn


class CheckpointError(ValueError):
    """A weights file is not what it should be; the message says what it is."""


def load_weights(model: nn.Module, path: Path | str) -> None:
    """Load a checkpoint with exactly the model's entries.

    path is a `.pt` file holding {'model': state dict}, as the official releases do, a plain
    state dict, or a `.safetensors` file. Raises CheckpointError naming what is wrong; the model
    is then unchanged.
    """
    state = read_state_dict(Path(path))
    _check_entries(state, model.state_dict(), path)
    model.load_state_dict(state, strict=True)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return {name: tensor} from a weights file; raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f'weights file {path} does not exist')
    if path.suffix == '.safetensors':
        return _read_safetensors(path)
    if path.suffix in ('.pt', '.pth'):
        return _state_dict_of(_read_torch(path), path)
    raise CheckpointError(f'{path} ends in {path.suffix!r}: expected .pt, .pth or .safetensors')


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f'{path} is not a whole safetensors file: {error}') from error


def _read_torch(path: Path) -> object:
    head = path.read_bytes()[:64] if path.stat().st_size < 1_000_000 else b''
    if head.startswith((b'version https://git-lfs', b'<!DOCTYPE', b'<html')):
        raise CheckpointError(f'{path} is a page or pointer of text: download the file itself')
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f'{path} is refused: it is no PyTorch checkpoint of plain tensors '
            f'(it is another kind of file, or asks to run code): {_first_line(error)}'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        size = path.stat().st_size
        raise CheckpointError(
            f'{path} ({size:,} bytes) is truncated or no PyTorch file: {_first_line(error)}'
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).split('\n')[0] or type(error).__name__


def _state_dict_of(content: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path} holds a {type(content).__name__}, expected a state dict')
    state = content.get('model', content)
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        keys = ', '.join(sorted(map(str, content))[:5])
        raise CheckpointError(f'{path} holds no state dict of tensors; its entries: {keys}')
    return dict(state)


def _check_entries(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path) -> None:
    """Raise CheckpointError unless names and shapes are the expected ones."""
    missing = sorted(expected.keys() - state.keys())
    unknown = sorted(state.keys() - expected.keys())
    shapes = [
        f'{key} is {tuple(state[key].shape)}, expected {tuple(expected[key].shape)}'
        for key in expected.keys() & state.keys()
        if state[key].shape != expected[key].shape
    ]
    if not (missing or unknown or shapes):
        return
    raise CheckpointError(
        f'{path} has {len(state)} entries and is of another network than the one asked for, '
        f'which has {len(expected)}: '
        + '; '.join(
            f'{len(names)} {kind}, such as {names[0]}'
            for kind, names in (('missing', missing), ('unknown', unknown), ('misshapen', shapes))
            if names
        )
    )
