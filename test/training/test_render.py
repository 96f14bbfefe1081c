"""Rendered clips: the same for the same seed, with masks of things that move."""

import ctypes.util
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ASSETS = Path(__file__).parents[3] / 'shared' / 'assets'

for module in ('mujoco', 'trimesh', 'scipy', 'tqdm'):
    if find_spec(module) is None:
        pytest.skip(f'rendering clips needs {module}', allow_module_level=True)
if not ctypes.util.find_library('EGL'):
    pytest.skip('rendering clips needs libEGL', allow_module_level=True)
if not (ASSETS / 'meshes').is_dir():
    pytest.skip(f'no meshes to render in {ASSETS}', allow_module_level=True)

os.environ.setdefault('MUJOCO_GL', 'egl')  # read when MuJoCo is imported

from training.clips import Clip, load_clip  # noqa: E402
from training.meshes import Assets  # noqa: E402
from training.render import LEAST_AREA, MOST_AREA, Order, render_clips  # noqa: E402


def rendered(out: Path) -> list[Clip]:
    order = Order(out, Assets.of(ASSETS), (0, 1), seed=3, size=96, frames=5)
    assert render_clips(order) == 2
    return [load_clip(order.path(index)) for index in order.indices]


@pytest.fixture(scope='module')
def clips(tmp_path_factory) -> list[Clip]:
    return rendered(tmp_path_factory.mktemp('clips'))


def shifts(clip: Clip, number: int) -> list[float]:
    """Return how far the middle of an object is from frame to frame, where it is in view."""
    middles = [np.argwhere(mask == number).mean(axis=0) for mask in clip.masks if number in mask]
    return [float(np.linalg.norm(b - a)) for a, b in zip(middles, middles[1:])]


def test_same_seed_gives_the_same_clips(clips, tmp_path):
    for clip, again in zip(clips, rendered(tmp_path)):
        np.testing.assert_array_equal(clip.images, again.images)
        np.testing.assert_array_equal(clip.masks, again.masks)


def test_a_clip_does_not_depend_on_those_rendered_before_it(clips, tmp_path):
    (tmp_path / '000000.npz').touch()
    order = Order(tmp_path, Assets.of(ASSETS), (0, 1), seed=3, size=96, frames=5)
    render_clips(order)
    np.testing.assert_array_equal(load_clip(order.path(1)).images, clips[1].images)


def test_every_object_is_well_in_view_at_the_beginning(clips):
    for clip in clips:
        first = clip.masks[0]
        numbers = np.unique(first[first > 0])
        assert numbers.tolist() == list(range(1, clip.masks.max() + 1))
        for number in numbers:
            assert LEAST_AREA <= np.mean(first == number) <= MOST_AREA


def test_images_are_neither_black_nor_flat(clips):
    for clip in clips:
        assert clip.images.shape == (5, 96, 96, 3)
        assert clip.images.mean() > 30
        assert clip.images.std() > 10


def test_an_object_moves(clips):
    assert max(max(shifts(clip, 1), default=0) for clip in clips) > 1
