"""Images as cameras send them: encodings, padding, transports, gaps, jumps, reliability."""

import array
import struct
import zlib

import cv2
import numpy as np
import pytest
from camera_encodings import ENCODINGS, camera_message, four_colors
from diagnostic_msgs.msg import DiagnosticArray
from programs import DOMAIN_IDS
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from robot import NS_PER_S, Robot, header_at, image_message
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from tracker import BRIEF_PATIENCE_S, CAMERA, OUTSPOKEN, SMALL, pixels_of

from tam_ros.msg import TrackedObject
from tam_ros.ros.image_input import ImageInput

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


@pytest.fixture(scope='module')
def node(start_tracker):
    return start_tracker(script=OUTSPOKEN, **SMALL)


@pytest.fixture
def tracker(node):
    """The node without objects, so that the overlay is the decoded image."""
    node.reset()
    return node


@pytest.fixture(scope='module')
def compressed(start_tracker):
    """A node that listens to compressed images."""
    tracker = start_tracker(script=OUTSPOKEN, **SMALL, image_transport='compressed')
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
    answer = tracker.show(camera_message(scene, encoding, padding=11))
    seen = pixels_of(answer.overlay)
    assert seen.shape == scene.shape
    assert np.abs(colors_at_centers(seen) - colors_at_centers(scene)).max() <= 3


def test_unknown_encoding_is_refused_once_and_good_images_work_after(tracker, frames):
    before = tracker.show(frames[0])
    counts = {name: len(messages) for name, messages in tracker.received.items()}
    for _ in range(20):
        header = header_at(tracker.robot.now_ns())
        tracker.publish(image_message(np.zeros((240, 320), np.float32), '32FC1', header))
        tracker.robot.let_pass(0.02)
    tracker.program.wait_for_log("image encoding '32FC1' cannot be tracked in")
    assert counts == {name: len(messages) for name, messages in tracker.received.items()}
    after = tracker.show(frames[1])
    assert after.objects.header.stamp != before.objects.header.stamp
    assert tracker.program.log.count("'32FC1' cannot be") < 5  # one in ten seconds


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


def huge_png() -> bytes:
    """Return a PNG of a few hundred bytes that claims to be 65500x65500 pixels."""
    png = bytearray(cv2.imencode('.png', np.zeros((1, 1, 3), np.uint8))[1].tobytes())
    png[16:24] = struct.pack('>II', 65_500, 65_500)
    png[29:33] = struct.pack('>I', zlib.crc32(png[12:29]))
    return bytes(png)


def test_files_that_claim_a_huge_image_are_ignored_and_counted(compressed):
    compressed.reset()
    compressed.show(jpeg(four_colors()))
    ids = [compressed.add(points=[(90, 110)]).object.id]
    reports = compressed.robot.record(DiagnosticArray, '/diagnostics')
    before = int(compressed.robot.wait(lambda: reports and value(reports, 'ignored_images'), 'it'))

    def is_counted() -> bool:  # a newer image takes the place of one that waits
        header = header_at(compressed.robot.now_ns())
        compressed.publish(CompressedImage(header=header, data=array.array('B', huge_png())))
        return int(value(reports, 'ignored_images')) > before

    compressed.robot.wait(is_counted, 'the count')
    assert compressed.show(jpeg(four_colors())).ids == ids
    compressed.program.wait_for_log('exceeds max_image_pixels, 36000000')


def value(reports: list[DiagnosticArray], key: str) -> str:
    """Return a value of the newest report; '' where it has none, as while the node starts."""
    values = {pair.key: pair.value for pair in reports[-1].status[0].values}
    return values.get(key, '')


def test_range_of_16_bits_can_change_at_run_time(tracker):
    warm = np.tile(np.array([7000, 7200], np.uint16), (240, 160))
    assert pixels_of(tracker.show(image_message(warm, 'mono16')).overlay)[0, :2, 0].max() < 30
    assert tracker.set_parameter('significant_bits', 0).successful
    try:
        seen = pixels_of(tracker.show(image_message(warm, '16UC1')).overlay)
    finally:
        assert tracker.set_parameter('significant_bits', 16).successful
    assert seen[0, :2, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ('transport', 'camera', 'topic', 'message_type', 'advice'),
    [
        ('raw', '/a', '/a', CompressedImage, 'remap /a/compressed:=/a'),
        ('raw', '/b/compressed', '/b/compressed', CompressedImage, 'image_transport:=compressed'),
        ('raw', '/c', '/c/compressed', CompressedImage, 'set image:=/c/compressed image_transp'),
        ('compressed', '/d', '/d', Image, 'set image:=/d image_transport:=raw'),
        ('raw', '/e', '/e', PointCloud2, 'publish sensor_msgs/msg/Image or sensor_msgs/msg/Com'),
    ],
)
def test_topic_of_another_type_is_named_with_what_to_set(
    start_lookout, transport, camera, topic, message_type, advice
):
    lookout = start_lookout(camera, message_type, topic, compressed=transport == 'compressed')
    problem = lookout.robot.wait(lambda: lookout.images.problem, 'the problem')
    listens = camera + ('/compressed' if transport == 'compressed' else '')
    assert problem.startswith(
        f'nothing publishes {TYPE_NAMES[transport]} on {listens}, but {topic}'
    )
    assert advice in problem
    assert lookout.warnings[0] == ('no_images', f'no images: {problem}')


