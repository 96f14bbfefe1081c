"""The action /tam/track with a real client: how goals begin, what they tell, and how they end."""

import numpy as np
import pytest
from depth_scene import WALL_M, Scene, camera_info
from following import ABORTED, CANCELED, EXECUTING, SUCCEEDED, following
from managing import Manager
from programs import Program
from robot import header_at
from sensor_msgs.msg import CameraInfo, Image
from tracker import SMALL, Camera

from tam_ros.action import Track
from tam_ros.msg import TrackedObject
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.ros.track_action import MOST_GOALS

MIDDLE = [(90, 110)]  # of the square in the first frame
Result = Track.Result


@pytest.fixture(scope='module')
def tracker(start_tracker):
    return start_tracker(**SMALL)


@pytest.fixture
def camera(tracker, frames):
    """The camera that has shown the first frame; no object is tracked."""
    tracker.reset()
    camera = Camera(tracker)
    camera.show(frames[0])
    return camera


@pytest.fixture
def follow(tracker, camera):
    with following(tracker) as follow:
        yield follow


def test_feedback_is_what_is_published_of_the_object(tracker, camera, follow, frames):
    goal = follow(MIDDLE, label='cup')
    first = goal.wait_for_feedback(lambda f: f.object_id)
    assert first.state == TrackedObject.TRACKED
    assert first.header.frame_id == 'camera_color_optical_frame'
    for frame in frames[1:4]:
        (answer,) = camera.show(frame)
        (published,) = answer.objects.objects
        stamp = answer.image.header.stamp
        told = goal.wait_for_feedback(lambda f, stamp=stamp: f.header.stamp == stamp)
        assert (told.object_id, told.state) == (published.id, published.state)
        assert (told.score, told.box) == (published.score, published.box)
        assert told.pose.header.frame_id == ''
    assert goal.is_running
    assert goal.cancel()
    assert goal.result()[0] == CANCELED


def test_a_goal_is_executing_while_its_object_is_followed(tracker, follow):
    goal = follow(MIDDLE)
    assert goal.object_id
    tracker.robot.wait(lambda: goal.handle.status == EXECUTING, 'the status')
    assert goal.cancel()


def test_a_goal_succeeds_after_its_duration_and_the_object_stays(tracker, camera, follow, frames):
    goal = follow(MIDDLE, label='cup', duration_s=0.25)
    assert goal.object_id
    camera.show(*frames[1:4])
    assert goal.is_running
    (answer,) = camera.show(frames[4])
    status, result = goal.result()
    assert (status, result.reason) == (SUCCEEDED, Result.FOLLOWED)
    assert result.message == f'object {goal.object_id} followed for 0.25 s'
    assert (result.object.id, result.object.label) == (goal.object_id, 'cup')
    assert result.object.mask.data == answer.objects.objects[0].mask.data
    assert [o.id for o in tracker.objects().objects] == [goal.object_id]


def test_cancelling_removes_the_object_also_while_no_frame_comes(tracker, follow):
    goal = follow(MIDDLE)
    assert goal.object_id
    assert goal.cancel()
    status, result = goal.result()
    assert (status, result.reason) == (CANCELED, Result.CANCELLED)
    assert result.message == f'object {goal.object_id} removed'
    assert tracker.objects().objects == []


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'points': [(3200, 240)]}, 'point (3200, 240) is outside the image of 320x240 pixels'),
        ({}, 'give'),
        ({'object_id': 777}, 'object id 777 is unknown: tracked are none'),
        ({'points': MIDDLE, 'object_id': 777}, 'object id 777 is unknown: tracked are none'),
        ({'points': MIDDLE, 'max_lost_s': -1.5}, 'max_lost is -1.5 s: use 0 or more'),
        ({'points': MIDDLE, 'duration_s': -1.0}, 'duration is -1 s: use 0 or more'),
        ({'points': MIDDLE, 'header': header_at(1)}, 'stamp'),
        ({'points': MIDDLE * 101}, '101'),
    ],
)
def test_a_prompt_that_cannot_be_applied_is_refused_with_the_reason(
    tracker, follow, options, message
):
    status, result = follow(**options).result()
    assert (status, result.reason) == (ABORTED, Result.REFUSED)
    assert message in result.message
    assert result.object.id == 0
    assert tracker.objects().objects == []


