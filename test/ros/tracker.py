"""A tracker node under test, with a robot that is its camera and its user."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from geometry_msgs.msg import Point
from programs import DOMAIN_IDS, Program
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from robot import NS_PER_S, Robot, header_at, image_message
from sensor_msgs.msg import Image, RegionOfInterest
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from tam_ros.msg import TrackedObject, TrackedObjectArray
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.srv import AddPrompt, ListObjects, RemoveObject

CAMERA = '/camera/image'
SMALL = {'model': 'tam_nano', 'weights': "''", 'image_size': 256}  # starts in half the time
OUTSPOKEN = Path(__file__).parent / 'outspoken_node.py'
TENTH_NS = 100_000_000
# Seconds to wait for an answer. Best effort may lose an image: then a newer one is sent.
PATIENCE_S = (2, 4, 8, 16, 32, 64)
# The same where the first images are left out, as they are of another size or time.
BRIEF_PATIENCE_S = (0.3, 0.3, *PATIENCE_S)
OUTPUTS = {
    'objects': TrackedObjectArray,
    'detections': Detection2DArray,
    'label_image': Image,
    'overlay': Image,
}


@dataclass
class Answer:
    """What the node published for one image, all of it with the image's header."""

    image: Image
    """As it was sent."""
    objects: TrackedObjectArray
    """Of ~/objects."""
    detections: Detection2DArray
    """Of ~/detections."""
    label_image: Image
    """Of ~/label_image."""
    overlay: Image
    """Of ~/overlay."""

    @property
    def ids(self) -> list[int]:
        """The ids of the objects, in their order."""
        return [tracked.id for tracked in self.objects.objects]

    def masks(self) -> dict[int, np.ndarray]:
        """Return the (H, W) bool mask of each object."""
        return masks_of(self.objects)


def masks_of(objects: TrackedObjectArray) -> dict[int, np.ndarray]:
    """Return the (H, W) bool mask of each object, in the whole image."""
    size_wh = (objects.image_width, objects.image_height)
    return {tracked.id: whole_mask(tracked, size_wh) for tracked in objects.objects}


def whole_mask(tracked: TrackedObject, size_wh: tuple[int, int]) -> np.ndarray:
    """Return the (H, W) bool mask of one object, in the whole image."""
    mask = np.zeros(size_wh[::-1], bool)
    box = tracked.box
    if box.width:
        right, bottom = box.x_offset + box.width, box.y_offset + box.height
        mask[box.y_offset : bottom, box.x_offset : right] = pixels_of(tracked.mask) > 0
    return mask


def pixels_of(image: Image) -> np.ndarray:
    """Return the (H, W) or (H, W, C) pixels of an image without padding."""
    dtype = np.uint16 if image.encoding == '16UC1' else np.uint8
    pixels = np.frombuffer(image.data, dtype).reshape(image.height, image.width, -1)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def prompt(points=(), labels=(), box=None, mask=None, *, object_id=0, label='', header=None):
    """Return an AddPrompt request; box is x, y, width, height, mask (H, W) bool."""
    request = AddPrompt.Request(
        object_id=object_id,
        label=label,
        points=[Point(x=float(x), y=float(y)) for x, y in points],
        point_labels=list(labels),
    )
    if box is not None:
        x, y, width, height = box
        request.box = RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)
    if mask is not None:
        request.mask = image_message(mask * np.uint8(255), 'mono8')
    if header is not None:
        request.header = header
    return request


class Camera:
    """Shows images to a tracker at times of its own, by their stamps, however long that takes."""

    def __init__(self, tracker: 'Tracker'):
        self._tracker = tracker
        self._stamp_ns = tracker.later_ns()

    def show(self, *images: np.ndarray, after_s: float = 0.1) -> list[Answer]:
        """Return the answers to (H, W, 3) uint8 images, each so long after the one before."""
        return [self._show(image, after_s) for image in images]

    def _show(self, image: np.ndarray, after_s: float) -> Answer:
        self._stamp_ns += round(after_s * NS_PER_S)
        return self._tracker.show(image_message(image, 'rgb8', header_at(self._stamp_ns)))


