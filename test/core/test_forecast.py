"""Where objects will be: the filter against values worked out by hand, and its forecasts."""

import math

import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros.masks import MaskCrop
from tam_ros.prompts import Prompt
from tam_ros.tracker.forecast import Motion, MotionModel
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.session import Session

SECOND = 1_000_000_000
SIZE_WH = (320, 240)
STEADY = MotionModel(fade_s=100.0)  # velocity as good as constant
IMAGE = np.zeros((240, 320, 3), np.uint8)


def block(x0, y0, width=20, height=20) -> MaskCrop:
    return MaskCrop((x0, y0, x0 + width, y0 + height), np.ones((height, width), bool))


def moving(mask, velocity, **options) -> Motion:
    """Return a motion whose velocity is known; velocity is of x0, y0, x1, y1, x, y in pixels/s."""
    start = Motion.start(mask, 0, STEADY)
    return Motion(0, start.position, np.array(velocity, float), np.eye(2), mask, STEADY)


def ahead(motion, seconds=1.0):
    return motion.forecast(motion.stamp_ns + round(seconds * SECOND), SIZE_WH)


# -- the filter -----------------------------------------------------------------------------


def test_centroid_is_the_mean_of_pixel_centres():
    corner = MaskCrop((10, 20, 12, 22), np.array([[True, True], [True, False]]))
    assert corner.centroid_xy == (pytest.approx(10 + 5 / 6), pytest.approx(20 + 5 / 6))
    assert block(10, 20).centroid_xy == (20, 30)


def test_velocity_fades_to_half_in_a_half_life():
    step = MotionModel(fade_s=1.0).transition(math.log(2))
    np.testing.assert_allclose(step, [[1, 0.5], [0, 0.5]])


def test_second_mask_corrects_place_and_velocity_by_the_gains_worked_out_by_hand():
    # A block of 10 x 10: measured to 1 px, velocities of 10 px/s. Half a life later:
    # F P F' = [[1 + 25, 25], [25, 25]], Q = 100 [[2 ln 2 - 1.25, 0.25], [0.25, 0.75]].
    model = MotionModel(measured_std=0.1, velocity_std=1.0, fade_s=1.0)
    first = Motion.start(block(50, 50, 10, 10), 0, model)
    np.testing.assert_allclose(first.covariance, [[1, 0], [0, 100]])
    second = first.follow(block(58, 50, 10, 10), round(math.log(2) * SECOND))
    p00 = 26 + 100 * (2 * math.log(2) - 1.25)
    gain = np.array([p00, 50]) / (p00 + 1)
    np.testing.assert_allclose(second.position - first.position, [8 * gain[0], 0] * 3, atol=1e-6)
    np.testing.assert_allclose(second.velocity, [8 * gain[1], 0] * 3, atol=1e-6)
    np.testing.assert_allclose(second.covariance[0, 0], p00 * (1 - gain[0]), rtol=1e-6)
    np.testing.assert_allclose(second.covariance[1, 1], 100 - 50 * gain[1], rtol=1e-6)


@pytest.mark.parametrize('parts', [(0.1, 0.2), (0.01, 0.05, 0.24)])
def test_a_step_in_parts_is_the_whole_step(parts):
    model, uncertain = MotionModel(), np.array([[0.3, 0.1], [0.1, 2.0]])
    covariance, transition = uncertain, np.eye(2)
    for seconds in parts:
        step = model.transition(seconds)
        transition = step @ transition
        covariance = step @ covariance @ step.T + model.process_noise(seconds)
    whole = model.transition(sum(parts))
    np.testing.assert_allclose(transition, whole)
    expected = whole @ uncertain @ whole.T + model.process_noise(sum(parts))
    np.testing.assert_allclose(covariance, expected)


def test_process_noise_of_a_short_step_is_that_of_constant_velocity():
    # White acceleration of spectral density 2 std^2 / fade.
    density, dt = 2 / 0.3, 1e-3
    expected = density * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    np.testing.assert_allclose(MotionModel().process_noise(dt), expected, rtol=0.01)


