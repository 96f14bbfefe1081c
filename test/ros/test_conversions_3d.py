"""Depth, calibrations and masks from messages, and boxes and points to messages."""

import array
from dataclasses import replace

import cv2
import numpy as np
import pytest
from depth_scene import BOX, CUP, Scene, camera_info, cloud_points
from geometry_msgs.msg import TransformStamped
from robot import header_at, image_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from tracker import masks_of
from visualization_msgs.msg import Marker

from tam_ros.geometry.camera import CalibrationError, Camera
from tam_ros.geometry.depth import DepthError, DepthImage
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.locate import locate
from tam_ros.geometry.placement import Placement
from tam_ros.overlay import color_of
from tam_ros.ros.conversions_3d import (
    object_to_pose,
    object_to_transform,
    objects_to_cloud,
    objects_to_detections,
    objects_to_markers,
)
from tam_ros.ros.decoding import ImageError
from tam_ros.ros.depth_messages import (
    depth_to_message,
    info_to_calibration,
    message_to_depth,
    object_to_mask,
    with_holes,
)
from tam_ros.ros.placement import PlacedObject, transform_to_placement

HEADER = header_at(5)
SIZE_WH = (320, 240)


@pytest.fixture(scope='module')
def placed() -> list[PlacedObject]:
    """The scene's objects, where they were located."""
    scene, camera = Scene(), Camera(info_to_calibration(camera_info()))
    frame = DepthFrame(message_to_depth(scene.depth()), camera)
    return [place(tracked, frame) for tracked in scene.objects().objects]


def place(tracked, frame, placement=None) -> PlacedObject:
    crop = object_to_mask(tracked, SIZE_WH)
    found = locate(frame, crop)
    placement = placement or Placement()
    return PlacedObject(
        tracked.id,
        tracked.label,
        tracked.score,
        crop,
        placement.box(found.box),
        placement.covariance(found.covariance),
        found,
        placement,
    )


@pytest.mark.parametrize(('encoding', 'padding'), [('16UC1', 0), ('16UC1', 6), ('32FC1', 8)])
def test_depth_survives_the_way_from_a_message_and_back(encoding, padding):
    message = Scene().depth(7, encoding)
    step = message.width * {'16UC1': 2, '32FC1': 4}[encoding]
    values = np.frombuffer(message.data, {'16UC1': '<u2', '32FC1': '<f4'}[encoding])
    padded = image_message(values.reshape(240, 320), encoding, header_at(7), padding=padding)
    assert padded.step == step + padding
    depth = message_to_depth(padded)
    np.testing.assert_allclose(DepthImage(depth).metres(), Scene().depth_m(), atol=1e-6)
    assert depth_to_message(depth, header_at(7)) == message


def test_big_endian_depth_is_read_and_comes_back_in_the_order_of_the_machine():
    message = Scene().depth()
    swapped = np.frombuffer(message.data, '<u2').byteswap()
    other = image_message(swapped.reshape(240, 320), '16UC1')
    other.is_bigendian = 1
    depth = message_to_depth(other)
    np.testing.assert_allclose(DepthImage(depth).metres(), Scene().depth_m(), atol=1e-6)
    assert depth_to_message(depth, message.header).data == message.data


def test_compressed_depth_is_read():
    values = np.frombuffer(Scene().depth().data, '<u2').reshape(240, 320)
    png = bytes(12) + cv2.imencode('.png', values)[1].tobytes()
    message = CompressedImage(format='16UC1; compressedDepth png', data=array.array('B', png))
    assert (message_to_depth(message) == values).all()


@pytest.mark.parametrize(
    ('message', 'text'),
    [
        (image_message(np.zeros((4, 4, 3), np.uint8), 'rgb8'), "encoding 'rgb8' is not known"),
        (Image(encoding='16UC1'), 'is empty'),
        (CompressedImage(format='32FC1; compressedDepth'), 'is not read'),
    ],
)
def test_what_is_no_depth_is_named(message, text):
    with pytest.raises(DepthError, match=text):
        message_to_depth(message)


