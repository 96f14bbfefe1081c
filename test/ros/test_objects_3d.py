"""The node objects_3d over DDS: each output, the target, late masks, and wrong inputs."""

import array
import re

import cv2
import numpy as np
import pytest
from depth_scene import BOX, CUP, FOCAL, HEIGHT, WIDTH, Board, Scene, camera_info, cloud_points
from diagnostic_msgs.msg import DiagnosticArray
from locator import FRAME_NS, OUTPUTS, Locator, stamp_of, value_of
from rclpy.qos import QoSProfile
from robot import NS_PER_S, image_message
from sensor_msgs.msg import CompressedImage, Image
from tracker import pixels_of

from tam_ros.msg import TrackedObject
from tam_ros.ros.quality import BEST_EFFORT, RELIABLE

SCENE = Scene()
JAR = Board(3, (0.0, -0.2, 1.2), label='jar')
RATE_HZ = 15


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    """Start a node with parameters and wait until it is ready; it ends with the module."""
    locators = []

    def start_locator(**options) -> Locator:
        locators.append(Locator(tmp_path_factory.mktemp('node'), **options))
        locators[-1].program.wait_for_log('ready:')
        return locators[-1]

    yield start_locator
    for locator in locators:
        locator.close()


@pytest.fixture(scope='module')
def locator(start):
    """A node that somebody listens to in every way."""
    locator = start()
    locator.listen(*OUTPUTS, '/tf')
    return locator


def places(detections) -> dict[str, list[float]]:
    """Return where each object is."""
    centers = {d.id: d.bbox.center.position for d in detections.detections}
    return {object_id: [c.x, c.y, c.z] for object_id, c in centers.items()}


def test_detections_say_where_objects_are_under_the_header_of_the_image(locator):
    (detections,) = locator.show(SCENE, 'detections_3d')
    found = places(detections)
    assert list(found) == ['1', '2']
    for board in (CUP, BOX):
        np.testing.assert_allclose(found[str(board.object_id)], board.center_m, atol=0.005)
    assert detections.header.frame_id == SCENE.objects().header.frame_id
    assert [d.results[0].hypothesis.class_id for d in detections.detections] == ['cup', 'box']


def test_all_outputs_are_of_one_image(locator):
    topics = (*OUTPUTS, '/tf')
    messages = dict(zip(topics, locator.show(SCENE, *topics)))
    assert len({stamp_of(m) for m in messages.values()}) == 1
    assert len(messages['markers'].markers) == 6
    points = cloud_points(messages['cloud'])
    assert set(points['object_id']) == {1, 2}
    frames = {t.child_frame_id: t.transform.translation for t in messages['/tf'].transforms}
    assert set(frames) == {'object_1', 'object_2'}
    assert frames['object_2'].z == pytest.approx(BOX.center_m[2], abs=0.005)


def test_target_is_by_default_the_object_prompted_last(locator):
    topics = ('target/mask', 'target/depth', 'target/cloud', 'target/pose')
    mask, depth, cloud, pose = locator.show(SCENE, *topics)
    assert (pixels_of(mask) == BOX.seen() * 255).all()
    assert mask.encoding == 'mono8'
    expected = np.where(BOX.seen(), pixels_of(SCENE.depth()), 0)
    assert (pixels_of(depth) == expected).all()
    assert set(cloud_points(cloud)['object_id']) == {2}
    assert pose.pose.position.x == pytest.approx(BOX.center_m[0], abs=0.005)


def test_depth_is_published_without_objects_and_some_pixels_around(locator):
    (depth,) = locator.show(SCENE, 'depth_without_objects')
    values, before = pixels_of(depth), pixels_of(SCENE.depth())
    covered = CUP.seen() | BOX.seen()
    assert not values[covered].any()
    removed = values != before
    assert covered.sum() < removed.sum() < 1.5 * covered.sum()
    assert locator.set_parameter('remove', 'target').successful
    assert locator.set_parameter('margin_px', 0).successful
    (depth,) = locator.show(SCENE, 'depth_without_objects')
    assert ((pixels_of(depth) != before) == BOX.seen()).all()
    assert locator.set_parameter('remove', 'all').successful
    assert locator.set_parameter('margin_px', 4).successful


