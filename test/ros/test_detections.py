"""A detector's messages over real DDS: objects that it proposes, sees again, and does not."""

import math

import numpy as np
import pytest
from detector import SQUARE, Detector
from robot import NS_PER_S, header_at
from tracker import OUTSPOKEN, SMALL, masks_of

from tam_ros.msg import TrackedObject
from tam_ros.tracker.options import DetectionOptions

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
