"""Fixtures of the tests that need no ROS."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tam_ros.engine.torch_engine import TorchEngine
from tam_ros.model.config import EdgeTAMConfig
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.reproducible import reproducible_state_dict

torch.set_num_threads(min(4, os.cpu_count() or 1))

SHARED = Path(__file__).parents[2].parent / 'shared'


@pytest.fixture(scope='session')
def golden() -> Path:
    """The folder of reference outputs; a user's clone has none."""
    if not (SHARED / 'golden').is_dir():
        pytest.skip(f'no reference outputs at {SHARED / "golden"}')
    return SHARED / 'golden'


def calm_network(image_size: int = 256) -> EdgeTAM:
    """Return a network with reproducible weights and softened memory attention.

    The plain reproducible weights make tracking chaotic: a rounding error grows a hundredfold a
    frame. With attention four times softer it stays, so many frames can be compared.
    """
    network = EdgeTAM(EdgeTAMConfig(image_size=image_size))
    state = reproducible_state_dict(network)
    for key, value in state.items():
        if key.startswith('memory_attention') and ('q_proj' in key or 'k_proj' in key):
            value /= 4
    network.load_state_dict(state)
    return network.eval()


@pytest.fixture(scope='session')
def engine() -> TorchEngine:
    """A small real engine."""
    return TorchEngine(calm_network(), mode='benchmark')


@pytest.fixture(scope='session')
def frames() -> list[np.ndarray]:
    """Ten 320x240 frames: textured noise under a bright square that moves right."""
    rng = np.random.default_rng(0)
    background = rng.integers(0, 120, (240, 320, 3), np.uint8)
    images = []
    for t in range(10):
        image = background.copy()
        image[80:140, 60 + 8 * t : 120 + 8 * t] += 100
        images.append(image)
    return images