def test_an_object_that_somebody_else_removes_ends_its_goal(tracker, follow):
    goal = follow(MIDDLE)
    assert tracker.remove(goal.object_id).success
    status, result = goal.result()
    assert (status, result.reason) == (ABORTED, Result.REMOVED)
    assert str(goal.object_id) in result.message
    assert result.object.id == goal.object_id


def test_two_goals_at_once_end_each_for_itself(tracker, camera, follow, frames):
    mask = np.zeros((240, 320), bool)
    mask[150:200, 200:260] = True
    square, patch = follow(MIDDLE), follow(mask=mask, duration_s=0.15)
    ids = {square.object_id, patch.object_id}
    assert len(ids) == 2
    camera.show(*frames[1:4])
    assert patch.result()[1].reason == Result.FOLLOWED
    assert square.is_running
    count = len(square.feedback)
    camera.show(frames[4])
    tracker.robot.wait(lambda: len(square.feedback) > count, 'feedback')
    assert {f.object_id for f in square.feedback} == {square.object_id}
    assert square.cancel()
    assert square.result()[1].reason == Result.CANCELLED
    assert {o.id for o in tracker.objects().objects} == {patch.object_id}


def test_an_object_that_is_tracked_can_be_followed_as_it_is(tracker, camera, follow, frames):
    added = tracker.add(MIDDLE, label='cup').object
    first, second = (follow(object_id=added.id, duration_s=s) for s in (0.0, 0.15))
    assert first.object_id == second.object_id == added.id
    camera.show(*frames[1:4])
    assert second.result()[1].object.label == 'cup'
    assert first.is_running
    assert first.cancel()
    assert first.result()[1].reason == Result.CANCELLED
    assert tracker.objects().objects == []


def test_a_goal_with_a_late_prompt_is_told_of_the_newest_frames_in_the_end(
    tracker, camera, follow, frames
):
    answers = camera.show(*frames[1:4])
    header = answers[0].image.header
    goal = follow([(98, 110)], header=header)
    assert goal.wait_for_feedback(lambda f: f.object_id).header == header
    for frame in [*frames[4:], *frames[4:]]:
        (answer,) = camera.show(frame)
        if answer.ids:
            break
    stamp = answer.image.header.stamp
    assert goal.wait_for_feedback(lambda f: f.header.stamp == stamp).object_id == answer.ids[0]
    assert goal.cancel()


def test_goals_beyond_the_most_are_rejected(tracker, follow):
    object_id = tracker.add(MIDDLE).object.id
    goals = [follow(object_id=object_id) for _ in range(MOST_GOALS)]
    assert not follow(object_id=object_id).handle.accepted
    assert goals[0].cancel()
    assert {goal.result()[1].reason for goal in goals} == {Result.CANCELLED, Result.REMOVED}
    assert follow(MIDDLE, duration_s=0.1).handle.accepted


@pytest.fixture
def objects_3d(tracker, tmp_path):
    """The node that locates the tracker's objects, on its domain, and its depth camera."""
    remappings = ('-r', 'depth:=/camera/depth', '-r', 'camera_info:=/camera/info')
    place = {'domain_id': tracker.robot.domain_id, 'folder': tmp_path}
    program = Program('objects_3d', '--ros-args', *remappings, **place)
    program.wait_for_log('ready:')
    node = tracker.robot.node
    depth = node.create_publisher(Image, '/camera/depth', 10)
    info = node.create_publisher(CameraInfo, '/camera/info', 10)

    def show(stamp_ns: int) -> None:
        info.publish(camera_info(stamp_ns))
        depth.publish(Scene([]).depth(stamp_ns))

    yield show
    for publisher in (depth, info):
        node.destroy_publisher(publisher)
    program.end()


