"""Small things are looked at closely: tiny boxes, thin masks, clicks; at borders, too."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.masks import LogitCrop, label_image, logits_inside
from tam_ros.prompts import Prompt, PromptError, prompt_inside
from tam_ros.tracker.association import Detection, DetectionAssociation
from tam_ros.tracker.close_look import mean_logits
from tam_ros.tracker.options import DetectionOptions, SessionOptions
from tam_ros.tracker.session import Session
from tam_ros.tracker.window import WHOLE

WIDTH, HEIGHT = 640, 480
FRAME_NS = 33_000_000
PLACES = {'middle': (300, 200), 'corner': (0, 0), 'right': (WIDTH, 100), 'bottom': (417, HEIGHT)}


@pytest.fixture(scope='module', params=['onnx', 'torch'])
def engine(request):
    """The embedded weights, on both engines."""
    return load_engine(EngineChoice('tam_nano', engine=request.param, threads=1))


@pytest.fixture(scope='module')
def ground():
    """A picture with structure, on which something small lies."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 150, (12, 16, 3), np.uint8)
    smooth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return cv2.add(smooth, rng.integers(0, 12, smooth.shape, np.uint8))


def disc(size, place):
    """Return the mask of a disc of that many pixels at a place, inside the image."""
    x, y = min(place[0], WIDTH - size), min(place[1], HEIGHT - size)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + size, x : x + size] = np.hypot(rows, columns) <= size / 2
    return mask, (x, y, x + size, y + size)


def scene(ground, mask):
    """Return the picture with a red thing in it."""
    image = ground.copy()
    image[mask] = (230, 40, 30)
    return cv2.GaussianBlur(image, (0, 0), 0.6)


def session_on(engine, image):
    session = Session(engine, max_objects=2)
    session.step(image, 0)
    return session


def iou(crop, mask):
    shown = label_image({1: crop}, (WIDTH, HEIGHT)) == 1
    return (shown & mask).sum() / (shown | mask).sum()


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('size', [6, 8, 10])
def test_tiny_boxes_give_the_object(engine, ground, size, place):
    mask, box = disc(size, PLACES[place])
    session = session_on(engine, scene(ground, mask))
    assert iou(session.add_prompt(Prompt(box_xyxy=box)).mask, mask) > 0.7


@pytest.mark.parametrize('place', PLACES)
def test_clicks_on_something_tiny_give_it(engine, ground, place):
    mask, (x, y, *_) = disc(8, PLACES[place])
    session = session_on(engine, scene(ground, mask))
    assert iou(session.add_prompt(Prompt([[x + 4, y + 4]])).mask, mask) > 0.3


@pytest.mark.parametrize('size', [14, 20])
def test_something_small_is_followed_after_its_prompt(engine, ground, size):
    for kind in ('box', 'mask'):
        mask, box = disc(size, PLACES['middle'])
        session = session_on(engine, scene(ground, mask))
        prompt = Prompt(box_xyxy=box) if kind == 'box' else Prompt(mask=mask)
        session.add_prompt(prompt)
        for t in range(1, 4):
            moved = np.roll(mask, t, axis=1)
            result = session.step(scene(ground, moved), t * FRAME_NS)
        assert iou(result.objects[0].mask, moved) > 0.25, kind


@pytest.mark.parametrize('size', [6, 10])
def test_something_tiny_is_followed_in_a_window(engine, ground, size):
    mask, box = disc(size, PLACES['middle'])
    session = Session(engine, SessionOptions(roi='auto'), max_objects=1)
    session.step(scene(ground, mask), 0)
    session.add_prompt(Prompt(box_xyxy=box))
    for t in range(1, 4):
        moved = np.roll(mask, t, axis=1)
        result = session.step(scene(ground, moved), t * FRAME_NS)
    assert iou(result.objects[0].mask, moved) > 0.7


