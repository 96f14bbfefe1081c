"""Fixtures of the tests that need no ROS."""

import os
from pathlib import Path

import pytest
import torch
from calm import calm_network

from tam_ros.engine.torch_engine import TorchEngine

torch.set_num_threads(min(4, os.cpu_count() or 1))

SHARED = Path(__file__).parents[2].parent / 'shared'


@pytest.fixture(scope='session')
def golden() -> Path:
    """The folder of reference outputs; a user's clone has none."""
    if not (SHARED / 'golden').is_dir():
        pytest.skip(f'no reference outputs at {SHARED / "golden"}')
    return SHARED / 'golden'


@pytest.fixture(scope='session')
def engine() -> TorchEngine:
    """A small real engine."""
    return TorchEngine(calm_network(), mode='benchmark')
