"""An object that is no longer seen: what is published of it, and when it counts as lost."""

import numpy as np
import pytest

from tam_ros.msg import TrackedObject


@pytest.fixture
def tracker(start_tracker, blind_weights, frames):
    """A node that sees an object in the prompted frame only."""
    tracker = start_tracker(weights=blind_weights, lost_after_s=0.5)
    tracker.show(frames[0])
    mask = np.zeros((240, 320), bool)
    mask[80:140, 60:120] = True
    assert tracker.add(mask=mask, label='cup').object.state == TrackedObject.TRACKED
    return tracker


def shown_after(tracker, frames, seconds):
    tracker.robot.let_pass(seconds)
    return tracker.show(frames[1])


def test_unseen_object_is_occluded_then_lost_and_keeps_its_id(tracker, frames):
    occluded = tracker.show(frames[1])
    assert occluded.objects.objects[0].state == TrackedObject.OCCLUDED
    lost = shown_after(tracker, frames, 0.6)
    assert lost.objects.objects[0].state == TrackedObject.LOST
    for answer in (occluded, lost):
        (unseen,) = answer.objects.objects
        assert (unseen.id, unseen.label, unseen.score) == (1, 'cup', 0)
        assert (unseen.box.width, unseen.box.height, len(unseen.mask.data)) == (0, 0, 0)
        assert answer.detections.detections == []
        assert not np.any(answer.label_image.data)


def test_lost_after_s_changes_while_the_node_runs(tracker, frames):
    assert shown_after(tracker, frames, 0.6).objects.objects[0].state == TrackedObject.LOST
    assert tracker.set_parameter('lost_after_s', 60.0).successful
    assert tracker.show(frames[2]).objects.objects[0].state == TrackedObject.OCCLUDED
