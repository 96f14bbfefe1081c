"""The tests' side of the conversation: a camera, a user and a listener over real DDS."""

import array
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from programs import LONG_S
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

NS_PER_S = 1_000_000_000


def header_at(stamp_ns: int) -> Header:
    """Return a header as a camera driver fills it."""
    header = Header(frame_id='camera_color_optical_frame')
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
    return header


def image_message(
    pixels: np.ndarray, encoding: str, header: Header | None = None, *, padding: int = 0
) -> Image:
    """Return an image of (H, W) or (H, W, C) pixels with bytes of padding after each row."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return Image(
        header=header or Header(),
        height=height,
        width=width,
        encoding=encoding,
        step=rows.shape[1],
        data=array.array('B', rows.tobytes()),
    )


class Robot:
    """A node in a context of its own, so that each test can be on another domain."""

    def __init__(self, domain_id: int):
        self.domain_id = domain_id
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node('robot', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._others: list = []

    def add_node(self, name: str, *arguments: str):
        """Return another node with arguments of its own, which lives as long as the robot."""
        node = rclpy.create_node(name, context=self._context, cli_args=arguments)
        self._executor.add_node(node)
        self._others.append(node)
        return node

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        for node in (self.node, *self._others):
            node.destroy_node()
        rclpy.shutdown(context=self._context)

    def now_ns(self) -> int:
        """Return the time in nanoseconds."""
        return self.node.get_clock().now().nanoseconds

    def spin_until(self, condition: Callable[[], Any], timeout_s: float) -> Any:
        """Receive messages until condition() holds; return what it last said."""
        deadline = time.monotonic() + timeout_s
        while not (answer := condition()) and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)
        return answer

    def wait(self, condition: Callable[[], Any], what: str, timeout_s: float = LONG_S) -> Any:
        """Receive messages until condition() holds and return what it said, or fail."""
        answer = self.spin_until(condition, timeout_s)
        assert answer, f'waited {timeout_s} s for {what}'
        return answer

    def let_pass(self, seconds: float) -> None:
        """Receive messages for a while, where the passing of time is what is tested."""
        self.spin_until(lambda: False, seconds)

    def record(self, message_type, topic: str) -> list:
        """Return a list that fills with the messages of a topic."""
        messages: list = []
        qos = QoSProfile(depth=200)
        if topic.endswith(('image_raw', 'compressed')):  # cameras may publish with best effort
            qos.reliability = ReliabilityPolicy.BEST_EFFORT
        self.node.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def call(self, service_type, name: str, request=None, timeout_s: float = LONG_S):
        """Return a service's answer."""
        with self.calling(service_type, name) as call:
            return call(request, timeout_s)

    @contextmanager
    def calling(self, service_type, name: str) -> Iterator[Callable]:
        """Give a function that calls a service, once that is there."""
        client = self.node.create_client(service_type, name)

        def call(request=None, timeout_s: float = LONG_S):
            future = client.call_async(request or service_type.Request())
            self.wait(future.done, f'an answer of {name}', timeout_s)
            return future.result()

        try:
            self.wait(client.service_is_ready, f'service {name}')
            yield call
        finally:
            self.node.destroy_client(client)
