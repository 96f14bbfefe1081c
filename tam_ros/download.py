"""Fetch official checkpoints, and take them only when they are what they should be.

Needs neither ROS nor torch; with torch, a checkpoint must also load into its network.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tam_ros.archive import ArchiveError, check_archive
from tam_ros.digests import record_line, record_path, recorded_sha256
from tam_ros.engine.verify import verify_checkpoint
from tam_ros.part import Part, StorageError, write_text
from tam_ros.paths import PathError, make_folder, user_path
from tam_ros.transfer import HTTPS, Source, TransferError, fetch
from tam_ros.weights import (
    CHECKPOINTS,
    Checkpoint,
    DownloadError,
    digest_fault,
    weights_folder,
)

ELSEWHERE = 'set TAM_ROS_WEIGHTS or --folder to a folder that can be written'
Verify = Callable[[Path], bool]  # whether there was a way to; raises ValueError


def download(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    verify: Verify | None = None,
    schemes: Sequence[str] = HTTPS,
) -> Path:
    """Fetch a checkpoint into folder and return its path; a right one is not fetched again.

    An interrupted download goes on where it stopped. The file appears under its name only when
    its content is right: by its published digest, or as an archive that `verify` accepts, whose
    digest is then written beside it. Raises DownloadError or PathError.
    """
    target = folder / checkpoint.file_name
    try:
        if target.is_dir():
            raise DownloadError(f'{target} is a folder: remove it, or {ELSEWHERE}')
        if not target.is_file() or _fault(checkpoint, target, verify):
            make_folder(folder, ELSEWHERE)
            _replace(checkpoint, target, verify, schemes)
        _record(checkpoint, target)
    except (StorageError, OSError) as error:
        raise DownloadError(
            f'{error}; {checkpoint.megabytes} MB are needed. Make room, or {ELSEWHERE}'
        ) from error
    return target


def _replace(
    checkpoint: Checkpoint, target: Path, verify: Verify | None, schemes: Sequence[str]
) -> None:
    """Put a checkpoint that was fetched and found right at target."""
    source = Source(checkpoint.url, checkpoint.most_bytes, schemes, is_known=checkpoint.has_digest)
    with Part(target.with_name(f'{target.name}.part')) as part:
        _fetch(checkpoint, source, part, target)
        size, fault = part.size, _fault(checkpoint, part.path, verify)
        if fault:
            part.discard()
            raise DownloadError(
                f'{checkpoint.url} gave another file than the published one: it has {size:,} '
                f'bytes and {fault}; nothing was kept'
            )
        if not checkpoint.has_digest:
            record_path(target).unlink(missing_ok=True)  # of what was there before
        part.become(target)


def _record(checkpoint: Checkpoint, target: Path) -> None:
    """Write down what a file is that nobody else says it of."""
    if not checkpoint.has_digest and not recorded_sha256(target):
        write_text(record_path(target), record_line(target))


def _fetch(checkpoint: Checkpoint, source: Source, part: Part, target: Path) -> None:
    try:
        fetch(source, part)
    except TransferError as error:
        raise DownloadError(
            f'{checkpoint.url} cannot be fetched ({error}). Download it elsewhere '
            f'({checkpoint.megabytes} MB) and put it at {target}; a further try goes on from '
            f'{part.path}'
        ) from error


def _fault(checkpoint: Checkpoint, path: Path, verify: Verify | None) -> str:
    """Return what is wrong with a file, as far as can be told; '' if nothing."""
    if checkpoint.has_digest:
        return digest_fault(checkpoint, path)
    if not checkpoint.least_bytes <= path.stat().st_size <= checkpoint.most_bytes:
        return f'should have about {checkpoint.megabytes} MB'
    try:
        check_archive(path)
        if verify is not None:
            verify(path)
    except ArchiveError as error:
        return str(error)
    except ValueError as error:
        return f'is refused: {error}'
    return digest_fault(checkpoint, path)


def main(arguments: Sequence[str] | None = None, *, schemes: Sequence[str] = HTTPS) -> int:
    """Run `download_weights MODEL ...`; return the exit status."""
    parser = argparse.ArgumentParser(
        prog='download_weights', description='Fetch official checkpoints and check them.'
    )
    parser.add_argument('models', nargs='+', choices=sorted(CHECKPOINTS), metavar='MODEL')
    parser.add_argument('--folder', help='to put them in (default: $TAM_ROS_WEIGHTS, or a cache)')
    options, _ = parser.parse_known_args(arguments)  # `ros2 run` may add --ros-args
    try:
        folder = user_path(options.folder) if options.folder else weights_folder()
        for model in options.models:
            _download_model(model, folder, schemes)
    except (DownloadError, PathError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _download_model(model: str, folder: Path, schemes: Sequence[str]) -> None:
    verified = []

    def verify(path: Path) -> bool:
        verified.append(verify_checkpoint(model, path))
        return verified[-1]

    path = download(CHECKPOINTS[model], folder, verify=verify, schemes=schemes)
    print(f'{model}: {path}')
    if verified and not verified[-1]:
        print(
            f'{path} is a whole archive; without PyTorch it was not loaded, to see what it holds'
        )
