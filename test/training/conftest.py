"""Fixtures of the tests of training, which run on the CPU in seconds."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# At the end: the installed tam_ros, which has the messages, must stay the one that is found.
sys.path.append(str(ROOT))

ASSETS = ROOT.parent / 'shared' / 'assets'


@pytest.fixture(scope='session')
def assets() -> Path:
    """The folder of pictures that clips are composed of; a user's clone has none."""
    if not (ASSETS / 'photos').is_dir():
        pytest.skip(f'no photos and cut-outs at {ASSETS}')
    return ASSETS
