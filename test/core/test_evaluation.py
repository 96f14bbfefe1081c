"""Clips with truth, prompts from it, what is scored and what is not, streaming, the command."""

import json
import time

import cv2
import numpy as np
import pytest
from fake_engine import FakeEngine
from truth_clip import SIZE_WH, moving_clip, square, write_clip

from tam_ros.evaluation.clips import TruthClip, read_clip
from tam_ros.evaluation.command import evaluate_clip, main
from tam_ros.evaluation.runs import (
    Clock,
    Output,
    newest_ready,
    next_frame,
    stream_clip,
    track_clip,
)
from tam_ros.evaluation.scores import ClipScore, ObjectScore
from tam_ros.evaluation.tables import format_table, mean_of_clips, summarize
from tam_ros.evaluation.trackers import Confidence, SessionTracker, Tracker, TruthTracker
from tam_ros.evaluation.truth_prompts import draw_correction, draw_prompt
from tam_ros.tracker.options import SessionOptions

FRAME_MS = 1000 / 24


@pytest.fixture
def moving(tmp_path) -> TruthClip:
    return moving_clip(tmp_path)


class ScriptedTracker(Tracker):
    """Answers with the truth, changed by a script; keeps the prompts that it is given."""

    name = 'scripted'

    def __init__(self, clip, change=lambda t, masks: masks, refuse=()):
        self.clip, self.change, self.refuse = clip, change, set(refuse)
        self.seen, self.started, self.prompts = [], set(), {}

    def step(self, image_rgb, stamp_ns):
        self.seen.append(round(stamp_ns * 1e-9 * self.clip.rate_hz))

    def prompt(self, image_rgb, prompts):
        for n, prompt in prompts.items():
            self.prompts.setdefault((n, self.seen[-1]), []).append(prompt)
        self.started |= prompts.keys() - self.refuse
        return prompts.keys() & self.refuse

    def masks(self):
        t, empty = self.seen[-1], np.zeros(SIZE_WH[::-1], bool)
        masks = {n: self.clip.masks(t).get(n, empty) for n in self.started}
        return self.change(t, masks)

    def confidences(self):
        return {n: Confidence(0.75, 2.0) for n in self.started}


def score_of(clip, *script, kind='mask', **options):
    return evaluate_clip(lambda _: ScriptedTracker(clip, *script, **options), clip, kind)


# -- clips and prompts ----------------------------------------------------------------------


def test_every_second_frame_up_to_three_keeps_its_time(tmp_path):
    truth = np.stack([square(t) * np.uint8(1) for t in range(8)])
    clip = read_clip(write_clip(tmp_path / 'clip', truth), every=2, max_frames=3, rate_hz=20)
    np.testing.assert_array_equal(clip.truth, truth[[0, 2, 4]])
    assert [clip.stamp_ns(t) for t in range(3)] == [0, 100_000_000, 200_000_000]


def test_objects_are_first_seen_where_their_first_pixel_is(moving):
    assert moving.first_frames() == {1: 0, 2: 3}


def test_box_prompt_is_tight():
    assert draw_prompt(square(20, 40, 30), 'box').box_xyxy == (20, 40, 50, 70)


@pytest.mark.parametrize('kind', ['click', '3clicks'])
def test_click_is_farthest_from_the_border_and_from_the_image_edge(kind):
    mask = square(60, 50, 21) | square(80, 58, 5)  # an arm to the right
    prompt = draw_prompt(mask, kind)
    assert prompt.points_xy.tolist() == [[70, 60]]
    assert prompt.point_labels.tolist() == [1]
    assert draw_prompt(square(0, 0, 21), kind).points_xy.tolist() == [[10, 10]]


@pytest.mark.parametrize(
    ('answer', 'truth', 'point', 'label'),
    [
        (square(20, 40, 21), square(20, 40, 21) | square(80, 40, 11), [85, 45], 1),
        (square(20, 40, 21) | square(80, 40, 11), square(20, 40, 21), [85, 45], 0),
        # Both are wrong: what is missing is 11 wide, what spills over 21.
        (square(80, 40, 21), square(20, 40, 11), [90, 50], 0),
    ],
)
def test_correction_is_in_the_middle_of_what_is_most_wrong(answer, truth, point, label):
    correction = draw_correction(answer, truth)
    assert correction.points_xy.tolist() == [point]
    assert correction.point_labels.tolist() == [label]


