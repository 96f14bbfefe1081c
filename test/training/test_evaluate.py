"""Baselines, calibration, and the command that measures them beside a tracker."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from truth_clip import SIZE_WH, moving_clip

from tam_ros.evaluation.clips import TruthClip, read_clip
from tam_ros.evaluation.command import evaluate_clip
from tam_ros.evaluation.scores import ClipScore, ObjectScore
from tam_ros.evaluation.tables import summarize
from tam_ros.evaluation.trackers import Confidence
from training import baselines, calibration
from training.calibration import Record
from training.checkpoints import save_checkpoint
from training.evaluate import main
from training.settings import REPVIT, Phase, Settings
from training.splits import SPLITS
from training.trainer import Place, Trainer

EVAL = Path(__file__).parents[2].parent / 'shared' / 'eval'


@pytest.fixture
def moving(tmp_path) -> TruthClip:
    return moving_clip(tmp_path)


# -- baselines ------------------------------------------------------------------------------


def test_copy_keeps_the_first_mask(moving):
    score = evaluate_clip(lambda _: baselines.CopyTracker(), moving, 'mask')
    expected = [30 * (30 - 3 * t) / (30 * (30 + 3 * t)) for t in range(1, 7)]
    assert score.objects[0].j == pytest.approx(expected)


def test_flow_follows_a_moving_square(moving):
    score = evaluate_clip(lambda _: baselines.FlowTracker(), moving, 'mask')
    assert min(score.objects[0].j) > 0.7  # a copy falls to 0.25


@pytest.mark.parametrize('kind', ['mask', 'box'])
def test_box_tracker_follows_a_moving_square(moving, kind):
    if baselines.BoxTracker not in baselines.available_baselines():
        pytest.skip('this OpenCV has no CSRT: it is in opencv-contrib')
    score = evaluate_clip(lambda _: baselines.BoxTracker(), moving, kind)
    assert min(score.objects[0].j) > 0.5


def test_lost_box_is_an_empty_mask():
    image = np.zeros((*SIZE_WH[::-1], 3), np.uint8)
    assert not baselines.cut_out(image, (0, 0, 0, 0)).any()
    assert baselines.clip_box((-10, 100, 30, 40), image.shape) == (0, 100, 20, 120)


def test_flow_beats_copy_on_a_real_clip():
    if not EVAL.is_dir():
        pytest.skip(f'no evaluation clips at {EVAL}')
    clip = read_clip(EVAL / 'tennis', max_frames=12)
    copy, flow = (
        summarize([evaluate_clip(lambda _, tracker=tracker: tracker(), clip, 'mask')]).j_and_f
        for tracker in (baselines.CopyTracker, baselines.FlowTracker)
    )
    assert flow > copy + 0.1


# -- calibration ----------------------------------------------------------------------------


def record(predicted, true, logit=5.0, is_present=True):
    return Record(Confidence(predicted, logit), true, is_present)


def test_records_are_of_frames_with_a_confidence_and_tell_where_the_object_was_absent():
    sure, unsure = Confidence(0.9, 3.0), Confidence(0.2, -1.0)
    scored = ObjectScore(
        1, 1, [0.8, 0.5, 1.0], [1, 1, 1], [9, 9, 0], [sure, None, unsure], [], 0, False, 0.8
    )
    score = ClipScore('t', 'clip', 'mask', [scored], 1.0)
    assert calibration.records_of([score]) == [Record(sure, 0.8, True), Record(unsure, 1.0, False)]


def test_trackers_that_tell_no_confidence_leave_no_records(moving):
    score = evaluate_clip(lambda _: baselines.CopyTracker(), moving, 'mask')
    assert calibration.records_of([score]) == []


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


def test_calibration_picture_is_written(tmp_path):
    pytest.importorskip('matplotlib')
    calibration.save_calibration(tmp_path / 'calibration.png', [record(0.9, 0.8)], 'title')
    assert cv2.imread(str(tmp_path / 'calibration.png')) is not None


# -- the command ----------------------------------------------------------------------------


def test_command_writes_table_scores_and_pictures(moving, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    out = tmp_path / 'out'
    main([str(tmp_path), '--baselines', 'only', '--prompts', 'mask', '--out', str(out)])
    printed = capsys.readouterr().out
    scores = json.loads((out / 'scores.json').read_text())
    assert [row['tracker'] for row in scores['means']][:4] == ['copy', 'copy', 'flow', 'flow']
    for name in ('mean of objects', 'mean of clips'):
        assert name in printed
        assert name in [row['clip'] for row in scores['means']]
    assert (out / 'moving_flow_mask.png').is_file()
    assert (out / 'moving_j.png').is_file()


def test_baselines_get_only_the_prompts_they_take(moving, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    main([str(tmp_path), '--baselines', 'only', '--prompts', 'mask,click', '--out', str(tmp_path)])
    assert 'click' not in capsys.readouterr().out


def test_a_run_is_evaluated_in_its_own_shape(moving, tmp_path, capsys):
    pytest.importorskip('matplotlib')
    model = dataclasses.replace(REPVIT, image_size=128, depths=(1, 1, 1, 1))
    settings = Settings(model, (Phase('images', 1, 128, 1, 1, (1e-3, 1e-3)),))
    run = tmp_path / 'shallow'
    run.mkdir()
    save_checkpoint(run / 'checkpoint.pt', Trainer(settings, Place()).checkpoint())
    main([str(tmp_path), '--runs', str(run), '--prompts', 'mask', '--out', str(tmp_path / 'out')])
    row = next(row for row in capsys.readouterr().out.splitlines() if row.startswith('shallow'))
    assert 'mask' in row
    assert 'moving' in row


def test_splits_share_no_clip():
    development, validation = map(set, SPLITS.values())
    assert len(development) == len(validation) == 16
    assert not development & validation


def test_a_split_is_evaluated_alone(tmp_path, capsys):
    for name in ('bear', 'surf'):
        moving_clip(tmp_path / name)
    options = ['--baselines', 'only', '--prompts', 'mask', '--out', str(tmp_path / 'out')]
    folder = tmp_path / 'clips'
    folder.mkdir()
    for name in ('bear', 'surf'):
        (tmp_path / name / 'moving').rename(folder / name)
    main([str(folder), *options, '--split', 'development', '--clips', 'bear'])
    printed = capsys.readouterr().out
    assert 'bear' in printed
    assert 'surf' not in printed
    with pytest.raises(SystemExit):
        main([str(folder), *options, '--split', 'development', '--clips', 'surf'])
    assert "surf are not in the split 'development'" in capsys.readouterr().err
