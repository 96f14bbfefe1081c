"""Boxes over time: smooth at rest, in real time, never far behind, and with axes that stay."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tam_ros.geometry.box_filter import BoxFilter
from tam_ros.geometry.oriented_box import OrientedBox

BOX = OrientedBox(np.array([0, 0, 1.0]), np.eye(3), np.array([0.1, 0.2, 0.3]))
NOISE_M = 0.002
COVARIANCE = np.diag([NOISE_M**2] * 3 + [np.radians(1) ** 2] * 3)
SMOOTHING_S = 0.3


def at(x_m: float, turned_deg: float = 0.0) -> OrientedBox:
    """Return the box at another place, turned about z."""
    axes = Rotation.from_euler('z', turned_deg, degrees=True).as_matrix()
    return replace(BOX, center_m=np.array([x_m, 0, 1]), axes=axes)


def follow(boxes, hz: float = 30.0, smoothing_s: float = SMOOTHING_S) -> list[OrientedBox]:
    """Return the smoothed boxes."""
    smoother = BoxFilter()
    return [
        smoother.update(box, int(i * 1e9 / hz), COVARIANCE, smoothing_s)
        for i, box in enumerate(boxes)
    ]


def test_noise_at_rest_is_smoothed():
    rng = np.random.default_rng(0)
    boxes = [at(x, turn) for x, turn in rng.normal(0, 1, (300, 2)) * (NOISE_M, 1)]
    smooth = follow(boxes)[30:]
    assert np.std([box.center_m[0] for box in smooth]) < NOISE_M / 2
    turns = [Rotation.from_matrix(box.axes).as_rotvec(degrees=True)[2] for box in smooth]
    assert np.std(turns) < 0.5


def test_a_fast_thing_is_followed_within_what_measurements_may_be_off():
    smooth = follow([at(0.02 * i) for i in range(50)])
    behind = [0.02 * i - box.center_m[0] for i, box in enumerate(smooth)]
    assert max(behind) <= 2 * NOISE_M + 1e-9 < 0.02  # less than a frame
    turned = follow([at(0, 5.0 * i) for i in range(50)])
    behind = [
        np.degrees(Rotation.from_matrix(box.axes.T @ at(0, 5.0 * i).axes).magnitude())
        for i, box in enumerate(turned)
    ]
    assert max(behind) <= 2 + 1e-6


def test_a_jump_is_taken_at_once():
    assert follow([at(0), at(0.5)])[1].center_m[0] > 0.5 - 2 * NOISE_M - 1e-9


def test_steps_are_of_real_time():
    def after(hz: float) -> float:
        boxes = [at(0)] + [at(NOISE_M)] * int(0.2 * hz)
        return follow(boxes, hz)[-1].center_m[0]

    expected = NOISE_M * (1 - np.exp(-0.2 / SMOOTHING_S))
    assert after(10) == pytest.approx(after(100)) == pytest.approx(expected)


def test_smoothing_may_be_off():
    rng = np.random.default_rng(0)
    boxes = [at(x) for x in rng.normal(0, NOISE_M, 10)]
    for box, smooth in zip(boxes, follow(boxes, smoothing_s=0.0)):
        np.testing.assert_allclose(smooth.center_m, box.center_m, atol=1e-12)


@pytest.mark.parametrize('later_ns', [-1, 1_100_000_000])
def test_after_a_gap_or_a_step_back_in_time_it_starts_again(later_ns):
    smoother = BoxFilter()
    smoother.update(at(0), 10**9, COVARIANCE, SMOOTHING_S)
    box = smoother.update(at(0.001), 10**9 + later_ns, COVARIANCE, SMOOTHING_S)
    assert box.center_m[0] == 0.001


def test_the_same_stamp_again_changes_nothing_small():
    smoother = BoxFilter()
    smoother.update(at(0), 10**9, COVARIANCE, SMOOTHING_S)
    assert smoother.update(at(0.001), 10**9, COVARIANCE, SMOOTHING_S).center_m[0] == 0


def test_axes_that_change_names_are_no_turn():
    renamed = replace(
        BOX,
        axes=np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]),
        size_m=np.array([0.2, 0.1, 0.3]),
    )
    box = follow([BOX, renamed])[1]
    np.testing.assert_allclose(box.axes, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(box.size_m, BOX.size_m, atol=1e-9)


def test_sides_are_smoothed_and_followed_too():
    grown = replace(BOX, size_m=BOX.size_m + 0.001)
    assert 0.1 < follow([BOX, grown])[1].size_m[0] < 0.1005
    grown = replace(BOX, size_m=BOX.size_m * 2)
    np.testing.assert_allclose(follow([BOX, grown])[1].size_m, grown.size_m, atol=2 * NOISE_M)


def test_the_axes_of_before_are_known_until_it_forgets():
    smoother = BoxFilter()
    assert smoother.axes is None
    smoother.update(at(0, 30), 0, COVARIANCE, SMOOTHING_S)
    np.testing.assert_array_equal(smoother.axes, at(0, 30).axes)
    smoother.reset()
    assert smoother.axes is None
