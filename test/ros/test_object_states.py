"""An object that is no longer seen: what is published of it, and when it counts as lost."""

import numpy as np
import pytest
from tracker import Camera

from tam_ros.msg import TrackedObject


@pytest.fixture(scope='module')
def tracker(start_tracker, blind_weights):
    """A node that sees an object in the prompted frame only."""
    return start_tracker(weights=blind_weights)


@pytest.fixture
def camera(tracker, frames):
    """The camera that has shown an object, which is lost once it is not seen for 0.5 s."""
    assert tracker.set_parameter('lost_after_s', 0.5).successful
    tracker.reset()
    camera = Camera(tracker)
    camera.show(frames[0])
    mask = np.zeros((240, 320), bool)
    mask[80:140, 60:120] = True
    assert tracker.add(mask=mask, label='cup').object.state == TrackedObject.TRACKED
    return camera


def test_unseen_object_is_occluded_then_lost_and_keeps_its_id(camera, frames):
    (occluded,) = camera.show(frames[1])
    assert occluded.objects.objects[0].state == TrackedObject.OCCLUDED
    (lost,) = camera.show(frames[1], after_s=0.6)
    assert lost.objects.objects[0].state == TrackedObject.LOST
    assert occluded.ids == lost.ids
    for answer in (occluded, lost):
        (unseen,) = answer.objects.objects
        assert (unseen.label, unseen.score) == ('cup', 0)
        assert (unseen.box.width, unseen.box.height, len(unseen.mask.data)) == (0, 0, 0)
        assert answer.detections.detections == []
        assert not np.any(answer.label_image.data)


def test_lost_after_s_changes_while_the_node_runs(tracker, camera, frames):
    (lost,) = camera.show(frames[1], after_s=0.6)
    assert lost.objects.objects[0].state == TrackedObject.LOST
    assert tracker.set_parameter('lost_after_s', 60.0).successful
    (occluded,) = camera.show(frames[2])
    assert occluded.objects.objects[0].state == TrackedObject.OCCLUDED
