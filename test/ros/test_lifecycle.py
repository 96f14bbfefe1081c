"""Starting beside others and ending when asked to."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot import header_at, image_message
from sensor_msgs.msg import Image
from tracker import CAMERA, SMALL, prompt

from tam_ros.srv import AddPrompt

END_S = 3.0  # two seconds before launch sends the next signal
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def assert_ends_at_once(program, number: int = signal.SIGINT) -> None:
    status, seconds = program.end_by(number)
    assert status == 0
    assert seconds < END_S
    assert 'Traceback' not in program.log


@pytest.mark.parametrize('number', SIGNALS)
def test_signal_ends_an_idle_node_and_the_others_know(start_tracker, number):
    tracker = start_tracker(**SMALL)
    node = tracker.robot.node
    tracker.robot.wait(lambda: node.count_publishers('/tam/objects'), 'the node to be known')
    assert_ends_at_once(tracker.program, number)
    tracker.robot.wait(lambda: 'tam' not in node.get_node_names(), 'it to be gone', 10)
    for topic in ('objects', 'transition_event', 'track/_action/status'):
        assert not node.count_publishers(f'/tam/{topic}'), topic


@pytest.fixture
def busy_machine():
    """Two programs that never rest on each of the machine's cores."""
    loop = [sys.executable, '-c', 'while True: pass']
    programs = [subprocess.Popen(loop) for _ in range(2 * os.cpu_count())]
    yield
    for program in programs:
        program.kill()
        program.wait()


@pytest.mark.parametrize('number', SIGNALS)
def test_signal_ends_a_node_on_a_busy_machine(start_tracker, frames, busy_machine, number):
    tracker = start_tracker(**SMALL)
    tracker.show(frames[0])
    assert tracker.add(points=[(90, 110)]).success
    with tracker.streaming(frames[1], 60):
        tracker.robot.let_pass(0.5)
        assert_ends_at_once(tracker.program, number)


@pytest.mark.parametrize('seconds', [0.0, 0.15, 0.3])
def test_interrupt_ends_a_node_that_is_busy(start_tracker, frames, seconds):
    tracker = start_tracker(image_size=512)
    tracker.show(frames[0])
    for x in (40, 90, 140):
        assert tracker.add(points=[(x, 110)]).success
    received = tracker.received['objects']
    received.clear()
    with tracker.streaming(frames[1], 60):
        tracker.robot.wait(lambda: len(received) >= 2, 'answers')
        tracker.robot.let_pass(seconds)
        assert_ends_at_once(tracker.program)


def test_interrupt_ends_a_node_whose_frame_takes_longer_than_that(start_tracker, frames):
    tracker = start_tracker(image_size=2048)
    tracker.publish(image_message(frames[0], 'rgb8', header_at(tracker.robot.now_ns())))
    tracker.robot.let_pass(0.5)
    assert_ends_at_once(tracker.program)


def test_interrupt_ends_a_node_that_has_a_request(start_tracker, frames):
    tracker = start_tracker(image_size=512)
    tracker.show(frames[0])
    client = tracker.robot.node.create_client(AddPrompt, '/tam/add_prompt')
    tracker.robot.wait(client.service_is_ready, 'add_prompt')
    tracker.publish(image_message(frames[1], 'rgb8', header_at(tracker.robot.now_ns())))
    for _ in range(5):
        client.call_async(prompt([(90, 110)]))
    assert_ends_at_once(tracker.program)


@pytest.mark.parametrize('number', SIGNALS)
def test_signal_ends_a_node_that_is_starting(start_program, number):
    weights = ('-p', 'model:=edgetam', '-p', 'weights:=reproducible')
    program = start_program('tracker_node', '--ros-args', *weights)
    program.wait_for_log('starting')
    assert_ends_at_once(program, number)
    assert 'ready' not in program.log
    first, last = program.log.splitlines()
    assert last.endswith(f'stopped by {number.name} while starting')


FAILING = """
import sys
from tam_ros.ros import outputs, process

def fail(*_, **__):
    raise RuntimeError('the network broke')

outputs.draw_overlay = fail
process.main(sys.argv)
"""


