"""The demo's own node: prompts through the service, and receives results as any consumer does."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import rclpy
from processes import DemoError, Program
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from tam_ros.msg import TrackedObject, TrackedObjectArray
from tam_ros.ros.conversions import box_to_roi, stamp_to_ns
from tam_ros.ros.decoding import image_to_rgb
from tam_ros.srv import AddPrompt

TOPICS = {'objects': TrackedObjectArray, 'detections': Detection2DArray, 'overlay': Image}
FRAMES_IN_PARTS = 20  # frames of which some, not all messages are kept
SERVICE_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Answer:
    """All that came for one frame."""

    index: int
    """Its place among the camera's frames."""
    objects: list[TrackedObject]
    """What was published of it, among them all that were prompted."""
    detection_count: int
    """How many boxes came beside them."""
    overlay_rgb: np.ndarray
    """(H, W, 3) uint8."""
    latency_ms: float | None
    """From the camera's stamp to the masks' arrival.

    None for the first frame, which was held for the prompts.
    """


class DemoClient(Node):
    """Prompts the tracker and puts together what it publishes of each frame.

    on_answer is called with every answered frame once, in the order of arrival.
    """

    def __init__(self, programs: list[Program], on_answer: Callable[[Answer], None]):
        super().__init__('demo')
        self._programs = programs
        self._on_answer = on_answer
        self._index_of: dict[int, int] = {}  # by stamp: the camera's frames in order
        self._parts: dict[int, dict] = {}
        self._expected: set[int] | None = None
        self.answered: set[int] = set()
        self._longest_age_ns = 0
        self.first_header: Header | None = None
        self._add_prompt = self.create_client(AddPrompt, '/tam/add_prompt')
        self._play = self.create_client(Trigger, '/camera/play_video/play')
        self.create_subscription(CameraInfo, '/camera/camera_info', self._take_info, 100)
        for name, message_type in TOPICS.items():
            take = partial(self._take, name)
            self.create_subscription(message_type, f'/tam/{name}', take, QoSProfile(depth=10))

    def has_first_frame(self) -> bool:
        """Whether the held frame was announced by the camera and came through the tracker."""
        return self.camera_frames > 0 and self.first_header is not None

    def index_of(self, stamp_ns: int) -> int | None:
        """Return a frame's place among the camera's, None where the camera has not said it."""
        return self._index_of.get(stamp_ns)

    @property
    def camera_frames(self) -> int:
        """How many different frames the camera published."""
        return len(self._index_of)

    @property
    def camera_rate_hz(self) -> float:
        """The rate at which frames were published, by their stamps; the held one left out."""
        stamps = list(self._index_of)[1:]
        return (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0]) if len(stamps) > 1 else 0.0

    @property
    def is_newest_answered(self) -> bool:
        """Whether the camera's last frame is answered."""
        return self.camera_frames - 1 in self.answered

    @property
    def patience_s(self) -> float:
        """After what time without an answer none will come."""
        return 1.0 + 2.0 * self._longest_age_ns * 1e-9

    def wait_until(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Handle messages until a condition holds; raises DemoError on time-out."""
        if not self.spin_until(condition, timeout_s):
            raise DemoError(f'waited {timeout_s:.0f} s for {what} in vain')

    def spin_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Handle messages until a condition holds; return whether it does in time.

        Raises DemoError if one of the programs failed.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                return False
            rclpy.spin_once(self, timeout_sec=0.1)
            for program in self._programs:
                program.check()
        return True

    def add_prompt(self, label: str, box_xyxy: tuple[int, int, int, int]) -> AddPrompt.Response:
        """Ask for an object in a box of the first frame."""
        request = AddPrompt.Request(
            header=self.first_header, label=label, box=box_to_roi(box_xyxy)
        )
        return self._call(self._add_prompt, request)

    def play(self) -> None:
        """Let the camera go on from its first frame."""
        response = self._call(self._play, Trigger.Request())
        if not response.success:
            raise DemoError(f'the player does not start: {response.message}')

    def expect(self, object_ids: set[int]) -> None:
        """Take frames as answered from now on, if they hold these objects."""
        self._parts.clear()
        self._expected = object_ids

    def _call(self, client: Client, request):
        name = client.srv_name
        self.wait_until(client.service_is_ready, SERVICE_TIMEOUT_S, f'the service {name}')
        future = client.call_async(request)
        self.wait_until(future.done, SERVICE_TIMEOUT_S, f'an answer of {name}')
        return future.result()

    def _take_info(self, info: CameraInfo) -> None:
        # Reliable and in order, so a frame's index is the number of stamps before its own.
        self._index_of.setdefault(stamp_to_ns(info.header.stamp), self.camera_frames)

    def _take(self, name: str, msg) -> None:
        self.first_header = self.first_header or msg.header
        stamp_ns = stamp_to_ns(msg.header.stamp)
        parts = self._parts.setdefault(stamp_ns, {})
        parts[name] = msg
        if name == 'objects':
            parts['age_ns'] = self.get_clock().now().nanoseconds - stamp_ns
        if all(topic in parts for topic in TOPICS):
            self._complete(self._parts.pop(stamp_ns), stamp_ns)
        while len(self._parts) > FRAMES_IN_PARTS:
            del self._parts[min(self._parts)]

    def _complete(self, parts: dict, stamp_ns: int) -> None:
        objects = parts['objects'].objects
        index = self._index_of.get(stamp_ns)
        if index is None or index in self.answered or self._expected is None:
            return
        if self._expected <= {found.id for found in objects}:
            self.answered.add(index)
            if index:
                self._longest_age_ns = max(self._longest_age_ns, parts['age_ns'])
            self._on_answer(
                Answer(
                    index=index,
                    objects=objects,
                    detection_count=len(parts['detections'].detections),
                    overlay_rgb=image_to_rgb(parts['overlay']),
                    latency_ms=parts['age_ns'] * 1e-6 if index else None,
                )
            )
