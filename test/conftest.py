"""Fixtures of all tests; being here also makes the modules of this folder importable."""

import numpy as np
import pytest


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
