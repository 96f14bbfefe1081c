"""Conversions between messages and arrays, without any process."""

import math

import numpy as np
import pytest
from geometry_msgs.msg import Point
from robot import NS_PER_S, header_at, image_message
from sensor_msgs.msg import Image, RegionOfInterest
from tracker import pixels_of, prompt
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from tam_ros.prompts import PromptError, check_prompt
from tam_ros.ros import conversions
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.results import FrameMasks, FrameResult, ObjectResult, ObjectState


@pytest.mark.parametrize('shape', [(240, 320, 3), (5, 7), (0, 0)])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_array_survives_the_way_into_a_message_and_back(shape, dtype):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype)
    if len(shape) == 3 and dtype == np.uint16:
        pixels = pixels[..., 0]  # a view with gaps
    encoding = {2: '16UC1', 1: 'rgb8' if pixels.ndim == 3 else 'mono8'}[pixels.itemsize]
    message = conversions.array_to_image(pixels, encoding, header_at(NS_PER_S))
    assert message.step * message.height == len(message.data) == pixels.nbytes
    assert message.header == header_at(NS_PER_S)
    if pixels.size:
        assert (pixels_of(message) == pixels).all()


def test_stamp_is_converted_to_the_nanosecond():
    stamp_ns = 1_795_183_229_641_694_257
    assert conversions.stamp_to_ns(header_at(stamp_ns).stamp) == stamp_ns


def test_request_becomes_a_prompt():
    request = prompt([(1.5, 2), (3, 4)], [1, 0], (10, 20, 30, 40), header=header_at(7))
    converted = conversions.request_to_prompt(request)
    assert converted.points_xy.tolist() == [[1.5, 2], [3, 4]]
    assert converted.point_labels.tolist() == [1, 0]
    assert converted.box_xyxy == (10, 20, 40, 60)
    assert converted.mask is None
    assert converted.stamp_ns == 7


def test_empty_request_becomes_an_empty_prompt_on_the_newest_frame():
    converted = conversions.request_to_prompt(prompt())
    assert converted.points_xy.shape == (0, 2)
    assert (converted.box_xyxy, converted.mask, converted.stamp_ns) == (None, None, None)


def test_points_without_labels_are_on_the_object():
    converted = conversions.request_to_prompt(prompt([(1, 2), (3, 4)]))
    assert converted.point_labels.tolist() == [1, 1]
    click = conversions.click_to_prompt(Point(x=3.0, y=4.0, z=9.0))
    assert (click.points_xy.tolist(), click.point_labels.tolist()) == ([[3, 4]], [1])


@pytest.mark.parametrize('padding', [0, 3])
def test_mask_of_a_request_is_true_where_it_is_not_zero(padding):
    pixels = np.array([[0, 1, 255], [7, 0, 0]], np.uint8)
    request = prompt()
    request.mask = image_message(pixels, 'mono8', padding=padding)
    checked = check_prompt(conversions.request_to_prompt(request), (3, 2), is_new=True)
    assert checked.mask.dtype == bool
    np.testing.assert_array_equal(checked.mask, pixels > 0)


@pytest.mark.parametrize(
    'fields', [{'step': 2}, {'height': 2**32 - 1}, {'width': 2**32 - 1, 'step': 2**32 - 1}]
)
def test_mask_that_cannot_be_read_is_refused(fields):
    request = prompt(mask=np.ones((2, 3), bool))
    for field, value in fields.items():
        setattr(request.mask, field, value)
    with pytest.raises(PromptError, match='mask: image of .* has 6 bytes: expected'):
        conversions.request_to_prompt(request)


def test_mask_without_its_bytes_is_refused():
    request = prompt()
    request.mask = Image(width=3, height=2, step=3, encoding='mono8')
    with pytest.raises(PromptError, match='mask: image of 3x2 mono8 .* 0 bytes: expected 6'):
        conversions.request_to_prompt(request)


def test_box_survives_the_way_into_a_message_and_back():
    box = (3, 4, 50, 61)
    roi = conversions.box_to_roi(box)
    assert roi == RegionOfInterest(x_offset=3, y_offset=4, width=47, height=57)
    assert conversions.roi_to_box(roi) == box


