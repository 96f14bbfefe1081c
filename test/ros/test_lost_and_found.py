"""An object that leaves the view and comes back, seen by the default network."""

import cv2
import numpy as np
import pytest
from tracker import Camera

from tam_ros.msg import TrackedObject

RADIUS = 32
CENTER_Y = 110


def ground() -> np.ndarray:
    """Return a mottled (240, 320, 3) uint8 surface."""
    noise = np.random.default_rng(0).normal(0, 1, (240, 320, 3))
    return np.clip(110 + 200 * cv2.GaussianBlur(noise, (0, 0), 6), 0, 255).astype(np.uint8)


def ball_at(x: int) -> np.ndarray:
    """Return the surface with a ball on it."""
    image = ground()
    cv2.circle(image, (x, CENTER_Y), RADIUS, (220, 40, 30), -1)
    cv2.circle(image, (x - 8, CENTER_Y - 8), 14, (250, 230, 60), -1)
    return image


def half_ball_at(x: int) -> np.ndarray:
    """Return the surface with the left half of a ball."""
    image = ball_at(x)
    image[:, x:] = ground()[:, x:]
    return image


@pytest.fixture(scope='module')
def tracker(start_tracker):
    return start_tracker(model='tam_nano', weights="''", memory_policy='quality', lost_after_s=0.5)


class BallCamera(Camera):
    """Returns what was published of the one object in each image."""

    def show(self, *images: np.ndarray) -> list[TrackedObject | None]:
        found = [answer.objects.objects for answer in super().show(*images)]
        return [objects[0] if objects else None for objects in found]


@pytest.fixture
def camera(tracker):
    """A camera that has shown a ball for half a second, which is tracked."""
    tracker.reset()
    camera = BallCamera(tracker)
    camera.show(ball_at(100))
    ball = np.zeros((240, 320), np.uint8)
    cv2.circle(ball, (100, CENTER_Y), RADIUS, 1, -1)
    assert tracker.add(mask=ball > 0, label='ball').success
    seen = camera.show(*(ball_at(100 + 2 * i) for i in range(1, 6)))
    assert [o.state for o in seen] == [TrackedObject.TRACKED] * 5
    return camera


def test_an_object_that_leaves_is_lost_and_found_again_under_its_id(camera):
    states = [o.state for o in camera.show(*[ground()] * 7)]
    assert states == [TrackedObject.OCCLUDED] * 5 + [TrackedObject.LOST] * 2
    (found,) = camera.show(ball_at(120))
    assert (found.state, found.label) == (TrackedObject.TRACKED, 'ball')
    assert abs(found.box.x_offset + found.box.width / 2 - 120) < 4
    assert found.id == camera.show(ball_at(122))[0].id


def test_live_thresholds_decide_how_long_a_return_must_last(tracker, camera):
    camera.show(ground(), ground())
    assert tracker.set_parameter('entry_ratio', 1.0).successful
    assert tracker.set_parameter('confirm_s', 0.25).successful
    seen = camera.show(*[half_ball_at(110)] * 5)
    assert [o.state for o in seen] == [TrackedObject.OCCLUDED] * 3 + [TrackedObject.TRACKED] * 2
    assert [len(o.mask.data) > 0 for o in seen] == [False] * 3 + [True] * 2
