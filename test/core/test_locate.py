"""Where objects are: their boxes with noise, what they stand on, and how sure that is."""

from dataclasses import replace

import numpy as np
import pytest
from depth_scenes import Box, Ellipsoid, Plane, Table, look, pinhole

from tam_ros.evaluation.depth_noise import StereoNoise
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.locate import locate
from tam_ros.geometry.options import GeometryOptions
from tam_ros.geometry.oriented_box import OrientedBox, Stance
from tam_ros.geometry.pose_covariance import pose_covariance

CAMERA = pinhole(320, 240, 300.0)
OPTIONS = GeometryOptions()
SIZE_M = (0.16, 0.1, 0.12)
WALL = Plane((0, 0, 3.0), (0, 0, -1))


def located(shapes, *, up=None, noise=None, camera=CAMERA, options=OPTIONS, number=2):
    """Return where a shape is, number from 1."""
    view = look(camera, shapes)
    depth = view.depth_m if noise is None else noise.apply(view.depth_m, np.random.default_rng(0))
    return locate(DepthFrame(depth, camera, options), view.crop(number), Stance(up))


def bottom_m(box: OrientedBox, up: np.ndarray) -> float:
    """Return the height of a box's lowest corner."""
    return float((box.corners_m @ up).min())


@pytest.mark.parametrize('distance_m', [0.5, 0.8, 1.2])
@pytest.mark.parametrize('known', [True, False])
def test_a_box_is_found_within_5_mm_despite_the_noise_of_a_stereo_camera(distance_m, known):
    table = Table(distance_m=distance_m)
    solid = table.standing(Box, SIZE_M, yaw_deg=30)
    up = table.up if known else None
    where = located([table.plane, solid], up=up, noise=StereoNoise(), camera=pinhole())
    assert np.linalg.norm(where.box.center_m - solid.center_m) < (0.005 if known else 0.008)
    sides = np.sort(where.box.size_m) - np.sort(SIZE_M)
    assert np.abs(sides).max() < (0.008 if known else 0.012)
    assert (solid.distance_m(where.points.points_m) > 0.02).mean() < 0.005


@pytest.mark.parametrize('pitch_deg', [20, 45, 90])
def test_a_ball_reaches_down_to_its_table(pitch_deg):
    table = Table(pitch_deg)
    ball = table.standing(Ellipsoid, (0.1, 0.1, 0.1))
    box = located([table.plane, ball], up=table.up).box
    floor = table.plane.point_m @ table.up
    assert bottom_m(box, table.up) == pytest.approx(floor, abs=0.003)
    assert box.size_m[2] == pytest.approx(0.1, abs=0.004)
    np.testing.assert_allclose(box.axes[:, 2], table.up, atol=1e-9)


def test_a_box_seen_from_above_reaches_down_to_its_table():
    table = Table(pitch_deg=90)
    solid = table.standing(Box, SIZE_M)
    box = located([table.plane, solid], up=table.up).box
    np.testing.assert_allclose(box.size_m, SIZE_M, atol=0.005)
    np.testing.assert_allclose(box.center_m, solid.center_m, atol=0.003)


def test_a_thing_that_is_held_does_not_reach_down():
    table = Table()
    ball = replace(table.standing(Ellipsoid, (0.1,) * 3), center_m=table.at(0, 0, 0.35))
    box = located([table.plane, ball], up=table.up).box
    assert bottom_m(box, table.up) > table.plane.point_m @ table.up + 0.28
    reach = replace(OPTIONS, support_reach_m=0.5)
    box = located([table.plane, ball], up=table.up, options=reach).box
    assert bottom_m(box, table.up) == pytest.approx(table.plane.point_m @ table.up, abs=0.003)


def test_without_anything_below_a_box_ends_where_its_points_do():
    ball = Ellipsoid(np.array([0, 0, 1.0]), np.full(3, 0.2))
    up = np.array([0, -1.0, 0])
    box = located([WALL, ball], up=up).box
    assert box.size_m[1:].min() > 0.05
    assert bottom_m(box, up) == pytest.approx(-0.1, abs=0.01)


def test_a_thing_stands_on_the_book_below_it_not_on_the_table():
    table = Table()
    book = replace(table.standing(Box, (0.3, 0.25, 0.04)))
    ball = replace(table.standing(Ellipsoid, (0.08,) * 3), center_m=table.at(0, 0, 0.08))
    box = located([table.plane, book, ball], up=table.up, number=3).box
    floor = table.plane.point_m @ table.up
    assert bottom_m(box, table.up) == pytest.approx(floor + 0.04, abs=0.004)


