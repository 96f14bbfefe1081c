"""First answers to prompts on photos with masks."""

import json

import cv2
import numpy as np
import pytest
from fake_engine import FakeEngine

from training.first_answers import FirstAnswer, answer_all, format_table, main
from training.photos import find_known

CENTER_XY, RADIUS = (150, 100), 40


@pytest.fixture
def assets(tmp_path):
    """A photo with a disc, an object of two parts and a speck; one more that is for training."""
    coco = tmp_path / 'coco'
    for part in ('images', 'masks'):
        (coco / part).mkdir(parents=True)
    labels = np.zeros((256, 256), np.uint8)
    cv2.circle(labels, CENTER_XY, RADIUS, 1, -1)
    labels[5:25, 5:25] = labels[5:25, 205:225] = 2
    labels[250:253, 250:253] = 3
    for name in ('judged', 'trained'):
        cv2.imwrite(str(coco / f'images/{name}.jpg'), np.full((256, 256, 3), 90, np.uint8))
        cv2.imwrite(str(coco / f'masks/{name}.png'), labels)
    listed = [{'file': 'judged.jpg', 'split': 'test'}, {'file': 'trained.jpg', 'split': 'train'}]
    (coco / 'attribution.json').write_text(json.dumps(listed))
    return tmp_path


def test_a_disc_is_the_answer_to_a_click_in_its_middle(assets):
    fake_engine = FakeEngine()
    fake_engine.radius = RADIUS / 4
    answers = list(answer_all(fake_engine, find_known(assets / 'coco', 'test')))
    clicks = [a for a in answers if a.kind == 'click']
    assert len(clicks) == 2  # the speck is too small to judge
    assert clicks[0].iou > 0.92  # cells are four pixels wide
    assert clicks[0].area == pytest.approx(np.pi * RADIUS**2 / 256**2, rel=0.02)
    assert 0.1 < clicks[1].iou < 0.5  # a disc is neither both parts nor square
    assert not any(a.is_refused for a in answers)


def test_a_refused_prompt_counts_as_nothing_found(assets):
    fake_engine = FakeEngine()
    decode = fake_engine.decode_mask

    def find_nothing(*stage):
        decoded = decode(*stage)
        decoded.presence_logits[:] = -1
        return decoded

    fake_engine.decode_mask = find_nothing
    answers = list(answer_all(fake_engine, find_known(assets / 'coco', 'test')))
    assert all(a.is_refused and a.iou == 0 for a in answers)


def test_small_objects_are_told_apart():
    answers = [
        FirstAnswer('click', 0.01, 0.2, 0.4, is_refused=False),
        FirstAnswer('click', 0.5, 0.8, 0.8, is_refused=False),
    ]
    line = next(line for line in format_table(answers).splitlines() if 'click' in line)
    assert line == '| click | 2 | 0.500 | 0.200 | 0.800 | 0.50 | 0.00 | 0.600 |'


def test_kinds_without_answers_are_no_rows():
    assert len(format_table([]).splitlines()) == 2


def test_photos_that_are_not_there_are_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(['--assets', str(tmp_path)])
    assert "has no photos of split 'test'" in capsys.readouterr().err
