"""Prompts of each kind, and what users do with objects, over real DDS."""

import numpy as np
import pytest
from geometry_msgs.msg import Point
from robot import NS_PER_S, header_at, image_message
from tracker import Camera, masks_of, prompt, whole_mask

from tam_ros.engine.load import ENGINES
from tam_ros.msg import TrackedObject
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.srv import AddPrompt, SetLabel

SIZE_WH = (320, 240)
ON_OBJECT, ELSEWHERE = (90, 110), (250, 30)
MANY = 50  # frames; how soon a late object catches up depends on how long the machine takes


@pytest.fixture(scope='module', params=ENGINES)
def node(request, start_tracker):
    # Masks that may overlap: the answer for one object then says nothing of the others.
    return start_tracker(engine=request.param, exclusive_masks='false', history_s=10.0)


@pytest.fixture
def tracker(node, frames):
    """The node without objects, on the first frame."""
    node.reset()
    node.show(frames[0])
    return node


def square_mask() -> np.ndarray:
    mask = np.zeros(SIZE_WH[::-1], bool)
    mask[80:140, 60:120] = True
    return mask


def click(tracker, x, y):
    """Publish a click as rqt_image_view does, once the node listens."""
    publisher = tracker.robot.node.create_publisher(Point, '/tam/click', 10)
    tracker.robot.wait(publisher.get_subscription_count, 'a subscription to /tam/click')
    publisher.publish(Point(x=float(x), y=float(y)))
    return publisher


@pytest.mark.parametrize(
    'arguments',
    [
        {'points': [ON_OBJECT]},
        {'points': [ON_OBJECT, (70, 90), ELSEWHERE], 'labels': [1, 1, 0]},
        {'box': (60, 80, 60, 60)},
        {'box': (60, 80, 60, 60), 'points': [ON_OBJECT]},
        {'mask': square_mask()},
    ],
    ids=['click', 'several clicks', 'box', 'box and click', 'mask'],
)
def test_prompt_of_each_kind_starts_an_object_that_is_tracked(tracker, frames, arguments):
    response = tracker.add(label='cup', **arguments)
    assert response.success, response.message
    assert response.object.label == 'cup'
    assert response.object.state == TrackedObject.TRACKED
    assert 0 < response.object.score <= 1
    assert whole_mask(response.object, SIZE_WH).any()
    answer = tracker.show(frames[1])
    assert answer.ids == [response.object.id]
    assert answer.objects.objects[0].label == 'cup'


def test_answer_to_a_mask_prompt_is_that_mask(tracker):
    response = tracker.add(mask=square_mask())
    answered = whole_mask(response.object, SIZE_WH)
    overlap = (answered & square_mask()).sum() / (answered | square_mask()).sum()
    assert overlap > 0.9  # its edges were rounded to the network's cells of 5 x 3.75 pixels
    assert response.object.score == 1


def test_mask_prompt_with_padded_rows_is_read_right(tracker):
    request = prompt()
    request.mask = image_message(square_mask() * np.uint8(255), 'mono8', padding=13)
    padded = tracker.call(AddPrompt, 'add_prompt', request)
    plain = tracker.add(mask=square_mask())
    assert padded.object.box == plain.object.box
    assert padded.object.mask.data == plain.object.mask.data


def test_clicks_differ_in_what_they_select(tracker):
    first = tracker.add(points=[ON_OBJECT]).object
    second = tracker.add(points=[ELSEWHERE]).object
    assert first.mask.data != second.mask.data


def test_refining_answers_with_the_same_id_and_changes_nothing_else(tracker):
    refined = tracker.add(points=[ON_OBJECT], label='cup').object.id
    other = tracker.add(box=(200, 100, 80, 80)).object.id
    before = masks_of(tracker.objects())
    response = tracker.add(points=[ELSEWHERE], labels=[0], object_id=refined)
    assert response.success, response.message
    assert response.object.id == refined
    assert response.object.label == 'cup'
    after = masks_of(tracker.objects())
    assert (after[refined] != before[refined]).any()
    assert (after[other] == before[other]).all()


def test_object_can_be_refined_after_it_was_tracked(tracker, frames):
    object_id = tracker.add(points=[ON_OBJECT]).object.id
    before = tracker.show(frames[1])
    response = tracker.add(points=[(98, 110)], object_id=object_id)
    assert response.success, response.message
    listed = tracker.objects()
    assert listed.header == before.image.header
    assert listed.objects == [response.object]
    assert tracker.show(frames[2]).ids == [object_id]


def test_removed_object_is_gone_and_the_others_stay(tracker, frames):
    ids = [tracker.add(points=[(x, 110)]).object.id for x in (60, 90, 120)]
    response = tracker.remove(ids[1])
    assert response.success, response.message
    assert str(ids[1]) in response.message
    assert [o.id for o in tracker.objects().objects] == [ids[0], ids[2]]
    assert tracker.show(frames[1]).ids == [ids[0], ids[2]]


