"""Conversions between messages and arrays, without any process."""

import array
import math

import cv2
import numpy as np
import pytest
from camera_encodings import ENCODINGS, encode, four_colors
from geometry_msgs.msg import Point
from robot import NS_PER_S, header_at, image_message
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from tracker import pixels_of, prompt
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from tam_ros.prompts import PromptError, check_prompt
from tam_ros.ros import conversions
from tam_ros.ros.conversions import ImageError, image_to_rgb
from tam_ros.tracker.results import FrameMasks, FrameResult, ObjectResult, ObjectState


@pytest.mark.parametrize('padding', [0, 1, 7])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_image_is_decoded_to_rgb_whatever_its_padding(encoding, padding):
    scene = four_colors(grey=encoding == 'mono8')
    rgb = image_to_rgb(image_message(encode(scene, encoding), encoding, padding=padding))
    assert rgb.shape == scene.shape
    assert rgb.dtype == np.uint8
    off_by = np.abs(rgb.astype(int) - scene).max(axis=2)
    assert (off_by <= 3).mean() > 0.97  # but for mixed colours on the borders of the quarters


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8'])
@pytest.mark.parametrize('shape', [(1, 1), (3, 5), (7, 2)])
@pytest.mark.parametrize('padding', [0, 5])
def test_packed_colors_are_decoded_exactly(frames, encoding, shape, padding):
    scene = np.ascontiguousarray(frames[0][: shape[0], : shape[1]])
    message = image_message(encode(scene, encoding), encoding, padding=padding)
    assert (image_to_rgb(message) == scene).all()


@pytest.mark.parametrize(('alias', 'encoding'), [('8UC3', 'bgr8'), ('8UC1', 'mono8')])
def test_opencv_names_mean_what_opencv_means(frames, alias, encoding):
    pixels = encode(frames[0], encoding)
    aliased, plain = (image_to_rgb(image_message(pixels, name)) for name in (alias, encoding))
    assert (aliased == plain).all()


def test_last_row_may_lack_its_padding(frames):
    message = image_message(frames[0], 'rgb8', padding=8)
    message.data = message.data[:-8]
    assert (image_to_rgb(message) == frames[0]).all()


def test_step_of_zero_means_no_padding(frames):
    message = image_message(frames[0], 'rgb8')
    message.step = 0
    assert (image_to_rgb(message) == frames[0]).all()


def test_rgb8_is_a_view_of_the_message(frames):
    message = image_message(frames[0], 'rgb8', padding=4)
    assert np.shares_memory(image_to_rgb(message), np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'encoding': '16UC1'}, "encoding '16UC1' cannot be tracked in: publish one of rgb8, "),
        ({'encoding': ''}, "encoding '' cannot be tracked in"),
        ({'data': array.array('B', b'123')}, '3 bytes: expected 230400'),
        ({'data': array.array('B')}, '0 bytes: expected 230400'),
        ({'step': 959}, 'with step 959 has 230400 bytes'),
        ({'height': 241}, 'image of 320x241 rgb8 .* expected 231360'),
        ({'width': 0}, 'image of 0x240 pixels is empty'),
        ({'height': 0}, 'image of 320x0 pixels is empty'),
    ],
)
def test_image_that_cannot_be_read_is_named(frames, change, text):
    message = image_message(frames[0], 'rgb8')
    for field, value in change.items():
        setattr(message, field, value)
    with pytest.raises(ImageError, match=text):
        image_to_rgb(message)


@pytest.mark.parametrize('encoding', ['yuv422', 'yuv422_yuy2'])
def test_yuv_of_odd_width_is_refused(encoding):
    message = image_message(np.full((4, 5, 2), 128, np.uint8), encoding)
    with pytest.raises(ImageError, match=f'image of 5x4 {encoding} cannot be converted'):
        image_to_rgb(message)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_compressed_image_is_decoded(suffix):
    scene = four_colors()
    _, encoded = cv2.imencode(suffix, scene[..., ::-1])
    message = CompressedImage(format=suffix[1:], data=array.array('B', encoded.tobytes()))
    rgb = conversions.compressed_to_rgb(message)
    assert np.abs(rgb.astype(int) - scene)[:100, :140].max() <= (0 if suffix == '.png' else 4)


@pytest.mark.parametrize('data', [b'', b'no image'])
def test_compressed_image_that_is_none_is_named(data):
    message = CompressedImage(format='jpeg', data=array.array('B', data))
    with pytest.raises(ImageError, match=f"of {len(data)} bytes and format 'jpeg' cannot be"):
        conversions.compressed_to_rgb(message)


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
    masks = FrameMasks({2: logits}, (8, 6), exclusive=True)
    seen = ObjectResult(2, 'cup', ObjectState.TRACKED, 0.75, logits, masks)
    hidden = ObjectResult(5, 'plate', ObjectState.LOST, 0.0, -logits, masks)
    frame, header = FrameResult(9, (8, 6), (seen, hidden)), header_at(9)
    objects = conversions.frame_to_objects(frame, header)
    assert [(o.id, o.label, o.state) for o in objects.objects] == [(2, 'cup', 1), (5, 'plate', 3)]
    box = objects.objects[0].box
    assert conversions.roi_to_box(box) == seen.box_xyxy
    assert (pixels_of(objects.objects[0].mask) == seen.mask.mask * 255).all()
    assert objects.objects[1].box == RegionOfInterest()
    (detection,) = conversions.frame_to_detections(frame, header).detections
    assert (detection.id, detection.results[0].hypothesis.class_id) == ('2', 'cup')
    assert detection.bbox.center.position.x == (seen.box_xyxy[0] + seen.box_xyxy[2]) / 2


def test_rotated_detection_is_taken_for_the_upright_box_around_it():
    message = Detection2D(results=[ObjectHypothesisWithPose(), ObjectHypothesisWithPose()])
    message.bbox.center.position.x, message.bbox.center.position.y = 50.0, 40.0
    message.bbox.center.theta, message.bbox.size_x, message.bbox.size_y = math.pi / 2, 20.0, 10.0
    message.results[1].hypothesis.class_id, message.results[1].hypothesis.score = 'cup', 0.5
    (detection,) = conversions.message_to_detections(Detection2DArray(detections=[message]))
    assert detection.box_xyxy == pytest.approx((45, 30, 55, 50))
    assert (detection.label, detection.score) == ('cup', 0.5)


def test_detection_without_a_result_is_left_out():
    message = Detection2DArray(detections=[Detection2D()])
    assert conversions.message_to_detections(message) == []
