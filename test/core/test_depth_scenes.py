"""The scenes and the noise that geometry is measured with are what they say."""

import numpy as np
import pytest
from depth_methods import METHODS
from depth_scenes import Box, Cylinder, Ellipsoid, Plane, Table, View, look, pinhole

from tam_ros.evaluation.depth_noise import StereoNoise
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.oriented_box import Stance

CAMERA = pinhole(161, 121, 150.0)  # the middle pixel looks straight ahead
MIDDLE = (60, 80)
WALL = Plane((0, 0, 2.0), (0, 0, -1))
QUIET = StereoNoise(0, 0, 0, shadow_px=0, flying_share=0, hole_share=0)


def depth_ahead(shape) -> float:
    """Return how far a shape is straight ahead."""
    return float(look(CAMERA, [shape]).depth_m[MIDDLE])


def test_shapes_are_met_where_they_are():
    at = np.array([0, 0, 1.0])
    assert depth_ahead(WALL) == 2
    assert depth_ahead(Box(at, np.array([0.2, 0.3, 0.4]))) == pytest.approx(0.8)
    assert depth_ahead(Ellipsoid(at, np.array([0.2, 0.3, 0.4]))) == pytest.approx(0.8)
    assert depth_ahead(Cylinder(at, np.array([0.2, 0.2, 0.4]))) == pytest.approx(0.8)  # its end
    lying = Table(pitch_deg=0).axes  # its third axis is up, across the view
    assert depth_ahead(Cylinder(at, np.array([0.2, 0.2, 0.4]), lying)) == pytest.approx(0.9)
    assert depth_ahead(Box(-at, np.array([0.2, 0.3, 0.4]))) == 0  # behind the camera


@pytest.mark.parametrize('shape', [Box, Ellipsoid, Cylinder])
def test_every_point_of_a_shape_is_on_its_surface(shape):
    solid = Table().standing(shape, (0.2, 0.2, 0.3), yaw_deg=30)
    points = look(CAMERA, [solid]).points_m(1)
    assert len(points) > 500
    local = (points - solid.center_m) @ solid.axes / (solid.size_m / 2)
    across = np.hypot(local[:, 0], local[:, 1])
    off = {
        Box: np.abs(local).max(1),
        Ellipsoid: np.linalg.norm(local, axis=1),
        Cylinder: np.maximum(across, np.abs(local[:, 2])),
    }
    np.testing.assert_allclose(off[shape], 1, atol=1e-5)


def test_the_nearest_shape_is_seen_and_what_stands_is_on_its_table():
    table = Table(30, 0.9)
    solid = table.standing(Box, (0.1, 0.1, 0.2))
    view = look(CAMERA, [table.plane, solid])
    assert set(np.unique(view.labels)) <= {0, 1, 2}
    assert depth_ahead(table.plane) == pytest.approx(0.9)
    assert view.labels[MIDDLE] == 2
    heights = (view.points_m(2) - table.plane.point_m) @ table.up
    assert -1e-6 < heights.min() < heights.max() < 0.2 + 1e-6


# Noise


def wall_at(z_m: float) -> np.ndarray:
    """Return the depth of a wall."""
    return np.full((200, 200), z_m, np.float32)


def noisy_m(depth_m: np.ndarray, noise: StereoNoise, seed: int = 0) -> np.ndarray:
    """Return depth with noise, in metres."""
    return noise.apply(depth_m, np.random.default_rng(seed)) * 1e-3


def test_without_faults_depth_is_whole_millimetres():
    view = look(CAMERA, [WALL, Box(np.array([0, 0, 1.0]), np.full(3, 0.2))])
    np.testing.assert_allclose(noisy_m(view.depth_m, QUIET), view.depth_m, atol=5.1e-4)
    assert QUIET.apply(view.depth_m, np.random.default_rng(0)).dtype == np.uint16


def test_noise_grows_with_the_square_of_depth_and_is_alike_in_neighbours():
    noise = StereoNoise(0.0025, 1.5, 0, shadow_px=0, flying_share=0, hole_share=0)
    for z_m in (1.0, 2.0):
        off = noisy_m(wall_at(z_m), noise) - z_m
        assert off.std() == pytest.approx(0.0025 * z_m**2, rel=0.05)
    assert np.corrcoef(off[:, 1:].ravel(), off[:, :-1].ravel())[0, 1] > 0.8


def test_noise_repeats_with_its_seed():
    noise = StereoNoise()
    np.testing.assert_array_equal(noisy_m(wall_at(1), noise), noisy_m(wall_at(1), noise))
    assert (noisy_m(wall_at(1), noise, 1) != noisy_m(wall_at(1), noise)).any()


def edge_scene() -> View:
    """Return a box before a wall."""
    return look(CAMERA, [WALL, Box(np.array([0, 0, 1.0]), np.full(3, 0.3))])


def test_what_the_second_camera_cannot_see_is_a_hole_at_the_left_of_things():
    view = edge_scene()
    holes = noisy_m(view.depth_m, StereoNoise(0, 0, 0, flying_share=0, hole_share=0)) == 0
    rows, columns = np.nonzero(view.labels == 2)
    assert holes[60, columns.min() - 4 : columns.min()].all()
    assert not holes[:, columns.max() :].any()
    assert not holes[view.labels == 2].any()


def test_flying_pixels_hang_between_surfaces_beside_an_edge():
    view = edge_scene()
    depth_m = noisy_m(view.depth_m, StereoNoise(0, 0, 0, shadow_px=0, hole_share=0))
    flying = (depth_m > 1) & (depth_m < 1.99)
    near = np.zeros_like(flying)
    rows, columns = np.nonzero(view.labels == 2)
    near[rows.min() - 2 : rows.max() + 3, columns.min() - 2 : columns.max() + 3] = True
    assert flying.sum() > 100
    assert not flying[~near].any()


def test_specks_are_holes():
    holes = noisy_m(wall_at(1), StereoNoise(hole_share=0.02)) == 0
    assert 0.01 < holes.mean() < 0.03


def test_edges_of_depth_are_off_by_about_a_pixel():
    view = edge_scene()
    depth_m = noisy_m(
        view.depth_m, StereoNoise(0, 0, 1, shadow_px=0, flying_share=0, hole_share=0)
    )
    moved = (depth_m < 1.5) != (view.labels == 2)
    assert moved.any()
    rows, columns = np.nonzero(view.labels == 2)
    inner = np.s_[rows.min() + 5 : rows.max() - 4, columns.min() + 5 : columns.max() - 4]
    assert not moved[inner].any()


@pytest.mark.parametrize('other', ['back-projection', 'principal axes', 'median depth'])
def test_ours_is_nearer_to_the_truth_than_the_short_ways(other):
    table, camera = Table(), pinhole()
    solid = table.standing(Box, (0.12, 0.1, 0.1), yaw_deg=30)
    view = look(camera, [table.plane, solid])
    depth = StereoNoise().apply(view.depth_m, np.random.default_rng(0))
    off = {}
    for who in ('ours, up known', 'ours', other):
        frame = DepthFrame(depth, camera)
        answer = METHODS[who](frame, view.crop(2), Stance(table.up))
        off[who] = float(np.linalg.norm(answer.box.center_m - solid.center_m))
    assert max(off['ours'], off['ours, up known']) < 0.3 * off[other]