def test_feedback_has_the_pose_where_there_is_depth(tracker, camera, follow, frames, objects_3d):
    node = tracker.robot.node
    assert not node.count_subscribers('/camera/depth')  # nobody wants anything in 3D
    goal = follow(MIDDLE)
    tracker.robot.wait(lambda: node.count_subscribers('/camera/depth'), 'interest in depth')

    def is_told() -> bool:
        (answer,) = camera.show(frames[1])
        objects_3d(stamp_to_ns(answer.image.header.stamp))
        return bool(goal.feedback[-1].pose.header.frame_id)

    tracker.robot.wait(is_told, 'a pose')
    pose = goal.feedback[-1].pose
    assert pose.header.frame_id == 'camera_color_optical_frame'
    assert pose.pose.position.z == pytest.approx(WALL_M, abs=0.05)
    assert goal.cancel()
    tracker.robot.wait(lambda: not node.count_subscribers('/camera/depth'), 'it to be enough')


# -- what needs a node of its own --------------------------------------------------------------


@pytest.fixture(scope='module')
def blind(start_tracker, blind_weights):
    """A node that sees an object in the prompted frame only, and counts it as lost after 0.5 s."""
    return start_tracker(weights=blind_weights, lost_after_s=0.5)


def test_an_object_that_is_lost_for_too_long_ends_its_goal_and_stays_known(blind, frames):
    camera = Camera(blind)
    camera.show(frames[0])
    mask = np.zeros((240, 320), bool)
    mask[80:140, 60:120] = True
    with following(blind) as follow:
        patient = follow(mask=mask, max_lost_s=0.25)
        at_once = follow(object_id=patient.object_id)
        camera.show(*[frames[1]] * 4)
        assert at_once.is_running  # it is only OCCLUDED
        for _ in range(3):
            camera.show(frames[1])
        status, result = at_once.result()
        assert (status, result.reason) == (ABORTED, Result.LOST)
        assert patient.is_running
        camera.show(*[frames[1]] * 3)
        status, result = patient.result()
        assert (status, result.reason) == (ABORTED, Result.LOST)
        assert f'object {patient.object_id} has been LOST for 0.3 s' in result.message
        assert result.object.state == TrackedObject.LOST
        assert patient.feedback[-1].box.width == 0
    assert patient.object_id in {o.id for o in blind.objects().objects}


def test_deactivating_stops_goals_keeps_their_objects_and_refuses_others(start_tracker, frames):
    tracker = start_tracker(**SMALL)
    manager = Manager(tracker)
    tracker.show(frames[0])
    with following(tracker) as follow:
        goal = follow(MIDDLE)
        object_id = goal.object_id
        assert manager.change('deactivate') == [True]
        status, result = goal.result()
        assert (status, result.reason) == (ABORTED, Result.STOPPED)
        assert result.object.id == object_id
        status, result = follow(MIDDLE).result()
        assert (status, result.reason) == (ABORTED, Result.REFUSED)
        assert result.message == 'the tracker is inactive: activate it first'
        assert [o.id for o in tracker.objects().objects] == [object_id]
        assert manager.change('activate') == [True]
        assert follow(object_id=object_id).object_id == object_id
        assert manager.change('deactivate', 'cleanup') == [True, True]
        assert 'unconfigured' in follow(MIDDLE).result()[1].message


def test_a_node_that_is_shut_down_meanwhile_ends_cleanly(start_tracker, frames):
    tracker = start_tracker(**SMALL)
    tracker.show(frames[0])
    with following(tracker) as follow:
        goals = [follow(MIDDLE)]
        goals.append(follow(object_id=goals[0].object_id))
        assert all(goal.object_id for goal in goals)
        with tracker.streaming(frames[1], 30):
            count = len(goals[0].feedback)
            tracker.robot.wait(lambda: len(goals[0].feedback) > count + 2, 'feedback')
            status, _ = tracker.program.end_by()
        assert status == 0
        assert 'Traceback' not in tracker.program.log
        assert all(goal.is_running for goal in goals)  # a client learns it by the server's absence
        node = tracker.robot.node
        tracker.robot.wait(
            lambda: not node.get_publishers_info_by_topic('/tam/track/_action/feedback'),
            'the server to be gone',
        )
