"""What ROS costs per 720p frame beside the tracker: receiving, decoding, publishing.

Receiving is the deserialisation that rclpy does; the transport itself is not in it.

The node runs as always, with subscribers in another process; its engine repeats the prompted
masks without a network, so that the objects have an everyday size and nothing else takes time.
"""

import contextlib
import os
import subprocess
import sys
import time

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tables import print_head, print_row
from vision_msgs.msg import Detection2DArray

from tam_ros.engine.base import Decoded, EngineSpec
from tam_ros.msg import TrackedObjectArray
from tam_ros.prompts import Prompt
from tam_ros.ros.conversions import array_to_image
from tam_ros.ros.decoding import ImageOptions, image_to_rgb
from tam_ros.ros.node import TrackerNode
from tam_ros.ros.parameters import read_options
from tam_ros.tracker.session import Session

SIDE = 256


class StillEngine:
    """Tracks every object as the mask it was prompted with."""

    spec = EngineSpec('still', 4 * SIDE, SIDE, 6, 'benchmark', 'cpu')

    def encode_image(self, image):
        return None

    def nbytes(self, features):
        return 0

    def attend_memory(self, features, store, plan):
        return store[plan.rows]

    def decode_mask(self, features, attended, prompts):
        logits = np.zeros((len(prompts.labels), SIDE, SIDE), np.float32)
        logits = logits if attended is None else attended
        ones = np.ones(len(logits))
        return Decoded(logits, ones, ones, logits, logits, logits[:, None], ones[:, None])

    def encode_memory(self, features, mask_logits, *, from_prompt):
        return mask_logits

    def device_memory_mb(self):
        return 0.0

    def allocate_store(self, objects, slots, pointers):
        return StillStore(np.zeros((objects, SIDE, SIDE), np.float32))


class StillStore:
    """Holds one mask per object."""

    def __init__(self, logits):
        self._logits = logits

    def __getitem__(self, rows):
        return self._logits[rows]

    def write(self, rows, slots, memories):
        self._logits[rows] = memories

    def write_pointers(self, rows, slots, pointers):
        pass


def measure(frames: int = 300, objects: tuple[int, ...] = (1, 3, 8)) -> None:
    """Print median and 95th percentile of decoding and publishing for 1280x720 frames."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(os.getpid() % 100 + 1))
    subscribers = subprocess.Popen([sys.executable, __file__])
    rclpy.init()
    node = TrackerNode(engine=StillEngine())
    node.trigger_configure()
    node.trigger_activate()
    try:
        wait_for_subscribers(node)
        parts = ('receive p50', 'decode p50', 'publish p50')
        print_head('objects', *parts, 'all p50', 'all p95')
        for count in objects:
            print_times(count, np.array(time_frames(node, frames, count)) * 1e3)
    finally:
        node.stop()
        subscribers.terminate()
        subscribers.wait(10)
        rclpy.try_shutdown()


def wait_for_subscribers(node: Node) -> None:
    """Wait until the other process listens to all results; raises TimeoutError."""
    deadline = time.monotonic() + 30
    topics = ('objects', 'detections', 'label_image')
    while not all(node.count_subscribers(f'/tam/{topic}') for topic in topics):
        if time.monotonic() > deadline:
            raise TimeoutError('no subscribers within 30 s')
        time.sleep(0.1)


def time_frames(node, frames: int, objects: int) -> list[tuple[float, float, float]]:
    """Return (receive, decode, publish) seconds per frame."""
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    session, times = Session(StillEngine()), []
    for t in range(frames):
        msg = array_to_image(image, 'bgr8', Header())
        msg.header.stamp = Time(nanoseconds=(t + 1) * 33_000_000).to_msg()
        serialized = serialize_message(msg)
        start = time.perf_counter()
        msg = deserialize_message(serialized, Image)
        received = time.perf_counter()
        image_rgb = image_to_rgb(msg, read_options(node, ImageOptions))
        decoded = time.perf_counter()
        frame = session.step(image_rgb, (t + 1) * 33_000_000)
        if t == 0:
            prompt_discs(session, objects)
        stepped = time.perf_counter()
        node.publish(frame, image_rgb, msg.header)
        published = time.perf_counter()
        times.append((received - start, decoded - received, published - stepped))
        time.sleep(0.005)  # let the subscribers read
    return times[10:]


def prompt_discs(session, count: int) -> None:
    """Prompt that many discs of 200 px, as masks."""
    y, x = np.mgrid[:720, :1280]
    for i in range(count):
        session.add_prompt(Prompt(mask=np.hypot(x - 100 - 150 * i, y - 360) < 100))


def print_times(count: int, times_ms: np.ndarray) -> None:
    """Print one row of the table."""
    receive, decode, publish = np.median(times_ms, axis=0)
    p50, p95 = np.percentile(times_ms.sum(1), [50, 95])
    print_row(count, *(f'{value:.2f}' for value in (receive, decode, publish, p50, p95)))


def listen() -> None:
    """Subscribe to all results until terminated."""
    rclpy.init()
    node = Node('listener')
    for message_type, topic in (
        (TrackedObjectArray, 'objects'),
        (Detection2DArray, 'detections'),
        (Image, 'label_image'),
    ):
        node.create_subscription(message_type, f'/tam/{topic}', lambda _: None, 5)
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    listen()