def follow(times_s, speed=60.0, model=STEADY) -> Motion:
    """Follow a block that moves right at a speed in pixels per second."""
    motion = None
    for t in times_s:
        mask, stamp_ns = block(round(20 + speed * t), 50), round(t * SECOND)
        motion = motion.follow(mask, stamp_ns) if motion else Motion.start(mask, stamp_ns, model)
    return motion


def test_steady_motion_is_found():
    motion = follow(np.arange(20) / 20)
    np.testing.assert_allclose(motion.velocity, [60, 0] * 3, rtol=0.02, atol=1e-6)


@pytest.mark.parametrize('model', [STEADY, MotionModel()])
def test_dropped_and_irregular_frames_do_not_matter(model):
    regular = np.arange(41) / 20
    every_second, irregular = (
        regular[::2],
        np.delete(regular, [1, 4, 5, 6, 11, 12, 19, 30, 31, 37]),
    )
    expected = ahead(follow(regular, model=model), 0.1).box_xyxy
    for times_s in (every_second, irregular):
        np.testing.assert_allclose(
            ahead(follow(times_s, model=model), 0.1).box_xyxy, expected, atol=0.5
        )


def test_gain_does_not_depend_on_the_size_of_the_object():
    small, large = (
        Motion.start(block(0, 0, side, side), 0).follow(
            block(3 * side // 10, 0, side, side), SECOND
        )
        for side in (10, 100)
    )
    np.testing.assert_allclose(large.velocity, 10 * small.velocity)


# -- forecasts ------------------------------------------------------------------------------


def test_mask_moves_with_its_box():
    hollow = block(50, 60)
    hollow.mask[5:9, 3:12] = False
    forecast = ahead(moving(hollow, [30, -12] * 3))
    travel = STEADY.travel_s(1.0)
    np.testing.assert_allclose(
        forecast.box_xyxy,
        [50 + 30 * travel, 60 - 12 * travel] + [70 + 30 * travel, 80 - 12 * travel],
    )
    assert forecast.view_xyxy == forecast.mask.box_xyxy == (80, 48, 100, 68)
    np.testing.assert_array_equal(forecast.mask.mask, hollow.mask)


def test_forecast_for_the_frames_own_time_is_what_was_measured():
    forecast = ahead(moving(block(50, 60), [30, -12] * 3), 0)
    assert forecast.box_xyxy == (50, 60, 70, 80)
    assert forecast.mask.mask.all()


def test_one_edge_that_moves_alone_is_no_motion_of_the_object():
    limb = [0, 0, 50, 0, 5, 0]  # the right edge swings out, and takes the centroid along a little
    forecast = ahead(moving(block(50, 60), limb))
    assert (forecast.box_xyxy[0] - 50, forecast.scale) == (pytest.approx(5, rel=0.01), 1)
    hides = [0, 0, 40, 0, 20, 0]  # the left edge stays at the border of what hides the object
    assert ahead(moving(block(50, 60), hides)).centroid_xy[0] == pytest.approx(80, rel=0.01)


def test_size_changes_by_what_all_edges_agree_on():
    approaches = [-4, -5, 6, 3, 0, 0]  # pixels of a box of 20: the least is 3 of the half side, 10
    forecast = ahead(moving(block(50, 60), approaches))
    assert forecast.scale == pytest.approx(1.3, rel=0.01)
    np.testing.assert_allclose(forecast.box_xyxy, [47, 57, 73, 83], atol=0.05)
    assert forecast.mask.mask.shape == (26, 26)
    leaves = ahead(moving(block(50, 60), [4, 3, -3, -2, 0, 0]))
    assert leaves.scale == pytest.approx(0.8, rel=0.01)
    assert ahead(moving(block(50, 60), [-4, -5, 6, 0, 0, 0])).scale == 1


def test_forecast_is_cut_at_the_image():
    forecast = ahead(moving(block(295, 100), [15, 0] * 3))
    assert forecast.box_xyxy[2] > 320
    assert forecast.mask.box_xyxy == (310, 100, 320, 120)
    assert forecast.view_mask.shape == (20, 10)


def test_forecast_beyond_the_image_has_no_mask():
    forecast = ahead(moving(block(295, 100), [40, 0] * 3))
    assert forecast.view_xyxy is None
    assert forecast.mask is None


@pytest.mark.parametrize(
    ('seconds', 'is_there'), [(-0.01, False), (0, True), (2, True), (2.01, False)]
)
def test_nothing_is_forecast_for_the_past_or_far_ahead(seconds, is_there):
    assert (ahead(follow([0, 1]), seconds) is not None) == is_there


# -- in the session -------------------------------------------------------------------------


class DriftingEngine(FakeEngine):
    """Moves every tracked object right by one cell of the logits, 5 pixels of the image."""

    def attend_memory(self, features, store, plan):
        return np.roll(super().attend_memory(features, store, plan), 1, axis=2)


def start(forecast='fixed_ms', **options) -> Session:
    session = Session(DriftingEngine(), SessionOptions(forecast=forecast, **options))
    session.step(IMAGE, 0)
    session.add_prompt(Prompt([(60, 120)]))
    return session


def center_x(box) -> float:
    return (box[0] + box[2]) / 2


def test_forecast_leads_a_moving_object():
    session = start()
    for t in range(1, 9):
        (found,) = session.step(IMAGE, t * SECOND // 10).objects
    forecast = found.forecast(9 * SECOND // 10)
    assert center_x(forecast.box_xyxy) - center_x(found.box_xyxy) == pytest.approx(4, abs=1)
    assert center_x(forecast.mask.box_xyxy) > center_x(found.box_xyxy) + 2
    assert session.latest().find(1).forecast(SECOND).box_xyxy == found.forecast(SECOND).box_xyxy


def test_session_that_does_not_forecast_follows_no_motion():
    session = start('none')
    (found,) = session.step(IMAGE, SECOND).objects
    assert found.motion is None
    assert found.forecast(SECOND) is None


def test_object_that_is_not_visible_has_no_forecast_until_it_is_seen_again():
    session = start()
    session.step(IMAGE, SECOND // 10)
    session._engine.present = [-5.0]
    assert session.step(IMAGE, 2 * SECOND // 10).objects[0].forecast(SECOND) is None
    session._engine.present = None
    assert session.step(IMAGE, 3 * SECOND // 10).objects[0].forecast(SECOND) is not None


def test_what_a_prompt_changes_is_no_motion():
    session = start()
    for t in range(1, 5):
        session.step(IMAGE, t * SECOND // 10)
    answer = session.add_prompt(Prompt([(200, 60)]), object_id=1)
    assert not answer.motion.velocity.any()
    assert answer.forecast(SECOND).box_xyxy == answer.box_xyxy


def test_frame_that_comes_twice_counts_once():
    session = start()
    session.step(IMAGE, SECOND)
    before = session.latest().find(1).motion
    session.step(IMAGE, SECOND)
    assert session.latest().find(1).motion is before


@pytest.mark.parametrize(
    ('forecast', 'time_ns'), [('none', None), ('publish_time', 7), ('fixed_ms', 250_000_005)]
)
def test_options_say_what_time_is_forecast(forecast, time_ns):
    options = SessionOptions(forecast=forecast, forecast_ms=250.0)
    assert options.forecast_ns(stamp_ns=5, publish_ns=7) == time_ns


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'forecast': 'soon'}, "forecast 'soon': use none, publish_time, fixed_ms"),
        ({'forecast_ms': -1.0}, 'forecast_ms -1: use 0 to 2000'),
        ({'forecast_ms': math.nan}, 'forecast_ms nan: use 0 to 2000'),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SessionOptions(**options)
