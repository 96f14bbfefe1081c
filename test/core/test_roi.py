"""Sessions that encode only a window around small objects."""

import cv2
import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.association import Detection, DetectionAssociation
from tam_ros.tracker.options import DetectionOptions, SessionOptions
from tam_ros.tracker.policies import POLICIES
from tam_ros.tracker.session import Session
from tam_ros.tracker.window import WHOLE

IMAGE = np.zeros((480, 640, 3), np.uint8)
PERIOD_NS = 33_000_000
AUTO = SessionOptions(roi='auto')


@pytest.fixture
def fake() -> FakeEngine:
    fake = FakeEngine()
    fake.radius = 3
    return fake


@pytest.fixture
def session(fake) -> Session:
    session = Session(fake, AUTO)
    session.step(IMAGE, 0)
    return session


def click(x, y) -> Prompt:
    return Prompt(points_xy=[[x, y]])


def step(session: Session, t: int):
    """Step frame t, and return its result and what part of the image was encoded."""
    result = session.step(IMAGE, t * PERIOD_NS)
    return result, session.history.newest.window


def assert_same_boxes(results, others, pixels=8):
    for one, other in zip(results, others, strict=True):
        np.testing.assert_allclose(one.box_xyxy, other.box_xyxy, atol=pixels)


def test_off_encodes_all_of_the_image_and_keeps_no_image(fake):
    session = Session(fake, SessionOptions(roi='off'))
    session.step(IMAGE, 0)
    session.add_prompt(click(200, 160))
    assert step(session, 1)[1] == WHOLE
    assert session.history.newest.image_rgb is None


def test_without_objects_all_of_the_image_is_encoded(session):
    assert step(session, 1)[1] == WHOLE


@pytest.mark.parametrize('policy', sorted(POLICIES))
def test_a_small_object_is_where_it_was_and_memories_are_made_anew_once(fake, policy):
    session = Session(fake, AUTO, policy=POLICIES[policy]())
    session.step(IMAGE, 0)
    prompted = session.add_prompt(click(200, 160))
    result, window = step(session, 1)
    assert window.area < 0.3
    assert_same_boxes(result.objects, [prompted])
    fake.stages()
    result, again = step(session, 2)
    assert again == window
    assert_same_boxes(result.objects, [prompted])
    expected = ['encode_image', 'attend_memory', 'decode_mask', 'encode_memory']
    assert fake.stages() == expected


def test_objects_that_come_together_get_one_window(session, fake):
    answers = [session.add_prompt(click(x, 160)) for x in (200, 280)]
    result, window = step(session, 1)
    assert window != WHOLE
    assert_same_boxes(result.objects, answers)
    fake.stages()
    assert_same_boxes(step(session, 2)[0].objects, answers)
    assert fake.stages().count('encode_image') == 1


def test_an_object_far_from_the_window_is_prompted_in_the_whole_image(session):
    first = session.add_prompt(click(200, 160))
    step(session, 1)
    second = session.add_prompt(click(600, 440))
    np.testing.assert_allclose(second.box_xyxy[:2], (570, 417), atol=12)
    assert_same_boxes(session.objects, [first, second])
    result, window = step(session, 2)
    assert window == WHOLE
    assert_same_boxes(result.objects, [first, second])
    session.remove(second.object_id)
    result, window = step(session, 3)
    assert window != WHOLE
    assert_same_boxes(result.objects, [first])


def test_a_refused_prompt_leaves_window_and_masks(session, fake):
    session.add_prompt(click(200, 160))
    result, window = step(session, 1)
    before = result.objects[0].mask
    with pytest.raises(PromptError, match='is outside the image'):
        session.add_prompt(click(700, 10))
    after = session.objects[0].mask
    assert after.box_xyxy == before.box_xyxy
    np.testing.assert_array_equal(after.mask, before.mask)
    assert step(session, 2)[1] == window


def test_a_hidden_object_is_soon_looked_for_in_the_whole_image(session, fake):
    prompted = session.add_prompt(click(200, 160))
    window = step(session, 1)[1]
    fake.present = [-5.0]
    windows = [step(session, t)[1] for t in range(2, 12)]
    assert windows[0] == window
    assert windows[-1] == WHOLE
    fake.present = None
    result, window = step(session, 12)
    assert window == WHOLE
    assert_same_boxes(result.objects, [prompted])
    result, window = step(session, 13)
    assert window != WHOLE
    assert_same_boxes(result.objects, [prompted])


def test_a_late_object_catches_up_over_frames_that_were_windows(session):
    first = session.add_prompt(click(200, 160))
    for t in range(1, 4):
        step(session, t)
    prompt = Prompt(points_xy=[[600, 440]], stamp_ns=PERIOD_NS)
    second = session.add_prompt(prompt)
    for t in range(4, 12):
        result, _ = step(session, t)
        if len(result.objects) == 2:
            break
    assert_same_boxes(result.objects, [first, second])


def test_an_object_is_corrected_in_a_frame_that_was_a_window(session):
    session.add_prompt(click(200, 160))
    for t in range(1, 4):
        step(session, t)
    moved = Prompt(points_xy=[[500, 400]], stamp_ns=2 * PERIOD_NS)
    answer = session.add_prompt(moved, object_id=1)
    assert_same_boxes(session.objects, [answer])
    assert_same_boxes(step(session, 4)[0].objects, [answer])


def test_detections_outside_of_the_window_start_objects(session):
    session.add_prompt(click(200, 160))
    assert step(session, 1)[1] != WHOLE
    association = DetectionAssociation(session)
    association.apply([Detection((580, 400, 620, 430), 0.9)], PERIOD_NS, DetectionOptions())
    assert len(step(session, 2)[0].objects) == 2


def test_roi_may_change_while_objects_are_tracked(session):
    prompted = session.add_prompt(click(200, 160))
    for t in range(1, 10):
        session.options = SessionOptions(roi='off' if t % 3 == 0 else 'auto')
        result, window = step(session, t)
        assert (window == WHOLE) == (t % 3 == 0)
        assert_same_boxes(result.objects, [prompted])


def test_what_is_held_of_images_is_bounded(session):
    session.add_prompt(click(200, 160))
    for t in range(1, 12):
        step(session, t)
        session.add_prompt(click(200, 160), object_id=1)
    (track,) = session.tracked.on_time
    assert len(track.origins.prompted) <= 4
    assert session.history.nbytes >= sum(f.image_rgb.nbytes for f in session.history.after(0))


# -- with networks ----------------------------------------------------------------------------


def scene(t: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame in which a red disc moves over a grey wall, and the disc's mask."""
    wall = np.random.default_rng(0).integers(90, 130, (24, 32, 3), np.uint8)
    image = cv2.resize(wall, (640, 480), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:480, :640]
    mask = np.hypot(x - 150 - 12 * t, y - 200 - 5 * t) < 22
    image[mask] = (200, 30, 30)
    return image, mask


@pytest.mark.parametrize('runtime', ['onnx', 'torch'])
def test_a_network_follows_a_small_object_from_window_to_window(runtime):
    engine = load_engine(EngineChoice('tam_nano', engine=runtime, image_size=256))
    session, windows = Session(engine, AUTO), set()
    session.step(scene(0)[0], 0)
    session.add_prompt(Prompt(mask=scene(0)[1]))
    for t in range(1, 13):
        image, mask = scene(t)
        found = session.step(image, t * PERIOD_NS).label_image() > 0
        windows.add(session.history.newest.window)
        assert (found & mask).sum() / (found | mask).sum() > 0.8, t
    assert WHOLE not in windows
    assert len(windows) > 1
