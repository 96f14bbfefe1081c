"""Oriented boxes: exact ones, moved, turned and scaled ones, with outliers, and of few points."""

import numpy as np
import pytest
from depth_scenes import Box, Cylinder, Ellipsoid, Plane, Table, look, pinhole
from scipy.spatial.transform import Rotation

from tam_ros.geometry.box_axes import named, upright_axes
from tam_ros.geometry.oriented_box import Grain, OrientedBox, Stance, fit_box

CAMERA = pinhole(320, 240, 300.0)
TABLE = Table()
GRAIN = Grain(pixel_m=0.8 / 300)
WALL = Plane((0, 0, 2.0), (0, 0, -1))
SIZE_M = (0.16, 0.1, 0.12)


def seen(solid) -> np.ndarray:
    """Return the points of a solid's surface that a camera sees, exactly."""
    return look(CAMERA, [WALL, solid]).points_m(2)


def box_points(rng: np.random.Generator, size_m=SIZE_M, count=3000) -> np.ndarray:
    """Return points of three faces of a box about 0, along the axes."""
    points = rng.uniform(-0.5, 0.5, (count, 3))
    points[np.arange(count), np.arange(count) % 3] = 0.5
    return points * size_m


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle between axes, whatever their names."""
    return float(np.degrees(Rotation.from_matrix(a.T @ named(b, a)).magnitude()))


def sides_along(box: OrientedBox, axes: np.ndarray) -> np.ndarray:
    """Return the sides of a box in the order of the axes that its own are near to."""
    return np.abs(axes.T @ box.axes).round() @ box.size_m


def rotations(count: int) -> np.ndarray:
    """Return rotation matrices by chance."""
    return Rotation.random(count, random_state=0).as_matrix()


@pytest.mark.parametrize('up', [None, TABLE.up])
@pytest.mark.parametrize('yaw_deg', [0, 10, 25, 45, 80])
def test_a_box_on_a_table_is_found_to_the_millimetre(yaw_deg, up):
    solid = TABLE.standing(Box, SIZE_M, yaw_deg=yaw_deg)
    box = fit_box(seen(solid), Stance(up), GRAIN)
    assert angle_deg(solid.axes, box.axes) < 0.5
    np.testing.assert_allclose(box.center_m, solid.center_m, atol=0.003)
    np.testing.assert_allclose(sides_along(box, solid.axes), solid.size_m, atol=0.005)


def test_a_face_seen_from_the_front_is_flat():
    solid = Box(np.array([0, 0, 1.0]), np.array([0.2, 0.1, 0.1]))
    box = fit_box(seen(solid), grain=GRAIN)
    np.testing.assert_allclose(np.sort(box.size_m), [0, 0.1, 0.2], atol=0.004)
    assert box.center_m[2] == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize('shape', [Cylinder, Ellipsoid])
def test_what_is_round_has_a_box_around_what_is_seen(shape):
    solid = TABLE.standing(shape, (0.1, 0.1, 0.1))
    points = seen(solid)
    box = fit_box(points, Stance(TABLE.up), GRAIN)
    inside = np.abs((points - box.center_m) @ box.axes) <= box.size_m / 2 + 0.002
    assert inside.all(1).mean() > 0.95
    assert box.size_m.max() < 0.106


@pytest.mark.parametrize('turn', rotations(6))
def test_points_that_move_take_their_box_along(turn):
    points = box_points(np.random.default_rng(0))
    still = fit_box(points)
    moved = fit_box(points @ turn.T + (0.1, -0.2, 1.5))
    np.testing.assert_allclose(moved.center_m, turn @ still.center_m + (0.1, -0.2, 1.5), atol=1e-3)
    assert angle_deg(turn @ still.axes, moved.axes) < 0.5
    np.testing.assert_allclose(np.sort(moved.size_m), np.sort(still.size_m), atol=1e-3)
    np.testing.assert_allclose(np.sort(moved.size_m), np.sort(SIZE_M), atol=2e-3)


@pytest.mark.parametrize('scale', [0.3, 4.0])
def test_points_that_grow_have_a_box_that_grows(scale):
    points = box_points(np.random.default_rng(0)) + (0, 0, 1)
    small, large = fit_box(points), fit_box(points * scale)
    np.testing.assert_allclose(large.size_m, small.size_m * scale, rtol=0.02)
    np.testing.assert_allclose(large.center_m, small.center_m * scale, rtol=0.01, atol=2e-3)


@pytest.mark.parametrize('up', [None, np.array([0, 0, 1.0])])
@pytest.mark.parametrize('seed', range(5))
def test_one_outlier_in_a_hundred_does_not_matter(seed, up):
    rng = np.random.default_rng(seed)
    points = box_points(rng)
    clean = fit_box(points, Stance(up))
    wrong = rng.choice(len(points), len(points) // 100, replace=False)
    points[wrong] = rng.uniform(-1, 1, (len(wrong), 3))
    box = fit_box(points, Stance(up))
    np.testing.assert_allclose(box.center_m, clean.center_m, atol=4e-3)
    np.testing.assert_allclose(np.sort(box.size_m), np.sort(clean.size_m), atol=8e-3)
    assert angle_deg(clean.axes, box.axes) < 2


def test_noise_makes_a_box_no_larger():
    rng = np.random.default_rng(0)
    points, noise_m = box_points(rng), 0.003
    points += rng.normal(0, noise_m, points.shape)
    box = fit_box(points, grain=Grain(noise_m=noise_m))
    np.testing.assert_allclose(np.sort(box.size_m), np.sort(SIZE_M), atol=0.008)
    assert np.sort(fit_box(points).size_m).sum() > box.size_m.sum() + 0.01


def test_axes_are_those_of_a_rotation():
    for turn in rotations(10):
        axes = fit_box(box_points(np.random.default_rng(1)) @ turn.T).axes
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
        assert np.linalg.det(axes) == pytest.approx(1)


@pytest.mark.parametrize('shape', [Box, Cylinder, Ellipsoid])
@pytest.mark.parametrize('up', [None, TABLE.up])
def test_axes_do_not_flip_while_a_thing_turns(shape, up):
    size_m = (0.1, 0.09, 0.1) if shape is Box else (0.1, 0.1, 0.1)
    axes, rng = None, np.random.default_rng(0)
    for yaw_deg in range(0, 180, 5):
        points = seen(TABLE.standing(shape, size_m, yaw_deg=yaw_deg))
        points = points * (1 + rng.normal(0, 0.001, (len(points), 1)))
        box = fit_box(points, Stance(up, axes=axes), GRAIN)
        if axes is not None:
            step = Rotation.from_matrix(axes.T @ box.axes).magnitude()
            assert step < np.radians(25)
        axes = box.axes
    if shape is Box:  # it took part in the turn
        assert np.degrees(Rotation.from_matrix(axes).magnitude()) > 100


def test_upright_boxes_have_their_third_axis_up():
    for turn in rotations(5):
        box = fit_box(box_points(np.random.default_rng(2)) @ turn.T, Stance(TABLE.up * 3))
        np.testing.assert_allclose(box.axes[:, 2], TABLE.up, atol=1e-9)
    tilted = fit_box(box_points(np.random.default_rng(2)), Stance(TABLE.up, axes=rotations(1)[0]))
    np.testing.assert_allclose(tilted.axes[:, 2], TABLE.up, atol=1e-9)


def test_a_box_reaches_down_to_what_it_stands_on():
    points = box_points(np.random.default_rng(0))
    box = fit_box(points, Stance(np.array([0, 0, 1.0]), floor_m=-0.2))
    assert box.size_m[2] == pytest.approx(0.2 + SIZE_M[2] / 2, abs=2e-3)
    assert box.center_m[2] - box.size_m[2] / 2 == pytest.approx(-0.2)


def test_a_floor_above_all_points_leaves_a_flat_box():
    points = box_points(np.random.default_rng(0))
    assert fit_box(points, Stance(np.array([0, 0, 1.0]), floor_m=5)).size_m[2] == 0


LINE = np.outer(np.linspace(-1, 1, 50), (0.1, 0.2, 0.3)) + (0, 0, 1)
FEW = {
    'one point': (np.array([[0.1, 0.2, 0.7]]), 0),
    'the same point twice': (np.array([[0.1, 0.2, 0.7]] * 2), 0),
    'two points': (np.array([[0, 0, 0.7], [0, 0.3, 0.7]]), 0.3),
    'three points': (np.array([[0, 0, 1.0], [0, 0.3, 1.0], [0.1, 0, 1.0]]), None),
    'a line': (LINE, 2 * np.sqrt(0.14)),
    'a plane': (np.array([[x, y, 1.0] for x in range(9) for y in range(4)]), None),
}


@pytest.mark.parametrize('what', FEW)
@pytest.mark.parametrize('up', [None, TABLE.up])
def test_few_points_have_a_box_too(what, up):
    points, length = FEW[what]
    box = fit_box(points.astype(np.float32), Stance(up))
    assert np.isfinite(box.center_m).all()
    assert np.isfinite(box.axes).all()
    assert (box.size_m >= 0).all()
    assert (np.abs((points - box.center_m) @ box.axes) <= box.size_m / 2 + 1e-4).all()
    if length is not None and up is None:
        assert np.linalg.norm(box.size_m) == pytest.approx(length, abs=1e-4)


@pytest.mark.parametrize('up', [(0, 0, 0), (0, np.nan, 1), (1, 2)])
def test_an_up_that_is_none_is_refused(up):
    with pytest.raises(ValueError, match='up is .* three numbers, not all 0, are needed'):
        Stance(np.array(up))


def test_corners_and_quaternion_tell_the_same_box():
    turn = rotations(1)[0]
    box = OrientedBox(np.array([1.0, 2, 3]), turn, np.array([0.2, 0.4, 0.6]))
    local = Rotation.from_quat(box.quaternion_xyzw).inv().apply(box.corners_m - box.center_m)
    np.testing.assert_allclose(np.abs(local), np.tile([0.1, 0.2, 0.3], (8, 1)), atol=1e-9)
    assert len(np.unique(local.round(6), axis=0)) == 8


@pytest.mark.parametrize('up', [TABLE.up, np.array([1.0, 0, 0]), np.array([0, 0, -1.0])])
def test_upright_axes_are_a_rotation_with_up_as_third(up):
    axes = upright_axes(up)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    np.testing.assert_allclose(axes[:, 2], up)


@pytest.mark.parametrize('seed', range(8))
def test_two_faces_are_those_of_a_box_not_of_one_along_their_diagonal(seed):
    # Both boxes are equally large.
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.5, 0.5, (1500, 3))
    points[np.arange(1500), np.arange(1500) % 2] = 0.5
    points = points * SIZE_M + rng.normal(0, 0.002, (1500, 3))
    turn = rotations(8)[seed]
    assert angle_deg(turn, fit_box(points @ turn.T).axes) < 3