def test_object_gets_another_label(tracker, frames):
    object_id = tracker.add(points=[ON_OBJECT], label='cup').object.id
    request = SetLabel.Request(object_id=object_id, label='mug')
    response = tracker.call(SetLabel, 'set_label', request)
    assert (response.success, response.message) == (
        True,
        f"object {object_id} has the label 'mug'",
    )
    answer = tracker.show(frames[1])
    assert [o.label for o in answer.objects.objects] == ['mug']
    assert [d.results[0].hypothesis.class_id for d in answer.detections.detections] == ['mug']
    request.object_id += 1
    response = tracker.call(SetLabel, 'set_label', request)
    assert not response.success
    assert response.message == f'object id {object_id + 1} is unknown: tracked are {object_id}'


def test_list_has_what_was_published_for_the_newest_frame(tracker, frames):
    tracker.add(points=[ON_OBJECT], label='cup')
    tracker.add(box=(200, 100, 80, 80), label='plate')
    answer = tracker.show(frames[1])
    assert tracker.objects() == answer.objects


def test_reset_forgets_all_objects_and_does_not_reuse_their_ids(tracker, frames):
    ids = [tracker.add(points=[ON_OBJECT]).object.id for _ in range(2)]
    response = tracker.reset()
    assert response.success
    assert response.message == '2 objects forgotten'
    assert tracker.objects().objects == []
    assert tracker.show(frames[1]).ids == []
    assert tracker.add(points=[ON_OBJECT]).object.id > max(ids)


def test_prompt_is_answered_while_the_camera_is_paused(tracker, frames):
    shown = tracker.show(frames[1])
    tracker.robot.let_pass(1.0)
    response = tracker.add(points=[ON_OBJECT])
    assert response.success, response.message
    assert response.object.mask.header == shown.image.header


def test_prompt_with_the_stamp_of_the_newest_frame_is_taken(tracker, frames):
    shown = tracker.show(frames[1])
    assert tracker.add(points=[ON_OBJECT], header=shown.image.header).success


def test_prompt_on_an_earlier_frame_is_answered_there_and_carried_on(tracker, frames):
    camera = Camera(tracker)
    earlier, *_, newest = camera.show(*frames[:4])
    response = tracker.add(mask=square_mask(), header=earlier.image.header)
    assert response.success, response.message
    assert response.object.mask.header == earlier.image.header
    assert tracker.objects() == newest.objects  # it is not there yet
    ids, shown = [], 0
    while response.object.id not in ids:
        assert shown < MANY, 'the object never arrived'
        (answer,) = camera.show(frames[4 + shown % 6])
        ids, shown = answer.ids, shown + 1


def test_prompt_with_a_stamp_that_no_frame_has_is_told_which_there_are(tracker, frames):
    shown = tracker.show(frames[1])
    stamp_ns = stamp_to_ns(shown.image.header.stamp)
    for seconds, where in ((-100, 'older than the frames kept'), (10, 'newer than the newest')):
        header = header_at(stamp_ns + seconds * NS_PER_S)
        response = tracker.add(points=[ON_OBJECT], header=header)
        assert not response.success
        assert where in response.message
        assert f'to {stamp_ns * 1e-9:.3f} (' in response.message


def test_click_on_nothing_adds_an_object_and_a_click_on_it_refines_it(tracker, frames):
    mask = square_mask()
    known = tracker.add(mask=mask).object.id
    before = masks_of(tracker.objects())[known]
    publisher = click(tracker, *ON_OBJECT)
    tracker.robot.wait(
        lambda: (masks_of(tracker.objects())[known] != before).any(), 'the click to refine'
    )
    assert [o.id for o in tracker.objects().objects] == [known]
    free = np.argwhere(~masks_of(tracker.objects())[known])[0]
    publisher.publish(Point(x=float(free[1]), y=float(free[0])))
    tracker.robot.wait(lambda: len(tracker.objects().objects) == 2, 'the click to add')
    assert tracker.objects().objects[0].id == known
    tracker.program.wait_for_log(f'object {known} refined by click')
    tracker.program.wait_for_log(f'object {known + 1} added by click')


def test_click_outside_the_image_is_refused_in_the_log(tracker):
    click(tracker, 4000, 10)
    tracker.program.wait_for_log(r'click refused: point \(4000, 10\) is outside .* 320x240')
    assert tracker.objects().objects == []


def test_five_objects_are_tracked_at_once(tracker, things):
    tracker.show(things[0])
    points = [(50, 110), (112, 110), (165, 40), (250, 195), (50, 200)]
    ids = [tracker.add(points=[p], label=f'{i}').object.id for i, p in enumerate(points)]
    for frame in things[1:4]:
        answer = tracker.show(frame)
        assert answer.ids == ids
    assert [o.label for o in answer.objects.objects] == list('01234')
    assert len(answer.detections.detections) == 5
