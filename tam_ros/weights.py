"""Weights: those that come with the package, official checkpoints, and where they lie.

Needs neither ROS nor torch. `download` fetches checkpoints.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tam_ros.digests import git_blob_id, record_path, recorded_sha256, sha256_of
from tam_ros.paths import PathError, file_fault, user_path

REPRODUCIBLE = 'reproducible'  # weights made by rule, for tests and benchmarks


class DownloadError(RuntimeError):
    """A checkpoint could not be had; the message says what to do instead."""


@dataclass(frozen=True)
class Checkpoint:
    """One published file, with one digest or none.

    Without one, a file counts when it loads, and its sha256 is recorded beside it and holds from
    then on.
    """

    file_name: str
    """In the folder of weights."""
    url: str
    """Address of the file."""
    megabytes: float
    """Size in 10^6 bytes as published, to within 5 %."""
    git_blob: str = ''
    """Published id of the file as a blob of git, 40 hex digits; empty if there is none."""
    sha256: str = ''
    """Published digest, 64 hex digits; empty if there is none."""

    @property
    def has_digest(self) -> bool:
        """Whether a digest of the file is published."""
        return bool(self.git_blob or self.sha256)

    @property
    def least_bytes(self) -> int:
        """What the file must have."""
        return round(self.megabytes * 0.95e6)

    @property
    def most_bytes(self) -> int:
        """What the file cannot exceed."""
        return round(self.megabytes * 1.05e6)


HUB = 'https://huggingface.co/yunyangx/efficient-track-anything/resolve'
HUB_REVISION = '9bdd8ab585b19ef95f9c9ed847ac9478301890b4'  # of the files with known digests
EFFICIENTTAM_MEGABYTES = {'s': 136.4, 'ti': 71.6}
EFFICIENTTAM_SHA256 = {  # as public copies of that revision state them
    's': '2b572be30d9e96ee29c8d785fe157c6b079ede7d56fbc8a3671d4120e63c89cd',
    's_1': '',
    's_2': '',
    's_512x512': '67b5840012737ed2c94a4cb8787c5c1b27b3a946045d2e602e65ef77230b6085',
    'ti': 'acbb17b28cca1f860acee09c9ecb6efdb732080dc7a85a07292c31813175fa7d',
    'ti_1': '',
    'ti_2': '',
    'ti_512x512': '7d4d652a465f0081391050932f45d8a66768ccc99c8ea393ce8a5927e83f3b9b',
}


def _efficienttam(variant: str, sha256: str) -> Checkpoint:
    file_name = f'efficienttam_{variant}.pt'
    url = f'{HUB}/{HUB_REVISION if sha256 else "main"}/{file_name}'
    megabytes = EFFICIENTTAM_MEGABYTES[variant.split('_')[0]]
    return Checkpoint(file_name, url, megabytes, sha256=sha256)


CHECKPOINTS = {
    'edgetam': Checkpoint(
        'edgetam.pt',
        'https://github.com/facebookresearch/EdgeTAM/raw/main/checkpoints/edgetam.pt',
        56.1,
        git_blob='abd54d22bbd22ba3e53cf59a307e59e0f3701be6',
    ),
    **{
        f'efficienttam_{variant}': _efficienttam(variant, sha256)
        for variant, sha256 in EFFICIENTTAM_SHA256.items()
    },
}


@dataclass(frozen=True)
class Embedded:
    """Weights that are a part of this package."""

    file_name: str
    """In the folder of what is embedded."""
    sha256: str
    """Of the file, 64 hex digits."""


EMBEDDED = {
    'tam_nano': Embedded(
        'tam_nano.safetensors',
        'e3b377cfd0fb6dd6227ae43a58d05bc914bef73c362ae85b31f82823a2d4587e',
    ),
}
EMBEDDED_FOLDER = Path(__file__).resolve().parent / 'embedded'


def weights_folder() -> Path:
    """Return the folder of checkpoints: $TAM_ROS_WEIGHTS, or one in the user's cache.

    Raises PathError where neither is known.
    """
    own = os.environ.get('TAM_ROS_WEIGHTS')
    if own:
        return user_path(own)
    cache = os.environ.get('XDG_CACHE_HOME')
    if cache:
        return user_path(cache) / 'tam_ros'
    try:
        return Path.home() / '.cache' / 'tam_ros'
    except RuntimeError as error:
        raise PathError(
            'no home folder is known to keep weights in: set HOME, or TAM_ROS_WEIGHTS to a folder'
        ) from error


def export_folder(model: str) -> Path:
    """Return the folder that a model is exported to where none is named."""
    return weights_folder() / 'onnx' / model


def find_weights(model: str, weights: str) -> str:
    """Return what a user's `weights` stands for: itself, or the model's own file if it is empty.

    That is the embedded file of `tam_nano`, the downloaded one of others; one whose digest is
    known must have it. Raises DownloadError if it is not there or not whole, PathError for a path
    with a home that is not known.
    """
    if weights == REPRODUCIBLE:
        return weights
    if weights:
        return str(_check_own(model, user_path(weights)))
    if model in EMBEDDED:
        return str(_check_embedded(EMBEDDED[model]))
    if model not in CHECKPOINTS:
        raise DownloadError(f'model {model!r} has no official weights: set the parameter weights')
    path = weights_folder() / CHECKPOINTS[model].file_name
    fault = file_fault(path)
    if fault:
        raise DownloadError(
            f'no weights for {model}: {path} {fault}. Run '
            f'`ros2 run tam_ros download_weights {model}`, or set weights to a file'
        )
    _check_kept(CHECKPOINTS[model], path)
    return str(path)


def _check_own(model: str, path: Path) -> Path:
    """Return the path of a user's file, unless it is told from its name what it is not."""
    if file_fault(path) == 'is a folder':
        raise DownloadError(f'weights {path} is a folder, which is for engine onnx: set a file')
    _check_file_name(model, path)
    if model in CHECKPOINTS and path.name == CHECKPOINTS[model].file_name:
        _check_kept(CHECKPOINTS[model], path)
    return path


