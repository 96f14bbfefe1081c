"""Searches in files: what they find is tracked to the end, under numbers that stay."""

import os
import signal

import cv2
import numpy as np
import pytest
from drawn_things import THINGS, box_iou, drawn
from offline_runs import (
    check_whole,
    journal,
    journal_lines,
    masks,
    refusal,
    rows,
    track,
    write_prompts,
)
from video_files import write_video

from tam_ros.evaluation.measures import region_similarity
from tam_ros.tracker.discovery import Discovery

SEARCH = ['--discover', '--min-score', '0.6']  # which finds the drawn things alone
NOTHING = 0.99  # a score that no mask has
COUNT, STEP = 8, 2  # frames, and pixels that all things move between two
DISC = {'object': 1, 'label': 'disc', 'box': THINGS[0]}


def things_at(frame: int):
    """Return the boxes of the drawn things in a frame."""
    return [(x0 + STEP * frame, y0, x1 + STEP * frame, y1) for x0, y0, x1, y1 in THINGS]


def boxes(out, frame: int) -> dict[int, tuple[int, ...]]:
    """Return the boxes of what was tracked, by its numbers."""
    found = (row for row in rows(out) if row['frame'] == str(frame) and row['x0'])
    return {
        int(row['object']): tuple(int(row[key]) for key in ('x0', 'y0', 'x1', 'y1'))
        for row in found
    }


def of_things(out, frame: int) -> list[int]:
    """Return the number under which each drawn thing is tracked in a frame, 0 for none."""
    found = boxes(out, frame)
    fits = [{n: box_iou(box, thing) for n, box in found.items()} for thing in things_at(frame)]
    return [max((n for n in fit if fit[n] > 0.6), key=fit.get, default=0) for fit in fits]


@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    """A video of the drawn things."""
    images = [drawn(STEP * i)[..., ::-1] for i in range(COUNT)]
    return write_video(tmp_path_factory.mktemp('scene') / 'scene.mp4', 'mp4v', images, 30.0)


@pytest.fixture(scope='module')
def found(scene, tmp_path_factory):
    """Results of a search in its first frame that nothing stopped."""
    out = tmp_path_factory.mktemp('found') / 'out'
    assert track(scene, *SEARCH, '--out', out) == 0
    return out


def test_what_is_found_in_the_first_frame_is_tracked_to_the_end(found):
    check_whole(found, COUNT)
    first, last = of_things(found, 0), of_things(found, COUNT - 1)
    assert 0 not in first
    assert first == last
    assert {row['state'] for row in rows(found)} == {'tracked'}
    assert [each['id'] for each in journal(found)[0]['objects']] == [1, 2, 3]


def test_a_folder_is_searched_in_a_region_and_for_so_many(tmp_path, capsys):
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f'{i}.png'), drawn(STEP * i)[..., ::-1])
    out = tmp_path / 'out'
    given = [*SEARCH, '--max-objects', 1, '--region', '130,20,320,240', '--label', 'thing']
    assert track(folder, *given, '--out', out) == 0
    assert '--discover: frame 0: objects found: 1\n' in capsys.readouterr().out
    check_whole(out, 3)
    assert [(row['object'], row['label']) for row in rows(out)] == [('1', 'thing')] * 3
    disc, *others = of_things(out, 2)
    assert disc == 0
    assert sorted(others) == [0, 1]


