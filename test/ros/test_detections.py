"""A detector's messages over real DDS: objects that it proposes, sees again, and does not."""

import math

import numpy as np
import pytest
from robot import NS_PER_S, header_at, image_message
from tracker import OUTSPOKEN, SMALL, masks_of
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from tam_ros.msg import TrackedObject
from tam_ros.tracker.options import DetectionOptions

SQUARE = (60, 80, 120, 140)  # of the first frame; it moves to the right
PERIOD_NS = NS_PER_S // 10
MANY = 50  # frames; how soon a late object catches up depends on how long the machine takes


@pytest.fixture(scope='module')
def node(start_tracker):
    return start_tracker(script=OUTSPOKEN, **SMALL, history_s=10.0)


@pytest.fixture
def detector(node, frames):
    """The node without objects, on the first frame, and a detector for it."""
    node.reset()
    detector = Detector(node, frames)
    detector.show(0)
    return detector


@pytest.fixture
def parameters(node):
    """Sets options for detections, until the end of the test."""

    def change(**options) -> None:
        for name, value in options.items():
            assert node.set_parameter(f'detections.{name}', value).successful

    yield change
    change(**vars(DetectionOptions()))


class Detector:
    """Shows frames a tenth of a second apart, and publishes what was detected in them."""

    def __init__(self, tracker, frames):
        self.tracker = tracker
        self._frames = frames
        self._start_ns = tracker.later_ns()
        self._publisher = tracker.robot.node.create_publisher(
            Detection2DArray, '/tam/detections_in', 5
        )
        tracker.robot.wait(self._publisher.get_subscription_count, 'a subscriber of detections')

    def header(self, index: int):
        return header_at(self._start_ns + index * PERIOD_NS)

    def show(self, index: int):
        """Show a frame of the clip, the last one again after that; return the node's answer."""
        frame = self._frames[min(index, len(self._frames) - 1)]
        message = image_message(frame, 'rgb8', self.header(index))
        return self.tracker.show(message)

    def detect(
        self, index: int, *boxes, score=0.9, label='square', theta=0.0, header=None
    ) -> None:
        """Publish what was detected in a frame: by default its square."""
        shift = np.array([8, 0, 8, 0]) * index
        boxes = boxes or [np.array(SQUARE) + shift]
        message = Detection2DArray(header=header or self.header(index))
        message.detections = [detection_of(box, score, label) for box in boxes if box is not None]
        for detection in message.detections:
            detection.bbox.center.theta = theta
        self._publisher.publish(message)

    def wait(self, what: str, condition) -> list[TrackedObject]:
        """Return the objects once they meet a condition; what says which."""
        found = []

        def meets() -> bool:
            found[:] = self.tracker.objects().objects
            return condition(found)

        self.tracker.robot.wait(meets, what)
        return found


def detection_of(box, score, label) -> Detection2D:
    x0, y0, x1, y1 = map(float, box)
    message = Detection2D()
    message.bbox.center.position.x, message.bbox.center.position.y = (x0 + x1) / 2, (y0 + y1) / 2
    message.bbox.size_x, message.bbox.size_y = x1 - x0, y1 - y0
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = label, score
    message.results = [result]
    return message


def test_detected_object_is_tentative_until_it_is_seen_again(detector):
    detector.detect(0)
    (proposed,) = detector.wait('a proposed object', lambda objects: len(objects) == 1)
    assert proposed.state == TrackedObject.TENTATIVE
    assert proposed.label == 'square'
    mask = masks_of(detector.tracker.objects())[proposed.id]
    assert mask[80:140, 60:120].mean() > 0.7
    assert mask.sum() < 2 * 60 * 60
    answer = detector.show(1)
    assert [o.state for o in answer.objects.objects] == [TrackedObject.TENTATIVE]
    detector.detect(1)
    detector.wait('it to be confirmed', lambda o: o[0].state == TrackedObject.TRACKED)
    detector.tracker.program.wait_for_log(f'detector confirmed object {proposed.id}')


def test_object_that_is_not_seen_again_is_dropped(detector):
    detector.detect(0)
    (proposed,) = detector.wait('a proposed object', lambda objects: len(objects) == 1)
    for index in range(1, 4):
        detector.show(index)
        detector.detect(index, None)
    detector.wait('it to be dropped', lambda objects: not objects)
    detector.tracker.program.wait_for_log(f'detector dropped object {proposed.id}')


def test_prompted_object_is_known_and_takes_the_label(detector):
    detector.tracker.add(box=(60, 80, 60, 60))
    detector.detect(0)
    (tracked,) = detector.wait('the label', lambda objects: objects[0].label == 'square')
    assert tracked.state == TrackedObject.TRACKED


def test_late_detections_are_for_their_own_frame(detector):
    for index in range(1, 4):
        detector.show(index)
    detector.detect(0)
    detector.tracker.program.wait_for_log('detector started object')
    objects, index = [], 3
    while not objects:
        index += 1
        assert index < MANY, 'the object never arrived'
        answer = detector.show(index)
        objects = answer.objects.objects
    mask = answer.masks()[objects[0].id]
    left = 60 + 8 * min(index, 9)
    assert mask[80:140, left : left + 60].mean() > 0.6


def test_detections_that_come_before_their_image_wait_for_it(detector):
    detector.detect(1)
    detector.tracker.robot.let_pass(0.3)
    assert detector.tracker.objects().objects == []
    detector.show(1)
    detector.wait('a proposed object', lambda objects: len(objects) == 1)


def test_bad_detections_are_named_once_and_the_others_count(detector):
    detector.detect(0, (math.nan, 0, 10, 10), SQUARE, theta=0.0)
    detector.detect(0, SQUARE, theta=math.inf)
    detector.wait('a proposed object', lambda objects: len(objects) == 1)
    detector.tracker.program.wait_for_log(r'detection ignored: box \(nan.* is not finite')
    detector.tracker.program.wait_for_log(r'detection ignored: theta inf is not finite')
    detector.detect(0, header=header_at(0))
    detector.tracker.program.wait_for_log('detections ignored: their stamp is 0')
    detector.detect(0, header=header_at(5 * NS_PER_S))
    detector.tracker.program.wait_for_log('detections ignored: .* older than the frames kept')


def test_weak_objects_are_corrected_by_detections(detector, parameters):
    object_id = detector.tracker.add(box=(60, 80, 60, 60)).object.id
    detector.show(1)
    parameters(weak_iou=1.0)
    detector.detect(1)
    detector.tracker.program.wait_for_log(f'detector corrected object {object_id}')
    assert detector.show(2).ids == [object_id]


def test_a_crowd_is_capped(detector, parameters):
    parameters(max_new=1)
    detector.detect(0, (200, 20, 290, 100), SQUARE)
    (proposed,) = detector.wait('a proposed object', lambda objects: objects)
    detector.show(1)
    parameters(max_new=2)
    detector.detect(1, (208, 20, 298, 100), np.array(SQUARE) + (8, 0, 8, 0))
    objects = detector.wait('the other', lambda objects: len(objects) == 2)
    assert [o.state for o in objects] == [TrackedObject.TRACKED, TrackedObject.TENTATIVE]
    assert objects[0].id == proposed.id


def test_options_are_parameters_that_can_change(detector, parameters):
    assert not detector.tracker.set_parameter('detections.new_score', 1.5).successful
    parameters(new_score=0.95)
    detector.detect(0)
    detector.tracker.robot.let_pass(0.3)
    assert detector.tracker.objects().objects == []
    parameters(new_score=0.7)
    detector.detect(0)
    detector.wait('a proposed object', lambda objects: len(objects) == 1)