def _check_kept(checkpoint: Checkpoint, path: Path) -> None:
    """Refuse a file in the folder of checkpoints that is not the published or downloaded one."""
    if not _is_kept(path) or file_fault(path):
        return
    fault = digest_fault(checkpoint, path)
    if fault:
        raise DownloadError(
            f'{path} is not the file that it is named after: it {fault}. Run `ros2 run tam_ros '
            'download_weights` again, or give a file of your own another name'
        )


def _is_kept(path: Path) -> bool:
    try:
        return path.parent.resolve() == weights_folder().resolve()
    except PathError:
        return False


def digest_fault(checkpoint: Checkpoint, path: Path) -> str:
    """Return in which digest a file differs from the published one; '' if in none.

    Where none is published, that which was recorded beside the file counts, if there is a record.
    """
    try:
        return _digest_fault(checkpoint, path)
    except OSError as error:
        return f'cannot be read ({error.strerror})'


def _digest_fault(checkpoint: Checkpoint, path: Path) -> str:
    if checkpoint.sha256:
        return _difference('sha256', sha256_of(path), checkpoint.sha256)
    if checkpoint.git_blob:
        return _difference('git blob', git_blob_id(path), checkpoint.git_blob)
    recorded = recorded_sha256(path)
    if not recorded:
        return ''
    return _difference(f'sha256 (in {record_path(path)})', sha256_of(path), recorded)


def _difference(kind: str, found: str, expected: str) -> str:
    return '' if found == expected else f'has {kind} {found}, expected {expected}'


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
    fault = file_fault(path)
    if fault:
        why = 'is missing' if fault == 'does not exist' else fault
        raise DownloadError(f'{path} {why}: it is a part of this package, install it again')
    fault = _difference('sha256', sha256_of(path), embedded.sha256)
    if fault:
        raise DownloadError(f'{path} is damaged: it {fault}; install this package again')
    return path