def test_a_search_may_come_later_and_finds_what_is_not_tracked(tmp_path, scene, capsys):
    out = tmp_path / 'out'
    search = {'frame': 3, 'label': 'thing', 'discover': {'max_objects': 5, 'min_score': 0.6}}
    outside = {'object': 2, 'frame': 5, 'points': [[2, 2]], 'point_labels': [0]}
    prompts = write_prompts(tmp_path, DISC, search, outside)
    assert track(scene, '--prompts', prompts, '--out', out) == 0
    assert f'{prompts}: prompt 2: frame 3: objects found: 2, 3\n' in capsys.readouterr().out
    check_whole(out, COUNT)
    assert list(boxes(out, 2)) == [1]
    disc, *others = of_things(out, COUNT - 1)
    assert disc == 1
    assert 0 not in others
    labels = {row['object']: row['label'] for row in rows(out)}
    assert labels.pop('1') == 'disc'
    assert set(labels.values()) == {'thing'}
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(out)[:6]))
    assert track(scene, '--prompts', prompts, '--out', out) == 0
    assert of_things(out, COUNT - 1) == [1, *others]
    assert {row['object']: row['label'] for row in rows(out)} == {'1': 'disc'} | labels


def test_what_is_prompted_is_not_found_again(tmp_path, scene):
    out = tmp_path / 'out'
    box = ','.join(map(str, THINGS[1]))
    assert track(scene, '--box', box, *SEARCH, '--out', out) == 0
    numbers = of_things(out, 0)
    assert numbers[1] == 1
    assert 0 not in numbers
    assert len(set(numbers)) == 3


# -- runs that stop -------------------------------------------------------------------------


def test_a_run_stopped_after_its_search_goes_on_exactly(tmp_path, scene, found, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(found)[:2]))
    assert track(scene, *SEARCH, '--out', out) == 0
    assert journal_lines(out) == journal_lines(found)
    assert 'found' not in capsys.readouterr().out


def test_a_resumed_run_knows_what_was_found(tmp_path, scene, found):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(found)[:5]))
    assert track(scene, *SEARCH, '--out', out) == 0
    check_whole(out, COUNT)
    for name, mask in masks(found).items():
        for number in of_things(found, 0):
            # Not the same, as it goes on from last masks alone; 0.90 was the least.
            assert region_similarity(masks(out)[name] == number, mask == number) > 0.8


def without_the_first(search):
    search.session.remove(search.found.pop(0).object_id)


def in_another_order(search):
    search.found.reverse()


@pytest.mark.parametrize('change', [without_the_first, in_another_order])
def test_numbers_stay_where_the_same_search_finds_otherwise(
    tmp_path, scene, found, monkeypatch, change
):
    """As it may on another device; a correction is for what was found then."""
    finish = Discovery.finish
    monkeypatch.setattr(Discovery, 'finish', lambda search, *args: change(finish(search, *args)))
    corrected = {'object': 3, 'frame': 6, 'points': [[2, 2]], 'point_labels': [0]}
    prompts = write_prompts(tmp_path, corrected)
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(found)[:2]))
    assert track(scene, *SEARCH, '--prompts', prompts, '--out', out) == 0
    check_whole(out, COUNT)
    assert of_things(out, COUNT - 1) == of_things(found, COUNT - 1)


def test_a_changed_search_begins_anew_from_its_frame_on(tmp_path, scene, capsys):
    out = tmp_path / 'out'
    for least in (0.02, 0.03):
        search = {'frame': 4, 'discover': {'min_area': least}}
        assert track(scene, '--prompts', write_prompts(tmp_path, DISC, search), '--out', out) == 0
    said = capsys.readouterr().out
    assert f'prompts have changed: of {COUNT} frames that were done, 4 are kept' in said
    check_whole(out, COUNT)


def test_a_signal_during_a_search_ends_it(tmp_path, scene, capsys, monkeypatch):
    steps, go_on = [], Discovery.go_on

    def interrupted(search):
        steps.append(search)
        if len(steps) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return go_on(search)

    monkeypatch.setattr(Discovery, 'go_on', interrupted)
    out = tmp_path / 'out'
    assert track(scene, *SEARCH, '--out', out) == 130
    assert len(steps) == 2
    assert (
        f'stopped after 0 of {COUNT} frames: the same command goes on' in capsys.readouterr().out
    )
    monkeypatch.undo()
    assert track(scene, *SEARCH, '--out', out) == 0
    check_whole(out, COUNT)


