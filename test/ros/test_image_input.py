"""Images as cameras send them: encodings, padding, transports, gaps, jumps, reliability."""

import array

import cv2
import numpy as np
import pytest
from camera_encodings import ENCODINGS, encode, four_colors
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from robot import NS_PER_S, header_at, image_message
from sensor_msgs.msg import CompressedImage
from tracker import CAMERA, pixels_of

from tam_ros.msg import TrackedObject

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


@pytest.fixture(scope='module')
def node(start_tracker):
    return start_tracker()


@pytest.fixture
def tracker(node):
    """The node without objects, so that the overlay is the decoded image."""
    node.reset()
    return node


@pytest.fixture(scope='module')
def compressed(start_tracker):
    """A node that listens to compressed images."""
    tracker = start_tracker(image_transport='compressed')
    tracker.open_camera(CompressedImage, f'{CAMERA}/compressed')
    return tracker


def jpeg(image_rgb: np.ndarray, stamp_ns: int = 0) -> CompressedImage:
    _, encoded = cv2.imencode('.jpg', cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
    data = array.array('B', encoded.tobytes())
    return CompressedImage(header=header_at(stamp_ns), format='jpeg', data=data)


def colors_at_centers(image: np.ndarray) -> np.ndarray:
    """Return the mean colour in the middle of each quarter, (4, 3)."""
    height, width = image.shape[:2]
    centers = [
        (y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)
    ]
    return np.array([image[y - 9 : y + 9, x - 9 : x + 9].mean((0, 1)) for y, x in centers])


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_camera_encoding_reaches_the_tracker_in_its_colors(tracker, encoding):
    scene = four_colors(grey=encoding.startswith('mono'))
    answer = tracker.show(image_message(encode(scene, encoding), encoding, padding=11))
    seen = pixels_of(answer.overlay)
    assert seen.shape == scene.shape
    assert np.abs(colors_at_centers(seen) - colors_at_centers(scene)).max() <= 3


def test_unknown_encoding_is_refused_once_and_good_images_work_after(tracker, frames):
    before = tracker.show(frames[0])
    counts = {name: len(messages) for name, messages in tracker.received.items()}
    for _ in range(20):
        header = header_at(tracker.robot.now_ns())
        tracker.publish(image_message(np.zeros((240, 320), np.uint16), '16UC1', header))
        tracker.robot.let_pass(0.02)
    tracker.program.wait_for_log("image encoding '16UC1' cannot be tracked in")
    assert counts == {name: len(messages) for name, messages in tracker.received.items()}
    after = tracker.show(frames[1])
    assert after.objects.header.stamp != before.objects.header.stamp
    assert tracker.program.log.count('16UC1') == 1


def test_image_with_missing_bytes_is_refused(tracker, frames):
    image = image_message(frames[0], 'rgb8', header_at(tracker.robot.now_ns()))
    image.data = image.data[:-1]
    tracker.publish(image)
    tracker.program.wait_for_log('has 230399 bytes: expected 230400')
    assert tracker.show(frames[0])
    assert tracker.answer_to(image) is None


def test_compressed_images_are_tracked_in(compressed):
    scene = four_colors()
    answer = compressed.show(jpeg(scene))
    seen = pixels_of(answer.overlay)
    assert np.abs(colors_at_centers(seen) - colors_at_centers(scene)).max() <= 6
    assert compressed.add(points=[(90, 110)]).success
    assert len(compressed.show(jpeg(scene)).ids) == 1


def test_compressed_image_that_is_none_is_refused(compressed):
    broken = CompressedImage(header=header_at(compressed.robot.now_ns()), format='jpeg')
    broken.data = array.array('B', b'no image at all')
    compressed.publish(broken)
    compressed.program.wait_for_log(
        "compressed image of 15 bytes and format 'jpeg' cannot be decoded"
    )
    assert compressed.show(jpeg(four_colors()))
    assert compressed.answer_to(broken) is None


def test_change_of_image_size_resets_and_says_so_once(tracker, frames):
    tracker.show(frames[0])
    assert tracker.add(points=[(90, 110)]).success
    smaller = [np.ascontiguousarray(frame[:200, :300]) for frame in frames]
    for frame in smaller[:3]:
        assert tracker.show(frame).ids == []
    assert (
        tracker.program.log.count('tracker reset: image size changed from 320x240 to 300x200') == 1
    )
    response = tracker.add(points=[(310, 110)])
    assert 'point (310, 110) is outside the image of 300x200 pixels' in response.message
    assert tracker.add(points=[(290, 110)]).success


def test_backward_jump_of_time_resets_and_says_so_once(tracker, frames):
    for _ in range(25):  # after resets, a stream must have become calm
        tracker.show(frames[0])
    assert tracker.add(points=[(90, 110)]).success
    minute_ago_ns = tracker.robot.now_ns() - 60 * NS_PER_S
    for i in range(3):
        header = header_at(minute_ago_ns + i * NS_PER_S)
        assert tracker.show(image_message(frames[i], 'rgb8', header)).ids == []
    assert tracker.program.log.count('tracker reset: time jumped back by') == 1
    tracker.program.wait_for_log(r'time jumped back by (59|60)\.\d+ s')


def test_objects_survive_a_camera_that_is_silent_for_a_while(tracker, frames):
    tracker.show(frames[0])
    ids = [tracker.add(points=[(x, 110)]).object.id for x in (60, 90)]
    tracker.show(frames[1])
    tracker.robot.let_pass(2.2)  # longer than lost_after_s
    answer = tracker.show(frames[2])
    assert answer.ids == ids
    assert {o.state for o in answer.objects.objects} == {TrackedObject.TRACKED}


def test_subscription_is_as_reliable_as_the_camera(tracker, frames):
    for reliability in (BEST_EFFORT, RELIABLE, BEST_EFFORT):
        tracker.open_camera(qos=QoSProfile(depth=1, reliability=reliability))
        assert tracker.show(frames[0])
        await_subscription(tracker.robot, reliability)
        assert tracker.show(frames[1])


def await_subscription(robot, reliability: ReliabilityPolicy) -> None:
    """Wait until one subscription to the camera is left, of that reliability."""

    def reliabilities():
        subscriptions = robot.node.get_subscriptions_info_by_topic(CAMERA)
        return [subscription.qos_profile.reliability for subscription in subscriptions]

    robot.wait(lambda: reliabilities() == [reliability], f'a subscription that is {reliability}')


def test_best_effort_camera_beside_a_reliable_one_is_received(tracker, frames):
    tracker.open_camera(qos=QoSProfile(depth=1, reliability=RELIABLE))
    image = image_message(frames[0], 'rgb8')
    other = tracker.robot.node.create_publisher(type(image), CAMERA, qos_profile_sensor_data)
    try:
        tracker.robot.wait(other.get_subscription_count, 'a subscription for both')
        assert tracker.show(frames[0])
    finally:
        tracker.robot.node.destroy_publisher(other)


def test_quality_of_service_can_be_overridden_for_a_topic(start_tracker, frames):
    override = f'qos_overrides.{CAMERA}.subscription.reliability'
    tracker = start_tracker(**{override: 'reliable'})
    tracker.open_camera(qos=QoSProfile(depth=1, reliability=RELIABLE))
    assert tracker.show(frames[0])
    await_subscription(tracker.robot, RELIABLE)
    publisher = tracker.robot.node.create_publisher(
        type(image_message(frames[0], 'rgb8')), CAMERA, qos_profile_sensor_data
    )
    tracker.robot.let_pass(0.5)
    assert publisher.get_subscription_count() == 0  # best effort is not enough any more
    tracker.program.wait_for_log('no images from a best effort camera')
