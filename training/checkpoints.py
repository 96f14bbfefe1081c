"""Training checkpoints, and the weights file that a finished run exports."""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from tam_ros.model.checkpoint import read_state_dict
from tam_ros.networks import TAM_NANO, EdgeTAMConfig
from training.settings import REPVIT

REPVIT_KEY = 'image_encoder.trunk.body.stem.conv1.bn.weight'  # the other trunk has no norms


@dataclass(frozen=True)
class Checkpoint:
    """State of a run."""

    step: int
    """How many have been done."""
    model: EdgeTAMConfig
    """The network's shape."""
    network: dict
    """Its state dict."""
    average: dict
    """The running mean of that, by the same names."""
    optimizer: dict
    """State dict of the optimiser."""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that an interruption leaves the old one whole."""
    state = {**vars(checkpoint), 'model': asdict(checkpoint.model)}
    temporary = path.with_suffix('.tmp')
    torch.save(state, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, onto the CPU; runs no code from it."""
    state = torch.load(path, map_location='cpu', weights_only=True)
    return Checkpoint(**{**state, 'model': EdgeTAMConfig(**state['model'])})


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the mean weights of a checkpoint, or those of a weights file."""
    return read_model(path)[1]


def read_model(path: Path) -> tuple[EdgeTAMConfig, dict[str, torch.Tensor]]:
    """Return the shape and the mean weights of a checkpoint, or of a weights file.

    The latter is of tam_nano, or of what that was with a trunk trained from nothing.
    """
    if path.suffix == '.safetensors':
        weights = {key: value.float() for key, value in read_state_dict(path).items()}
        return REPVIT if REPVIT_KEY in weights else TAM_NANO, weights
    checkpoint = load_checkpoint(path)
    return checkpoint.model, checkpoint.average


def export_weights(weights: dict[str, torch.Tensor], path: Path) -> None:
    """Write weights as half-precision safetensors."""
    halved = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in weights.items()
    }
    save_file(halved, path)


def main() -> None:
    """Export a checkpoint's weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    args = parser.parse_args()
    export_weights(load_checkpoint(args.checkpoint).average, args.out)


if __name__ == '__main__':
    main()