def test_compressed_given_twice_is_taken_once(start_lookout):
    lookout = start_lookout('/f/compressed', CompressedImage, '/f/compressed', compressed=True)
    assert lookout.images.topic == '/f/compressed'
    lookout.receive(jpeg(four_colors()))
    assert lookout.images.problem == ''


def test_remapping_that_is_advised_brings_the_images(start_lookout):
    lookout = start_lookout(
        '/g', CompressedImage, '/g', compressed=True, remap='/g/compressed:=/g'
    )
    lookout.receive(jpeg(four_colors()))


TYPE_NAMES = {'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage'}


class Lookout:
    """The camera topic of a node by itself, in ROS time that stands still, and a camera."""

    def __init__(self, camera, message_type, topic, *, compressed, remap=''):
        self.robot = Robot(next(DOMAIN_IDS))
        self._other = Robot(self.robot.domain_id)  # one context takes one type for a topic
        self.offered, self.warnings = [], []
        self.camera = self._other.node.create_publisher(message_type, topic, 5)
        self.node = self.robot.add_node(
            'lookout',
            *('--ros-args', '-r', f'image:={camera}', '-p', 'use_sim_time:=true'),
            *(('-r', remap) if remap else ()),
        )
        self.images = ImageInput(
            self.node,
            self.offered.append,
            lambda kind, text: self.warnings.append((kind, text)),
            compressed=compressed,
        )

    def receive(self, message) -> None:
        """Publish a message until it is handed on."""

        def arrives() -> bool:
            self.camera.publish(message)
            return bool(self.offered)

        self.robot.wait(arrives, 'the image')

    def close(self) -> None:
        """End the node, then the camera."""
        self.robot.close()
        self._other.close()


@pytest.fixture
def start_lookout():
    lookouts = []

    def start(*arguments, **options) -> Lookout:
        lookouts.append(Lookout(*arguments, **options))
        return lookouts[-1]

    yield start
    for lookout in lookouts:
        lookout.close()


def test_change_of_image_size_resets_and_says_so_once(tracker, frames):
    tracker.show(frames[0])
    assert tracker.add(points=[(90, 110)]).success
    smaller = [np.ascontiguousarray(frame[:200, :300]) for frame in frames]
    for frame in smaller[:3]:
        assert tracker.show(frame, patience_s=BRIEF_PATIENCE_S).ids == []
    change = 'tracker reset: image size changed from 320x240 to 300x200'
    tracker.program.wait_for_log(change)
    assert tracker.program.log.count(change) == 1
    response = tracker.add(points=[(310, 110)])
    assert 'point (310, 110) is outside the image of 300x200 pixels' in response.message
    assert tracker.add(points=[(290, 110)]).success


def test_backward_jump_of_time_resets_and_says_so_once(tracker, frames):
    for _ in range(25):  # after resets, a stream must have become calm
        tracker.show(frames[0], patience_s=BRIEF_PATIENCE_S)
    assert tracker.add(points=[(90, 110)]).success
    minute_ago_ns = tracker.robot.now_ns() - 60 * NS_PER_S
    for i in range(3):
        image = image_message(frames[i], 'rgb8', header_at(minute_ago_ns + i * NS_PER_S))
        assert tracker.show(image, patience_s=BRIEF_PATIENCE_S).ids == []
    tracker.program.wait_for_log(r'time jumped back by [56]\d\.\d+ s')
    assert tracker.program.log.count('tracker reset: time jumped back by') == 1


def test_objects_survive_a_camera_that_is_silent_for_a_while(tracker, frames):
    tracker.show(frames[0], patience_s=BRIEF_PATIENCE_S)
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
    tracker = start_tracker(**SMALL, **{override: 'reliable'})
    tracker.open_camera(qos=QoSProfile(depth=1, reliability=RELIABLE))
    assert tracker.show(frames[0])
    await_subscription(tracker.robot, RELIABLE)
    publisher = tracker.robot.node.create_publisher(
        type(image_message(frames[0], 'rgb8')), CAMERA, qos_profile_sensor_data
    )
    tracker.robot.let_pass(0.5)
    assert publisher.get_subscription_count() == 0  # best effort is not enough any more
    tracker.program.wait_for_log('no images: the camera publishes with best effort')
