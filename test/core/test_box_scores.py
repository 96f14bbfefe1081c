"""The clip with depth agrees with its truth, and scores of boxes say what they should."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tam_ros.evaluation.boxes import BoxScores
from tam_ros.evaluation.depth_clips import DepthClip, read_truth_3d
from tam_ros.geometry.oriented_box import OrientedBox
from tam_ros.image_files import SourceError

CLIP = Path(__file__).resolve().parents[2] / 'demo' / 'clip_3d'
LARGEST_BYTES = 4_000_000
MOVING, STANDING = ('oats box', 'ball'), ('can', 'mug', 'bottle')
UPRIGHT = np.eye(3)


@pytest.fixture(scope='module')
def clip() -> DepthClip:
    return DepthClip(CLIP)


def scored(clip, name, frames, box_at, points_at=None):
    """Return the score of an object by functions of the frame, which give boxes and points."""
    scores, number = BoxScores(clip), clip.numbers[name]
    for t in frames:
        scores.add(t, number, box_at(t, number), points_at(t, number) if points_at else None)
    return scores.score()


def test_clip_stays_small():
    assert sum(f.stat().st_size for f in CLIP.rglob('*') if f.is_file()) < LARGEST_BYTES


@pytest.mark.parametrize('t', [0, 31, 59])
def test_depth_masks_poses_and_sizes_belong_together(clip, t):
    """Depth is rounded to millimetres; meshes have corners where a circle is."""
    for number, known in clip.truth.objects.items():
        middle = clip.truth.frames[t][number]
        within = np.abs(middle.inverse.points(clip.points_m(t, number)))
        assert (within < np.array(known.size_m) / 2 + 0.001).all(), known.name
        assert clip.points_m(t, number)[:, 2].min() > clip.truth.floor_m - 0.001


def test_things_move_or_stand(clip):
    for name, number in clip.numbers.items():
        way = np.ptp([clip.center_m(t, number) for t in range(len(clip))], axis=0)
        assert (np.linalg.norm(way) > 0.3) == (name in MOVING), name
    assert set(clip.numbers) == {*MOVING, *STANDING}


def test_true_boxes_and_points_have_no_error(clip):
    for name in clip.numbers:
        score = scored(
            clip, name, range(0, 60, 12), lambda t, n: clip.box(t, n, UPRIGHT), clip.points_m
        )
        assert (score.boxes, score.position_mm, score.sides_mm) == (5, 0, 0)
        assert (score.off_percent, score.flips_per_minute) == (0, 0)
        assert score.frames_behind == 0 if name in MOVING else np.isnan(score.frames_behind)


@pytest.mark.parametrize('name', MOVING)
def test_boxes_of_the_frame_before_are_one_frame_behind(clip, name):
    number = clip.numbers[name]

    def late(t, n):
        true = clip.box(t, n, UPRIGHT)
        behind = clip.center_m(t - 1, number) - clip.center_m(t, number)
        return OrientedBox(true.center_m + behind + (0.01, 0, 0), true.axes, true.size_m)

    assert scored(clip, name, range(1, 60, 2), late).frames_behind == pytest.approx(1, abs=0.1)


def test_errors_are_those_of_the_box(clip):
    def wrong(t, n):
        true = clip.box(t, n, UPRIGHT)
        return OrientedBox(true.center_m + (0.003, 0, 0.004), true.axes, true.size_m + 0.006)

    def half_far(t, n):
        points = clip.points_m(t, n)[:100]
        return np.vstack([points + (0, 0, 0.5), points + (0, 0, 0.01)])

    score = scored(clip, 'can', (0, 30), wrong, half_far)
    assert score.position_mm == pytest.approx(5)
    assert score.sides_mm == pytest.approx(6)
    assert score.off_percent == 50


def test_quarter_turns_of_the_axes_are_flips(clip):
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])

    def turned(t, n):
        return clip.box(t, n, UPRIGHT if t < 30 else quarter)

    seconds = 58 / clip.files.camera.rate_hz
    score = scored(clip, 'can', range(0, 60, 2), turned)
    assert score.flips_per_minute == pytest.approx(60 / seconds)


def test_no_boxes_have_no_score(clip):
    with pytest.raises(ValueError, match='no boxes of objects'):
        BoxScores(clip).score([1])


@pytest.mark.parametrize('content', ['', '[]', '{}', '{"objects": {"1": {"colour": "red"}}}'])
def test_file_that_holds_no_truth_is_named(tmp_path, content):
    (tmp_path / 'truth.json').write_text(content)
    with pytest.raises(SourceError, match=r'truth\.json is no truth of a clip with depth'):
        read_truth_3d(tmp_path / 'truth.json')


def test_truth_of_fewer_frames_is_refused(tmp_path):
    for part in ('rgb', 'depth', 'masks', 'camera.json'):
        (tmp_path / part).symlink_to(CLIP / part)
    shutil.copy(CLIP / 'truth.json', tmp_path)
    content = json.loads((tmp_path / 'truth.json').read_text())
    content['frames'].pop()
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    with pytest.raises(SourceError, match='60 masks, 59 frames in truth.json and 60 poses'):
        DepthClip(tmp_path)