@pytest.fixture(scope='module')
def failing(tmp_path_factory):
    """A tracker that breaks as soon as somebody wants to see its overlay."""
    path = tmp_path_factory.mktemp('failing') / 'failing_node'
    path.write_text(FAILING)
    return path


def test_failure_ends_the_process_at_once_though_ros_time_stands_still(
    start_tracker, failing, frames
):
    tracker = start_tracker(script=failing, **SMALL, use_sim_time=True)
    reports = tracker.robot.record(DiagnosticArray, '/diagnostics')
    status = tracker.robot.wait(lambda: is_running(reports) and reports[-1].status[0], 'reports')
    assert status.message == 'no images'
    tracker.robot.record(Image, '/tam/overlay')
    with tracker.streaming(frames[0], 5):
        tracker.robot.wait(lambda: not tracker.program.is_running, 'the end', 60)
    assert tracker.program.wait_for_end() == 1
    assert 'Traceback' in tracker.program.log
    assert "tracking failed: RuntimeError('the network broke')" in tracker.program.log


def is_running(reports: list[DiagnosticArray]) -> bool:
    """Return whether a node that has started reports."""
    return bool(reports) and 'starting' not in reports[-1].status[0].message


def test_camera_is_followed_and_reported_though_ros_time_stands_still(start_tracker, frames):
    tracker = start_tracker(**SMALL, use_sim_time=True)
    reports = tracker.robot.record(DiagnosticArray, '/diagnostics')
    tracker.open_camera(qos=QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE))
    subscriptions = tracker.robot.node.get_subscriptions_info_by_topic
    tracker.robot.wait(
        lambda: [s.qos_profile.reliability for s in subscriptions(CAMERA)]
        == [ReliabilityPolicy.RELIABLE],
        'a reliable subscription',
    )
    tracker.show(frames[0])
    count = len(reports)
    tracker.robot.wait(lambda: len(reports) > count + 2, 'reports')
    assert 'latency_p50_ms: 0.0' in [f'{v.key}: {v.value}' for v in reports[-1].status[0].values]


def test_nodes_in_two_namespaces_do_not_mix(start_tracker, frames):
    left = start_tracker(
        name='/left/tam', arguments=('-r', '__ns:=/left'), camera='/left/camera', **SMALL
    )
    right = start_tracker(
        name='/right/tam',
        arguments=('-r', '__ns:=/right'),
        camera='/right/camera',
        robot=left.robot,
        **SMALL,
    )
    diagnostics = left.robot.record(DiagnosticArray, '/diagnostics')
    left.show(frames[0])
    right.show(np.ascontiguousarray(frames[0][:200, :300]))
    assert left.add(points=[(90, 110)], label='on the left').success
    assert right.objects().objects == []
    assert left.show(frames[1]).ids == [1]
    answer = right.show(np.ascontiguousarray(frames[1][:200, :300]))
    assert answer.ids == []
    assert answer.objects.image_width == 300
    for tracker, width in ((left, 320), (right, 300)):
        assert {m.image_width for m in tracker.received['objects']} == {width}
    expected = {'/left/tam: tracking', '/right/tam: tracking'}
    left.robot.wait(
        lambda: {m.status[0].name for m in diagnostics} == expected, 'diagnostics of both'
    )


@pytest.mark.parametrize(
    ('script', 'source'),
    [('tracker_node', ()), ('play_video', ('here.mp4',))],
    ids=['tracker_node', 'play_video'],
)
@pytest.mark.parametrize(
    ('arguments', 'environment', 'reason'),
    [
        (
            (),
            {'ROS_LOG_DIR': '/proc/none'},
            '/proc/none.*; set ROS_LOG_DIR, or HOME',
        ),
        (('--params-file', 'none.yaml'), {}, 'none.yaml'),
    ],
    ids=['no folder for logs', 'no parameter file'],
)
def test_what_ros_cannot_start_with_is_said_in_one_line(
    start_program, script, source, arguments, environment, reason
):
    program = start_program(script, *source, '--ros-args', *arguments, **environment)
    assert program.wait_for_end() == 1
    assert re.search(f'^ROS 2 cannot start: .*{reason}', program.log, re.MULTILINE)
    assert 'Traceback' not in program.log
