"""Floods of requests: results go on, and what is asked for is still answered."""

import logging
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from fake_engine import FakeEngine
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from tam_ros.prompts import Prompt, PromptError
from tam_ros.ros.conversions import ns_to_stamp
from tam_ros.ros.detections import DetectionInput
from tam_ros.ros.inbox import Inbox
from tam_ros.ros.worker import Worker
from tam_ros.tracker.options import DetectionOptions
from tam_ros.tracker.session import Session

IMAGE = np.zeros((240, 320, 3), np.uint8)
ENCODE_S, PROMPT_S = 0.04, 0.04
ONE_SECOND = 1.0
SOON_S = 60


class SlowEngine(FakeEngine):
    """A fake that takes as long as a network."""

    def encode_image(self, image):
        time.sleep(ENCODE_S)
        self.calls.clear()
        return super().encode_image(image)

    def decode_mask(self, features, attended, prompts):
        time.sleep(PROMPT_S if prompts.labels.shape[1] else 0.0)
        return super().decode_mask(features, attended, prompts)


class Tracker:
    """A session behind a worker, and a camera that is faster; results: when each was done."""

    def __init__(self):
        self.session = Session(SlowEngine())
        self.worker = Worker(self._process)
        self.results = []
        self._done = threading.Event()
        self._came = threading.Condition()
        self._camera = threading.Thread(target=self._film)
        self.worker.start()
        self._camera.start()

    def _film(self) -> None:
        while not self._done.wait(0.01):
            self.worker.offer(time.time_ns())

    def _process(self, stamp_ns: int) -> None:
        self.session.step(IMAGE, stamp_ns)
        with self._came:
            self.results.append(time.monotonic())
            self._came.notify_all()

    def await_results(self, count: int) -> None:
        with self._came:
            least = len(self.results) + count
            assert self._came.wait_for(lambda: len(self.results) >= least, SOON_S)

    def close(self) -> None:
        self._done.set()
        self._camera.join()
        assert self.worker.stop(SOON_S)


@pytest.fixture
def tracker():
    tracker = Tracker()
    tracker.await_results(2)
    yield tracker
    tracker.close()


def prompt_at(tracker, i: int) -> None:
    """Start an object, or refine the one that is there."""
    x, y = 20 + 60 * (i % 5), 30 + 60 * (i // 5 % 3)
    try:
        object_id = tracker.session.object_at(x, y)
        tracker.session.add_prompt(Prompt([[x, y]]), object_id=object_id)
    except PromptError:
        pass


def longest_gap_s(tracker, begun: float) -> float:
    return max(np.diff([done for done in tracker.results if done >= begun]))


def test_a_flood_of_clicks_stalls_no_result_and_the_newest_click_counts(tracker):
    taken = []

    def take(i: int) -> None:
        taken.append(i)
        prompt_at(tracker, i)

    inbox = Inbox(tracker.worker, take, 4)
    begun = time.monotonic()
    for i in range(1000):
        inbox.put(i)
    tracker.await_results(15)
    assert longest_gap_s(tracker, begun) < ONE_SECOND + ENCODE_S
    assert taken[-4:] == [996, 997, 998, 999]
    assert taken == sorted(taken)
    assert inbox.dropped == 1000 - len(taken)


def test_a_flood_of_requests_and_clicks_leaves_room_for_each_other(tracker):
    inbox = Inbox(tracker.worker, lambda i: prompt_at(tracker, i), 4)
    flooding = threading.Event()

    def flood() -> None:
        for i in range(10_000):
            if flooding.wait(0.002):
                return
            inbox.put(i)

    clients = threading.Thread(target=flood)
    begun = time.monotonic()
    clients.start()
    for i in range(10):
        answer = tracker.worker.submit(lambda i=i: prompt_at(tracker, i), after_waiting=True)
        answer.result(SOON_S)
    tracker.await_results(3)
    flooding.set()
    clients.join()
    assert longest_gap_s(tracker, begun) < ONE_SECOND + ENCODE_S
    done = len([done for done in tracker.results if done >= begun])
    assert done < 10 * 6  # a request waits for a click, one more job, and a frame after each


def test_a_message_that_comes_while_one_is_taken_is_not_forgotten():
    worker = Worker(lambda frame: None)
    taken, may_go_on = [], threading.Event()

    def take(item: str) -> None:
        assert may_go_on.wait(SOON_S)
        taken.append(item)

    inbox = Inbox(worker, take, 2)
    worker.start()
    inbox.put('first')
    inbox.put('second')
    may_go_on.set()
    worker.submit(lambda: None).result(SOON_S)
    inbox.put('third')
    for _ in range(2):
        worker.submit(lambda: None).result(SOON_S)
    assert taken == ['first', 'second', 'third']
    assert worker.stop(SOON_S)


def test_messages_that_are_forgotten_are_not_taken_and_later_ones_are():
    worker, taken = Worker(lambda frame: None), []
    inbox = Inbox(worker, taken.append, 2)
    inbox.put('first')  # its turn is posted to a worker that is yet to start
    inbox.clear()
    worker.start()
    worker.submit(lambda: None).result(SOON_S)
    inbox.put('second')
    worker.submit(lambda: None).result(SOON_S)
    assert taken == ['second']
    assert worker.stop(SOON_S)


class DetectorsNode:
    """What a detection input asks of its node; receive takes the messages of its topic."""

    def create_subscription(self, _type, _topic, receive, _depth):
        self.receive = receive

    def get_parameter(self, name: str):
        return SimpleNamespace(value=vars(DetectionOptions())[name.removeprefix('detections.')])

    def get_logger(self):
        return logging.getLogger(__name__)


def detections_at(stamp_ns: int) -> Detection2DArray:
    result = ObjectHypothesisWithPose()
    result.hypothesis.score = 0.9
    detection = Detection2D(results=[result])
    detection.bbox.center.position.x, detection.bbox.center.position.y = 60.0, 60.0
    detection.bbox.size_x = detection.bbox.size_y = 60.0
    message = Detection2DArray(detections=[detection])
    message.header.stamp = ns_to_stamp(stamp_ns)
    return message


class BoxesEngine(FakeEngine):
    """Writes down each batch of boxes that it is asked for."""

    def __init__(self, calls: list[str]):
        super().__init__()
        self._calls = calls

    def decode_mask(self, features, attended, prompts):
        if prompts.labels.shape[1]:
            self._calls.append('boxes')
        return super().decode_mask(features, attended, prompts)


def test_detections_that_waited_for_one_frame_take_turns_with_those_after_it():
    session_calls = []
    session = Session(BoxesEngine(session_calls))
    node, worker = DetectorsNode(), Worker(lambda stamp_ns: process(stamp_ns))
    detector = DetectionInput(node, worker, session, lambda kind, text: None)
    detector.open()

    def process(stamp_ns: int) -> None:
        session_calls.append('frame')
        session.step(IMAGE, stamp_ns)
        detector.apply_due()
        if stamp_ns < 30 * 33_000_000:
            worker.offer(stamp_ns + 33_000_000)  # the camera is faster than the tracker

    worker.start()
    for _ in range(8):
        node.receive(detections_at(33_000_000))
        worker.submit(lambda: None).result(SOON_S)
    worker.offer(33_000_000)
    wait_until(lambda: session_calls.count('frame') == 30)
    assert worker.stop(SOON_S)
    assert session_calls.count('boxes') == 8
    assert detector.dropped == 0
    assert 'boxes boxes' not in ' '.join(session_calls)


def wait_until(condition) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
