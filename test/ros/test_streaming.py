"""A camera that is faster than the tracker, and what diagnostics say of it."""

import re

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger
from tracker import prompt

from tam_ros.engine.load import ENGINES
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.srv import AddPrompt, ListObjects, RemoveObject

CAMERA_HZ = 60
ANSWERS = 12  # are enough to tell
MOST_FRAMES = 3  # the one in progress, and what the robot hears of late


@pytest.fixture(scope='module', params=ENGINES)
def tracker(request, start_tracker):
    return start_tracker(engine=request.param)


@pytest.fixture(scope='module')
def diagnostics(tracker):
    return tracker.robot.record(DiagnosticArray, '/diagnostics')


def newest(diagnostics) -> dict[str, str]:
    return {pair.key: pair.value for pair in diagnostics[-1].status[0].values}


def stamps_ns(messages) -> np.ndarray:
    return np.array([m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages])


def test_diagnostics_warn_until_the_first_image_and_name_engine_and_device(tracker, diagnostics):
    tracker.robot.wait(lambda: diagnostics, 'diagnostics')
    (status,) = diagnostics[-1].status
    assert (status.level, status.message) == (DiagnosticStatus.WARN, 'no images')
    assert status.name == '/tam: tracking'
    values = newest(diagnostics)
    assert re.fullmatch('(edgetam|tam_nano) 256 px, interactive', values['engine'])
    assert values['device'] == 'cpu'
    assert float(values['rate_hz']) == 0


def test_diagnostics_come_every_second(tracker, diagnostics):
    first = len(diagnostics)
    tracker.robot.wait(lambda: len(diagnostics) >= first + 6, 'six diagnostics')
    periods_s = np.diff(stamps_ns(diagnostics[first:])) / 1e9
    assert np.median(periods_s) == pytest.approx(1, abs=0.2)


@pytest.fixture
def crowded(tracker, frames):
    """The node with some objects: the more to do, the longer a frame takes."""
    tracker.show(frames[0])
    tracker.reset()
    for x in (60, 90, 120):
        assert tracker.add(points=[(x, 110)]).success
    tracker.received['objects'].clear()
    return tracker


def test_newest_frame_wins_where_the_camera_is_faster(crowded, frames, diagnostics):
    received = crowded.received['objects']
    with crowded.streaming(frames[0], CAMERA_HZ) as sent_ns:
        crowded.robot.wait(lambda: len(received) >= ANSWERS, 'answers')
        first = len(diagnostics)
        crowded.robot.wait(lambda: len(diagnostics) > first + 1, 'diagnostics')
    answered_ns = stamps_ns(received)
    assert (np.diff(answered_ns) > 0).all()
    assert set(answered_ns.tolist()) <= set(sent_ns)
    assert len(answered_ns) < len(sent_ns)
    assert int(newest(diagnostics)['dropped_frames']) > 0


def test_each_answer_is_to_the_newest_frame_when_the_one_before_was_done(crowded, frames):
    received, done_ns = crowded.received['objects'], []

    def note_answers() -> bool:
        done_ns.extend([crowded.robot.now_ns()] * (len(received) - len(done_ns)))
        return len(done_ns) > ANSWERS

    with crowded.streaming(frames[0], CAMERA_HZ):
        crowded.robot.wait(note_answers, 'answers')
    ages_s = (np.array(done_ns[:-1]) - stamps_ns(received)[1 : len(done_ns)]) / 1e9
    period_s = np.median(np.diff(done_ns)) / 1e9
    assert np.median(ages_s) < max(period_s / 2, 2 / CAMERA_HZ)


def test_diagnostics_report_rate_and_latency_while_tracking(tracker, frames, diagnostics):
    with tracker.streaming(frames[0], 30):
        first = len(diagnostics)
        tracker.robot.wait(lambda: len(diagnostics) > first + 2, 'diagnostics')
    (status,) = diagnostics[-1].status
    values = newest(diagnostics)
    assert status.level == DiagnosticStatus.OK
    said = re.fullmatch(r'tracking at ([0-9.]+) Hz', status.message)
    assert float(said[1]) == pytest.approx(float(values['rate_hz']), abs=0.06)  # both rounded
    assert 0 < float(values['rate_hz']) < 30
    assert 0 < float(values['latency_p50_ms']) <= float(values['latency_p95_ms'])
    assert 0 < float(values['processing_p50_ms']) <= float(values['processing_p95_ms'])
    assert float(values['processing_p50_ms']) <= float(values['latency_p95_ms'])


def test_services_answer_within_about_a_frame_while_frames_stream(tracker, frames):
    tracker.show(frames[0])
    tracker.reset()
    with tracker.streaming(frames[0], CAMERA_HZ):
        added = answer_between_frames(tracker, AddPrompt, 'add_prompt', prompt([(90, 110)]))
        object_id = added.object.id
        refinement = prompt([(40, 30)], object_id=object_id)
        answer_between_frames(tracker, AddPrompt, 'add_prompt', refinement)
        answer_between_frames(tracker, ListObjects, 'list_objects')
        request = RemoveObject.Request(object_id=object_id)
        answer_between_frames(tracker, RemoveObject, 'remove_object', request)
        answer_between_frames(tracker, Trigger, 'reset')
        request = SetParameters.Request(
            parameters=[Parameter('lost_after_s', value=3.0).to_parameter_msg()]
        )
        answer_between_frames(tracker, SetParameters, 'set_parameters', request)


def answer_between_frames(tracker, service_type, name: str, request=None):
    """Return a service's answer, which must come before some more frames are done."""
    received = tracker.received['objects']
    with tracker.calling(service_type, name) as call:
        received.clear()
        tracker.robot.wait(lambda: received, 'a frame')
        first = len(received)
        answer = call(request)
        assert len(received) - first <= MOST_FRAMES
    assert getattr(answer, 'success', True), answer.message
    return answer


def test_prompt_while_frames_stream_is_in_every_later_frame(tracker, frames):
    tracker.show(frames[0])
    tracker.reset()
    received = tracker.received['objects']
    with tracker.streaming(frames[0], CAMERA_HZ):
        prompted = tracker.add(points=[(90, 110)]).object
        prompted_ns = stamp_to_ns(prompted.mask.header.stamp)
        later = lambda: [m for m in received if stamp_to_ns(m.header.stamp) > prompted_ns]  # noqa: E731
        tracker.robot.wait(lambda: len(later()) >= 5, 'five answers')
    assert all([o.id for o in m.objects] == [prompted.id] for m in later())
