"""Starting beside others and ending when asked to."""

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from robot import header_at, image_message
from tracker import prompt

from tam_ros.srv import AddPrompt

END_S = 4.0  # a second before launch would send SIGTERM


def assert_ends_at_once(program) -> None:
    status, seconds = program.end_by()
    assert status == 0
    assert seconds < END_S
    assert 'Traceback' not in program.log


def test_interrupt_ends_an_idle_node(start_tracker):
    assert_ends_at_once(start_tracker().program)


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


def test_interrupt_ends_a_node_that_is_starting(start_program):
    weights = ('-p', 'model:=edgetam', '-p', 'weights:=reproducible')
    program = start_program('tracker_node', '--ros-args', *weights)
    program.wait_for_log('starting')
    program.interrupt()
    assert program.wait_for_end() == 0
    assert 'ready' not in program.log
    assert 'Traceback' not in program.log


def test_nodes_in_two_namespaces_do_not_mix(start_tracker, frames):
    left = start_tracker(name='/left/tam', arguments=('-r', '__ns:=/left'), camera='/left/camera')
    right = start_tracker(
        name='/right/tam',
        arguments=('-r', '__ns:=/right'),
        camera='/right/camera',
        robot=left.robot,
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