def test_a_flat_thing_keeps_its_points():
    table = Table()
    card = table.standing(Box, (0.2, 0.15, 0.002))
    box = located([table.plane, card], up=table.up).box
    np.testing.assert_allclose(np.sort(box.size_m), [0.002, 0.15, 0.2], atol=0.025)
    assert box.size_m[2] < 0.005


def test_a_mask_without_depth_is_nowhere():
    view = look(CAMERA, [WALL])
    frame = DepthFrame(np.zeros((240, 320), np.uint16), CAMERA)
    assert locate(frame, view.crop(1), Stance(np.array([0, -1.0, 0]))) is None


@pytest.mark.parametrize('up', [None, np.array([0, -1.0, 0])])
def test_an_object_of_one_pixel_is_somewhere(up):
    view = look(CAMERA, [WALL, Box(np.array([0.5 / 300, 0.5 / 300, 1]), np.full(3, 0.003))])
    assert view.crop(2).mask.sum() == 1
    where = locate(DepthFrame(view.depth_m, CAMERA), view.crop(2), Stance(up))
    np.testing.assert_allclose(where.box.center_m, [0, 0, 1], atol=0.004)
    assert np.isfinite(where.covariance).all()


@pytest.mark.parametrize('known', [True, False])
def test_an_object_of_10_pixels_is_found(known):
    table = Table(distance_m=1.2)
    solid = table.standing(Box, (0.03, 0.03, 0.03))
    up = table.up if known else None
    box = located([table.plane, solid], up=up).box
    assert np.linalg.norm(box.center_m - solid.center_m) < 0.012


# How sure


def test_a_covariance_is_symmetric_and_positive():
    table = Table()
    where = located([table.plane, table.standing(Box, SIZE_M, yaw_deg=30)], up=table.up)
    assert where.covariance.shape == (6, 6)
    np.testing.assert_allclose(where.covariance, where.covariance.T, atol=1e-15)
    assert np.linalg.eigvalsh(where.covariance).min() > 0


def test_a_covariance_tells_how_far_boxes_are_off():
    rng, camera, squares = np.random.default_rng(0), pinhole(), []
    for distance_m in (0.5, 0.8, 1.2) * 4:
        table = Table(rng.uniform(30, 50), distance_m)
        solid = table.standing(Box, SIZE_M, yaw_deg=rng.uniform(0, 90))
        view = look(camera, [table.plane, solid])
        frame = DepthFrame(StereoNoise().apply(view.depth_m, rng), camera)
        where = locate(frame, view.crop(2), Stance(table.up))
        off = where.box.center_m - solid.center_m
        squares.append(off @ np.linalg.solve(where.covariance[:3, :3], off) / 3)
    assert 0.2 < np.mean(squares) < 2  # 1 where it is just right
    assert max(squares) < 9  # three standard deviations


def test_depth_is_less_sure_the_farther_and_most_along_the_view():
    def std(z_m: float) -> np.ndarray:
        box = OrientedBox(np.array([0, 0, z_m]), np.eye(3), np.full(3, 0.1))
        covariance = pose_covariance(box, 2000, 0.0025 * z_m**2, z_m / 600)
        return np.sqrt(np.diag(covariance))

    near, far = std(1.0), std(2.0)
    assert 3 < far[2] / near[2] <= 4  # the outline grows with depth, noise with its square
    assert far[0] / near[0] == pytest.approx(2, rel=0.01)
    assert far[2] > far[0]
    assert (far[3:] > near[3:]).all()


def test_more_points_and_longer_sides_make_it_surer():
    def std(size_m, points: int) -> np.ndarray:
        box = OrientedBox(np.array([0, 0, 1.0]), np.eye(3), np.array(size_m, float))
        return np.sqrt(np.diag(pose_covariance(box, points, 0.0025, 1 / 600)))

    assert std((0.1, 0.1, 0.1), 100)[2] > std((0.1, 0.1, 0.1), 10_000)[2]
    assert std((0.3, 0.01, 0.01), 1000)[5] < std((0.1, 0.01, 0.01), 1000)[5]
    long_x = std((0.3, 0.01, 0.01), 1000)
    assert long_x[3] > 5 * long_x[4]  # about its own length
    assert std((0, 0, 0), 1)[3] == pytest.approx(np.pi / np.sqrt(3))  # it may be any angle
