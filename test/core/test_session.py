"""The session's rules, with an engine that has no network."""

import gc
import sys

import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.results import ObjectState
from tam_ros.tracker.session import Session

IMAGE = np.zeros((240, 320, 3), np.uint8)
SECOND = 1_000_000_000


@pytest.fixture
def fake() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def session(fake) -> Session:
    session = Session(fake)
    session.step(IMAGE, 0)
    return session


def click(x, y) -> Prompt:
    return Prompt(points_xy=[[x, y]])


def test_prompt_before_any_frame_is_refused(fake):
    with pytest.raises(PromptError, match='no frame has arrived yet'):
        Session(fake).add_prompt(click(1, 1))


def test_prompt_is_answered_on_the_newest_frame(session):
    result = session.add_prompt(click(100, 60), label='cup')
    assert (result.object_id, result.label, result.state) == (1, 'cup', ObjectState.TRACKED)
    x0, y0, x1, y1 = result.box_xyxy
    assert x0 < 100 < x1
    assert y0 < 60 < y1


def test_ids_are_never_used_again(session):
    for _ in range(3):
        session.add_prompt(click(50, 50))
    session.remove(3)
    assert session.add_prompt(click(50, 50)).object_id == 4
    session.reset()
    assert session.add_prompt(click(50, 50)).object_id == 5


def test_objects_added_at_different_times_are_one_batch(session, fake):
    session.add_prompt(click(40, 40))
    for t in range(1, 4):
        session.step(IMAGE, t)
    session.add_prompt(click(200, 100))
    fake.stages()
    result = session.step(IMAGE, 4)
    assert [o.object_id for o in result.objects] == [1, 2]
    # The prompt's memory, then one run of each stage for both objects.
    expected = ['encode_memory', 'encode_image', 'attend_memory', 'decode_mask', 'encode_memory']
    assert fake.stages() == expected


def test_frames_without_objects_run_the_encoder_only(session, fake):
    fake.stages()
    result = session.step(IMAGE, 1)
    assert result.objects == ()
    assert fake.stages() == ['encode_image']


def test_each_object_keeps_its_own_place(session):
    places = [(40, 40), (200, 100), (280, 200)]
    for place in places:
        session.add_prompt(click(*place))
    session.step(IMAGE, 1)
    session.remove(2)
    session.add_prompt(click(160, 200))  # takes over the row of object 2
    result = session.step(IMAGE, 2)
    for object_id, (x, y) in zip((1, 3, 4), (places[0], places[2], (160, 200))):
        assert session.object_at(x, y) == object_id
        x0, y0, x1, y1 = result.find(object_id).box_xyxy
        assert abs((x0 + x1) / 2 - x) < 3
        assert abs((y0 + y1) / 2 - y) < 3
    assert session.object_at(0, 239) == 0


def test_clicks_on_one_frame_add_up(session, fake):
    object_id = session.add_prompt(click(100, 60)).object_id
    session.add_prompt(Prompt([[120, 60]], [0]), object_id=object_id)
    prompts = fake.calls[-1].prompts
    np.testing.assert_array_equal(prompts.labels, [[1, 0]])
    assert prompts.mask_logits is not None
    assert fake.calls[-1].attended is None  # its first frame: no memory yet


def test_a_refined_first_frame_is_remembered_once(session, fake):
    object_id = session.add_prompt(click(100, 60)).object_id
    session.add_prompt(click(110, 60), object_id=object_id)
    session.step(IMAGE, 1)
    plan = next(c.plan for c in fake.calls if c.stage == 'attend_memory')
    assert plan.slots.shape == (1, 1)


def test_correction_uses_memory_and_only_its_own_clicks(session, fake):
    object_id = session.add_prompt(click(100, 60)).object_id
    session.step(IMAGE, 1)
    session.add_prompt(click(130, 70), object_id=object_id)
    call = fake.calls[-1]
    assert call.attended is not None
    assert len(call.attended) == 1
    np.testing.assert_array_equal(call.prompts.labels, [[1]])
    session.step(IMAGE, 2)
    plan = [c.plan for c in fake.calls if c.stage == 'attend_memory'][-1]
    np.testing.assert_array_equal(plan.ages, [[6, 6]])  # two prompted frames, none twice


def test_a_hidden_answer_is_not_fed_back(session, fake):
    object_id = session.add_prompt(click(100, 60)).object_id
    fake.present = [-1.0]
    session.step(IMAGE, 1)
    session.add_prompt(click(130, 70), object_id=object_id)
    assert fake.calls[-1].prompts.mask_logits is None


def test_given_mask_is_its_own_answer(session):
    mask = np.zeros((240, 320), bool)
    mask[60:120, 80:200] = True
    result = session.add_prompt(Prompt(mask=mask))
    assert result.score == 1.0
    label = session.latest().label_image()
    intersection = ((label == 1) & mask).sum()
    assert intersection / ((label == 1) | mask).sum() > 0.9


def test_bad_prompts_leave_everything_as_it_was(session):
    session.add_prompt(click(100, 60))
    before = session.objects[0].logits.copy()
    for prompt, object_id in (
        (Prompt(), 0),
        (click(400, 10), 0),
        (click(float('nan'), 10), 0),
        (click(10, 10), 9),
        (Prompt(box_xyxy=(5, 5, 5, 9)), 1),
        (Prompt(mask=np.zeros((240, 320), bool)), 1),
        (Prompt(mask=np.ones((24, 32), bool)), 1),
        (Prompt([[10, 10]], stamp_ns=77), 1),
    ):
        with pytest.raises(PromptError):
            session.add_prompt(prompt, object_id=object_id)
    assert [o.object_id for o in session.objects] == [1]
    np.testing.assert_array_equal(session.objects[0].logits, before)