def test_depth_that_is_cut_off_is_named():
    message = Scene().depth()
    message.data = message.data[:-1]
    with pytest.raises(DepthError, match='expected 153600'):
        message_to_depth(message)


@pytest.mark.parametrize(('kind', 'hole'), [(np.uint16, 0), (np.float32, np.nan)])
def test_holes_are_as_the_type_of_depth_has_them(kind, hole):
    values = np.full((2, 2), 7, kind)
    cut = with_holes(values, np.eye(2, dtype=bool))
    np.testing.assert_array_equal(cut, [[hole, 7], [7, hole]])
    assert cut.dtype == kind
    assert (values == 7).all()


def test_calibration_is_read_from_a_message():
    info = camera_info()
    info.d, info.distortion_model = [0.1, 0.0, 0.0, 0.0, 0.0], 'plumb_bob'
    info.roi = RegionOfInterest(x_offset=20, y_offset=10, width=200, height=100)
    info.binning_x = info.binning_y = 2
    calibration = info_to_calibration(info)
    assert calibration.matrix == tuple(info.k)
    assert calibration.coefficients == (0.1, 0, 0, 0, 0)
    assert (calibration.size_wh, calibration.roi_xywh) == ((100, 50), (20, 10, 200, 100))


def test_calibration_of_rectified_images_is_that_of_p():
    info = camera_info()
    info.d, info.p[0] = [0.1] * 5, 280.0
    calibration = info_to_calibration(info, rectified=True)
    assert (calibration.matrix[0], calibration.coefficients) == (280, ())


def test_camera_without_calibration_is_named():
    info = camera_info()
    info.k = [0.0] * 9
    with pytest.raises(CalibrationError, match='is not calibrated'):
        info_to_calibration(info)


def test_masks_are_read_as_they_are():
    objects = Scene().objects()
    for tracked in objects.objects:
        crop, whole = object_to_mask(tracked, SIZE_WH), np.zeros((240, 320), np.uint8)
        crop.paste(whole, 1)
        assert (whole.astype(bool) == masks_of(objects)[tracked.id]).all()


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'width': 7}, 'mask of 60x30 in a box of 7x30'),
        ({'x_offset': 300}, 'box to 360, .* is not in an image of 320x240'),
        ({'encoding': 'rgb8'}, "mask encoding 'rgb8'"),
        ({'data': array.array('B')}, 'has 0 bytes'),
    ],
)
def test_masks_that_cannot_be_are_named(change, text):
    (tracked, _) = Scene().objects().objects
    for name, value in change.items():
        setattr(tracked.box if hasattr(tracked.box, name) else tracked.mask, name, value)
    with pytest.raises(ImageError, match=text):
        object_to_mask(tracked, SIZE_WH)


def test_hidden_object_has_no_mask():
    (tracked, _) = Scene().objects().objects
    tracked.box = RegionOfInterest()
    assert object_to_mask(tracked, SIZE_WH) is None


def test_detections_say_what_and_where_objects_are(placed):
    message = objects_to_detections(placed, HEADER)
    assert message.header == HEADER
    for detection, board in zip(message.detections, (CUP, BOX)):
        (result,) = detection.results
        center, size = detection.bbox.center, detection.bbox.size
        assert (detection.id, result.hypothesis.class_id) == (str(board.object_id), board.label)
        assert result.hypothesis.score == pytest.approx(0.9)
        assert result.pose.pose == center
        place = [center.position.x, center.position.y, center.position.z]
        np.testing.assert_allclose(place, board.center_m, atol=0.004)
        assert sorted([size.x, size.y, size.z])[1:] == pytest.approx([0.1, 0.2], abs=0.01)
        covariance = np.reshape(result.pose.covariance, (6, 6))
        assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_cloud_holds_the_points_of_each_object_in_its_colour(placed):
    message = objects_to_cloud(placed, HEADER)
    points = cloud_points(message)
    assert message.header == HEADER
    assert (message.width, message.row_step) == (len(points), len(message.data))
    assert {f.name: f.datatype for f in message.fields}['rgb'] == 7  # float, as PCL has it
    for board in (CUP, BOX):
        own = points[points['object_id'] == board.object_id]
        assert len(own) > 0.8 * board.seen().sum()
        np.testing.assert_allclose(own['z'], board.center_m[2], atol=0.002)
        assert own['x'].mean() == pytest.approx(board.center_m[0], abs=0.004)
        (rgb,) = set(own['rgb'].view('<u4'))
        assert (rgb >> 16, rgb >> 8 & 255, rgb & 255) == color_of(board.object_id)


