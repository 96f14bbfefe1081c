"""Objects located from frame to frame: smoothed in the frame that boxes are published in."""

import numpy as np
import pytest
from depth_scenes import Box, Table, look, pinhole

from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.placement import Placement
from tam_ros.msg import TrackedObject
from tam_ros.ros.locating import Locating, View

CAMERA, TABLE = pinhole(320, 240, 300.0), Table()
SIZE_M = (0.12, 0.1, 0.08)
STEP_M = 0.015  # of the camera from frame to frame
FRAME_NS = 100_000_000
TRACKED = TrackedObject(id=1, label='box')


def view_from(x_m: float, stamp_ns: int, fixed_frame: str):
    """Return a view of a box at the origin by a camera at x_m, and the box's mask."""
    solid = TABLE.standing(Box, SIZE_M, x_m=-x_m, yaw_deg=25)
    seen = look(CAMERA, [TABLE.plane, solid])
    placement = Placement(shift_m=np.array([x_m, 0, 0])) if fixed_frame else Placement()
    frame = DepthFrame(seen.depth_m, CAMERA)
    return View(frame, stamp_ns, placement, TABLE.up, fixed_frame), seen.crop(2)


def centers_m(locating: Locating, fixed_frame: str) -> list[float]:
    """Return x of the box's middle while the camera goes to the right."""
    found = []
    for t in range(6):
        view, crop = view_from(t * STEP_M, t * FRAME_NS, fixed_frame)
        (placed,) = locating.locate([TRACKED], {1: crop}, view)
        found.append(float(placed.box.center_m[0]))
    return found


def test_thing_that_stands_stays_where_it_is_when_the_camera_moves():
    found = centers_m(Locating(pytest.fail), 'base')
    assert np.ptp(found) < 0.0015


def test_in_the_frame_of_a_camera_that_moves_things_move():
    found = centers_m(Locating(pytest.fail), '')
    assert np.diff(found)[1:] == pytest.approx(-STEP_M, abs=0.002)


def test_boxes_of_another_frame_are_forgotten():
    locating = Locating(pytest.fail)
    centers_m(locating, '')
    (view, crop), (same, _) = (view_from(0.0, 6 * FRAME_NS, 'base') for _ in range(2))
    (after,) = locating.locate([TRACKED], {1: crop}, view)
    (fresh,) = Locating(pytest.fail).locate([TRACKED], {1: crop}, same)
    np.testing.assert_array_equal(after.box.center_m, fresh.box.center_m)
