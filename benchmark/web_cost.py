"""Processor time that the node web takes, by viewers: as much on a busy machine as on an idle one.

Overlay and objects of 1280x720 come from this process, which also has the viewers; the node runs
in its own, whose time is read. What the tracker takes to draw is measured beside it.
"""

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rclpy
from aiohttp import ClientSession, WSMsgType
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from ros_cost import StillEngine, prompt_discs
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from tables import print_head, print_row

from tam_ros.msg import TrackedObjectArray
from tam_ros.overlay import compress_overlay, draw_overlay
from tam_ros.ros.conversions import frame_to_objects, jpeg_to_image
from tam_ros.tracker.results import FrameResult
from tam_ros.tracker.session import Session

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / 'demo' / 'clip' / 'clip.mp4'
SIZE_WH = (1280, 720)
RATE_HZ, OBJECTS = 10.0, 3
TICKS = os.sysconf('SC_CLK_TCK')
READY_S, START_S = 60.0, 3.0


def measure(seconds: float = 20.0, viewers: tuple[int, ...] = (0, 1, 2, 4, 8)) -> None:
    """Print a row for each number of viewers."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(os.getpid() % 100 + 1))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    cv2.setNumThreads(1)
    scenes = _scenes()
    print_head('viewers', 'core, %', 'pictures/s of a viewer', 'kB of a picture')
    with _serving() as (process, address), _publishing(scenes):
        for count in viewers:
            print_row(count, *_row(process, address, count, seconds))
    drawing_ms = 1e3 * np.median([scene.drawing_s for scene in scenes])
    print(f'\nOnce for all, the tracker draws and compresses a picture in {drawing_ms:.1f} ms.')


def _row(process: subprocess.Popen, address: str, count: int, seconds: float) -> list[str]:
    """Return what the process takes while so many look, and what they get."""
    spent, got, sizes = asyncio.run(_look(process, address, count, seconds))
    rate = f'{got / count / seconds:.1f}' if count else ''
    size = f'{np.mean(sizes) / 1000:.0f}' if sizes else ''
    return [f'{100 * spent / seconds:.1f}', rate, size]


async def _look(process, address: str, count: int, seconds: float) -> tuple[float, int, list[int]]:
    """Return seconds of processor time, pictures that all got, and their bytes."""
    sizes: list[int] = []
    async with ClientSession() as session:
        pages = [asyncio.create_task(_view(session, address, sizes)) for _ in range(count)]
        await asyncio.sleep(START_S)
        before, already = _spent_s(process.pid), len(sizes)
        await asyncio.sleep(seconds)
        spent, got = _spent_s(process.pid) - before, len(sizes) - already
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
    await asyncio.sleep(1.0)  # for the node to see that they have gone
    return spent, got, sizes


async def _view(session: ClientSession, address: str, sizes: list[int]) -> None:
    """Do what an open page does."""
    origin = {'Origin': address.rstrip('/')}
    async with session.ws_connect(f'{address}socket', headers=origin, max_msg_size=0) as socket:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                sizes.append(len(message.data))
                await socket.send_str(json.dumps({'do': 'shown'}))


def _spent_s(pid: int) -> float:
    """Return the processor time of a process until now, of user and kernel, in seconds."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def _serving() -> Iterator[tuple[subprocess.Popen, str]]:
    """Give the node's process and its address."""
    with tempfile.TemporaryFile('w+') as log:
        command = [sys.executable, str(ROOT / 'scripts' / 'web'), '--ros-args', '-p', 'port:=0']
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process, _address(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)


def _address(process: subprocess.Popen, log) -> str:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        log.seek(0)
        ready = re.search(r'ready: (http\S+/)\n', log.read())
        if ready:
            return ready.group(1)
        time.sleep(0.1)
    raise TimeoutError(f'the node web was not ready in {READY_S:g} s')


@contextmanager
def _publishing(scenes) -> Iterator[None]:
    """Publish overlays and objects at a steady rate, as the tracker does."""
    rclpy.init()
    node = Node('tam')
    overlays = node.create_publisher(CompressedImage, '~/overlay/compressed', 5)
    objects = node.create_publisher(TrackedObjectArray, '~/objects', 5)
    clock = Clock(clock_type=ClockType.STEADY_TIME)
    turns = itertools.cycle(scenes)

    def publish() -> None:
        scene = next(turns)
        header = Header(stamp=node.get_clock().now().to_msg())
        objects.publish(frame_to_objects(scene.frame, header))
        if overlays.get_subscription_count():
            overlays.publish(jpeg_to_image(scene.jpeg, header))

    node.create_timer(1 / RATE_HZ, publish, clock=clock)
    thread = threading.Thread(target=rclpy.spin, args=(node,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        rclpy.try_shutdown()
        thread.join(10)


@dataclass(frozen=True)
class _Scene:
    """An image with objects in it."""

    frame: FrameResult
    """Three discs of 200 px."""
    jpeg: np.ndarray
    """(bytes,) uint8 overlay."""
    drawing_s: float
    """Processor time of drawing and compressing it."""


def _scenes(count: int = 10) -> list[_Scene]:
    """Return images of the demo's clip, enlarged, with objects in them."""
    video, session, scenes = cv2.VideoCapture(str(CLIP)), Session(StillEngine()), []
    for i in range(count + 1):
        _, image_bgr = video.read()
        image_rgb = np.ascontiguousarray(cv2.resize(image_bgr, SIZE_WH)[..., ::-1])
        frame = session.step(image_rgb, (i + 1) * 100_000_000)
        if i == 0:
            prompt_discs(session, OBJECTS)
            continue
        started = time.thread_time()
        drawn_rgb = draw_overlay(image_rgb, frame)
        jpeg = compress_overlay(drawn_rgb, max_width=SIZE_WH[0], quality=80)
        scenes.append(_Scene(frame, jpeg, time.thread_time() - started))
    return scenes


if __name__ == '__main__':
    measure()