@pytest.mark.parametrize('width', [1, 2, 3])
def test_thin_masks_are_their_own_answer(engine, ground, width):
    lines = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(lines, (0, 200), (220, 310), 1, width)
    session = session_on(engine, scene(ground, lines > 0))
    assert iou(session.add_prompt(Prompt(mask=lines > 0)).mask, lines > 0) == 1
    result = session.step(scene(ground, lines > 0), FRAME_NS)
    assert width < 2 or iou(result.objects[0].mask, lines > 0) > 0.25


def test_a_tiny_thing_is_refined_closely(engine, ground):
    mask, (x, y, *_) = disc(12, PLACES['middle'])
    session = session_on(engine, scene(ground, mask))
    session.add_prompt(Prompt(box_xyxy=(x - 4, y - 4, x + 12, y + 12)))
    refined = session.add_prompt(Prompt([[x + 6, y + 6]]), object_id=1)
    assert iou(refined.mask, mask) > 0.6


def test_a_detection_that_starts_something_small_is_looked_at_closely(engine, ground):
    mask, box = disc(14, PLACES['middle'])
    image = scene(ground, mask)
    session = session_on(engine, image)
    association, found = DetectionAssociation(session), [Detection(box, 0.9, 'ball')]
    assert association.apply(found, 0, DetectionOptions()).started == [1]
    assert iou(session.objects[0].mask, mask) > 0.85
    session.step(image, FRAME_NS)
    again = association.apply(found, FRAME_NS, DetectionOptions())
    assert (again.started, again.matched) == ([], [1])


# -- without a network -----------------------------------------------------------------------


@pytest.fixture
def fake():
    return FakeEngine('interactive')


def encodings_of(fake, prompt, image=None):
    """Return how many images a prompt has encoded."""
    session = session_on(fake, np.zeros((HEIGHT, WIDTH, 3), np.uint8) if image is None else image)
    fake.stages()
    session.add_prompt(prompt)
    return fake.stages().count('encode_image')


