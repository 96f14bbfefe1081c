"""The node objects_3d and TF: there, static, late, absent; and which way is up."""

import numpy as np
import pytest
from depth_scene import BOX, CUP, Scene, cloud_points
from locator import FRAME_NS, Locator
from robot import NS_PER_S
from tracker import pixels_of

SCENE = Scene()
FRAME = {'target_frame': 'base'}


@pytest.fixture
def start(tmp_path):
    """Start a node with parameters and wait until it listens; it ends with the test."""
    locators = []

    def start_locator(*topics, **options) -> Locator:
        locators.append(Locator(tmp_path, **options))
        locators[-1].program.wait_for_log('ready:')
        locators[-1].listen(*topics)
        return locators[-1]

    yield start_locator
    for locator in locators:
        locator.close()


def in_base(place) -> list[float]:
    """Return a place in the camera's frame as the base has it: x forward, y left, z up."""
    x, y, z = place
    return [z, -x, 1 - y]


def answer(locator, stamp_ns, *topics) -> list:
    return locator.robot.wait(lambda: locator.answer_to(stamp_ns, topics), f'answers on {topics}')


def test_everything_is_published_in_the_frame_that_is_asked_for(start):
    topics = ('detections_3d', 'cloud', 'target/pose', 'markers', '/tf')
    locator = start(*topics, **FRAME)
    locator.send_transform('base', 0, static=True)
    detections, cloud, pose, markers, transforms = locator.show(SCENE, *topics)
    for detection, board in zip(detections.detections, (CUP, BOX)):
        c = detection.bbox.center.position
        np.testing.assert_allclose([c.x, c.y, c.z], in_base(board.center_m), atol=0.006)
    points = cloud_points(cloud)
    np.testing.assert_allclose(points['x'][points['object_id'] == 1], CUP.center_m[2], atol=0.002)
    frames = [message.header.frame_id for message in (detections, cloud, pose)]
    frames += [m.header.frame_id for m in markers.markers]
    frames += [t.header.frame_id for t in transforms.transforms]
    assert set(frames) == {'base'}


def test_transform_that_comes_late_is_waited_for(start):
    locator = start('detections_3d', **FRAME, tf_timeout_s=5.0)
    locator.robot.wait(lambda: locator.robot.node.count_subscribers('/tf'), 'a listener')
    for behind in (20, 10, 1):  # the first may not arrive
        locator.send_transform('base', locator.stamp_ns - behind * FRAME_NS)
        locator.robot.let_pass(0.2)

    def answered_once_it_has_come():  # the first messages of a new connection may be lost
        locator.stamp_ns += 10 * FRAME_NS  # beyond what is known
        stamp_ns = locator.publish(SCENE)
        locator.robot.let_pass(0.3)
        assert not locator.answer_to(stamp_ns, ['detections_3d'])
        for behind in range(1, 4):
            locator.send_transform('base', stamp_ns + behind * FRAME_NS)
        locator.robot.let_pass(0.5)
        return locator.answer_to(stamp_ns, ['detections_3d'])

    (detections,) = locator.robot.wait(answered_once_it_has_come, 'detections')
    assert len(detections.detections) == 2


def test_transforms_are_taken_again_after_time_jumped_back(start):
    locator = start('detections_3d', **FRAME, tf_timeout_s=1.0)
    stamps = []

    def answered():
        for frames in (0, 2):
            locator.send_transform('base', locator.stamp_ns + frames * FRAME_NS)
        locator.robot.let_pass(0.2)
        stamps.append(locator.publish(SCENE))
        locator.robot.let_pass(0.2)
        return any(locator.answer_to(stamp_ns, ['detections_3d']) for stamp_ns in stamps)

    locator.robot.wait(answered, 'detections')
    locator.stamp_ns -= 3600 * NS_PER_S  # as of a bag that starts again
    stamps.clear()
    locator.robot.wait(answered, 'detections of before')


def test_what_cannot_be_transformed_is_left_out_told_once_and_counted(start):
    locator = start('detections_3d', 'target/mask', **FRAME)
    for _ in range(6):
        (mask,) = locator.show(SCENE, 'target/mask')  # which needs no transform
    assert (pixels_of(mask) == BOX.seen() * 255).all()
    locator.wait_for_diagnostics('missing_transforms', lambda v: int(v) >= 4)
    assert locator.received['detections_3d'] == []
    told = locator.program.log.count('no transform from camera_color_optical_frame to base')
    assert 1 <= told < 4  # again after ten seconds
    locator.send_transform('base', 0, static=True)
    locator.show(SCENE, 'detections_3d')


@pytest.mark.parametrize('up', ['base', "'0 -1 0'"])
def test_boxes_stand_upright_where_up_is_known(start, up):
    locator = start('detections_3d', up=up)
    locator.send_transform('base', 0, static=True)

    def third_axis_is_up() -> bool:
        (detections,) = locator.show(SCENE, 'detections_3d')
        q = detections.detections[0].bbox.center.orientation
        up_y = 2 * (q.y * q.z - q.x * q.w)  # of the box's z axis in the camera's frame
        return up_y == pytest.approx(-1, abs=1e-3)

    locator.robot.wait(third_axis_is_up, 'an upright box')
