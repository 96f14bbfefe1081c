"""The points of an object: which of a mask's pixels are its surface, on scenes that are exact."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from depth_scenes import Box, Cylinder, Ellipsoid, Plane, Table, View, look, pinhole

from tam_ros.evaluation.depth_noise import StereoNoise
from tam_ros.geometry.camera import CalibrationError, Camera
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.object_points import ObjectPoints, object_points
from tam_ros.geometry.options import GeometryOptions
from tam_ros.masks import MaskCrop, tight_crop

CAMERA = pinhole(160, 120, 150.0)
TABLE = Table()
WALL = Plane((0, 0, 2.0), (0, 0, -1))
FRONT = (0, 0, 1.0)  # where things hang before the wall
OPTIONS = GeometryOptions(max_points=100_000)


def points_of(view: View, crop: MaskCrop, options: GeometryOptions = OPTIONS) -> ObjectPoints:
    """Return the object's points in exact depth."""
    return object_points(DepthFrame(view.depth_m, view.camera, options), crop)


def whole(mask: np.ndarray) -> MaskCrop:
    """Return the crop of a mask of the image."""
    return tight_crop(0, 0, mask)


def box_at(center, size) -> Box:
    """Return a box that faces the camera."""
    return Box(np.array(center, float), np.array(size, float))


def share_of(view: View, points: ObjectPoints, number: int) -> float:
    """Return which part of a shape's pixels is among the points."""
    x, y = points.pixels_xy.T
    return np.count_nonzero(view.labels[y, x] == number) / np.count_nonzero(view.labels == number)


def only_of(view: View, points: ObjectPoints, number: int) -> bool:
    """Return whether all points are of a shape's pixels."""
    x, y = points.pixels_xy.T
    return len(points) > 0 and bool((view.labels[y, x] == number).all())


@pytest.mark.parametrize('shape', [Box, Ellipsoid, Cylinder])
def test_points_are_on_the_surface_to_a_tenth_of_a_millimetre(shape):
    solid = TABLE.standing(shape, (0.12, 0.12, 0.12), yaw_deg=20)
    view = look(CAMERA, [TABLE.plane, solid])
    points = points_of(view, view.crop(2))
    exact = np.array([view.depth_m[y, x] for x, y in points.pixels_xy])
    np.testing.assert_array_equal(points.points_m[:, 2], exact)
    assert solid.distance_m(points.points_m).max() < 1e-4
    pixels = CAMERA.project(points.points_m)
    np.testing.assert_allclose(pixels, points.pixels_xy, atol=1e-3)
    assert share_of(view, points, 2) > 0.85  # but for the rim where it stands


def test_the_wall_behind_is_left_out_of_a_mask_that_is_too_large():
    view = look(CAMERA, [WALL, box_at(FRONT, (0.3, 0.2, 0.1))])
    points = points_of(view, view.crop(2, grown_px=4))
    assert only_of(view, points, 2)
    assert share_of(view, points, 2) == 1  # depth tells where it ends: nothing is eroded


def test_what_surrounds_an_object_on_a_table_is_left_out_but_for_a_strip_where_it_stands():
    solid = TABLE.standing(Box, (0.15, 0.1, 0.12), yaw_deg=20)
    view = look(pinhole(), [TABLE.plane, solid])
    points = points_of(view, view.crop(2, grown_px=3))
    assert solid.distance_m(points.points_m).max() < 0.01
    assert share_of(view, points, 2) > 0.95


def test_both_parts_of_an_object_behind_a_pole_are_its_own():
    pole = box_at((0, 0, 0.7), (0.02, 1, 0.02))
    view = look(CAMERA, [WALL, box_at(FRONT, (0.3, 0.2, 0.1)), pole])
    assert share_of(view, points_of(view, view.crop(2)), 2) > 0.98
    rows = (view.labels == 2).any(1, keepdims=True)
    with_pole = (view.labels == 2) | ((view.labels == 3) & rows)
    points = points_of(view, whole(with_pole))
    assert only_of(view, points, 2)  # the pole goes on outside the mask
    assert share_of(view, points, 2) > 0.98


def test_a_hand_that_a_mask_runs_over_is_left_out():
    hand = box_at((0.2, 0, 0.8), (0.3, 0.15, 0.04))
    view = look(CAMERA, [WALL, box_at(FRONT, (0.3, 0.2, 0.1)), hand])
    mask = (view.labels == 2) | ((view.labels == 3) & (np.arange(160) < 100))
    assert np.count_nonzero(mask & (view.labels == 3)) > 0.2 * np.count_nonzero(mask)
    assert only_of(view, points_of(view, whole(mask)), 2)


