"""Rays of a camera: its model of distortion, binning, region, and what is no calibration."""

from dataclasses import replace

import numpy as np
import pytest

from tam_ros.geometry.camera import Calibration, CalibrationError, Camera

PINHOLE = Calibration(64, 48, (60.0, 0, 31, 0, 66.0, 22, 0, 0, 1))
MODELS = {
    'none': PINHOLE,
    'plumb_bob': replace(PINHOLE, coefficients=(0.1, -0.2, 1e-3, -2e-3, 0.05)),
    'no fifth': replace(PINHOLE, coefficients=(0.1, -0.2, 1e-3, -2e-3)),
    'rational_polynomial': replace(
        PINHOLE,
        model='rational_polynomial',
        coefficients=(0.5, -2.6, 1e-3, -2e-4, 1.5, 0.4, -2.4, 1.4),
    ),
    'equidistant': replace(PINHOLE, model='equidistant', coefficients=(0.02, -0.01, 1e-3, 0.0)),
}


def pixels_of(calibration: Calibration) -> np.ndarray:
    """Return x, y of all pixels, (H * W, 2)."""
    width, height = calibration.size_wh
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)


def rays_of(camera: Camera) -> np.ndarray:
    """Return (H * W, 3) rays with z = 1."""
    return np.column_stack([camera.rays.reshape(2, -1).T, np.ones(camera.rays[0].size)])


def test_rays_of_a_pinhole_camera_follow_from_its_matrix():
    rays = Camera(PINHOLE).rays
    assert rays.shape == (2, 48, 64)
    assert rays.dtype == np.float32
    np.testing.assert_allclose(rays[:, 22, 31], [0, 0], atol=1e-7)
    np.testing.assert_allclose(rays[:, 2, 61], [30 / 60, -20 / 66], rtol=1e-6)


@pytest.mark.parametrize('model', MODELS)
def test_a_ray_leads_back_to_its_pixel(model):
    camera = Camera(MODELS[model])
    assert camera.blind is None
    pixels = camera.project(rays_of(camera) * 1.7)
    np.testing.assert_allclose(pixels, pixels_of(camera.calibration), atol=2e-3)


def test_distortion_bends_rays():
    straight = Camera(PINHOLE).rays
    for model in ('plumb_bob', 'rational_polynomial', 'equidistant'):
        assert np.abs(Camera(MODELS[model]).rays - straight).max() > 1e-3


@pytest.mark.parametrize('model', MODELS)
def test_a_region_has_the_rays_of_its_part(model):
    part = replace(MODELS[model], roi_xywh=(10, 6, 30, 20))
    assert part.size_wh == (30, 20)
    whole = Camera(MODELS[model]).rays
    np.testing.assert_allclose(Camera(part).rays, whole[:, 6:26, 10:40], atol=1e-6)


def test_a_binned_pixel_looks_through_the_middle_of_those_that_it_covers():
    camera = Camera(replace(PINHOLE, binning_xy=(2, 3)))
    assert camera.calibration.size_wh == (32, 16)
    whole = Camera(PINHOLE).rays
    expected = [whole[0, 0, 4:6].mean(), whole[1, 6:9, 0].mean()]
    np.testing.assert_allclose(camera.rays[:, 2, 2], expected, rtol=1e-5)
    pixels = camera.project(rays_of(camera))
    np.testing.assert_allclose(pixels, pixels_of(camera.calibration), atol=1e-4)
    assert camera.focal_px == pytest.approx((60 / 2 + 66 / 3) / 2)


def test_binning_of_0_is_none_and_counts_within_a_region():
    assert replace(PINHOLE, binning_xy=(0, 0)).size_wh == (64, 48)
    part = replace(PINHOLE, binning_xy=(2, 2), roi_xywh=(8, 4, 40, 20))
    assert part.size_wh == (20, 10)
    whole = Camera(PINHOLE).rays
    expected = [whole[0, 0, 8:10].mean(), whole[1, 4:6, 0].mean()]
    np.testing.assert_allclose(Camera(part).rays[:, 0, 0], expected, rtol=1e-5)


def test_pixels_for_which_the_model_does_not_hold_have_no_ray():
    # It folds: beyond a radius, what is farther out is seen farther in.
    camera = Camera(replace(PINHOLE, coefficients=(-1.5, 0, 0, 0, 0)))
    assert np.isfinite(camera.rays[:, 22, 31]).all()
    assert np.isnan(camera.rays[:, 0, 0]).all()
    assert camera.blind[0, 0]
    assert not camera.blind[22, 31]


def test_rectified_images_may_be_of_a_camera_whose_model_is_not_named():
    np.testing.assert_array_equal(Camera(replace(PINHOLE, model='')).rays, Camera(PINHOLE).rays)
    zeros = replace(PINHOLE, model='equidistant', coefficients=(0.0,) * 4)
    np.testing.assert_array_equal(Camera(zeros).rays, Camera(PINHOLE).rays)


REFUSED = {
    'no calibration': ({'matrix': (0.0,) * 9}, 'is not calibrated: its focal lengths .* 0 and 0'),
    'no matrix': ({'matrix': ()}, r'K is \(\): nine finite numbers'),
    'not finite': ({'matrix': (np.nan,) * 9}, 'nine finite numbers are needed'),
    'no size': ({'width': 0}, 'calibration is for 0x48 pixels'),
    'another model': (
        {'model': 'kannala', 'coefficients': (0.1,)},
        '"kannala" is not known: use plumb_bob, rational_polynomial, equidistant',
    ),
    'coefficients too few': ({'coefficients': (0.1,)}, 'plumb_bob has 4 or 5 coefficients, not 1'),
    'coefficients not finite': ({'coefficients': (np.inf,) * 5}, 'D is .* finite numbers'),
    'region outside': ({'roi_xywh': (60, 0, 10, 10)}, r'region \(60, 0, 10, 10\) .* 64x48'),
    'binned away': ({'binning_xy': (100, 1)}, r'binning \(100, 1\) does not fit'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_what_is_no_calibration_is_named_and_refused(what):
    change, message = REFUSED[what]
    with pytest.raises(CalibrationError, match=message):
        replace(PINHOLE, **change)
