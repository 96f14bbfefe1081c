"""Prompts for files: on any frame, and refused in a line before anything is done."""

import json

import cv2
import numpy as np
import pytest
from offline_runs import (
    BOTTLE_PROMPT,
    COUNT,
    MUG_PROMPT,
    check_whole,
    journal,
    masks,
    refusal,
    rows,
    track,
    write_images,
    write_prompts,
)

from tam_ros.evaluation.measures import region_similarity
from tam_ros.offline.command import main


def test_objects_begin_where_they_are_prompted(tmp_path, clip):
    prompts = write_prompts(
        tmp_path,
        MUG_PROMPT | {'frame': 3},
        BOTTLE_PROMPT | {'stamp': 5 / 30 + 0.014},  # nearest to frame 5
        {'object': 1, 'frame': 7, 'points': [[70, 350], [200, 100]], 'point_labels': [1, 0]},
    )
    out = tmp_path / 'out'
    assert track(clip, '--prompts', prompts, '--out', out) == 0
    check_whole(out, COUNT)
    frames = {'mug': range(3, COUNT), 'bottle': range(5, COUNT)}
    for label, seen in frames.items():
        assert [int(row['frame']) for row in rows(out) if row['label'] == label] == [*seen]
    given = [len(line['prompts']) for line in journal(out)]
    assert [i for i, count in enumerate(given) if count] == [3, 5, 7]
    coco = json.loads((out / 'annotations.json').read_text())
    assert [each['name'] for each in coco['categories']] == ['mug', 'bottle']


def test_masks_of_prompt_files_lie_beside_them(tmp_path, clip, tracked):
    (tmp_path / 'first.png').write_bytes((tracked / 'masks/short/00000.png').read_bytes())
    prompts = write_prompts(tmp_path, {'object': 2, 'mask': 'first.png'})
    out = tmp_path / 'out'
    assert track(clip, '--prompts', prompts, '--out', out) == 0
    of_bottle, found = masks(tracked)['00000'] == 2, masks(out)['00000'] == 2
    assert region_similarity(found, of_bottle) > 0.85


@pytest.mark.parametrize(
    ('prompts', 'message'),
    [
        ('{"box": 1}', 'give a list of prompts, or {"prompts": [...]}'),
        ('[{"box"', 'is no JSON: '),
        ('[3]', 'prompt 1: 3 is no object with keys of frame, stamp, object'),
        ('[{"box": [1, 2, 3, 4]}]', 'prompt 1: it names no object: give "object", 1 to 254'),
        ('[{"object": 1, "bbox": [1, 2, 3, 4]}]', "prompt 1: 'bbox' is unknown: use frame, stamp"),
        ('[{"object": 0, "points": [1, 2]}]', 'prompt 1: object 0: use 1 to 254'),
        ('[{"object": 255, "points": [1, 2]}]', 'prompt 1: object 255: use 1 to 254'),
        ('[{"object": "a", "points": [1, 2]}]', "prompt 1: object 'a': use a whole number"),
        ('[{"object": 1, "frame": -1, "points": [1, 2]}]', 'prompt 1: frame -1: use 0 or more'),
        ('[{"object": 1, "frame": true, "points": [1, 2]}]', 'frame True: use a whole number'),
        ('[{"object": 1, "frame": 1, "stamp": 1}]', 'it has a frame and a stamp: give one'),
        ('[{"object": 1, "stamp": NaN, "points": [1, 2]}]', 'stamp nan: use seconds'),
        ('[{"object": 1, "label": 5, "points": [1, 2]}]', 'label 5: use a text'),
        ('[{"object": 1}]', 'prompt 1: the prompt is empty: give points, a box or a mask'),
        ('[{"object": 1, "points": ["a"]}]', 'prompt 1: points_xy'),
        ('[{"object": 1, "points": [900, 2]}]', 'prompt 1: point (900, 2) is outside the image'),
        ('[{"object": 1, "box": [9, 9, 5, 5]}]', 'prompt 1: box (9, 9, 5, 5) is empty'),
        ('[{"object": 1, "mask": "none.png"}]', 'none.png does not exist'),
        ('[]', 'has no prompts'),
    ],
)
def test_wrong_prompts_are_named_before_anything_is_done(tmp_path, clip, capsys, prompts, message):
    path, out = tmp_path / 'p.json', tmp_path / 'out'
    path.write_text(prompts)
    said = refusal(capsys, clip, '--prompts', path, '--out', out)
    assert str(path) in said or 'none.png' in said
    assert message in said
    assert not out.exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'say what to track: give --box, --click and --mask, or else --prompts'),
        (['--box', '1,2,3'], '--box 1,2,3: use x0,y0,x1,y1, in pixels'),
        (['--click', 'a,b'], '--click a,b: use x,y, in pixels'),
        (['--box', '5,5,900,nan'], 'box (5, 5, 900, nan) is not finite'),
        (['--click', '640,5'], '--click 640,5: point (640, 5) is outside the image of 640x480'),
        (['--mask', 'none.png'], 'mask none.png does not exist'),
        (['--click', '5,5', '--topic', '/a'], '--topic /a: '),
        (['--click', '5,5', '--rate', '0'], '--rate: 0 is no rate: use up to 1000 Hz'),
        (['--click', '5,5', '--rate', 'x'], '--rate: x is no rate: use up to 1000 Hz'),
        (['--click', '5,5', '--model', 'sam9'], "model 'sam9': use edgetam, tam_nano"),
        (['--click', '5,5'] * 3 + ['--policy', 'tree'], 'tree tracks at most 2 objects'),
    ],
)
def test_wrong_options_are_named_before_anything_is_done(
    tmp_path, clip, capsys, arguments, message
):
    out = tmp_path / 'out'
    assert message in refusal(capsys, clip, *arguments, '--out', out)
    assert not out.exists()