def test_right_answer_needs_no_correction():
    assert draw_correction(square(20), square(20)) is None


# -- scoring --------------------------------------------------------------------------------


def test_truth_scores_one_and_late_objects_are_prompted_when_they_appear(moving):
    tracker = ScriptedTracker(moving)
    row = summarize([evaluate_clip(lambda _: tracker, moving, 'mask')])
    assert (row.j, row.f, row.id_switches, row.refused) == (1, 1, 0, 0)
    assert list(tracker.prompts) == [(1, 0), (2, 3)]
    np.testing.assert_array_equal(tracker.prompts[2, 3][0].mask, moving.truth[3] == 2)


def test_frames_up_to_the_prompt_and_the_last_do_not_count(moving):
    score = score_of(moving, lambda t, masks: {} if t in (0, 7) else masks)
    assert [(o.first_frame, len(o.j)) for o in score.objects] == [(1, 6), (4, 3)]
    assert summarize([score]).j_and_f == 1


def test_mean_is_over_frames_then_objects(moving):
    score = score_of(moving, lambda t, masks: {n: m & (n != 1 or t < 3) for n, m in masks.items()})
    assert score.objects[0].j == [1, 1, 0, 0, 0, 0]
    assert summarize([score]).j == pytest.approx((2 / 6 + 1) / 2)


def test_refused_prompt_scores_zero_even_where_the_object_is_absent(moving):
    score = score_of(moving, kind='box', refuse=[2])
    assert (score.objects[1].j, score.objects[1].f) == ([0, 0, 0], [0, 0, 0])
    assert summarize([score]).refused == 1
    assert summarize([score]).j == 0.5


def test_swapped_masks_are_one_switch_each(moving):
    def swap(t, masks):
        return {1: masks[2], 2: masks[1]} if t in (4, 5) else masks

    assert [o.switches for o in score_of(moving, swap).objects] == [1, 1]


def test_void_pixels_count_for_neither_mask_nor_truth(tmp_path):
    truth = np.stack([square(20) * np.uint8(1) for _ in range(5)])
    truth[:, 40:70, 40:60] = 255  # the right third of the object, and as much beside it
    clip = read_clip(write_clip(tmp_path / 'clip', truth))
    assert clip.first_frames() == {1: 0}
    score = score_of(clip, lambda t, masks: {n: m | square(20) for n, m in masks.items()})
    assert (score.objects[0].j, score.objects[0].f) == ([1] * 3, [1] * 3)
    spilled = score_of(clip, lambda t, masks: {n: m | square(80) for n, m in masks.items()})
    assert spilled.objects[0].j == pytest.approx([20 / 50] * 3)


def test_time_to_reacquire_is_in_seconds_of_the_clip(tmp_path):
    truth = np.stack([square(20) * np.uint8(1) for _ in range(12)])
    truth[3:5] = truth[8:10] = 0  # gone twice
    clip = read_clip(write_clip(tmp_path / 'clip', truth), rate_hz=10)
    blind = {5, 6, 10}  # found two frames late; not before the clip ends
    score = score_of(clip, lambda t, masks: {n: m & (t not in blind) for n, m in masks.items()})
    assert score.objects[0].reacquire_s == [pytest.approx(0.2), None]
    row = summarize([score])
    assert (row.returns, row.reacquired, row.reacquire_s) == (2, 1, pytest.approx(0.2))
    assert '1/2 0.20 s' in format_table([score])


def test_mean_of_clips_counts_every_clip_the_same():
    def score(name, j, ids):
        objects = [ObjectScore(i, 1, [j], [j], [9], [None], [], 0, False, j) for i in ids]
        streamed = ClipScore('t', name, 'mask', objects, 1.0)
        return ClipScore('t', name, 'mask', objects, 1.0, streamed=streamed)

    scores = [score('few', 1.0, [1]), score('many', 0.0, [1, 2, 3])]
    clips, objects = mean_of_clips(scores), summarize(scores)
    assert clips.j_and_f == clips.streamed_j_and_f == clips.first_j == pytest.approx(0.5)
    assert objects.j_and_f == objects.streamed_j_and_f == objects.first_j == pytest.approx(0.25)
    assert clips.spread == pytest.approx(0.5**0.5)
    assert objects.spread is mean_of_clips(scores[:1]).spread is None