def test_cloud_may_be_thinned_and_empty(placed):
    full, thin = (objects_to_cloud(placed, HEADER, side).width for side in (0.0, 0.02))
    assert 10 < thin < full / 4
    assert objects_to_cloud([], HEADER).width == 0


def test_markers_show_each_object_and_delete_those_that_are_gone(placed):
    markers = objects_to_markers(placed, HEADER, gone=[7]).markers
    assert {m.header.frame_id for m in markers} == {HEADER.frame_id}
    shown = {(m.ns, m.id) for m in markers if m.action == Marker.ADD}
    assert shown == {(ns, i) for ns in ('boxes', 'labels', 'axes') for i in (1, 2)}
    gone = {(m.ns, m.id) for m in markers if m.action == Marker.DELETE}
    assert gone == {(ns, 7) for ns in ('boxes', 'labels', 'axes')}
    box, label, axes = markers[:3]
    assert (box.type, label.text, len(axes.points)) == (Marker.CUBE, '1 cup', 6)
    assert box.scale.x * box.scale.y * box.scale.z > 0


def test_any_id_can_be_shown(placed):
    (board, _) = placed
    huge = replace(board, object_id=2**32 - 1)
    assert objects_to_detections([huge], HEADER).detections[0].id == '4294967295'
    assert cloud_points(objects_to_cloud([huge], HEADER))['object_id'][0] == 2**32 - 1
    assert len(objects_to_markers([huge], HEADER, gone=[2**32 - 2]).markers) == 6


def test_everything_goes_to_the_frame_that_is_asked_for(placed):
    turn = Rotation.from_euler('zyx', [0.4, -0.3, 0.2])
    message = TransformStamped()
    message.transform.translation.x, message.transform.translation.z = 0.5, 1.5
    q = message.transform.rotation
    q.x, q.y, q.z, q.w = turn.as_quat()
    placement = transform_to_placement(message)
    camera = Camera(info_to_calibration(camera_info()))
    frame = DepthFrame(message_to_depth(Scene().depth()), camera)
    moved = place(Scene().objects().objects[0], frame, placement)
    expected = turn.apply(placed[0].box.center_m) + [0.5, 0, 1.5]
    position = object_to_pose(moved, HEADER).pose.position
    np.testing.assert_allclose([position.x, position.y, position.z], expected, atol=1e-9)
    points = cloud_points(objects_to_cloud([moved], HEADER))
    before = cloud_points(objects_to_cloud(placed[:1], HEADER))
    xyz = turn.apply(np.stack([before[c] for c in 'xyz'], 1)) + [0.5, 0, 1.5]
    np.testing.assert_allclose(np.stack([points[c] for c in 'xyz'], 1), xyz, atol=1e-5)
    spreads = [np.linalg.eigvalsh(o.covariance) for o in (moved, placed[0])]
    np.testing.assert_allclose(*spreads, rtol=1e-6)


def test_frame_of_an_object_is_its_box(placed):
    message = object_to_transform(placed[1], HEADER, 'object_2')
    assert (message.header, message.child_frame_id) == (HEADER, 'object_2')
    placement = transform_to_placement(message)
    np.testing.assert_allclose(placement.turn, placed[1].box.axes, atol=1e-9)
    np.testing.assert_allclose(placement.shift_m, placed[1].box.center_m)
