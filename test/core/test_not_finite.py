"""A network that answers with NaN or infinity: nothing of it is shown, and nothing is lost."""

from dataclasses import replace

import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros.engine.base import EngineError, NotFiniteError
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.image import ImageSegmenter
from tam_ros.tracker.results import ObjectState
from tam_ros.tracker.session import Session

IMAGE = np.zeros((240, 320, 3), np.uint8)
MASK = np.zeros((240, 320), bool)
MASK[80:140, 60:120] = True
PROMPTS = [Prompt([(90, 110)]), Prompt(box_xyxy=(60, 80, 120, 140)), Prompt(mask=MASK)]


class BrokenEngine(FakeEngine):
    """Puts a value into one field of its answers while it is broken."""

    field, value, broken = 'logits', float('nan'), False

    def decode_mask(self, *arguments):
        decoded = super().decode_mask(*arguments)
        if not self.broken:
            return decoded
        spoiled = np.array(getattr(decoded, self.field), np.float32)
        spoiled.flat[-1] = self.value
        return replace(decoded, **{self.field: spoiled})


@pytest.fixture(params=['logits', 'presence_logits', 'predicted_ious', 'candidate_ious'])
def engine(request):
    engine = BrokenEngine()
    engine.field = request.param
    return engine


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_no_frame_shows_it_and_objects_stay(engine, value):
    session = Session(engine)
    session.step(IMAGE, 0)
    session.add_prompt(PROMPTS[0], label='cup')
    before = session.step(IMAGE, 1).objects[0]
    engine.broken, engine.value = True, value
    for t in (2, 3):
        with pytest.raises(NotFiniteError, match=f'not finite .*{engine.field}.*damaged'):
            session.step(IMAGE, t)
    engine.broken = False
    after = session.step(IMAGE, 4).objects[0]
    assert (after.object_id, after.label, after.state) == (1, 'cup', ObjectState.TRACKED)
    np.testing.assert_array_equal(after.logits, before.logits)


@pytest.mark.parametrize('prompt', PROMPTS, ids=['click', 'box', 'mask'])
def test_prompts_are_refused_in_words(engine, prompt):
    session = Session(engine)
    session.step(IMAGE, 0)
    engine.broken = True
    with pytest.raises(PromptError, match='answers with numbers that are not finite'):
        session.add_prompt(prompt)
    assert not session.objects
    engine.broken = False
    assert session.add_prompt(prompt).object_id == 1


def test_a_refinement_of_an_earlier_frame_is_refused(engine):
    """Its own frame is answered well, and the newest is not."""
    session = Session(engine)
    for t in range(3):
        session.step(IMAGE, t)
        if not t:
            session.add_prompt(PROMPTS[0])
    answers = iter([False, True])
    decode = engine.decode_mask

    def decode_once(*arguments):
        engine.broken = next(answers)
        return decode(*arguments)

    engine.decode_mask = decode_once
    with pytest.raises(PromptError, match='not finite'):
        session.add_prompt(Prompt([(92, 110)], stamp_ns=1), object_id=1)
    del engine.decode_mask
    engine.broken = False
    assert session.step(IMAGE, 3).objects[0].state == ObjectState.TRACKED


def test_warming_up_and_still_images_say_it(engine):
    engine.broken = True
    with pytest.raises(EngineError, match='not finite'):
        Session(engine).warm_up()
    with pytest.raises(PromptError, match='not finite'):
        ImageSegmenter(engine, IMAGE).segment(PROMPTS[0])