def test_the_first_answer_is_scored_apart_from_tracking(moving):
    def nothing_but_a_column(t, masks):
        column = np.cumsum(moving.masks(0)[1].any(0)) == 1  # the leftmost of the object
        return {n: m & column if t == 0 else m for n, m in masks.items()}

    whole, part = score_of(moving), score_of(moving, nothing_but_a_column)
    assert [o.first_j for o in whole.objects] == [1.0, 1.0]
    width = np.count_nonzero(moving.masks(0)[1].any(0))
    assert [o.first_j for o in part.objects] == [pytest.approx(1 / width), 1.0]
    assert [o.j for o in part.objects] == [o.j for o in whole.objects]


def test_a_refused_prompt_has_no_first_answer(moving):
    assert [o.first_j for o in score_of(moving, refuse=[1]).objects] == [0.0, 1.0]


# -- corrections ----------------------------------------------------------------------------


def test_three_clicks_are_one_and_two_corrections_on_the_same_frame(moving):
    tracker = ScriptedTracker(moving, lambda t, masks: {n: m & False for n, m in masks.items()})
    track_clip(tracker, moving, '3clicks')
    assert {key: len(given) for key, given in tracker.prompts.items()} == {(1, 0): 3, (2, 3): 3}


def test_right_answers_and_refused_objects_are_not_corrected(moving):
    tracker = ScriptedTracker(moving, refuse=[1])
    tracked = track_clip(tracker, moving, '3clicks')
    assert {key: len(given) for key, given in tracker.prompts.items()} == {(1, 0): 1, (2, 3): 1}
    assert tracked.refused == {1}


def test_correction_refines_the_object_of_the_session(moving):
    fake = FakeEngine()
    tracker = SessionTracker(fake)
    track_clip(tracker, moving, '3clicks')
    labels = [c.prompts.labels[0].tolist() for c in fake.calls if c.stage == 'decode_mask']
    given = [given for given in labels if given]
    assert [len(given) for given in given] == [1, 2, 3, 1, 2, 3]
    assert len(tracker.masks()) == 2


# -- streaming ------------------------------------------------------------------------------


def test_newest_output_that_is_ready_counts():
    outputs = [Output(10, {1: 'a'}), Output(20, {1: 'b'})]
    shown = [newest_ready(outputs, now) for now in (0, 9, 10, 19, 20, 99)]
    assert shown == [{}, {}, {1: 'a'}, {1: 'a'}, {1: 'b'}, {1: 'b'}]


@pytest.mark.parametrize(
    ('busy_frames', 'keep_newest', 'following'),
    [(0.5, False, 1), (1, False, 1), (1.5, False, 2), (2.5, False, 3), (99, False, 8)]
    + [(0.5, True, 1), (1, True, 1), (1.5, True, 1), (2.5, True, 2), (99, True, 7)],
)
def test_frames_that_come_while_busy_are_dropped(moving, busy_frames, keep_newest, following):
    free_ns = round(busy_frames * FRAME_MS * 1e6)
    assert next_frame(moving, 0, free_ns, keep_newest=keep_newest) == following


def test_tracker_that_takes_one_and_a_half_frames_sees_every_second_and_is_shown_late(moving):
    tracker = ScriptedTracker(moving)
    tracked = stream_clip(tracker, moving, 'mask', Clock(latency_ms=1.5 * FRAME_MS))
    assert tracker.seen == [0, 2, 4, 6]
    assert tracked.dropped == 4
    # The answer to frame 0 is ready between frames 1 and 2, that to 2 between 3 and 4.
    shown = [None, None, 0, 0, 2, 2, 4, 4]
    for t, source in enumerate(shown):
        if source is None:
            assert tracked.masks[t] == {}
        else:
            np.testing.assert_array_equal(tracked.masks[t][1], moving.truth[source] == 1)


def test_object_is_prompted_in_the_first_frame_that_the_tracker_sees_it_in(moving):
    tracker = ScriptedTracker(moving)
    stream_clip(tracker, moving, 'mask', Clock(latency_ms=1.5 * FRAME_MS))
    assert list(tracker.prompts) == [(1, 0), (2, 4)]