def test_target_may_be_chosen(locator):
    locator.show(SCENE, 'detections_3d')
    answer = locator.set_target(object_id=1)
    assert (answer.success, answer.object_id) == (True, 1)
    assert (pixels_of(locator.show(SCENE, 'target/mask')[0]) == CUP.seen() * 255).all()
    answer = locator.set_target(label='box')
    assert (answer.success, answer.object_id) == (True, 2)
    assert (pixels_of(locator.show(SCENE, 'target/mask')[0]) == BOX.seen() * 255).all()
    answer = locator.set_target(object_id=7)
    assert not answer.success
    assert answer.message == 'object 7 is not tracked: use one of 1, 2'
    assert 'give one of' in locator.set_target(object_id=1, label='cup').message
    assert locator.set_target(automatic=True).object_id == 2


def silent_on_target(locator, scene) -> bool:
    """Show a scene twice; return whether nothing of the target came of its frames."""
    start_ns = locator.stamp_ns
    for _ in range(2):
        locator.show(scene, 'detections_3d', 'depth_without_objects')
    topics = [topic for topic in OUTPUTS if topic.startswith('target')]
    return not any(stamp_of(m) > start_ns for t in topics for m in locator.received[t])


def test_target_topics_are_silent_without_a_target(locator):
    assert locator.set_target().message == 'no target'
    assert silent_on_target(locator, SCENE)
    assert locator.set_target(automatic=True).success
    assert not silent_on_target(locator, SCENE)


def test_target_topics_are_silent_while_it_is_hidden(locator):
    hidden = Board(2, BOX.center_m, label='box', state=TrackedObject.OCCLUDED)
    assert silent_on_target(locator, Scene([CUP, hidden]))


def test_markers_and_frames_of_objects_that_are_gone_go(locator):
    locator.show(SCENE, 'markers')
    markers, transforms = locator.show(Scene([CUP]), 'markers', '/tf')
    assert {(m.id, m.action) for m in markers.markers} == {(1, 0), (2, 2)}
    assert [t.child_frame_id for t in transforms.transforms] == ['object_1']


def test_frame_of_a_hidden_object_is_held_for_a_time_that_is_given(locator):
    hidden = Scene([CUP, Board(2, BOX.center_m, label='box', state=TrackedObject.LOST)])
    assert locator.set_parameter('tf_hold_s', 60.0).successful
    locator.show(SCENE, '/tf')
    (transforms,) = locator.show(hidden, '/tf')
    assert [t.child_frame_id for t in transforms.transforms] == ['object_1', 'object_2']
    assert locator.set_parameter('tf_hold_s', 0.0).successful
    (transforms,) = locator.show(hidden, '/tf')
    assert [t.child_frame_id for t in transforms.transforms] == ['object_1']


def test_masks_that_come_late_meet_their_depth(locator):
    locator.show(SCENE, 'detections_3d')
    moving = [Scene([Board(1, (-0.2 + 0.02 * i, 0.0, 1.0))]) for i in range(12)]
    stamps = [locator.publish(scene, masks=False) for scene in moving]
    before = len(locator.received['detections_3d'])
    for i in (3, 9):
        locator.publish_masks(moving[i], stamps[i])
        found = locator.robot.wait(
            lambda i=i: locator.answer_to(stamps[i], ['detections_3d']), 'an answer'
        )
        assert places(found[0])['1'][0] == pytest.approx(-0.2 + 0.02 * i, abs=0.006)
    assert len(locator.received['detections_3d']) == before + 2


def test_object_without_depth_is_left_out_and_counted(locator):
    depth = SCENE.depth_m()
    depth[BOX.seen()] = np.nan
    (found,) = locator.show(
        SCENE, 'detections_3d', depth=lambda header: image_message(depth, '32FC1', header)
    )
    assert list(places(found)) == ['1']
    locator.program.wait_for_log('object 2 has no depth: its mask is all holes')
    locator.wait_for_diagnostics('objects_without_depth', lambda v: int(v) >= 1)


@pytest.mark.parametrize(
    ('wrong', 'key', 'text'),
    [
        (
            {'depth': (np.zeros((120, 160), np.uint16), '16UC1')},
            'ignored_depth',
            'it is of 160x120 pixels, the images are of 320x240: aligned depth is needed, for',
        ),
        (
            {'depth': (np.zeros((240, 320, 3), np.uint8), 'rgb8')},
            'ignored_depth',
            "depth encoding 'rgb8' is not known: use 16UC1",
        ),
        ({'k': [0.0] * 9}, 'missing_calibration', 'the camera is not calibrated'),
        ({'width': 640}, 'missing_calibration', 'it is of 640x240 pixels, depth is of 320x240'),
        ({'cut_mask': True}, 'ignored_masks', r'object 2: mask of \d+x\d+ in a box of 1x'),
    ],
)
def test_wrong_input_is_told_once_and_counted(start, wrong, key, text):
    locator = start()
    locator.listen('detections_3d', 'cloud')
    counted = locator.robot.record(DiagnosticArray, '/diagnostics')

    def is_counted_twice() -> bool:
        _publish_wrong(locator, **wrong)
        locator.robot.let_pass(0.5)
        return any(int(value_of(message, key)) >= 2 for message in counted)

    locator.robot.wait(is_counted_twice, f'{key} to be counted')
    locator.program.wait_for_log(text)
    assert len(re.findall(text, locator.program.log)) == 1
    assert locator.program.is_running
    locator.show(SCENE, 'detections_3d')