def test_what_is_seen_through_an_object_is_left_out():
    bars = [box_at((x, 0, 1.0), (0.01, 0.3, 0.02)) for x in (-0.1, -0.05, 0, 0.05, 0.1)]
    rails = [box_at((0, y, 1.0), (0.22, 0.02, 0.02)) for y in (-0.15, 0.15)]
    view = look(CAMERA, [WALL, *bars, *rails])
    y, x = np.nonzero(view.labels > 1)
    mask = np.zeros(view.labels.shape, bool)
    mask[y.min() : y.max() + 1, x.min() : x.max() + 1] = True
    points = points_of(view, whole(mask))
    through = np.count_nonzero(mask & (view.labels == 1))
    assert through > 0.5 * mask.sum()
    assert points.points_m[:, 2].max() < 1.1
    assert len(points) > 0.8 * np.count_nonzero(view.labels > 1)


def test_a_mask_within_a_larger_surface_keeps_what_it_covers():
    view = look(CAMERA, [WALL])
    mask = np.zeros((120, 160), bool)
    mask[40:80, 50:110] = True
    points = points_of(view, whole(mask))
    assert len(points) >= mask.sum() * 0.8  # a rim of two pixels
    assert points.pixels_xy.min(0).tolist() == [52, 42]


@pytest.mark.parametrize('number_of_pixels', [1, 2, 10])
def test_no_object_is_eroded_away(number_of_pixels):
    view = look(CAMERA, [WALL])
    mask = np.zeros((120, 160), bool)
    mask[60, 80 : 80 + number_of_pixels] = True
    points = points_of(view, whole(mask), replace(OPTIONS, erode=0.5))
    assert len(points) == number_of_pixels


@pytest.mark.parametrize('erode', [0.0, 0.02, 0.5])
def test_erosion_leaves_at_least_half(erode):
    view = look(CAMERA, [WALL])
    points = points_of(view, view.crop(1), replace(OPTIONS, erode=erode))
    assert len(points) == 160 * 120  # the image's border is no outline
    mask = np.zeros((120, 160), bool)
    mask[40:80, 50:110] = True
    assert len(points_of(view, whole(mask), replace(OPTIONS, erode=erode))) >= mask.sum() / 2


@pytest.mark.parametrize('side_m', [0.0068, 0.04, 0.067])
def test_thin_and_small_objects_keep_their_points(side_m):
    wire = box_at(FRONT, (side_m, 0.5, side_m))
    dot = box_at((0.3, 0, 1), (side_m, side_m, side_m))
    view = look(CAMERA, [WALL, wire, dot])
    for number in (2, 3):
        points = points_of(view, view.crop(number))
        assert share_of(view, points, number) == 1
        points = points_of(view, view.crop(number, grown_px=1))
        assert share_of(view, points, number) == 1
        assert only_of(view, points, number) or side_m < 0.01


@pytest.mark.parametrize('at', [(-0.5, -0.4), (0.5, 0.4), (0.5, 0)])
def test_a_mask_may_touch_the_border(at):
    view = look(CAMERA, [WALL, box_at((*at, 1), (0.3, 0.3, 0.1))])
    points = points_of(view, view.crop(2))
    assert only_of(view, points, 2)
    assert share_of(view, points, 2) == 1


def test_flying_pixels_are_dropped():
    view = look(CAMERA, [WALL, box_at(FRONT, (0.3, 0.2, 0.1))])
    mask, depth = view.labels == 2, view.depth_m.copy()
    edge = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    rng = np.random.default_rng(0)
    flying = edge & (rng.random(mask.shape) < 0.5)
    depth[flying] = rng.uniform(1.05, 1.9, flying.sum())
    points = points_of(view.with_depth(depth), whole(mask))
    assert points.points_m[:, 2].max() < 1
    assert len(points) >= np.count_nonzero(mask & ~edge)


def test_holes_are_left_out_and_cut_nothing_off():
    view = look(CAMERA, [WALL, box_at(FRONT, (0.3, 0.2, 0.1))])
    depth = view.depth_m.copy()
    depth[:, 78:81] = 0
    depth[np.random.default_rng(0).random(depth.shape) < 0.2] = 0
    points = points_of(view.with_depth(depth), view.crop(2))
    assert len(points) == np.count_nonzero((view.labels == 2) & (depth > 0))


def test_a_mask_of_holes_has_no_points():
    view = look(CAMERA, [WALL])
    points = points_of(view.with_depth(np.zeros((120, 160), np.float32)), view.crop(1))
    assert len(points) == 0
    assert points.points_m.shape == (0, 3)
    assert points.pixels_xy.shape == (0, 2)
    assert points.cloud(0.01)[0].shape == (0, 3)
    assert points.thinned(10).shape == (0, 3)