def test_delay_drops_no_frames(moving):
    tracker = ScriptedTracker(moving)
    clock = Clock(latency_ms=0, delay_ms=FRAME_MS - 0.1)
    tracked = stream_clip(tracker, moving, 'mask', clock)
    assert tracker.seen == list(range(8))
    for t in range(1, 8):
        np.testing.assert_array_equal(tracked.masks[t][1], moving.truth[t - 1] == 1)


def test_newest_frame_may_wait(moving):
    tracker = ScriptedTracker(moving)
    clock = Clock(latency_ms=1.5 * FRAME_MS, keep_newest=True)
    tracked = stream_clip(tracker, moving, 'mask', clock)
    # Free at 1.5, 3, 4.5, 6 and 7.5 frames: the newest one then is taken up.
    assert tracker.seen == [0, 1, 3, 4, 6, 7]
    assert tracked.dropped == 2


def test_measured_latency_is_that_of_the_tracker(moving):
    tracker, started = ScriptedTracker(moving), time.perf_counter()
    tracked = stream_clip(tracker, moving, 'mask', Clock())
    elapsed_ms = (time.perf_counter() - started) * 1000
    assert len(tracked.step_ms) == len(tracker.seen) == 8 - tracked.dropped
    assert all(ms > 0 for ms in tracked.step_ms)
    assert sum(tracked.step_ms) < elapsed_ms < 1000 * sum(tracked.step_ms)  # and no seconds


def test_truth_shown_in_time_scores_one_and_shown_late_loses_the_motion(moving):
    in_time, late = (
        evaluate_clip(TruthTracker, moving, 'mask', clock=Clock(0, delay)).streamed
        for delay in (0, FRAME_MS - 0.1)
    )
    assert summarize([in_time]).j_and_f == 1
    assert late.objects[0].j == pytest.approx([30 * 27 / (30 * 33)] * 6)


def test_truth_shown_late_loses_less_where_its_motion_is_forecast(moving):
    clock = Clock(latency_ms=0, delay_ms=FRAME_MS - 0.1)
    held, forecast = (
        evaluate_clip(lambda clip, o=o: TruthTracker(clip, o), moving, 'mask', clock=clock)
        for o in (SessionOptions(), SessionOptions(forecast='publish_time'))
    )
    held, forecast = held.streamed.objects[0], forecast.streamed.objects[0]
    assert forecast.j[0] == held.j[0]  # one frame tells no velocity
    assert min(forecast.j[2:]) > max(held.j) + 0.05


def test_forecast_of_what_stands_still_is_what_was_measured(moving):
    tracker = SessionTracker(FakeEngine(), options=SessionOptions(forecast='fixed_ms'))
    tracked = track_clip(tracker, moving, 'box')
    shown = tracker.shown(moving.stamp_ns(7))  # discs do not move
    for key, mask in tracked.masks[7].items():
        np.testing.assert_array_equal(shown[key], mask)


# -- sessions -------------------------------------------------------------------------------


def test_session_is_evaluated_with_confidences(moving):
    score = evaluate_clip(lambda _: SessionTracker(FakeEngine(), name='discs'), moving, 'box')
    assert score.tracker == 'discs'
    assert [o.confidences for o in score.objects] == [[Confidence(0.9, 5.0)] * n for n in (6, 3)]
    assert [area > 0 for area in score.objects[1].areas] == [True, True, False]
    assert score.ms_per_frame > 0


def test_session_confidences_belong_to_their_objects(engine, moving):
    tracker = SessionTracker(engine)
    tracker.step(moving.image_rgb(0), 0)
    prompts = {n: draw_prompt(square(x), 'mask') for n, x in ((7, 90), (3, 20))}
    assert tracker.prompt(moving.image_rgb(0), prompts) == set()
    tracker.step(moving.image_rgb(1), 1)
    assert list(tracker._session_ids) == [7, 3]
    visible = {o.object_id: o for o in tracker._session.objects if o.predicted_iou}
    assert visible
    for truth_id, session_id in tracker._session_ids.items():
        if session_id in visible:
            predicted = tracker.confidences()[truth_id].predicted_iou
            assert predicted == pytest.approx(visible[session_id].predicted_iou)


def test_session_names_a_refused_prompt(engine, moving):
    tracker = SessionTracker(engine)
    tracker.step(moving.image_rgb(0), 0)
    empty = draw_prompt(np.zeros(SIZE_WH[::-1], bool), 'mask')
    given = draw_prompt(square(20), 'mask')
    assert tracker.prompt(moving.image_rgb(0), {1: empty, 2: given}) == {1}
    assert tracker.masks().keys() == {2}


