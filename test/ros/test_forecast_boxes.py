"""Forecast boxes and masks of a moving object, with the embedded network, over real DDS."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from robot import header_at, image_message
from tracker import Answer, pixels_of

from tam_ros.msg import TrackedObject
from tam_ros.ros.conversions import roi_to_box, stamp_to_ns
from tam_ros.weights import find_weights

PERIOD_NS = 100_000_000  # between frames, in which the square moves 8 pixels
FORECAST_MS = 200.0
TRIES = 5


@pytest.fixture(scope='module')
def tracker(start_tracker):
    weights = find_weights('tam_nano', '')
    return start_tracker(model='tam_nano', weights=weights, forecast_ms=FORECAST_MS)


def show_moving(tracker, frames) -> Answer:
    """Track the square through some frames, and return the answer to the last."""
    start_ns = tracker.later_ns()
    messages = [
        image_message(frame, 'rgb8', header_at(start_ns + i * PERIOD_NS))
        for i, frame in enumerate(frames)
    ]
    return track_square(tracker, messages)


def track_square(tracker, images: Iterable) -> Answer:
    images = iter(images)
    tracker.reset()
    tracker.show(next(images))
    square = np.zeros((240, 320), bool)
    square[80:140, 60:120] = True
    assert tracker.add(mask=square).success
    return [tracker.show(image) for image in images][-1]


def centers_of(tracked: TrackedObject) -> tuple[np.ndarray, np.ndarray]:
    """Return the x, y of the middles of the measured and of the forecast box."""
    boxes = [roi_to_box(roi) for roi in (tracked.box, tracked.forecast_box)]
    measured, forecast = np.reshape(boxes, (2, 2, 2)).mean(axis=1)
    return measured, forecast


def test_forecast_box_leads_a_moving_object(tracker, frames):
    assert tracker.set_parameter('forecast', 'fixed_ms').successful
    answer = show_moving(tracker, frames)
    (tracked,) = answer.objects.objects
    later_ns = stamp_to_ns(tracked.forecast_stamp) - stamp_to_ns(answer.image.header.stamp)
    assert later_ns == FORECAST_MS * 1e6
    measured, forecast = centers_of(tracked)
    assert measured[0] == pytest.approx(60 + 30 + 9 * 8, abs=4)
    lead = forecast - measured
    assert 6 < lead[0] < 20  # 16 at constant speed; what is known of it fades
    assert abs(lead[1]) < 3
    assert tracked.forecast_mask.width == 0


def test_forecast_mask_fits_the_forecast_box_where_it_is_asked_for(tracker, frames):
    assert tracker.set_parameter('forecast', 'fixed_ms').successful
    assert tracker.set_parameter('forecast_masks', True).successful
    (tracked,) = show_moving(tracker, frames[:5]).objects.objects
    assert tracker.set_parameter('forecast_masks', False).successful
    box, mask = tracked.forecast_box, pixels_of(tracked.forecast_mask)
    assert mask.shape == (box.height, box.width)
    assert (mask > 0).mean() == pytest.approx((pixels_of(tracked.mask) > 0).mean(), abs=0.05)
    assert tracked.forecast_mask.header.stamp == tracked.forecast_stamp
    assert tracked.forecast_mask.header.frame_id == tracked.mask.header.frame_id


def test_forecast_can_be_for_the_time_of_publishing(tracker, frames):
    assert tracker.set_parameter('forecast', 'publish_time').successful

    def as_sent() -> Iterator[np.ndarray]:
        for frame in frames[:5]:
            tracker.catch_up()
            yield frame

    for _ in range(TRIES):  # a busy machine may take too long to forecast so far ahead
        answer = track_square(tracker, as_sent())
        (tracked,) = answer.objects.objects
        forecast_ns = stamp_to_ns(tracked.forecast_stamp)
        if forecast_ns:
            break
    assert stamp_to_ns(answer.image.header.stamp) < forecast_ns <= tracker.robot.now_ns()
    measured, forecast = centers_of(tracked)
    assert forecast[0] > measured[0]


def test_time_of_publishing_out_of_reach_is_not_forecast_for_and_the_log_says_so(tracker, frames):
    assert tracker.set_parameter('forecast', 'publish_time').successful
    tracker.reset()
    old = image_message(frames[0], 'rgb8', header_at(tracker.robot.now_ns() - 5 * 10**9))
    tracker.show(old)
    assert tracker.add(points=[(90, 110)]).success
    old.header = header_at(tracker.robot.now_ns() - 4 * 10**9)
    (tracked,) = tracker.show(old).objects.objects
    assert_no_forecast(tracked)
    assert 'no forecast for the time of publishing' in tracker.program.log


def test_no_forecast_unless_it_is_asked_for(tracker, frames):
    assert tracker.set_parameter('forecast', 'none').successful
    (tracked,) = show_moving(tracker, frames[:4]).objects.objects
    assert tracked.box.width
    assert_no_forecast(tracked)


def assert_no_forecast(tracked: TrackedObject) -> None:
    assert stamp_to_ns(tracked.forecast_stamp) == 0
    assert roi_to_box(tracked.forecast_box) == (0, 0, 0, 0)
    assert not tracked.forecast_mask.data