def test_pixels_without_a_ray_have_no_points():
    folding = Camera(replace(CAMERA.calibration, coefficients=(-1.5, 0, 0, 0, 0)))
    depth = np.ones((120, 160), np.float32)
    points = object_points(DepthFrame(depth, folding, OPTIONS), whole(depth > 0))
    assert 0 < len(points) == np.count_nonzero(~folding.blind)
    assert np.isfinite(points.points_m).all()
    assert np.isfinite(points.thinned(100)).all()


def test_large_masks_give_no_more_points_than_allowed():
    view = look(CAMERA, [WALL])
    points = points_of(view, view.crop(1), replace(OPTIONS, max_points=2000))
    assert points.stride == 4
    assert len(points) == 40 * 30
    assert (points.pixels_xy % 4 == 0).all()
    np.testing.assert_allclose(CAMERA.project(points.points_m), points.pixels_xy, atol=1e-3)


def test_thinned_points_are_means_of_blocks_and_stay_on_a_plane():
    view = look(CAMERA, [TABLE.plane])
    points = points_of(view, view.crop(1))
    thin = points.thinned(1200)
    assert 1000 < len(thin) < 1500
    assert np.abs((thin - TABLE.plane.point_m) @ TABLE.up).max() < 1e-5
    np.testing.assert_allclose(thin.mean(0), points.points_m.mean(0), atol=1e-3)
    assert points.thinned(10**6) is points.points_m


def test_voxels_have_one_point_each():
    view = look(CAMERA, [TABLE.plane])
    points = points_of(view, view.crop(1))
    means, pixels = points.cloud(0.05)
    assert points.cloud() == (points.points_m, points.pixels_xy)
    assert len(means) == len(pixels) < len(points) / 10
    cells = np.floor(points.points_m / 0.05).astype(int)
    assert len(means) == len(np.unique(cells, axis=0))
    assert np.abs((means - TABLE.plane.point_m) @ TABLE.up).max() < 1e-5
    x, y = pixels.T
    of_pixels = np.vstack([CAMERA.rays[:, y, x], np.ones(len(x))]).T * view.depth_m[y, x, None]
    assert np.abs(of_pixels - means).max() < 0.05


def test_depth_of_another_size_is_refused():
    message = 'it is of 160x120 pixels, depth is of 640x480: use the calibration of the images'
    with pytest.raises(CalibrationError, match=message):
        DepthFrame(np.ones((480, 640), np.float32), CAMERA)


def test_almost_no_point_is_2_cm_off_with_the_noise_of_a_stereo_camera():
    rng, camera = np.random.default_rng(0), pinhole()
    for pitch_deg in (30, 50):
        top = Table(pitch_deg)
        solid = top.standing(Cylinder, (0.1, 0.1, 0.15))
        view = look(camera, [top.plane, solid])
        noisy = DepthFrame(StereoNoise().apply(view.depth_m, rng), camera, OPTIONS)
        for crop in (view.crop(2), view.crop(2, grown_px=3)):
            points = object_points(noisy, crop)
            assert (solid.distance_m(points.points_m) > 0.02).mean() < 0.005
            assert len(points) > 0.85 * crop.mask.sum() - 1000


def test_the_unit_and_the_farthest_depth_are_options():
    view = look(CAMERA, [WALL])
    tenths = (view.depth_m * 10_000).astype(np.uint16)
    options = GeometryOptions(depth_unit_m=1e-4)
    points = object_points(DepthFrame(tenths, CAMERA, options), view.crop(1))
    np.testing.assert_allclose(points.points_m[:, 2], 2, rtol=1e-6)
    near = GeometryOptions(depth_unit_m=1e-4, max_depth_m=1.9)
    assert len(object_points(DepthFrame(tenths, CAMERA, near), view.crop(1))) == 0


def test_a_ramp_of_flying_pixels_does_not_join_two_surfaces():
    camera = pinhole()
    view = look(camera, [Plane((0, 0, 1.14), (0, 0, -1)), box_at((0, 0, 1.05), (0.2, 0.1, 0.1))])
    outside = (view.labels == 1).astype(np.uint8)
    ramp_m = 1 + 0.035 * cv2.distanceTransform(outside, cv2.DIST_C, 3)
    depth = np.minimum(ramp_m, view.depth_m)  # no step is a gap
    steps = np.abs(np.diff(depth, axis=1))
    assert steps.max() < OPTIONS.gaps_m(1.0, 1 / camera.focal_px)
    points = points_of(view.with_depth(depth), view.crop(2, grown_px=12))
    assert points.points_m[:, 2].max() < 1.04
    assert share_of(view, points, 2) == 1