# -- the command ----------------------------------------------------------------------------


def test_command_prints_a_table_and_writes_scores_and_sheets(moving, tmp_path, capsys):
    out = tmp_path / 'out'
    options = ['--truth', '--latency-ms', '0', '--delay-ms', '41.6', '--out', str(out)]
    assert main([str(tmp_path), *options]) == 0
    printed = capsys.readouterr().out
    assert 'mean of objects' in printed
    scores = json.loads((out / 'scores.json').read_text())
    assert scores['clips'][0]['clip'] == 'moving'
    assert [row['clip'] for row in scores['means']] == ['mean of objects', 'mean of clips']
    for row in scores['clips'] + scores['means']:
        assert row['j_and_f'] == 1
        assert 0.5 < row['streamed_j_and_f'] < 0.95
    assert [len(o['j']) for o in scores['objects']] == [6, 3]
    for name in ('moving_truth_mask.png', 'moving_truth_mask_live.png'):
        assert cv2.imread(str(out / name)) is not None


def test_command_tracks_with_the_embedded_network(tmp_path, capsys):
    truth = np.stack([square(20 + 3 * t) * np.uint8(1) for t in range(3)])
    write_clip(tmp_path / 'moving', truth)
    assert main([str(tmp_path), '--image-size', '256', '--out', str(tmp_path / 'out')]) == 0
    (row,) = (line.split() for line in capsys.readouterr().out.splitlines() if ' moving ' in line)
    assert row[:3] == ['tam_nano/fifo', 'mask', 'moving']
    assert 0.5 < float(row[4]) <= 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--clips', 'cat'], "no clips ['cat']"),
        (['--prompts', 'words'], '--prompts words is unknown: use mask, box, click, 3clicks'),
        (['--policy', 'lifo'], '--policy lifo is unknown: use fifo'),
        (['--engine', 'steam'], "invalid choice: 'steam'"),
        (['--model', 'sam9', '--weights', 'x.pt'], "model 'sam9': use edgetam, tam_nano"),
        (['--every', '0'], '--every 0'),
        (['--weights', '~nobody_here/x.pt'], '~nobody_here/x.pt: no home folder is known'),
        (['--truth', '--out', '/proc/x'], 'folder /proc/x cannot be made'),
        (['--out', '~nobody_here/x'], "--out: invalid user_path value: '~nobody_here/x'"),
        (['--fps', 'nan'], '--fps nan'),
        (['--fps', 'inf'], '--fps inf'),
        (['--fps', '24', '--every', '480'], 'frames are 20 s apart, use at most 10 s'),
        (['--max-frames', '-1'], '--max-frames -1: use 3 or more'),
        (['--delay-ms', 'nan'], '--delay-ms nan: use 0 or more'),
    ],
)
def test_command_refuses_what_it_cannot_evaluate(moving, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        main([str(tmp_path), *arguments])
    assert message in capsys.readouterr().err


def test_command_names_a_folder_without_clips(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert f'{tmp_path} has no clips: NAME/rgb and NAME/masks' in capsys.readouterr().err


def test_unreadable_image_ends_the_command_in_one_line_and_keeps_what_was_measured(
    tmp_path, capsys
):
    truth = np.stack([square(20) * np.uint8(1) for _ in range(4)])
    for name in ('clip2', 'clip10'):
        write_clip(tmp_path / name, truth)
    broken = tmp_path / 'clip10' / 'rgb' / '00002.jpg'
    broken.write_bytes(broken.read_bytes()[:-2000])
    out = tmp_path / 'out'
    assert main([str(tmp_path), '--truth', '--out', str(out)]) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1] == f'evaluate: {broken} cannot be read as an image'
    scores = json.loads((out / 'scores.json').read_text())
    assert [row['clip'] for row in scores['clips']] == ['clip2']


def test_file_in_place_of_the_output_folder_is_named_before_anything_is_tracked(
    moving, tmp_path, capsys
):
    file = tmp_path / 'file'
    file.touch()
    with pytest.raises(SystemExit):
        main([str(tmp_path), '--truth', '--out', str(file)])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith('evaluate: error: ')
    assert str(file) in last
