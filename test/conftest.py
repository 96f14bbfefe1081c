"""Fixtures of all tests; being here also makes the modules of this folder importable."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock

# Before PyTorch is imported. Threads that wait for each other spin, and while other processes
# have the cores, for instance those of another test, a network takes twenty times as long.
os.environ.setdefault('OMP_NUM_THREADS', '1')

Make = Callable[[Path], None]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each of several processes take the files in an order that keeps all of them at work.

    Files whose tests need what `made_once` makes, exports that take a minute each, come first:
    else one process would be left with them at the end. After them, files with many tests.
    """
    if 'PYTEST_XDIST_WORKER' not in os.environ:
        return
    tests = Counter(item.path for item in items)
    making = {item.path for item in items if 'made_once' in item.fixturenames}
    items.sort(key=lambda item: (item.path not in making, -tests[item.path]))


@pytest.fixture(scope='session')
def made_once(tmp_path_factory) -> Callable[[str, Make], Path]:
    """Return a function that makes a named folder, once for all processes of this test run."""
    root = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        root = root.parent

    def make_once(name: str, make: Make) -> Path:
        folder, done = root / name, root / f'{name}.done'
        with FileLock(root / f'{name}.lock'):
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return make_once


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


@pytest.fixture(scope='session')
def things() -> list[np.ndarray]:
    """Six 320x240 frames: five plain things before soft shades, two of which touch."""
    rng = np.random.default_rng(0)
    shades = cv2.GaussianBlur(rng.integers(60, 200, (240, 320, 3), np.uint8), (0, 0), 9)
    images = []
    for t in range(6):
        image = shades.copy()
        cv2.circle(image, (60 + 4 * t, 110), 34, (220, 60, 50), -1)
        cv2.circle(image, (110, 110), 30, (60, 200, 70), -1)
        cv2.rectangle(image, (140, 20 + 3 * t), (190, 60 + 3 * t), (60, 90, 230), -1)
        cv2.ellipse(image, (250 - 4 * t, 195), (40, 22), 20, 0, 360, (240, 210, 40), -1)
        cv2.rectangle(image, (30 + 3 * t, 180), (85 + 3 * t, 225), (230, 60, 200), -1)
        images.append(image)
    return images
