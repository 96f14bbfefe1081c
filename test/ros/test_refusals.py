"""Bad requests are refused with a message that names the value, and nothing changes by them."""

import re

import numpy as np
import pytest
from robot import NS_PER_S, header_at, image_message
from tracker import SMALL, prompt

from tam_ros.srv import AddPrompt

WIDTH, HEIGHT = 320, 240
POINT = [(90, 110)]
MAX_OBJECTS = 3


@pytest.fixture(scope='module')
def tracker(start_tracker, frames):
    """A node that tracks the objects 1 and 2, with room for one more."""
    tracker = start_tracker(max_objects=MAX_OBJECTS)
    tracker.show(frames[0])
    tracker.add(points=POINT, label='cup')
    tracker.add(box=(200, 100, 80, 80), label='plate')
    tracker.show(frames[1])
    return tracker


def mask_request(encoding: str, pixels: np.ndarray) -> AddPrompt.Request:
    request = prompt()
    request.mask = image_message(pixels, encoding)
    return request


def truncated_mask() -> AddPrompt.Request:
    request = mask_request('mono8', np.full((HEIGHT, WIDTH), 255, np.uint8))
    request.mask.data = request.mask.data[:-1]
    return request


EMPTY_MASK = np.zeros((HEIGHT, WIDTH), bool)
SMALL_MASK = np.ones((100, 200), bool)

BAD_REQUESTS = {
    'no prompt': (prompt(), 'the prompt is empty: give points, a box or a mask'),
    'point right of the image': (prompt([(320, 10)]), 'point (320, 10) is outside .* 320x240'),
    'point above the image': (prompt([(10, -1)]), 'point (10, -1) is outside .* 320x240'),
    'point that is not a number': (prompt([(float('nan'), 5)]), 'point (nan, 5) is outside'),
    'point at infinity': (prompt([(5, float('inf'))]), 'point (5, inf) is outside'),
    'one bad point of two': (prompt([(5, 5), (400, 5)]), 'point (400, 5) is outside'),
    'box without width': (prompt(box=(10, 20, 0, 30)), 'box (10, 20, 10, 50) is empty'),
    'box outside': (prompt(box=(400, 20, 10, 30)), 'box (400, 20, 410, 50) is outside .* 320x240'),
    'unknown id': (prompt(POINT, object_id=77), 'object id 77 is unknown: tracked are 1, 2'),
    'mask of another size': (prompt(mask=SMALL_MASK), 'mask is 200x100, the image 320x240'),
    'mask without a pixel': (prompt(mask=EMPTY_MASK), 'the mask is empty'),
    'mask encoding': (
        mask_request('32FC1', np.ones((HEIGHT, WIDTH), np.float32)),
        "mask encoding '32FC1' is unknown: send mono8",
    ),
    'truncated mask': (truncated_mask(), '76799 bytes: expected 76800'),
    'mask and points': (prompt(POINT, mask=~EMPTY_MASK), 'a mask excludes points and a box'),
    'fewer labels than points': (
        prompt([(5, 5), (9, 9)], labels=[1]),
        '2 points but 1 point_labels',
    ),
    'label that is neither': (prompt(POINT, labels=[7]), 'point label 7 is unknown'),
    'only background': (prompt(POINT, labels=[0]), 'all points have label 0'),
    'stamp of another frame': (
        prompt(POINT, header=header_at(5 * NS_PER_S + 1)),
        'stamp 5.000 is [0-9.]+ ms older than the frames kept: the history has frames from',
    ),
}


@pytest.mark.parametrize('case', BAD_REQUESTS)
def test_bad_prompt_is_refused_by_name_and_changes_nothing(tracker, case):
    request, message = BAD_REQUESTS[case]
    before = tracker.objects()
    response = tracker.call(AddPrompt, 'add_prompt', request)
    assert not response.success
    assert re.search(escape(message), response.message), response.message
    assert response.object == AddPrompt.Response().object
    assert tracker.objects() == before
    assert len(before.objects) == 2


@pytest.mark.parametrize('case', ['box without width', 'point that is not a number'])
def test_bad_refinement_leaves_the_object_as_it_was(tracker, case):
    request, message = BAD_REQUESTS[case]
    request.object_id = 1
    before = tracker.objects()
    response = tracker.call(AddPrompt, 'add_prompt', request)
    request.object_id = 0
    assert not response.success
    assert re.search(escape(message), response.message), response.message
    assert tracker.objects() == before


def test_removing_an_unknown_object_is_refused(tracker):
    before = tracker.objects()
    response = tracker.remove(77)
    assert not response.success
    assert 'object id 77 is unknown: tracked are 1, 2' in response.message
    assert tracker.objects() == before


def test_one_object_too_many_is_refused(tracker):
    third = tracker.add(points=[(20, 20)])
    assert third.success, third.message
    before = tracker.objects()
    response = tracker.add(points=[(40, 40)])
    assert not response.success
    assert f'{MAX_OBJECTS} objects are tracked already' in response.message
    assert tracker.objects() == before
    assert tracker.remove(third.object.id).success


def test_prompt_before_the_first_frame_is_refused(start_tracker):
    tracker = start_tracker(**SMALL)
    response = tracker.add(points=POINT)
    assert not response.success
    assert 'no frame has arrived yet' in response.message
    assert tracker.objects().objects == []


def test_object_that_is_not_found_at_the_prompt_is_refused(start_tracker, blind_weights, frames):
    tracker = start_tracker(weights=blind_weights)
    tracker.show(frames[0])
    response = tracker.add(points=POINT)
    assert not response.success
    assert re.search('no object found at the prompt .presence logit -', response.message)
    assert tracker.objects().objects == []


def escape(message: str) -> str:
    """Return a pattern in which only `.*` and `[0-9.]+` are special."""
    return re.escape(message).replace(r'\.\*', '.*').replace(r'\[0\-9\.\]\+', '[0-9.]+')