def _publish_wrong(locator, *, depth=None, cut_mask=False, **info) -> None:
    stamp_ns = locator.stamp_ns + FRAME_NS
    masks, header = SCENE.objects(stamp_ns), SCENE.objects(stamp_ns).header
    calibration = camera_info(stamp_ns)
    for name, value in info.items():
        setattr(calibration, name, value)
    if cut_mask:
        masks.objects[1].box.width = 1
    message = None if depth is None else image_message(*depth, header)
    locator.publish(SCENE, masks=masks, depth=message, info=calibration)


def test_without_calibration_no_object_is_located_which_is_told(start):
    locator = start()
    locator.listen('detections_3d', 'target/mask')
    locator.show(SCENE, 'target/mask', info=lambda _: False)
    locator.program.wait_for_log('no calibration: no camera_info has come on /camera/info')
    assert locator.received['detections_3d'] == []


def test_points_may_have_the_colours_of_the_image(start):
    locator = start(colors='image')
    locator.listen('cloud')
    colors = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    (cloud,) = locator.show(
        SCENE, 'cloud', image=lambda header: image_message(colors, 'rgb8', header)
    )
    points = cloud_points(cloud)
    columns, rows = (
        (points[axis] / points['z'] * FOCAL + (side - 1) / 2).round().astype(int)
        for axis, side in (('x', WIDTH), ('y', HEIGHT))
    )
    packed = points['rgb'].view('<u4')
    seen = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1)
    assert (seen == colors[rows, columns]).all()
    locator.show(
        SCENE, 'cloud', image=lambda header: image_message(colors[::2, ::2], 'rgb8', header)
    )
    locator.program.wait_for_log('it is of 160x120 pixels, depth is of 320x240')


def test_colours_may_come_compressed(start):
    locator = start(colors='image', image_transport='compressed')
    locator.listen('cloud')
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 2] = 200  # OpenCV's order
    data = array.array('B', cv2.imencode('.png', red)[1].tobytes())
    (cloud,) = locator.show(
        SCENE,
        'cloud',
        image=lambda header: CompressedImage(header=header, format='png', data=data),
    )
    assert set(cloud_points(cloud)['rgb'].view('<u4')) == {200 << 16}
    locator.show(
        SCENE,
        'cloud',
        image=lambda header: CompressedImage(header=header, format='png', data=data[:100]),
    )
    locator.program.wait_for_log('image ignored, .*cannot be decoded')


def test_calibration_comes_beside_what_is_made_of_depth(locator):
    depth, info, mask, of_target = locator.show(
        SCENE, 'depth_without_objects', 'camera_info', 'target/mask', 'target/camera_info'
    )
    assert info.header == depth.header
    assert of_target.header == mask.header
    for told in (info, of_target):
        assert (told.width, told.height) == (WIDTH, HEIGHT)
        assert (told.k == camera_info().k).all()


def test_quality_of_service_of_inputs_can_be_overridden(start):
    name = 'qos_overrides./camera/depth.subscription'
    locator = start(**{f'{name}.reliability': 'best_effort', f'{name}.depth': 3})
    locator.listen('detections_3d')
    locator.show(SCENE, 'detections_3d')

    def only_depth_is_unreliable() -> bool:
        masks, depth, info = locator.reliabilities
        return (masks, depth, info) == (RELIABLE, BEST_EFFORT, RELIABLE)

    locator.robot.wait(only_depth_is_unreliable, 'the others to follow their publishers')


def test_input_that_is_less_reliable_than_asked_for_is_named(start):
    name = 'qos_overrides./camera/depth.subscription.reliability'
    locator = start(**{name: 'reliable'})
    locator.listen('detections_3d')
    locator.robot.node.create_publisher(
        Image, '/camera/depth', QoSProfile(depth=1, reliability=BEST_EFFORT)
    )
    told = f'depth, though it is published with best effort: set {name} to best_effort'
    while not re.search(told, locator.program.log):
        locator.publish(SCENE, depth=False)
        locator.robot.let_pass(0.2)


