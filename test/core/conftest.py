"""Fixtures of the tests that need no ROS."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from calm import calm_network
from offline_runs import BOTTLE, COUNT, MUG, first_frames, track
from video_files import write_video

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


@pytest.fixture(scope='session')
def clip(tmp_path_factory) -> Path:
    """The beginning of the demo clip, as a video."""
    path = tmp_path_factory.mktemp('clip') / 'short.mp4'
    return write_video(path, 'mp4v', first_frames(COUNT), 30.0)


@pytest.fixture(scope='session')
def tracked(clip, tmp_path_factory) -> Path:
    """Results of tracking the mug and the bottle in it, of a run that nothing stopped."""
    out = tmp_path_factory.mktemp('tracked') / 'out'
    assert track(clip, '--box', MUG, '--box', BOTTLE, '--out', out) == 0
    return out


@pytest.fixture
def serve() -> Iterator[Callable]:
    """Start servers of the page, by default on any free port; they end with the test."""
    from page_server import serving  # needs aiohttp, unlike the other tests

    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(serving(**{'port': 0, **options}))
