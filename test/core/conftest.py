"""Fixtures of the tests that need no ROS."""

from pathlib import Path

import pytest
from calm import calm_network

from tam_ros.engine.export import Origin, export, export_network
from tam_ros.engine.torch_engine import TorchEngine, build_network, choose_config
from tam_ros.weights import REPRODUCIBLE

SHARED = Path(__file__).parents[2].parent / 'shared'


@pytest.fixture(scope='session')
def golden() -> Path:
    """The folder of reference outputs; a user's clone has none."""
    if not (SHARED / 'golden').is_dir():
        pytest.skip(f'no reference outputs at {SHARED / "golden"}')
    return SHARED / 'golden'


@pytest.fixture(scope='session')
def exported(made_once):
    """Return a function that exports a model with the weights that tests use, once.

    It takes the model, the side of its input and whether its attention is softened.
    """

    def export(model: str, image_size: int, calm: bool = True) -> Path:
        def make(folder: Path) -> None:
            if calm:
                network = calm_network(image_size, model)
            else:
                network = build_network(choose_config(model, image_size), REPRODUCIBLE)
            export_network(network, Origin(model, REPRODUCIBLE), folder)

        return made_once(f'{model}_{image_size}_{"calm" if calm else "reproducible"}', make)

    return export


@pytest.fixture(scope='session')
def trained(made_once) -> Path:
    """The network that comes with the package, exported for 256 px as a user would."""
    return made_once('tam_nano_256', lambda folder: export('tam_nano', '', folder, image_size=256))


@pytest.fixture(scope='session')
def engine() -> TorchEngine:
    """A small real engine."""
    return TorchEngine(calm_network(), mode='benchmark')
