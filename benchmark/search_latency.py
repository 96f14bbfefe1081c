"""What a search costs frames: how old masks are, and how long none come, while one goes on.

A real video comes from `play_video`, the node tracks an object in it as ever, and searches and
pauses of the same length take turns: the same machine, in the same minutes, for both.
"""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import RegionOfInterest
from tables import print_head, print_row

from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.msg import TrackedObjectArray
from tam_ros.prompts import Prompt
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.srv import AddPrompt, Discover
from tam_ros.tracker.discovery import Discovery
from tam_ros.tracker.options import DiscoveryOptions
from tam_ros.tracker.session import Session

ROOT = Path(__file__).parents[1]
CLIP = ROOT / 'demo' / 'clip' / 'clip.mp4'
MUG_XYXY = 32, 303, 122, 399  # where the clip begins
MUG = RegionOfInterest(x_offset=32, y_offset=303, width=90, height=96)
RATE_HZ = '10'
START_S, SETTLE_S = 120.0, 3.0

Value = TypeVar('Value')


@dataclass
class Phase:
    """What came while there was a search, or none."""

    ages_ms: list[float] = field(default_factory=list)
    """Of each result, from its image's stamp until it came."""
    gaps_ms: list[float] = field(default_factory=list)
    """Between each result and the one before it."""
    seconds: list[float] = field(default_factory=list)
    """How long each search, or pause, took."""


class Listener:
    """Receives results, each for the phase that is going on."""

    def __init__(self) -> None:
        self.node = rclpy.create_node('listener')
        self.phase = Phase()
        self._last = time.monotonic()
        self.node.create_subscription(TrackedObjectArray, '/tam/objects', self._receive, 10)
        self._clients = {
            kind: self.node.create_client(kind, f'/tam/{name}')
            for kind, name in ((AddPrompt, 'add_prompt'), (Discover, 'discover'))
        }
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def _receive(self, message: TrackedObjectArray) -> None:
        now, age_ns = time.monotonic(), self.node.get_clock().now().nanoseconds
        self.phase.ages_ms.append((age_ns - stamp_to_ns(message.header.stamp)) * 1e-6)
        self.phase.gaps_ms.append((now - self._last) * 1e3)
        self._last = now

    def listen(self, seconds: float) -> None:
        """Receive for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.01)

    def await_result(self, node: subprocess.Popen) -> None:
        """Receive until the node has a result; raises TimeoutError, or RuntimeError if it ends."""
        end = time.monotonic() + START_S
        while not self.phase.ages_ms:
            if node.poll() is not None:
                raise RuntimeError(f'the node ended with {node.returncode}: {node.args!r}')
            if time.monotonic() > end:
                raise TimeoutError(f'the node answered no frame within {START_S:g} s')
            self._executor.spin_once(timeout_sec=0.1)

    def call(self, kind, request):
        """Return a service's answer, receiving meanwhile; raises RuntimeError for a refusal."""
        future = self._clients[kind].call_async(request)
        while not future.done():
            self._executor.spin_once(timeout_sec=0.01)
        if not future.result().success:
            raise RuntimeError(future.result().message)
        return future.result()

    @contextmanager
    def during(self, phase: Phase) -> Iterator[None]:
        """Have what comes count for a phase."""
        started, self.phase = time.monotonic(), phase
        yield
        phase.seconds.append(time.monotonic() - started)


def measure_steps(searches: int = 8, count: int = 60) -> None:
    """Print the processor time of frames and of a search's steps, which take turns.

    Of one thread, and so as much on a busy machine as on an idle one. count: of the clip's frames.
    """
    clock = time.process_time
    session = Session(load_engine(EngineChoice(threads=1)), clock=clock)
    session.warm_up()
    images = itertools.cycle(_first_images(count))
    stamps_ns = itertools.count(0, 100_000_000)
    times_s: dict[str, list[float]] = {'frame': [], 'step of a search': []}

    def timed(name: str, work: Callable[[], Value]) -> Value:
        started = clock()
        done = work()
        times_s[name].append(clock() - started)
        return done

    def step() -> None:
        session.step(next(images), next(stamps_ns))

    step()
    session.add_prompt(Prompt(box_xyxy=MUG_XYXY))
    for _ in range(searches):
        search = Discovery(session, options=DiscoveryOptions(max_s=600.0))
        while timed('step of a search', search.go_on):
            timed('frame', step)
    print_head('', 'number', 'p50 ms', 'p95 ms', 'p99 ms', 'longest')
    for name, seconds in times_s.items():
        print_row(name, len(seconds), *_spread([1e3 * s for s in seconds], 50, 95, 99, 100))


def _first_images(count: int) -> list[np.ndarray]:
    """Return the first frames of the clip, (H, W, 3) uint8 RGB."""
    video = cv2.VideoCapture(str(CLIP))
    return [np.ascontiguousarray(video.read()[1][..., ::-1]) for _ in range(count)]


def measure(searches: int = 10) -> None:
    """Print a row for pauses and one for searches."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(os.getpid() % 100 + 1))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    tracker = ['--ros-args', '-r', 'image:=/camera/image_raw']
    camera = [str(CLIP), '--loop', '--rate', RATE_HZ, '--ros-args', '-r', '__ns:=/camera']
    with ExitStack() as stack:
        node = stack.enter_context(_running('tracker_node', tracker))
        stack.enter_context(_running('play_video', camera))
        rclpy.init()
        stack.callback(rclpy.try_shutdown)
        listener = Listener()
        listener.await_result(node)
        listener.call(AddPrompt, AddPrompt.Request(box=MUG))
        listener.listen(SETTLE_S)
        _print_phases(*_take_turns(listener, searches))


@contextmanager
def _running(name: str, arguments: list[str]) -> Iterator[subprocess.Popen]:
    """Run one of the package's programs."""
    command = [sys.executable, str(ROOT / 'scripts' / name), *arguments]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _take_turns(listener: Listener, searches: int) -> tuple[Phase, Phase]:
    """Return what came in pauses and during searches."""
    pauses, searched, pause_s = Phase(), Phase(), SETTLE_S
    for _ in range(searches):
        with listener.during(pauses):
            listener.listen(pause_s)
        with listener.during(searched):
            listener.call(Discover, Discover.Request())
        pause_s = searched.seconds[-1]
    return pauses, searched


def _print_phases(pauses: Phase, searched: Phase) -> None:
    ages = ('age p50 ms', 'age p95 ms', 'longest age')
    print_head('', 'seconds', 'results/s', *ages, 'gap p50 ms', 'longest gap')
    for name, phase in (('no search', pauses), ('search', searched)):
        figures = *_spread(phase.ages_ms, 50, 95, 100), *_spread(phase.gaps_ms, 50, 100)
        rate = len(phase.ages_ms) / sum(phase.seconds)
        print_row(name, f'{np.median(phase.seconds):.1f}', f'{rate:.1f}', *figures)


def _spread(values_ms: list[float], *percents: float) -> list[str]:
    return [f'{value:.0f}' for value in np.percentile(values_ms, percents)]


if __name__ == '__main__':
    measure_steps()
    measure()