def test_a_click_on_the_background_takes_what_lies_apart_away_for_good(tmp_path, clip):
    on_mug = {'object': 1, 'points': [[72, 343]]}  # which at 384 px takes both mugs
    on_the_other = {'object': 1, 'frame': 3, 'points': [[252, 300]], 'point_labels': [0]}
    prompts = write_prompts(tmp_path, on_mug, on_the_other)
    out = ['--out', str(tmp_path / 'out'), '--threads', '1']
    assert main([str(clip), '--prompts', str(prompts), *out]) == 0
    found = [(int(row['x0']), int(row['x1'])) for row in rows(tmp_path / 'out')]
    assert min(x1 for _, x1 in found[:3]) > 250
    assert max(x1 for _, x1 in found[3:]) < 150
    assert max(x0 for x0, _ in found) < 50


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--click', '640,5'], '--click 640,5: point (640, 5) is outside the image'),
        (['--click', '5,5', '--threads', '-1'], 'threads -1: use 0 to 256'),
        (['--click', '5,5', '--image-size', '4096'], 'image_size 4096: use 0 to 2048'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, clip, capsys, arguments, message):
    with pytest.raises(SystemExit, match='2'):
        main([str(clip), *arguments, '--out', str(tmp_path / 'out')])
    said = capsys.readouterr().err
    assert said.startswith(f'track_file: error: {message}')
    assert said.count('\n') == 1


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('0', '0 is a webcam: give a video, a folder of images or a bag'),
        ('none.mp4', 'none.mp4 is no file, folder or webcam number'),
        ('empty', 'empty holds no images'),
        ('text.mp4', 'text.mp4 cannot be opened as a video'),
        ('none.mcap', 'none.mcap'),
    ],
)
def test_what_is_no_recording_is_named(tmp_path, capsys, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.mp4').write_text('no video')
    assert message in refusal(capsys, name, '--click', '5,5', '--out', 'out')


def test_an_image_of_another_size_is_named_before_anything_is_done(tmp_path, capsys):
    images = write_images(tmp_path / 'images', (64, 48), ['1.png', '2.png'])
    cv2.imwrite(str(images / '3.png'), np.zeros((48, 60, 3), np.uint8))
    said = refusal(capsys, images, '--click', '5,5', '--out', tmp_path / 'out')
    assert said == f'{images / "3.png"} is 60x48, the first is 64x48: give images of one size'


def test_a_prompt_after_the_last_frame_is_named(tmp_path, capsys, clip):
    images = write_images(tmp_path / 'images', (64, 48), ['1.png', '2.png'])
    late = write_prompts(tmp_path, {'object': 1, 'points': [5, 5], 'frame': 2})
    said = refusal(capsys, images, '--prompts', late, '--out', tmp_path / 'out')
    assert said == f'{late}: prompt 1: frame 2 is after the last frame, 1'
    # Videos do not say for sure how many frames they have, nor up to when they last.
    for when in ({'frame': 12}, {'stamp': 9.5}):
        prompts = write_prompts(tmp_path, MUG_PROMPT, BOTTLE_PROMPT | when)
        out = tmp_path / f'out{len(when)}{[*when][0]}'
        assert track(clip, '--prompts', prompts, '--out', out) == 1
        check_whole(out, COUNT)
        assert 'is after the last frame, 11' in capsys.readouterr().err


def test_a_prompt_after_the_last_frame_of_what_is_done_is_named(tmp_path, capsys, clip):
    out = tmp_path / 'out'
    assert track(clip, '--prompts', write_prompts(tmp_path, MUG_PROMPT), '--out', out) == 0
    late = write_prompts(tmp_path, MUG_PROMPT, BOTTLE_PROMPT | {'frame': 12})
    said = refusal(capsys, clip, '--prompts', late, '--out', out)
    assert said == f'{late}: prompt 2: frame 12 is after the last frame, 11'
    check_whole(out, COUNT)


def test_a_prompt_before_the_first_frame_is_named(tmp_path, capsys, clip):
    prompts = write_prompts(tmp_path, MUG_PROMPT | {'stamp': -1})
    assert track(clip, '--prompts', prompts, '--out', tmp_path / 'out') == 1
    assert 'prompt 1: stamp -1 is before the first frame' in capsys.readouterr().err
