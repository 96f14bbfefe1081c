"""Load weights into a network, strictly, from official PyTorch checkpoints or safetensors.

No code from a file is ever run: PyTorch files are read with `weights_only=True`, and nothing of
one is read before its archive has been checked.
"""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from tam_ros.archive import ArchiveError, check_archive
from tam_ros.paths import file_fault

PART_SUFFIX = '.part'  # of a download that is to be checked
FLOATS = (torch.float32, torch.float16, torch.bfloat16)
LARGEST_FILE = 4  # times the network's own size: a training run keeps its optimiser's state, too
LARGEST_REST = 16 << 20  # bytes beside the values: names, padding


class CheckpointError(ValueError):
    """A weights file is not what it should be; the message says what it is."""


def load_weights(model: nn.Module, path: Path | str) -> None:
    """Load a checkpoint with exactly the model's entries, all of them finite.

    path is a `.pt` file holding {'model': state dict}, as the official releases do, a plain
    state dict, or a `.safetensors` file. Raises CheckpointError naming what is wrong; the model
    is then unchanged.
    """
    model.load_state_dict(read_weights(Path(path), model.state_dict()), strict=True)


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the values for a network's state dict, which may have none itself (`meta`).

    Values in half or single precision are floating values of either. Raises CheckpointError.
    """
    needed = sum(value.nbytes for value in expected.values())
    state = read_state_dict(path, most_bytes=LARGEST_FILE * needed + LARGEST_REST)
    _check_entries(state, expected, path)
    _check_types(state, expected, path)
    _check_finite(state, path)
    return state


def read_state_dict(path: Path, *, most_bytes: int | None = None) -> dict[str, Tensor]:
    """Return {name: tensor} from a weights file of a bounded size; raises CheckpointError."""
    fault = file_fault(path)
    if fault:
        raise CheckpointError(f'weights file {path} {fault}')
    size = path.stat().st_size
    if most_bytes is not None and size > most_bytes:
        raise CheckpointError(
            f'{path} has {size:,} bytes, more than the weights of this network can have '
            f'({most_bytes:,})'
        )
    suffix = Path(path.name.removesuffix(PART_SUFFIX)).suffix
    if suffix == '.safetensors':
        return _read_safetensors(path)
    if suffix in ('.pt', '.pth'):
        return _state_dict_of(_read_torch(path), path)
    raise CheckpointError(f'{path} ends in {path.suffix!r}: expected .pt, .pth or .safetensors')


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f'{path} is not a whole safetensors file: {_first_line(error)}'
        ) from error


def _read_torch(path: Path) -> object:
    if _head(path).startswith((b'version https://git-lfs', b'<!DOCTYPE', b'<html')):
        raise CheckpointError(f'{path} is a page or pointer of text: download the file itself')
    try:
        check_archive(path)
    except ArchiveError as error:
        raise CheckpointError(f'{path} ({path.stat().st_size:,} bytes) {error}') from error
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # noqa: BLE001 - an unpickler raises anything over damaged input
        raise CheckpointError(
            f'{path} is refused: it is no PyTorch checkpoint of plain tensors '
            f'(it is damaged, or asks to run code): {_first_line(error)}'
        ) from error


def _head(path: Path) -> bytes:
    try:
        with path.open('rb') as file:
            return file.read(64)
    except OSError as error:
        raise CheckpointError(f'{path} cannot be read ({error.strerror})') from error


def _first_line(error: Exception) -> str:
    return str(error).split('\n')[0] or type(error).__name__


def _state_dict_of(content: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path} holds a {type(content).__name__}, expected a state dict')
    state = content.get('model', content)
    if not isinstance(state, Mapping) or not all(map(_is_entry, state.items())):
        keys = ', '.join(sorted(map(str, content))[:5])
        raise CheckpointError(f'{path} holds no state dict of tensors; its entries: {keys}')
    return dict(state)


def _is_entry(item: tuple[object, object]) -> bool:
    """Return whether something is a name and a tensor with values: not sparse, nested or meta."""
    name, value = item
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and not value.is_nested
        and value.layout == torch.strided
        and value.device.type == 'cpu'
    )


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


def _check_types(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path) -> None:
    """Raise CheckpointError for values of a type that says something else than weights."""
    wrong = [
        f'{key} is {_name(value.dtype)}, expected {_name(expected[key].dtype)}'
        for key, value in state.items()
        # What is no float, batch normalisation's count of batches, may have become one on the way.
        if value.dtype not in (*FLOATS, expected[key].dtype)
    ]
    if wrong:
        raise CheckpointError(
            f'{path} has {len(wrong)} entries of another type, such as {wrong[0]}'
        )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')


def _check_finite(state: Mapping[str, Tensor], path) -> None:
    """Raise CheckpointError for values that are NaN or infinite."""
    broken = {key: int((~torch.isfinite(value)).sum()) for key, value in state.items()}
    broken = {key: count for key, count in broken.items() if count}
    if broken:
        key, count = next(iter(broken.items()))
        raise CheckpointError(
            f'{path} has values that are not finite (NaN or infinite) in {len(broken)} of '
            f'{len(state)} entries, such as {key}: {count:,} of {state[key].numel():,}'
        )
