"""From camera to mask: how old the masks are when a subscriber has them, and how many frames drop.

A camera publishes at a steady rate whatever the node manages; camera and subscriber are one
process beside the node's, on the same cores.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rclpy
from geometry_msgs.msg import Point
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tables import print_head, print_row

from tam_ros.msg import TrackedObjectArray
from tam_ros.ros.conversions import array_to_image, stamp_to_ns
from tam_ros.srv import AddPrompt

SCRIPT = Path(__file__).parents[1] / 'scripts' / 'tracker_node'
START_S = 120.0
SETTLE_S = 3.0  # until the memory is full


@dataclass
class Camera:
    """Publishes frames at a rate, and notes when their results come."""

    size_wh: tuple[int, int]
    """Of its images in pixels."""
    rate_hz: float
    """At which it publishes."""
    reliable: bool
    """Whether lost pieces of images are sent again."""
    sent: int = 0
    """Images so far."""
    ages_ms: list[float] = field(default_factory=list)
    """Of each result, from its image's stamp until it came."""

    def __post_init__(self):
        self.node = rclpy.create_node('camera')
        self.client = self.node.create_client(AddPrompt, '/tam/add_prompt')
        kind = 'RELIABLE' if self.reliable else 'BEST_EFFORT'
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy[kind])
        self._publisher = self.node.create_publisher(Image, '/image', qos)
        self.node.create_subscription(TrackedObjectArray, '/tam/objects', self._receive, 10)
        width, height = self.size_wh
        noise = np.random.default_rng(0).integers(0, 256, (8, height, width, 3), np.uint8)
        self._images = [array_to_image(image, 'rgb8', Header()) for image in noise]
        self.node.create_timer(1 / self.rate_hz, self._send)

    def _send(self) -> None:
        message = self._images[self.sent % len(self._images)]
        message.header.stamp = self.node.get_clock().now().to_msg()
        self._publisher.publish(message)
        self.sent += 1

    def _receive(self, message: TrackedObjectArray) -> None:
        age_ns = self.node.get_clock().now().nanoseconds - stamp_to_ns(message.header.stamp)
        self.ages_ms.append(age_ns * 1e-6)


def print_columns() -> None:
    """Begin the table whose rows `measure` prints."""
    print_head('objects', 'p50 ms', 'p95 ms', 'p99 ms', 'results/s', 'dropped')


def measure(
    objects: int,
    seconds: float,
    *,
    rate_hz: float = 30.0,
    reliable: bool = True,
    size_wh=(640, 480),
    **parameters,
) -> None:
    """Print a table row: ages of the masks in ms, results per second, part of frames dropped.

    parameters: of the node; its own default where one is ''.
    """
    os.environ.setdefault('ROS_DOMAIN_ID', str(os.getpid() % 100 + 1))
    given = {key: value for key, value in parameters.items() if value != ''}
    options = [word for key, value in given.items() for word in ('-p', f'{key}:={value}')]
    command = [sys.executable, str(SCRIPT), '--ros-args', '-r', 'image:=/image', *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rclpy.init()
    try:
        camera = Camera(size_wh, rate_hz, reliable)
        executor = SingleThreadedExecutor()
        executor.add_node(camera.node)
        _await_answer(camera, executor, process)
        _prompt(camera, executor, objects)
        _spin(executor, SETTLE_S)
        camera.sent, camera.ages_ms = 0, []
        _spin(executor, seconds)
        _print_row(objects, camera, seconds)
    finally:
        process.terminate()
        process.wait(10)
        rclpy.try_shutdown()


def _await_answer(camera: Camera, executor, process: subprocess.Popen) -> None:
    """Wait for the first result; raises TimeoutError, or RuntimeError if the node ends."""
    deadline = time.monotonic() + START_S
    while not camera.ages_ms:
        if process.poll() is not None:
            raise RuntimeError(f'the node ended with {process.returncode}: {process.args!r}')
        if time.monotonic() > deadline:
            raise TimeoutError(f'the node answered no frame within {START_S:g} s')
        executor.spin_once(timeout_sec=0.1)


def _prompt(camera: Camera, executor, objects: int) -> None:
    """Click once for each object, in a row; raises RuntimeError for one that is refused."""
    width, height = camera.size_wh
    for i in range(objects):
        point = Point(x=(i + 0.5) * width / objects, y=height / 2)
        future = camera.client.call_async(AddPrompt.Request(points=[point]))
        executor.spin_until_future_complete(future, timeout_sec=START_S)
        if not future.result().success:
            raise RuntimeError(future.result().message)


def _spin(executor, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)


def _print_row(objects: int, camera: Camera, seconds: float) -> None:
    p50, p95, p99 = np.percentile(camera.ages_ms, [50, 95, 99])
    count = len(camera.ages_ms)
    rate, dropped = f'{count / seconds:.1f}', f'{max(0.0, 1 - count / camera.sent):.0%}'
    print_row(objects, *(f'{age:.0f}' for age in (p50, p95, p99)), rate, dropped)
