"""Cut trained weights down to the shape of tam_nano: fewer directions in the keys, fewer layers.

The keys that dense propagation matches are unit vectors, and what training leaves of them lies
in far fewer directions than they have channels: likeness is nearly the same in the principal ones
alone. Of memory attention the first layers are kept.
"""

import argparse
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from tam_ros.image_files import list_files
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.propagation import PLACE
from tam_ros.networks import EdgeTAMConfig
from tam_ros.preprocess import resize_video_frame
from training.checkpoints import export_weights, read_weights
from training.material import VIDEO_SUFFIXES, video_frames
from training.settings import REPVIT

FINE, COARSE = 'propagation.fine_key', 'propagation.coarse_key'
LAYER = 'memory_attention.layers.'
PER_VIDEO, EVERY = 2, 20  # frames that the principal directions are taken from


def slim(
    weights: dict[str, Tensor], images: Iterable[Tensor], config: EdgeTAMConfig
) -> tuple[dict[str, Tensor], float]:
    """Return weights for a config, and what part of the keys' energy they keep.

    weights: of a network like it, but with wider keys and more layers of memory attention.
    images: (3, S, S) of 0 to 255, to find the directions.
    """
    directions, kept = _principal(_key_energy(weights, images, config), config.match_dim - PLACE)
    slimmed = {
        key: value
        for key, value in weights.items()
        if not key.startswith(LAYER) or _layer_of(key) < config.memory_layers
    }
    for name in (FINE, COARSE):
        for key in (f'{name}.weight', f'{name}.bias'):
            slimmed[key] = torch.tensordot(directions.T, weights[key], dims=1)
    return slimmed, kept


@torch.inference_mode()
def _key_energy(
    weights: dict[str, Tensor], images: Iterable[Tensor], config: EdgeTAMConfig
) -> Tensor:
    """Return the (C, C) mean of k k^T over the keys that weights make of images."""
    channels = len(weights[f'{FINE}.bias'])
    layers = 1 + max(_layer_of(key) for key in weights if key.startswith(LAYER))
    shape = replace(config, match_dim=channels + PLACE, memory_layers=layers)
    network = EdgeTAM(shape).eval()
    network.load_state_dict(weights)
    products = []
    for image in images:
        keys = network.encode_image(image[None].float()).keys[0, :, :channels].double()
        products.append(keys.T @ keys / len(keys))
    return torch.stack(products).mean(0)


def _principal(energy: Tensor, count: int) -> tuple[Tensor, float]:
    """Return (C, count) directions of most energy, and their part of all of it."""
    values, vectors = torch.linalg.eigh(energy)  # in ascending order
    return vectors[:, -count:].flip(1).float(), float(values[-count:].sum() / values.sum())


def _layer_of(key: str) -> int:
    return int(key.removeprefix(LAYER).split('.')[0])


def _images(videos: Path, config: EdgeTAMConfig) -> Iterable[Tensor]:
    for film in list_files(videos, VIDEO_SUFFIXES):
        for frame in islice(video_frames(film), 0, PER_VIDEO * EVERY, EVERY):
            rgb = resize_video_frame(frame[..., ::-1], config.image_size, config.resampling)
            yield torch.tensor(rgb).permute(2, 0, 1)


def main() -> None:
    """Slim the weights of a file or of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('weights', type=Path, help='a checkpoint or .safetensors')
    parser.add_argument('out', type=Path)
    parser.add_argument('--videos', type=Path, required=True, help='folder of .mp4 files')
    args = parser.parse_args()
    config = REPVIT
    weights, kept = slim(read_weights(args.weights), _images(args.videos, config), config)
    export_weights(weights, args.out)
    print(f'{args.out}: the keys keep {kept:.1%} of their energy')


if __name__ == '__main__':
    main()