# -- what cannot be -------------------------------------------------------------------------


@pytest.fixture(scope='module')
def empty(tmp_path_factory):
    """A folder of two grey images."""
    folder = tmp_path_factory.mktemp('empty') / 'grey'
    folder.mkdir()
    for name in ('0.png', '1.png'):
        cv2.imwrite(str(folder / name), np.full((240, 320, 3), 120, np.uint8))
    return folder


def test_where_nothing_is_found_that_is_said_in_a_line(tmp_path, empty, capsys):
    assert track(empty, '--discover', '--min-score', NOTHING, '--out', tmp_path / 'out') == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        'track_file: --discover: frame 0: nothing found: lower min_score (0.99) or min_area '
        '(0.002), or search another frame'
    )


def test_nothing_found_is_no_failure_where_more_is_planned(tmp_path, empty, capsys):
    click = {'object': 1, 'frame': 1, 'points': [160, 120]}
    prompts = write_prompts(tmp_path, {'discover': {'min_score': NOTHING}}, click)
    out = tmp_path / 'out'
    assert track(empty, '--prompts', prompts, '--out', out) == 0
    assert 'prompt 1: frame 0: nothing found' in capsys.readouterr().out
    assert [len(line['objects']) for line in journal(out)] == [0, 1]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--max-objects', '3'], '--max-objects is for searches: give --discover, too'),
        (['--discover', '--max-objects', '0'], 'max_objects 0: use 1 to 255'),
        (['--discover', '--min-score', 'nan'], 'min_score nan: use 0 to 1'),
        (['--discover', '--min-area', 'x'], "argument --min-area: invalid float value: 'x'"),
        (['--discover', '--region', '1,2,3'], '--region 1,2,3: use x0,y0,x1,y1, in pixels'),
        (['--discover', '--region', '9,9,9,9'], '--discover: region: box (9, 9, 9, 9) is empty'),
        (['--discover', '--label', 'x' * 300], 'label'),
        (['--discover', '--policy', 'tree'], 'tree tracks at most 2 objects, asked for are 16'),
    ],
)
def test_wrong_options_of_searches_are_named(tmp_path, scene, capsys, arguments, message):
    out = tmp_path / 'out'
    assert message in refusal(capsys, scene, *arguments, '--out', out)
    assert not out.exists()


@pytest.mark.parametrize(
    ('prompt', 'message'),
    [
        ('{"discover": 5}', 'prompt 1: discover 5: use {}, or {...} with max_objects'),
        ('{"discover": {"max_s": 5}}', "discover 'max_s' is unknown: use max_objects"),
        ('{"discover": {}, "object": 3}', 'it has discover and object: give one of them'),
        ('{"discover": {}, "box": [1, 2, 3, 4]}', 'it has discover and box: give one of them'),
        ('{"discover": {"max_objects": 1.5}}', 'max_objects 1.5: use a whole number'),
        ('{"discover": {"min_score": true}}', 'min_score True: use a number'),
        ('{"discover": {"min_score": 2}}', 'min_score 2: use 0 to 1'),
        ('{"discover": {"region": [400, 0, 500, 9]}}', 'region: box (400, 0, 500, 9) is outside'),
        ('{"discover": {"region": 7}}', 'region: box_xyxy'),
        ('{"discover": {}, "frame": -1}', 'prompt 1: frame -1: use 0 or more'),
        ('{"discover": {}, "frame": 99}', 'frame 99 is after the last frame, 1'),
    ],
)
def test_wrong_searches_are_named_before_anything_is_done(
    tmp_path, empty, capsys, prompt, message
):
    path, out = tmp_path / 'p.json', tmp_path / 'out'
    path.write_text(f'[{prompt}]')
    assert message in refusal(capsys, empty, '--prompts', path, '--out', out)
    assert not out.exists()
