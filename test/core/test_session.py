"""The session's rules, with an engine that has no network."""

import gc
import itertools
import sys

import numpy as np
import pytest
import torch
from fake_engine import FakeEngine
from PIL import Image

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
    for x in (50, 150, 250):
        session.add_prompt(click(x, 50))
    session.remove(3)
    assert session.add_prompt(click(250, 50)).object_id == 4
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
    assert prompts.former_logits is not None
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
    assert fake.calls[-1].prompts.former_logits is None


def test_given_mask_is_its_own_answer(session):
    mask = np.zeros((240, 320), bool)
    mask[60:120, 80:200] = True
    result = session.add_prompt(Prompt(mask=mask))
    assert result.predicted_iou == 1.0
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
        decoded.presence_logits[:] = -2
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
            assert result.predicted_iou == 0
    assert states[2] == ObjectState.TRACKED
    assert states[3] == states[12] == ObjectState.OCCLUDED
    assert states[13] == states[25] == ObjectState.LOST
    assert states[26] == ObjectState.TRACKED


def test_size_change_that_lasts_resets_and_says_so(session):
    session.add_prompt(click(100, 60))
    smaller = np.zeros((120, 160, 3), np.uint8)
    for t in (1, 2):
        result = session.step(smaller, t)
        assert result.left_out.text == 'image size changed from 320x240 to 160x120'
        assert result.objects == ()
        assert len(session.objects) == 1
    result = session.step(smaller, 3)
    assert result.reset_reason == 'image size changed from 320x240 to 160x120'
    assert (result.left_out, result.objects) == (None, ())
    assert session.step(smaller, 4).reset_reason == ''


@pytest.mark.parametrize(
    ('image', 'stamp_ns'),
    [
        (IMAGE, 5 * SECOND - 8_000_000),
        (IMAGE, 0),
        (np.zeros((264, 320, 3), np.uint8), 5 * SECOND + 1),
        (IMAGE, 3605 * SECOND),
    ],
    ids=['late', 'zero', 'damaged height', 'an hour ahead'],
)
def test_an_odd_frame_is_left_out_and_every_object_stays(session, fake, image, stamp_ns):
    session.step(IMAGE, 5 * SECOND)
    session.add_prompt(click(100, 60))
    before = session.objects
    fake.stages()
    result = session.step(image, stamp_ns)
    assert result.left_out
    assert (result.objects, result.reset_reason) == ((), '')
    assert fake.stages() == []
    assert session.latest().stamp_ns == 5 * SECOND
    np.testing.assert_array_equal(session.objects[0].logits, before[0].logits)
    result = session.step(IMAGE, 5 * SECOND + 33_000_000)
    assert result.left_out is None
    assert [o.state for o in result.objects] == [ObjectState.TRACKED]


