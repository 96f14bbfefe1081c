"""Weights: those that come with the package, and official checkpoints that are fetched.

Needs neither ROS nor torch.
"""

import argparse
import hashlib
import os
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30
REPRODUCIBLE = 'reproducible'  # weights made by rule, for tests and benchmarks


class DownloadError(RuntimeError):
    """A checkpoint could not be had; the message says what to do instead."""


@dataclass(frozen=True)
class Checkpoint:
    """One published file.

    git_blob: its id in the repository that publishes it; '' where none is known. Then all that can
    be told is whether it is a whole PyTorch archive, until a network loads it strictly.
    """

    file_name: str
    url: str
    git_blob: str
    megabytes: float


EFFICIENTTAM_HUB = 'https://huggingface.co/yunyangx/efficient-track-anything/resolve/main'
EFFICIENTTAM_MEGABYTES = {'s': 136.2, 'ti': 71.5}  # of 4-byte values, as counted
EFFICIENTTAM_VARIANTS = ('', '_1', '_2', '_512x512')


def _efficienttam_checkpoints() -> 'dict[str, Checkpoint]':
    names = [
        (f'efficienttam_{size}{variant}', megabytes)
        for size, megabytes in EFFICIENTTAM_MEGABYTES.items()
        for variant in EFFICIENTTAM_VARIANTS
    ]
    return {
        name: Checkpoint(f'{name}.pt', f'{EFFICIENTTAM_HUB}/{name}.pt', '', megabytes)
        for name, megabytes in names
    }


CHECKPOINTS = {
    'edgetam': Checkpoint(
        'edgetam.pt',
        'https://github.com/facebookresearch/EdgeTAM/raw/main/checkpoints/edgetam.pt',
        'abd54d22bbd22ba3e53cf59a307e59e0f3701be6',
        56.1,
    ),
    **_efficienttam_checkpoints(),
}


@dataclass(frozen=True)
class Embedded:
    """Weights that are a part of this package; sha256 of the file."""

    file_name: str
    sha256: str


EMBEDDED = {
    'tam_nano': Embedded(
        'tam_nano.safetensors',
        '9a685a022b3ca6f69d604e43ce7e1c0eca7f3672b81be30f6b7c0bb36bd399ee',
    ),
}
EMBEDDED_FOLDER = Path(__file__).resolve().parent / 'embedded'


def weights_folder() -> Path:
    """Return the folder of checkpoints: $TAM_ROS_WEIGHTS, or one in the user's cache."""
    if 'TAM_ROS_WEIGHTS' in os.environ:
        return Path(os.environ['TAM_ROS_WEIGHTS'])
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(cache) / 'tam_ros'


def export_folder(model: str) -> Path:
    """Return the folder that a model is exported to where none is named."""
    return weights_folder() / 'onnx' / model


def find_weights(model: str, weights: str) -> str:
    """Return what a user's `weights` stands for: itself, or the model's own file if it is empty.

    That is the embedded file of `tam_nano`, the downloaded one of others. Raises DownloadError
    if it is not there or not whole.
    """
    if weights:
        _check_file_name(model, Path(weights))
        return weights
    if model in EMBEDDED:
        return str(_check_embedded(EMBEDDED[model]))
    if model not in CHECKPOINTS:
        raise DownloadError(f'model {model!r} has no official weights: set the parameter weights')
    path = weights_folder() / CHECKPOINTS[model].file_name
    if not path.is_file():
        raise DownloadError(
            f'no weights for {model}: {path} does not exist. Run '
            f'`ros2 run tam_ros download_weights {model}`, or set weights to a file'
        )
    return str(path)


def _check_file_name(model: str, path: Path) -> None:
    """Refuse another model's published file: variants of EfficientTAM differ in no entry of it."""
    published = {checkpoint.file_name: name for name, checkpoint in CHECKPOINTS.items()}
    named = published.get(path.name, model)
    if named != model:
        raise DownloadError(
            f'weights {path} is the published file of model {named!r}, not of {model!r}: set '
            f'model to {named!r}, or rename the file if you know better'
        )


def _check_embedded(embedded: Embedded) -> Path:
    path = EMBEDDED_FOLDER / embedded.file_name
    if not path.is_file():
        raise DownloadError(f'{path} is missing: it is a part of this package, install it again')
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != embedded.sha256:
        raise DownloadError(
            f'{path} is damaged: its sha256 is {found}, expected {embedded.sha256}'
        )
    return path


def git_blob_id(path: Path) -> str:
    """Return the id that git gives a file's content."""
    digest = hashlib.sha1(f'blob {path.stat().st_size}\0'.encode())
    with path.open('rb') as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def download(checkpoint: Checkpoint, folder: Path) -> Path:
    """Fetch a checkpoint into folder and return its path; a whole one is not fetched again.

    An interrupted download goes on where it stopped. The file appears under its name only when
    its content is right. Raises DownloadError.
    """
    target = folder / checkpoint.file_name
    if target.is_file() and _is_published(checkpoint, target):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(target.suffix + '.part')
    try:
        _fetch(checkpoint.url, part)
    except (urllib.error.URLError, OSError) as error:
        raise DownloadError(
            f'{checkpoint.url} cannot be fetched ({error}). Download it elsewhere '
            f'({checkpoint.megabytes} MB) and put it at {target}; a further try goes on from '
            f'{part}'
        ) from error
    if not _is_published(checkpoint, part):
        size, found = part.stat().st_size, git_blob_id(part)
        part.unlink()
        raise DownloadError(
            f'{checkpoint.url} gave another file ({size:,} bytes, git blob {found}) than the '
            f'published one ({_description(checkpoint)}); nothing was kept'
        )
    part.replace(target)
    return target


def _is_published(checkpoint: Checkpoint, path: Path) -> bool:
    """Return whether a file is the published one, as far as can be told."""
    if not checkpoint.git_blob:
        return zipfile.is_zipfile(path)  # what PyTorch writes; a page or a part of it is none
    return git_blob_id(path) == checkpoint.git_blob


def _description(checkpoint: Checkpoint) -> str:
    return f'git blob {checkpoint.git_blob}' if checkpoint.git_blob else 'a PyTorch archive'


def _fetch(url: str, part: Path) -> None:
    """Append what is still missing of url to part."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={'Range': f'bytes={done}-'} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and done:  # nothing is missing
            return
        raise
    with response:
        resumed = response.status == 206
        missing = int(response.headers.get('Content-Length') or 0)
        total = missing + done if resumed else missing
        with part.open('ab' if resumed else 'wb') as file:
            for chunk in _with_progress(_chunks(response), done if resumed else 0, total):
                file.write(chunk)
    if total and part.stat().st_size < total:
        raise OSError(f'connection ended after {part.stat().st_size:,} of {total:,} bytes')


def _chunks(response) -> Iterator[bytes]:
    while chunk := response.read(CHUNK_BYTES):
        yield chunk


def _with_progress(chunks: Iterator[bytes], done: int, total: int) -> Iterator[bytes]:
    with tqdm(total=total or None, initial=done, unit='B', unit_scale=True) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(chunk))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `download_weights MODEL ...`; return the exit status."""
    parser = argparse.ArgumentParser(
        prog='download_weights', description='Fetch official checkpoints and check them.'
    )
    parser.add_argument('models', nargs='+', choices=sorted(CHECKPOINTS), metavar='MODEL')
    parser.add_argument('--folder', type=Path, default=weights_folder())
    options, _ = parser.parse_known_args(arguments)  # `ros2 run` may add --ros-args
    try:
        for model in options.models:
            print(f'{model}: {download(CHECKPOINTS[model], options.folder)}')
    except DownloadError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
