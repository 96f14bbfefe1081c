"""What is published for each frame, and that all of it agrees pixel for pixel."""

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from tracker import SMALL, pixels_of

from tam_ros.engine.load import ENGINES
from tam_ros.msg import TrackedObjectArray

POINTS = [(50, 110), (112, 110), (165, 40), (250, 195)]  # on the things


@pytest.fixture(scope='module', params=ENGINES)
def node(request, start_tracker):
    return start_tracker(engine=request.param)


@pytest.fixture
def tracker(node, things):
    """The node with several objects that overlap."""
    node.set_parameter('exclusive_masks', True)
    node.reset()
    node.show(things[0])
    for i, point in enumerate(POINTS):
        assert node.add(points=[point], label=f'part {i}').success
    return node


def test_every_output_carries_the_header_of_its_image(tracker, things):
    answer = tracker.show(things[1])
    outputs = [answer.objects, answer.detections, answer.label_image, answer.overlay]
    parts = [o.mask for o in answer.objects.objects] + list(answer.detections.detections)
    assert len(parts) > len(POINTS)
    for message in outputs + parts:
        assert message.header == answer.image.header


def test_frame_without_objects_is_published_too(tracker, things):
    tracker.reset()
    answer = tracker.show(things[1])
    assert answer.objects.objects == []
    assert answer.detections.detections == []
    assert not pixels_of(answer.label_image).any()
    assert (pixels_of(answer.overlay) == things[1]).all()


def test_messages_give_the_size_of_the_image(tracker, things):
    answer = tracker.show(things[1])
    assert (answer.objects.image_width, answer.objects.image_height) == (320, 240)
    label_image, overlay = answer.label_image, answer.overlay
    assert (label_image.width, label_image.height, label_image.step) == (320, 240, 640)
    assert (overlay.width, overlay.height, overlay.step) == (320, 240, 960)
    assert (label_image.encoding, overlay.encoding) == ('16UC1', 'rgb8')


def test_boxes_are_tight_around_masks(tracker, things):
    answer = tracker.show(things[1])
    assert len(answer.ids) == len(POINTS)
    for tracked in answer.objects.objects:
        mask = pixels_of(tracked.mask)
        assert mask.shape == (tracked.box.height, tracked.box.width)
        assert set(np.unique(mask)) <= {0, 255}
        for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
            assert edge.any()


def test_label_image_and_exclusive_masks_agree_in_every_pixel(tracker, things):
    answer = tracker.show(things[1])
    labels, masks = pixels_of(answer.label_image), answer.masks()
    assert len(masks) == len(POINTS)
    for object_id, mask in masks.items():
        assert 20 < mask.sum() < labels.size / 2
        assert (mask == (labels == object_id)).all()
    assert sum(mask.sum() for mask in masks.values()) == (labels > 0).sum()


def test_masks_overlap_once_exclusive_masks_is_switched_off(tracker, things):
    assert tracker.set_parameter('exclusive_masks', False).successful
    answer = tracker.show(things[1])
    labels, masks = pixels_of(answer.label_image), answer.masks()
    assert (sum(mask.astype(int) for mask in masks.values()) > 1).any()
    assert (np.any(list(masks.values()), axis=0) == (labels > 0)).all()
    for object_id, mask in masks.items():
        assert mask[labels == object_id].all()


def test_detections_say_the_same_as_objects(tracker, things):
    answer = tracker.show(things[1])
    assert len(answer.detections.detections) == len(POINTS)
    for tracked, detection in zip(answer.objects.objects, answer.detections.detections):
        box, center = tracked.box, detection.bbox.center.position
        assert detection.id == str(tracked.id)
        assert (detection.bbox.size_x, detection.bbox.size_y) == (box.width, box.height)
        assert (center.x, center.y) == (
            box.x_offset + box.width / 2,
            box.y_offset + box.height / 2,
        )
        (hypothesis,) = detection.results
        assert hypothesis.hypothesis.class_id == tracked.label
        assert hypothesis.hypothesis.score == pytest.approx(tracked.score)


def test_overlay_covers_masks_as_much_as_overlay_opacity_says(tracker, things):
    for object_id in [o.id for o in tracker.objects().objects][1:]:
        tracker.remove(object_id)
    unchanged = {}
    for opacity in (0.0, 1.0):
        assert tracker.set_parameter('overlay_opacity', opacity).successful
        answer = tracker.show(things[1])
        (mask,) = answer.masks().values()
        same = (pixels_of(answer.overlay) == things[1]).all(axis=2)
        assert same[~mask].mean() > 0.5  # the rest: outlines, boxes and captions
        unchanged[opacity] = same[mask].mean()
    assert unchanged[0.0] > 0.02
    assert unchanged[1.0] < 0.001


@pytest.mark.parametrize('width', [320, 200, 100])
def test_compressed_overlay_is_the_overlay_no_wider_than_asked(tracker, width):
    y, x = np.mgrid[:240, :320] / 320
    slopes = np.stack([255 * x, 255 * y, 200 - 100 * x], axis=2).astype(np.uint8)
    tracker.reset()  # JPEG loses scattered masks, as it does noise
    compressed = tracker.robot.record(CompressedImage, f'{tracker.name}/overlay/compressed')
    assert tracker.set_parameter('overlay_opacity', 0.45).successful
    assert tracker.set_parameter('compressed_width', width).successful
    node = tracker.robot.node
    tracker.robot.wait(
        lambda: node.count_subscribers(f'{tracker.name}/overlay/compressed'), 'the subscription'
    )
    answer = tracker.show(slopes)
    message = tracker.robot.wait(
        lambda: next((m for m in compressed if m.header == answer.image.header), None), 'a JPEG'
    )
    assert 'jpeg' in message.format
    found = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert found.shape == (round(240 * width / 320), width, 3)
    size_wh = found.shape[1::-1]
    expected = cv2.resize(pixels_of(answer.overlay), size_wh, interpolation=cv2.INTER_AREA)
    assert np.abs(found.astype(int) - expected).mean() < 2


def test_objects_are_published_while_nobody_wants_pictures(start_tracker, frames):
    tracker = start_tracker(**SMALL)
    objects = tracker.robot.record(TrackedObjectArray, '/tam/objects')
    with tracker.streaming(frames[0], 5):
        tracker.robot.wait(lambda: objects, 'objects')
    assert objects[0].image_width == 320