def test_a_frame_that_was_ahead_costs_no_object(session):
    session.step(IMAGE, SECOND)
    session.add_prompt(click(100, 60))
    session.step(IMAGE, 9 * SECOND)
    session.add_prompt(click(101, 60), object_id=1)  # remembered, though its frame is forgotten
    results = [session.step(IMAGE, SECOND + t * SECOND // 30) for t in range(1, 8)]
    assert [bool(r.left_out) for r in results] == [True, True] + [False] * 5
    assert not any(r.reset_reason for r in results)
    for result in results[2:]:
        assert [o.state for o in result.objects] == [ObjectState.TRACKED]
        assert result.objects[0].mask.contains(100, 60)
    assert session.latest().stamp_ns == SECOND + 7 * SECOND // 30


def test_objects_are_lost_by_the_clock_of_arrival_where_stamps_stand_still(fake):
    now_s = itertools.count(step=0.1)
    session = Session(fake, SessionOptions(lost_after_s=1.0), clock=lambda: next(now_s) / 2)
    results = [session.step(IMAGE, 7 * SECOND) for _ in range(12)]
    assert [r.remark.kind for r in results if r.remark] == ['standing stamps']
    session.add_prompt(Prompt([[100, 60]], stamp_ns=7 * SECOND))
    assert session.objects[0].stamp_ns == 7 * SECOND
    fake.present = [-3.0]
    states = [session.step(IMAGE, 7 * SECOND).objects[0].state for _ in range(30)]
    assert states[0] == ObjectState.OCCLUDED
    assert states[-1] == ObjectState.LOST
    assert session.objects[0].stamp_ns == 7 * SECOND


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
        'tam_ros.tracker.observation.upsample_around_mask', lambda *_: pytest.fail('computed')
    )
    assert session.step(IMAGE, 1).objects[0].predicted_iou == pytest.approx(0.9)


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


def test_the_second_of_two_equal_prompts_is_refused(session):
    pixels = session.add_prompt(click(100, 60)).mask.mask.sum()
    with pytest.raises(PromptError, match=f'all {pixels} pixels of the answer belong to object 1'):
        session.add_prompt(click(100, 60))
    assert [o.object_id for o in session.objects] == [1]
    other = session.add_prompt(click(250, 60)).object_id
    before = session.objects
    with pytest.raises(PromptError, match='belong to object 1: refine that with object_id 1'):
        session.prompted_frame(None).correct(
            session.tracked[other], session.tracked[1].answer, label='no', tentative=False
        )
    assert [(o.label, o.box_xyxy) for o in session.objects] == [
        (o.label, o.box_xyxy) for o in before
    ]
    session.options = SessionOptions(exclusive_masks=False)
    assert session.add_prompt(click(100, 60)).mask.mask.sum() == pixels


def test_an_object_that_another_covers_is_occluded_then_lost(fake):
    session = Session(fake, SessionOptions(lost_after_s=1.0))
    session.step(IMAGE, 0)
    session.add_prompt(click(100, 60))
    fake.radius = 20
    session.add_prompt(click(100, 60))  # its logits are better everywhere
    states = [[(o.state, o.predicted_iou > 0, o.mask is not None) for o in session.objects]]
    for t in range(1, 15):
        result = session.step(IMAGE, t * SECOND // 10)
        states.append([(o.state, o.predicted_iou > 0, o.mask is not None) for o in result.objects])
    shown = (ObjectState.TRACKED, True, True)
    assert [second for _, second in states] == [shown] * 15
    assert [first for first, _ in states[:11]] == [(ObjectState.OCCLUDED, False, False)] * 11
    assert states[11][0] == (ObjectState.LOST, False, False)
    session.remove(2)
    assert session.step(IMAGE, 2 * SECOND).objects[0].state == ObjectState.TRACKED


@pytest.mark.parametrize(('width', 'height'), [(1, 1), (1, 100), (3, 200), (8, 8), (27, 15)])
def test_a_given_mask_is_its_own_answer_however_small_and_is_remembered(fake, width, height):
    session = Session(fake)
    image = np.zeros((480, 854, 3), np.uint8)
    session.step(image, 0)
    mask = np.zeros((480, 854), bool)
    mask[100 : 100 + height, 205 : 205 + width] = True
    result = session.add_prompt(Prompt(mask=mask))
    assert result.box_xyxy == (205, 100, 205 + width, 100 + height)
    assert result.mask.mask.all()
    np.testing.assert_array_equal(session.latest().label_image() == 1, mask)
    assert session.step(image, 1).objects[0].mask or width * height == 1  # what is remembered


def test_an_answer_without_a_pixel_is_refused(session, fake):
    fake.radius = 0.01
    with pytest.raises(PromptError, match=r'the answer has no pixel left .* about 10x8 pixels'):
        session.add_prompt(click(101, 61))
    assert session.objects == ()


def test_more_points_than_allowed_are_refused_also_in_parts(session):
    session.options = SessionOptions(max_prompt_points=3)
    with pytest.raises(PromptError, match=r'4 points on one frame, where .* have 3 \(max_prompt'):
        session.add_prompt(Prompt([[100, 60]] * 4))
    session.add_prompt(click(100, 60))
    session.add_prompt(Prompt([[100, 60]] * 2), object_id=1)
    with pytest.raises(PromptError, match='4 points on one frame'):
        session.add_prompt(click(100, 60), object_id=1)
    session.step(IMAGE, 1)
    session.add_prompt(click(100, 60), object_id=1)


@pytest.mark.parametrize('stamp_ns', [None, 0.033, '7', np.float64(5)])
def test_stamps_that_are_no_nanoseconds_are_named(stamp_ns):
    with pytest.raises(ValueError, match='stamp_ns is .*: give nanoseconds as an int'):
        Session(FakeEngine()).step(IMAGE, stamp_ns)


@pytest.mark.parametrize(
    'image',
    [
        None,
        [],
        np.zeros((4, 0, 3), np.uint8),
        Image.new('L', (4, 4)),
        np.zeros((4, 4, 4), np.uint8),
    ],
    ids=['none', 'list', 'no column', 'grey', 'four channels'],
)
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match='image .*'):
        Session(FakeEngine()).step(image, 0)


def test_images_of_other_libraries_are_read():
    session = Session(FakeEngine())
    picture = np.random.default_rng(0).integers(0, 255, (8, 6, 3), np.uint8)
    for image in (Image.fromarray(picture), torch.from_numpy(picture), picture[..., ::-1]):
        assert session.step(image, np.int64(5)).size_wh == (6, 8)


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