def test_objects_and_detections_of_a_frame_agree():
    logits = np.full((4, 4), -1, np.float32)
    logits[1:3, 1:3] = 1
    observation = Observation(0, 9, logits, 5.0, 0.75)
    masks = FrameMasks({2: observation}, (8, 6), exclusive=True)
    seen = ObjectResult(2, 'cup', ObjectState.TRACKED, observation, True, masks)
    hidden = ObjectResult(
        5, 'plate', ObjectState.LOST, Observation(0, 9, -logits, -5.0, 0.75), False, masks
    )
    frame, header = FrameResult(9, (8, 6), (seen, hidden)), header_at(9)
    objects = conversions.frame_to_objects(frame, header)
    assert [(o.id, o.label, o.state) for o in objects.objects] == [(2, 'cup', 1), (5, 'plate', 3)]
    assert [o.score for o in objects.objects] == [0.75, 0.0]
    box = objects.objects[0].box
    assert conversions.roi_to_box(box) == seen.box_xyxy
    assert (pixels_of(objects.objects[0].mask) == seen.mask.mask * 255).all()
    assert objects.objects[1].box == RegionOfInterest()
    (detection,) = conversions.frame_to_detections(frame, header).detections
    assert (detection.id, detection.results[0].hypothesis.class_id) == ('2', 'cup')
    assert detection.bbox.center.position.x == (seen.box_xyxy[0] + seen.box_xyxy[2]) / 2


def test_stamp_beyond_what_a_stamp_holds_becomes_its_last_second():
    assert conversions.ns_to_stamp(2**31 * NS_PER_S + 5).sec == 2**31 - 1
    assert conversions.ns_to_stamp(-NS_PER_S).sec == -1


@pytest.mark.parametrize('value', [math.inf, -math.inf, math.nan, 1e300])
def test_points_may_be_any_number(value):
    x, y = conversions.click_to_prompt(Point(x=value, y=1.0)).points_xy[0]
    assert not math.isfinite(x)
    assert y == 1


def detection_message(*, score=0.5, **bbox) -> Detection2D:
    message = Detection2D(results=[ObjectHypothesisWithPose()])
    message.bbox.center.position.x, message.bbox.center.position.y = 50.0, 40.0
    message.bbox.center.theta = bbox.pop('theta', 0.0)
    message.bbox.size_x, message.bbox.size_y = bbox.pop('size', (20.0, 10.0))
    message.results[0].hypothesis.class_id, message.results[0].hypothesis.score = 'cup', score
    return message


def read(*messages):
    """Return the detections of a message, and why others were left out."""
    refused = []
    detections = conversions.message_to_detections(
        Detection2DArray(detections=messages), refused.append
    )
    return detections, refused


def test_rotated_detection_is_taken_for_the_upright_box_around_it():
    message = detection_message(theta=math.pi / 2)
    message.results.append(ObjectHypothesisWithPose())
    (detection,), refused = read(message)
    assert detection.box_xyxy == pytest.approx((45, 30, 55, 50))
    assert (detection.label, detection.confidence) == ('cup', 0.5)
    assert refused == []


@pytest.mark.parametrize(
    ('bad', 'why'),
    [
        ({'theta': math.inf}, 'theta inf is not finite: give radians'),
        ({'theta': math.nan}, 'theta nan is not finite'),
        ({'size': (math.inf, 10.0)}, 'box (-inf, nan, inf, nan) is not finite'),
        ({'size': (1.7e308, 1.7e308), 'theta': 0.7}, 'is not finite'),
        ({'score': math.nan}, 'it has no result with a score'),
    ],
)
def test_detection_that_means_nothing_is_left_out_and_the_others_count(bad, why):
    detections, refused = read(detection_message(), detection_message(**bad), detection_message())
    assert len(detections) == 2
    assert len(refused) == 1
    assert why in refused[0]


def test_detection_without_a_result_is_left_out():
    detections, refused = read(Detection2D())
    assert detections == []
    assert 'no result with a score' in refused[0]


def test_score_that_is_no_number_does_not_hide_the_other_results():
    message = detection_message(score=0.25)
    message.results.insert(0, ObjectHypothesisWithPose())
    message.results[0].hypothesis.score = math.nan
    (detection,), _ = read(message)
    assert (detection.label, detection.confidence) == ('cup', 0.25)