def test_prompt_that_finds_nothing_makes_no_object(session, fake, monkeypatch):
    decode = fake.decode_mask

    def absent(*arguments):
        decoded = decode(*arguments)
        decoded.score[:] = -2
        return decoded

    monkeypatch.setattr(fake, 'decode_mask', absent)
    with pytest.raises(PromptError, match=r'no object found .* -2.00'):
        session.add_prompt(click(10, 10))
    assert session.objects == ()


def test_too_many_objects_are_refused_by_number(fake):
    session = Session(fake, max_objects=2)
    session.step(IMAGE, 0)
    session.add_prompt(click(10, 10))
    session.add_prompt(click(50, 50))
    with pytest.raises(PromptError, match='2 objects are tracked already'):
        session.add_prompt(click(90, 90))
    session.add_prompt(click(55, 55), object_id=2)  # refining needs no room


def test_hidden_object_is_occluded_then_lost_then_tracked(fake):
    session = Session(fake, SessionOptions(lost_after_s=1.0))
    session.step(IMAGE, 0)
    session.add_prompt(click(100, 60))
    states = {}
    for tenth in range(1, 30):
        fake.present = [5.0 if tenth in (1, 2) or tenth > 25 else -3.0]
        result = session.step(IMAGE, tenth * SECOND // 10).objects[0]
        states[tenth] = result.state
        if fake.present[0] < 0:
            assert result.mask is None
            assert result.box_xyxy is None
            assert result.score == 0
    assert states[2] == ObjectState.TRACKED
    assert states[3] == states[12] == ObjectState.OCCLUDED
    assert states[13] == states[25] == ObjectState.LOST
    assert states[26] == ObjectState.TRACKED


def test_size_change_resets_and_says_so(session):
    session.add_prompt(click(100, 60))
    result = session.step(np.zeros((120, 160, 3), np.uint8), 1)
    assert result.reset_reason == 'image size changed from 320x240 to 160x120'
    assert result.objects == ()
    assert session.step(np.zeros((120, 160, 3), np.uint8), 2).reset_reason == ''


def test_backward_time_resets_and_says_so(session):
    session.step(IMAGE, 5 * SECOND)
    session.add_prompt(click(100, 60))
    assert session.step(IMAGE, 5 * SECOND).reset_reason == ''  # the same stamp again is no jump
    result = session.step(IMAGE, 2 * SECOND)
    assert result.reset_reason == 'time jumped back by 3.000 s'
    assert result.objects == ()


def test_overlapping_objects_share_no_pixel(session, fake):
    session.add_prompt(click(100, 60))
    fake.radius = 12
    session.add_prompt(click(150, 60))
    first, second = session.objects
    assert session.object_at(125, 60) == 2  # the larger disc has the better logit here
    canvas = np.zeros((2, 240, 320), int)
    for layer, result in zip(canvas, (first, second)):
        result.mask.paste(layer, 1)
    assert canvas.sum(0).max() == 1
    session.options = SessionOptions(exclusive_masks=False)
    first, second = session.objects
    canvas[:] = 0
    for layer, result in zip(canvas, (first, second)):
        result.mask.paste(layer, 1)
    assert canvas.sum(0).max() == 2


def test_masks_are_computed_only_when_asked_for(session, monkeypatch):
    session.add_prompt(click(100, 60))
    monkeypatch.setattr(
        'tam_ros.tracker.results.upsample_around_mask', lambda *_: pytest.fail('computed')
    )
    assert session.step(IMAGE, 1).objects[0].score == pytest.approx(0.9)


def test_interactive_mode_fills_small_holes():
    fake = FakeEngine('interactive')
    fake.radius = 100  # everything
    session = Session(fake)
    session.step(IMAGE, 0)
    session.add_prompt(click(100, 60))
    holed = session.objects[0].logits.copy()
    holed[20:22, 20:22] = -1
    holed[40:44, 40:44] = -1
    fake._disc = lambda _: holed
    result = session.add_prompt(click(101, 60), object_id=1)
    assert (result.logits[20:22, 20:22] > 0).all()
    assert (result.logits[40:44, 40:44] < 0).all()


def test_wrong_images_are_named():
    session = Session(FakeEngine())
    with pytest.raises(ValueError, match=r'float64 of shape \(4, 4, 3\): expected uint8'):
        session.step(np.zeros((4, 4, 3)), 0)


def test_nothing_grows_over_ten_thousand_frames():
    fake = FakeEngine()
    session = Session(fake)
    image = np.zeros((256, 256, 3), np.uint8)  # of the network's size: nothing to resize
    session.step(image, 0)
    session.add_prompt(click(4, 4))
    blocks = {}
    for t in range(1, 10_001):
        session.step(image, t)
        fake.calls.clear()
        if t in (1_000, 10_000):
            gc.collect()
            blocks[t] = sys.getallocatedblocks()  # of memory: every object is one or more
        if t % 500 == 0:
            session.add_prompt(click(4, 4), object_id=1)
    assert blocks[10_000] - blocks[1_000] < 500