class Tracker:
    """A node that runs, and the conversation with it. parameters are those of the node."""

    def __init__(
        self,
        folder: Path,
        *,
        name='/tam',
        camera=CAMERA,
        robot=None,
        arguments=(),
        python=sys.executable,
        script='tracker_node',
        **parameters,
    ):
        options = [f'{key}:={value}' for key, value in parameters.items()]
        self.robot = robot or Robot(next(DOMAIN_IDS))
        self._owns_robot = robot is None
        self.name = name
        self.program = Program(
            str(script),
            *('--ros-args', '-r', f'image:={camera}', *arguments),
            *(word for option in options for word in ('-p', option)),
            domain_id=self.robot.domain_id,
            folder=folder,
            python=python,
        )
        self.received: dict[str, list] = {}
        self._topic = camera
        self._camera = None
        self._newest_ns = 0

    def close(self) -> None:
        """End the node, then the robot."""
        self.program.end()
        if self._owns_robot:
            self.robot.close()
            DOMAIN_IDS.release(self.robot.domain_id)

    # -- the camera -------------------------------------------------------------------------

    def open_camera(self, message_type=Image, topic: str = '', qos=None) -> None:
        """Make the robot publish images from now on as given, once the node listens."""
        if self._camera is not None:
            self.robot.node.destroy_publisher(self._camera)
        topic, qos = topic or self._topic, qos or QoSProfile(depth=1)
        self._camera = self.robot.node.create_publisher(message_type, topic, qos)
        self.robot.wait(self._camera.get_subscription_count, f'a subscription to {topic}')

    def publish(self, message) -> None:
        """Send an image, without waiting for what comes of it."""
        if self._camera is None:
            self.open_camera()
        self._newest_ns = max(self._newest_ns, stamp_to_ns(message.header.stamp))
        self._camera.publish(message)

    def later_ns(self) -> int:
        """Return a stamp for an image: now, or after the newest image's where that is later."""
        return max(self.robot.now_ns(), self._newest_ns + TENTH_NS)

    def catch_up(self) -> None:
        """Let time pass until the next image gets the present time."""
        self.robot.wait(lambda: self.robot.now_ns() > self._newest_ns + TENTH_NS, 'the present')

    def show(
        self, image: np.ndarray | Image, encoding: str = 'rgb8', *, patience_s=PATIENCE_S
    ) -> Answer:
        """Send an image, again whenever patience ends, and return the node's answer.

        An array gets the present time, or one after the newest image's where tests gave that a
        later one; so does a message in which the stamp is zero.
        """
        self._listen()
        message = image if hasattr(image, 'header') else image_message(image, encoding)
        stamped = bool(message.header.stamp.sec)
        for wait_s in patience_s:
            if not stamped:
                message.header = header_at(self.later_ns())
            self.publish(message)
            answer = self.robot.spin_until(lambda: self.answer_to(message), wait_s)
            if answer:
                return answer
        raise AssertionError(f'no answer to {len(patience_s)} images; got: {self._counts()}')

    @contextmanager
    def streaming(self, image: np.ndarray, rate_hz: float) -> Iterator[list[int]]:
        """Send an image again and again while messages are received; gives their stamps in ns."""
        stamps_ns = []

        def send() -> None:
            stamps_ns.append(self.robot.now_ns())
            self.publish(image_message(image, 'rgb8', header_at(stamps_ns[-1])))

        self.open_camera()
        timer = self.robot.node.create_timer(1 / rate_hz, send)
        try:
            yield stamps_ns
        finally:
            self.robot.node.destroy_timer(timer)

    def answer_to(self, image) -> Answer | None:
        """Return what was published with an image's stamp, None until it is all there."""
        found = {
            name: [m for m in messages if m.header.stamp == image.header.stamp]
            for name, messages in self.received.items()
        }
        if not all(found.values()):
            return None
        return Answer(image, **{name: messages[-1] for name, messages in found.items()})

    def _listen(self) -> None:
        if not self.received:
            for topic, message_type in OUTPUTS.items():
                self.received[topic] = self.robot.record(message_type, f'{self.name}/{topic}')

    def _counts(self) -> dict[str, int]:
        return {name: len(messages) for name, messages in self.received.items()}

    # -- the user ---------------------------------------------------------------------------

    def add(self, *arguments, **options) -> AddPrompt.Response:
        """Call add_prompt with what `prompt` takes."""
        return self.call(AddPrompt, 'add_prompt', prompt(*arguments, **options))

    def remove(self, object_id: int) -> RemoveObject.Response:
        """Call remove_object."""
        return self.call(RemoveObject, 'remove_object', RemoveObject.Request(object_id=object_id))

    def objects(self) -> TrackedObjectArray:
        """Call list_objects."""
        return self.call(ListObjects, 'list_objects').objects

    def reset(self) -> Trigger.Response:
        """Call reset."""
        return self.call(Trigger, 'reset')

    def set_parameter(self, name: str, value):
        """Return what the node says to a new value of one of its parameters."""
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        request = SetParameters.Request(parameters=parameters)
        return self.call(SetParameters, 'set_parameters', request).results[0]

    def call(self, service_type, name: str, request=None, **options):
        """Return the answer of one of the node's services."""
        return self.robot.call(service_type, f'{self.name}/{name}', request, **options)

    def calling(self, service_type, name: str):
        """Give a function that calls one of the node's services, once that is there."""
        return self.robot.calling(service_type, f'{self.name}/{name}')