@pytest.mark.parametrize('role', ['subscription', 'publisher'])
def test_quality_of_service_that_is_not_known_is_named(start_program, role):
    topic = '/tam/objects' if role == 'subscription' else '/tam/cloud'
    parameter = f'qos_overrides.{topic}.{role}.reliability'
    program = start_program('objects_3d', '--ros-args', '-p', f'{parameter}:=often')
    assert program.wait_for_end() == 1
    assert f"parameter {parameter} is 'often': choose from best_effort, reliable" in program.log
    assert 'Traceback' not in program.log


def test_time_may_jump_back(start):
    locator = start(queue_s=0.5, rate_hz=20.0)
    locator.listen('detections_3d')
    locator.show(SCENE, 'detections_3d')
    for _ in range(15):  # more than wait
        locator.publish(SCENE, masks=False)
    locator.stamp_ns -= 3600 * NS_PER_S
    locator.show(SCENE, 'detections_3d')


def test_masks_that_never_meet_depth_say_by_how_much_they_miss(start):
    locator = start()
    locator.listen('detections_3d')
    while not re.search('never meet', locator.program.log):
        stamp_ns = locator.publish(SCENE, masks=False)
        locator.publish_masks(SCENE, stamp_ns - 40_000_000)
        locator.robot.let_pass(0.1)
    locator.program.wait_for_log(r'nearest of their stamps are 0\.040 s apart')
    locator.wait_for_diagnostics('unmatched_masks', lambda v: int(v) >= 1)


def test_silent_topics_are_named(start):
    locator = start()
    locator.listen('detections_3d')
    locator.wait_for_diagnostics('message', lambda v: 'no masks: nothing comes on' in v)
    locator.program.wait_for_log('no masks: nothing comes on /tam/objects')
    assert locator.program.is_running


def test_node_listens_only_while_somebody_wants_what_it_makes(start):
    locator = start()
    assert 'idle' in locator.wait_for_diagnostics('message', bool)
    assert not locator.is_heard()
    answer = locator.set_target(object_id=1)
    assert (answer.success, answer.message) == (True, 'object 1 will be the target')
    subscription = locator.robot.node.create_subscription(
        OUTPUTS['cloud'], '/tam/cloud', lambda _: None, 1
    )
    locator.robot.wait(locator.is_heard, 'the node to listen')
    locator.robot.node.destroy_subscription(subscription)
    locator.robot.wait(lambda: not locator.is_heard(), 'the node to stop listening')


def test_node_moves_with_its_namespace_and_reads_compressed_depth(start):
    locator = start(namespace='/robot1', depth_transport='compressed')
    locator.listen('detections_3d')
    png = bytes(12) + cv2.imencode('.png', pixels_of(SCENE.depth()))[1].tobytes()

    def compressed(header) -> CompressedImage:
        data = array.array('B', png)
        return CompressedImage(header=header, format='16UC1; compressedDepth png', data=data)

    (found,) = locator.show(SCENE, 'detections_3d', depth=compressed)
    assert places(found)['1'] == pytest.approx(CUP.center_m, abs=0.005)


def test_node_ends_by_a_signal_with_status_0(start):
    locator = start()
    status, seconds = locator.program.end_by()
    assert status == 0
    assert seconds < 3


def test_value_that_is_not_allowed_is_named(start_program):
    program = start_program('objects_3d', '--ros-args', '-p', 'up:=0 0 0')
    assert program.wait_for_end() == 1
    assert "up '0 0 0': use a frame, or three numbers, not all 0" in program.log
    assert 'Traceback' not in program.log


def test_three_objects_at_15_hz_are_kept_up_with(locator):
    """By processor time, of all threads and with every output made: others may have the cores."""
    three = Scene([CUP, BOX, JAR])
    locator.show(three, 'detections_3d')
    before_s, frames = locator.program.cpu_s, 3 * RATE_HZ
    for _ in range(frames):
        stamp_ns = locator.publish(three)
        found, *_ = locator.robot.wait(
            lambda stamp_ns=stamp_ns: locator.answer_to(stamp_ns, OUTPUTS), 'every output'
        )
        assert list(places(found)) == ['1', '2', '3']
    assert (locator.program.cpu_s - before_s) / frames < 1 / RATE_HZ
