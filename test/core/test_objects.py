"""Who has which id and row, who is late, and when there is no more room."""

import numpy as np
import pytest

from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.memory import MemoryLimits
from tam_ros.tracker.objects import LARGEST_ID, TrackedObjects
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.policies import make_policy
from tam_ros.tracker.track import PromptAnswer, Track


def make_objects(max_objects=4, policy='fifo') -> TrackedObjects:
    policy = make_policy(policy)
    return TrackedObjects(max_objects, MemoryLimits(2, 6), policy)


def answer_in(frame_index: int) -> PromptAnswer:
    seen = Observation(frame_index, frame_index, np.ones((8, 8), np.float32), 5.0, 0.9)
    return PromptAnswer(Prompt([(1, 1)]), seen, None)


def add(objects: TrackedObjects, *, frame_index=0, is_late=False) -> Track:
    track = objects.new_track(answer_in(frame_index), label='', tentative=False)
    objects.add(track, is_late=is_late)
    return track


def test_rows_are_used_again_and_ids_are_not():
    objects = make_objects()
    assert [(t.object_id, t.row) for t in (add(objects) for _ in range(3))] == [
        (1, 0),
        (2, 1),
        (3, 2),
    ]
    objects.remove(2)
    track = add(objects)
    assert (track.object_id, track.row) == (4, 1)
    objects.clear()
    track = add(objects)
    assert (track.object_id, track.row) == (5, 0)


def test_an_object_that_is_not_added_takes_no_room():
    objects = make_objects(max_objects=1)
    objects.new_track(answer_in(0), label='', tentative=False)
    assert add(objects).row == 0


def test_objects_are_in_order_of_ids_once_all_ids_were_used():
    objects = make_objects()
    objects._last_id = LARGEST_ID - 1
    assert [add(objects).object_id for _ in range(3)] == [LARGEST_ID, 1, 2]
    assert list(objects) == [1, 2, LARGEST_ID]
    assert [t.object_id for t in objects.on_time] == [1, 2, LARGEST_ID]


def test_late_objects_are_on_time_once_they_have_caught_up():
    objects = make_objects()
    on_time, late = add(objects, frame_index=9), add(objects, frame_index=3, is_late=True)
    assert (objects.on_time, objects.late) == ([on_time], [late])
    assert list(objects.values()) == [on_time, late]
    assert objects.is_late(2)
    assert [objects.have_reached(i) for i in (3, 4)] == [True, False]
    objects.arrive(late.object_id)
    assert (objects.on_time, objects.late) == ([on_time, late], [])
    assert objects.have_reached(9)


@pytest.mark.parametrize('is_late', [True, False])
def test_forgotten_objects_are_neither_late_nor_on_time(is_late):
    for forget in (lambda objects: objects.remove(1), TrackedObjects.clear):
        objects = make_objects()
        add(objects, is_late=is_late)
        forget(objects)
        assert (len(objects), objects.on_time, objects.late) == (0, [], [])
        assert objects.have_reached(100)


@pytest.mark.parametrize(
    ('objects', 'message'),
    [
        (make_objects(2), '2 objects are tracked already: remove one or raise max_objects'),
        (make_objects(9, 'tree'), 'memory policy tree tracks at most 2 objects: remove one, or'),
    ],
)
def test_full_room_is_refused_in_words(objects, message):
    for is_late in (True, False):
        objects.check_room()
        add(objects, is_late=is_late)
    with pytest.raises(PromptError, match=message):
        objects.check_room()
    objects.remove(1)
    objects.check_room()


def test_unknown_ids_are_refused_with_those_there_are():
    objects = make_objects()
    for call in (objects.find, objects.remove):
        with pytest.raises(PromptError, match='object id 7 is unknown: tracked are none'):
            call(7)
    add(objects)
    add(objects, is_late=True)
    with pytest.raises(PromptError, match='object id 7 is unknown: tracked are 1, 2'):
        objects.find(7)


@pytest.mark.parametrize('max_objects', [0, -1, LARGEST_ID + 1])
def test_impossible_numbers_of_objects_are_refused(max_objects):
    with pytest.raises(ValueError, match=f'max_objects {max_objects}: use 1 to {LARGEST_ID}'):
        make_objects(max_objects)
