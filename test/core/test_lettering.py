"""Labels in the overlay, in whatever script they are written."""

import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros import lettering
from tam_ros.overlay import draw_overlay
from tam_ros.prompts import LONGEST_LABEL, Prompt, PromptError
from tam_ros.tracker.session import Session

IMAGE = np.full((240, 320, 3), 90, np.uint8)


def drawn(label: str, said: list) -> np.ndarray:
    session = Session(FakeEngine())
    session.step(IMAGE, 0)
    session.add_prompt(Prompt([[160, 120]]), label=label)
    return draw_overlay(IMAGE, session.latest(), warn=lambda kind, text: said.append(text))


@pytest.fixture
def fontless(monkeypatch):
    monkeypatch.setattr(lettering, '_fonts', lambda: [])
    lettering.letter.cache_clear()
    yield
    lettering.letter.cache_clear()


def test_ascii_is_written_by_opencv():
    assert lettering.letter('1 cup 0.90') == ('1 cup 0.90', None)


def test_letters_that_a_font_has_are_drawn_and_differ():
    if not lettering._fonts():
        pytest.skip('no font of the list is installed')
    said = []
    images = [drawn(label, said) for label in ('чашка', 'чайник', 'tasse é')]
    assert said == []
    assert (images[0] != images[1]).any()
    assert lettering.letter('чашка')[0] == 'чашка'


def test_letters_that_no_font_has_become_code_points_which_is_said():
    said = []
    drawn('\U0010fffd cup', said)
    assert len(said) == 1
    assert 'no font here has all letters of' in said[0]
    assert lettering.letter('\U0010fffd cup')[0] == 'U+10FFFD cup'


def test_without_any_font_code_points_are_drawn(fontless):
    said = []
    assert lettering.letter('杯') == ('U+676F', None)
    assert (drawn('杯', said) == drawn('U+676F', [])).all()
    assert len(said) == 1


def test_captions_at_the_edge_of_the_image_are_cut_off():
    session = Session(FakeEngine())
    image = np.full((10, 30, 3), 90, np.uint8)
    session.step(image, 0)
    session.add_prompt(Prompt([[15, 5]]), label='очень длинное имя')
    assert draw_overlay(image, session.latest()).shape == image.shape


@pytest.mark.parametrize('letter', ['a', 'é', '杯', '\n'])
def test_the_longest_label_is_drawn_and_a_longer_one_refused(letter):
    longest = letter * LONGEST_LABEL
    assert drawn(longest, []).shape == IMAGE.shape
    with pytest.raises(PromptError, match='has 257 characters: use at most 256'):
        drawn(longest + letter, [])


def test_letters_are_looked_up_once_whatever_the_score(monkeypatch):
    if not lettering._fonts():
        pytest.skip('no font of the list is installed')
    lettering.letter('чашка 0.90')
    monkeypatch.setattr(lettering, '_shape', lambda *_: pytest.fail('looked up again'))
    assert lettering.letter('чашка 0.09')[0] == 'чашка 0.09'