def test_frames_and_large_boxes_are_encoded_once(fake):
    session = session_on(fake, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert fake.stages() == ['encode_image']
    session.add_prompt(Prompt(box_xyxy=(100, 100, 300, 200)))
    assert fake.stages() == ['decode_mask']
    session.step(np.zeros((HEIGHT, WIDTH, 3), np.uint8), FRAME_NS)
    assert fake.stages().count('encode_image') == 1


@pytest.mark.parametrize(
    ('prompt', 'encoded'),
    [
        (Prompt(box_xyxy=(100, 100, 196, 172)), 1),
        (Prompt(box_xyxy=(100, 100, 197, 172)), 0),
        (Prompt([[140, 120]], box_xyxy=(100, 100, 164, 148)), 1),
        (Prompt([[400, 120]], box_xyxy=(100, 100, 164, 148)), 0),
        (Prompt([[5, 5]]), 1),
        (Prompt([[5, 5], [300, 5]]), 0),
        (Prompt(mask=np.ones((HEIGHT, WIDTH), bool)), 0),
    ],
)
def test_what_is_small_is_encoded_once_more(fake, prompt, encoded):
    assert encodings_of(fake, prompt) == encoded


@pytest.fixture
def small_fake(fake):
    """It matches frames, as small networks do."""
    fake.spec = replace(fake.spec, matches=True)
    return fake


@pytest.mark.parametrize(
    ('box', 'encoded'),
    [
        ((100, 100, 300, 200), 1),
        ((100, 100, 493, 200), 1),
        ((100, 100, 494, 200), 0),  # 1.3 times that is more than 0.8 of the image
        ((100, 100, 300, 396), 0),
    ],
)
def test_small_networks_look_twice_at_boxes_in_half_the_image(small_fake, box, encoded):
    assert encodings_of(small_fake, Prompt(box_xyxy=box)) == encoded


def test_refined_boxes_are_not_looked_at_again(small_fake):
    session = session_on(small_fake, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    session.add_prompt(Prompt(box_xyxy=(100, 100, 300, 200)))
    small_fake.stages()
    session.add_prompt(Prompt([[200, 150]]), object_id=1)
    assert 'encode_image' not in small_fake.stages()


def test_the_mean_of_two_looks_is_that_of_their_probabilities():
    logits = np.float32([[-40, 0.3], [2, 40]]), np.float32([[-40, 1.5], [-1, 40]])
    mean = 1 / (1 + np.exp(-mean_logits(*logits)))
    np.testing.assert_allclose(mean, sum(1 / (1 + np.exp(-x)) for x in logits) / 2, atol=1e-5)


def test_a_second_look_that_finds_nothing_leaves_the_first(small_fake):
    session = session_on(small_fake, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    decode, answers = small_fake.decode_mask, iter([False, True])

    def decode_absent(*given):
        decoded = decode(*given)
        return replace(decoded, presence_logits=[-1.0]) if next(answers) else decoded

    small_fake.decode_mask = decode_absent
    seen = session.add_prompt(Prompt(box_xyxy=(100, 100, 300, 200))).observation
    assert seen.fine is None
    assert seen.presence_logit == 5


@pytest.mark.parametrize('roi', ['auto', 'off'])
def test_published_evaluations_look_once(roi):
    fake, image = FakeEngine('benchmark'), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    session = Session(fake, SessionOptions(roi=roi))
    session.step(image, 0)
    session.add_prompt(Prompt(box_xyxy=(100, 100, 108, 108)))
    assert fake.stages().count('encode_image') == 1


def test_what_was_looked_at_closely_is_followed_in_a_window(fake):
    """Images are kept either way, but held by objects only where windows may come."""
    fake.radius = 2
    for roi in ('auto', 'off'):
        session = Session(fake, SessionOptions(roi=roi))
        for t in range(3):
            session.step(np.zeros((HEIGHT, WIDTH, 3), np.uint8), t * FRAME_NS)
            if not t:
                session.add_prompt(Prompt(box_xyxy=(300, 200, 330, 220)))
        assert session.objects[0].box_xyxy is not None
        assert (session.history.newest.window == WHOLE) == (roi == 'off')
        assert (session.tracked[1].origins.newest is None) == (roi == 'off')


def test_the_image_is_kept_as_it_came(fake):
    """A camera's driver may write the next image into the same array."""
    image = np.full((HEIGHT, WIDTH, 3), 7, np.uint8)
    session = session_on(fake, image)
    image[:] = 9
    looked_at = []
    encode = fake.encode_image
    fake.encode_image = lambda cut: (looked_at.append(cut), encode(cut))[1]
    session.add_prompt(Prompt(box_xyxy=(100, 100, 108, 108)))
    assert (looked_at[0] == 7).all()


def test_images_count_for_the_history(fake):
    session = session_on(fake, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert session.history.nbytes > HEIGHT * WIDTH * 3


def test_a_close_look_that_is_not_finite_refuses_the_prompt(fake):
    session = session_on(fake, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    decode, answers = fake.decode_mask, iter([False, True])

    def decode_badly(*given):
        decoded = decode(*given)
        return replace(decoded, logits=decoded.logits * np.nan) if next(answers) else decoded

    fake.decode_mask = decode_badly
    with pytest.raises(PromptError, match='not finite'):
        session.add_prompt(Prompt(box_xyxy=(100, 100, 108, 108)))
    assert session.objects == ()


def test_a_prompt_goes_into_a_part_of_the_image_as_far_as_it_is_there():
    inside = prompt_inside(Prompt([[12, 9], [40, 9]], [1, 0], (8, 4, 50, 20)), (10, 5, 30, 25))
    np.testing.assert_array_equal(inside.points_xy, [[2, 4]])
    np.testing.assert_array_equal(inside.point_labels, [1])
    assert inside.box_xyxy == (0, 0, 20, 15)


def test_logits_of_a_part_are_those_of_the_crop_there_and_outside_elsewhere():
    crop = LogitCrop(2, 1, np.float32([[1, -5], [3, 4]]))
    np.testing.assert_array_equal(logits_inside(crop, (3, 0, 5, 3)), [[-5, -5], [-5, -5], [4, -5]])
