"""Prompts from the truth, what is scored and what is not, baselines, and calibration."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from calm import calm_network
from PIL import Image

from tam_ros.engine.torch_engine import TorchEngine
from training import baselines, calibration
from training.calibration import Confidence, Record
from training.evaluate import SessionTracker, evaluate_clip, main
from training.scores import ClipScore, ObjectScore, mean_of_clips, summarize
from training.truth_clips import TruthClip, draw_prompt, read_clip, read_truth

torch.set_num_threads(min(4, os.cpu_count() or 1))

EVAL = Path(__file__).parents[2].parent / 'shared' / 'eval'
SIZE_WH = (160, 120)


def square(x, y=40, side=30):
    mask = np.zeros(SIZE_WH[::-1], bool)
    mask[y : y + side, x : x + side] = True
    return mask


def write_clip(folder: Path, truth: np.ndarray) -> Path:
    """Write a clip of textured squares, moving as the (T, H, W) truth says, over noise."""
    rng = np.random.default_rng(0)
    background, texture = rng.integers(0, 256, (2, *truth.shape[1:], 3), np.uint8)
    for name in ('rgb', 'masks'):
        (folder / name).mkdir(parents=True)
    for t, labels in enumerate(truth):
        image = cv2.GaussianBlur(background, (0, 0), 3)
        for n in np.unique(labels[labels > 0]):
            y, x = np.argwhere(labels == n)[0]
            image[labels == n] = np.roll(texture, (y, x), (0, 1))[labels == n]
        cv2.imwrite(str(folder / 'rgb' / f'{t:05}.jpg'), image)
        cv2.imwrite(str(folder / 'masks' / f'{t:05}.png'), labels)
    return folder


@pytest.fixture
def moving(tmp_path) -> TruthClip:
    """Object 1 moves 3 pixels a frame; object 2 appears in frame 3 and is gone in frame 6."""
    truth = np.stack([square(20 + 3 * t) * np.uint8(1) for t in range(8)])
    truth[[3, 4, 5, 7], 85:110, 5:30] = 2
    return read_clip(write_clip(tmp_path / 'moving', truth))


class ScriptedTracker:
    """Answers with the truth, changed by a script; keeps the prompts that it is given."""

    name = 'scripted'

    def __init__(self, clip, change=lambda t, masks: masks, refuse=()):
        self.clip, self.change, self.refuse = clip, change, refuse
        self.t, self.started, self.prompts = -1, set(), {}

    def step(self, image_rgb):
        self.t += 1
        empty = np.zeros(image_rgb.shape[:2], bool)
        masks = {n: self.clip.masks(self.t).get(n, empty) for n in self.started}
        return self.change(self.t, masks)

    def start(self, image_rgb, prompts):
        self.prompts |= {(n, self.t): prompt for n, prompt in prompts.items()}
        self.started |= prompts.keys() - set(self.refuse)
        return {n: self.clip.masks(self.t)[n] for n in prompts if n in self.started}

    def confidences(self):
        return {n: Confidence(0.75, 2.0) for n in self.started}


# -- clips and prompts ----------------------------------------------------------------------


def test_palette_images_are_read_as_ids(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(labels, mode='P')
    image.putpalette([200, 30, 90] * 256)
    image.save(tmp_path / 'palette.png')
    np.testing.assert_array_equal(read_truth(tmp_path / 'palette.png'), labels)


def test_colour_truth_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / 'colour.png'), np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(ValueError, match='has mode RGB: give an 8-bit grey or palette image'):
        read_truth(tmp_path / 'colour.png')


def test_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(ValueError, match='has no rgb'):
        read_clip(tmp_path)


def test_every_second_frame_up_to_three(tmp_path):
    truth = np.stack([square(t) * np.uint8(1) for t in range(8)])
    clip = read_clip(write_clip(tmp_path / 'clip', truth), every=2, max_frames=3)
    np.testing.assert_array_equal(clip.truth, truth[[0, 2, 4]])


def test_box_prompt_is_tight():
    assert draw_prompt(square(20, 40, 30), 'box').box_xyxy == (20, 40, 50, 70)


def test_click_is_farthest_from_the_border_and_from_the_image_edge():
    mask = square(60, 50, 21) | square(80, 58, 5)  # an arm to the right
    assert draw_prompt(mask, 'click').points_xy.tolist() == [[70, 60]]
    assert draw_prompt(square(0, 0, 21), 'click').points_xy.tolist() == [[10, 10]]


# -- scoring --------------------------------------------------------------------------------


def test_truth_scores_one_and_late_objects_are_prompted_when_they_appear(moving):
    tracker = ScriptedTracker(moving)
    score = evaluate_clip(lambda: tracker, moving, 'mask')
    row = summarize([score])
    assert (row.j, row.f, row.id_switches, row.refused) == (1, 1, 0, 0)
    assert list(tracker.prompts) == [(1, 0), (2, 3)]
    np.testing.assert_array_equal(tracker.prompts[2, 3].mask, moving.truth[3] == 2)


def test_frames_up_to_the_prompt_and_the_last_do_not_count(moving):
    def forget_at_the_ends(t, masks):
        return {} if t in (0, 7) else masks

    score = evaluate_clip(lambda: ScriptedTracker(moving, forget_at_the_ends), moving, 'mask')
    assert [(o.first_frame, len(o.j)) for o in score.objects] == [(1, 6), (4, 3)]
    assert summarize([score]).j_and_f == 1


def test_mean_is_over_frames_then_objects(moving):
    def lose_first_object(t, masks):
        return {n: m & (n != 1 or t < 3) for n, m in masks.items()}

    score = evaluate_clip(lambda: ScriptedTracker(moving, lose_first_object), moving, 'mask')
    assert score.objects[0].j == [1, 1, 0, 0, 0, 0]
    assert summarize([score]).j == pytest.approx((2 / 6 + 1) / 2)


def test_refused_prompt_scores_zero_even_where_the_object_is_absent(moving):
    score = evaluate_clip(lambda: ScriptedTracker(moving, refuse=[2]), moving, 'box')
    assert (score.objects[1].j, score.objects[1].f) == ([0, 0, 0], [0, 0, 0])
    assert summarize([score]).refused == 1
    assert summarize([score]).j == 0.5


def test_swapped_masks_are_one_switch_each(moving):
    def swap(t, masks):
        return {1: masks[2], 2: masks[1]} if t in (4, 5) else masks

    score = evaluate_clip(lambda: ScriptedTracker(moving, swap), moving, 'mask')
    assert [o.switches for o in score.objects] == [1, 1]


# -- trackers -------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def engine():
    return TorchEngine(calm_network(), mode='interactive')


def test_session_is_evaluated_with_confidences(engine, moving):
    score = evaluate_clip(lambda: SessionTracker(engine), moving, 'box')
    assert score.tracker == engine.spec.model
    assert len(score.records) == 6 + 3
    assert all(0 <= r.confidence.predicted_iou <= 1 for r in score.records)
    assert [r.is_present for r in score.records[6:]] == [True, True, False]
    assert score.ms_per_frame > 0


def test_session_confidences_belong_to_their_objects(engine, moving):
    tracker = SessionTracker(engine)
    tracker.step(moving.image_rgb(0))
    tracker.start(
        moving.image_rgb(0), {n: draw_prompt(square(x), 'mask') for n, x in ((7, 90), (3, 20))}
    )
    tracker.step(moving.image_rgb(1))
    visible = [o for o in tracker._session.objects if o.score]
    assert [tracker._truth_ids[o.object_id] for o in tracker._session.objects] == [7, 3]
    for o in visible:
        confidence = tracker.confidences()[tracker._truth_ids[o.object_id]]
        assert confidence.predicted_iou == pytest.approx(o.score)


def test_session_leaves_out_a_refused_prompt(engine, moving):
    tracker = SessionTracker(engine)
    tracker.step(moving.image_rgb(0))
    empty = draw_prompt(np.zeros(SIZE_WH[::-1], bool), 'mask')
    given = draw_prompt(square(20), 'mask')
    assert tracker.start(moving.image_rgb(0), {1: empty, 2: given}).keys() == {2}


def test_copy_keeps_the_first_mask(moving):
    score = evaluate_clip(baselines.CopyTracker, moving, 'mask')
    expected = [30 * (30 - 3 * t) / (30 * (30 + 3 * t)) for t in range(1, 7)]
    assert score.objects[0].j == pytest.approx(expected)


def test_flow_follows_a_moving_square(moving):
    score = evaluate_clip(baselines.FlowTracker, moving, 'mask')
    assert min(score.objects[0].j) > 0.7  # a copy falls to 0.25


@pytest.mark.parametrize('kind', ['mask', 'box'])
def test_box_tracker_follows_a_moving_square(moving, kind):
    if baselines.BoxTracker not in baselines.available_baselines():
        pytest.skip('this OpenCV has no CSRT: it is in opencv-contrib')
    score = evaluate_clip(baselines.BoxTracker, moving, kind)
    assert min(score.objects[0].j) > 0.5


def test_lost_box_is_an_empty_mask():
    image = np.zeros((*SIZE_WH[::-1], 3), np.uint8)
    assert not baselines.cut_out(image, (0, 0, 0, 0)).any()
    assert baselines.clip_box((-10, 100, 30, 40), image.shape) == (0, 100, 20, 120)


# -- calibration ----------------------------------------------------------------------------


def record(predicted, true, logit=5.0, is_present=True):
    return Record(Confidence(predicted, logit), true, is_present)


def test_calibration_error_weighs_bins_by_their_masks():
    records = [record(0.95, 0.85), record(0.95, 0.75), record(0.95, 0.8), record(0.55, 0.45)]
    records.append(record(0.0, 1.0, logit=-3.0))  # the tracker gives no mask
    curve = calibration.reliability(records)
    assert curve.counts.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 3]
    assert curve.expected_error == pytest.approx((3 * 0.15 + 1 * 0.1) / 4)


def test_predicted_iou_of_one_falls_into_the_last_bin():
    assert calibration.reliability([record(1.0, 1.0)]).counts[-1] == 1


def test_presence_precision_and_recall():
    records = [record(0.9, 0.9)] * 3 + [record(0, 0, logit=-1)]
    records += [record(0.5, 0, is_present=False), record(0, 1, logit=-2, is_present=False)]
    assert calibration.presence_precision_recall(records) == (3 / 4, 3 / 4)


# -- the command ----------------------------------------------------------------------------


def test_command_writes_table_json_and_pictures(moving, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    arguments = ['--eval', str(tmp_path), '--baselines', '--prompts', 'mask', '--out']
    main([*arguments, str(tmp_path / 'out'), '--json', str(tmp_path / 'scores.json')])
    printed = capsys.readouterr().out
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert [row['tracker'] for row in scores['means']][:4] == ['copy', 'copy', 'flow', 'flow']
    for name in ('mean of objects', 'mean of clips'):
        assert name in printed
        assert name in [row['clip'] for row in scores['means']]
    assert (tmp_path / 'out' / 'moving_mask_flow.png').is_file()
    assert (tmp_path / 'out' / 'moving_j.png').is_file()


def test_calibration_picture_is_written(tmp_path):
    pytest.importorskip('matplotlib')
    calibration.save_calibration(tmp_path / 'calibration.png', [record(0.9, 0.8)], 'title')
    assert cv2.imread(str(tmp_path / 'calibration.png')) is not None


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'give --weights, --baselines or both'),
        (['--baselines', '--clips', 'cat'], "no clips ['cat']"),
        (['--baselines', '--prompts', 'words'], "prompts ['words'] are unknown"),
    ],
)
def test_command_refuses_what_it_cannot_evaluate(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        main(['--eval', str(tmp_path), *arguments])
    assert message in capsys.readouterr().err


def test_flow_beats_copy_on_a_real_clip():
    if not EVAL.is_dir():
        pytest.skip(f'no evaluation clips at {EVAL}')
    clip = read_clip(EVAL / 'tennis', max_frames=12)
    copy, flow = (
        summarize([evaluate_clip(tracker, clip, 'mask')]).j_and_f
        for tracker in (baselines.CopyTracker, baselines.FlowTracker)
    )
    assert flow > copy + 0.1


def test_mean_of_clips_counts_every_clip_the_same():
    scores = [
        ClipScore('t', name, 'mask', [ObjectScore(i, 1, [j], [j], 0, False) for i in ids], [], 1.0)
        for name, j, ids in (('few', 1.0, [1]), ('many', 0.0, [1, 2, 3]))
    ]
    assert mean_of_clips(scores).j_and_f == pytest.approx(0.5)
    assert summarize(scores).j_and_f == pytest.approx(0.25)
