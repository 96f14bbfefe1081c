"""What the demo makes of its options, before it starts anything."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

DEMO = Path(__file__).parents[2] / 'demo'
PLAN = 'plan = demo.make_plan(demo.parse_arguments({})); print(plan.engine, plan.must_export)'


def run(code: str) -> subprocess.CompletedProcess:
    """Run lines of Python that use the demo's module."""
    command = [sys.executable, '-c', f'import sys, demo; {code}']
    return subprocess.run(command, cwd=DEMO, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ('options', 'engine_and_must_export'),
    [
        ([], 'onnx False'),
        (['--engine', 'torch'], 'torch False'),
        (['--weights', 'reproducible'], 'torch False'),
        (['--image-size', '640'], 'onnx True'),
    ],
)
def test_only_what_has_no_graphs_is_exported(options, engine_and_must_export):
    assert run(PLAN.format(options)).stdout.strip() == engine_and_must_export


def test_a_folder_of_graphs_is_used_as_it_is(tmp_path):
    for engine in ([], ['--engine', 'onnx']):
        ran = run(PLAN.format(['--weights', str(tmp_path), *engine]))
        assert ran.stdout == 'onnx False\n', ran.stderr


def test_exporting_without_pytorch_says_how_to_install_it():
    ran = run("sys.modules['torch'] = None; sys.exit(demo.main(['--image-size', '640']))")
    assert ran.returncode == 1
    assert ran.stderr.startswith('demo failed: making graphs for ONNX Runtime needs PyTorch')
    assert ran.stderr.endswith(': run `make .venv/torch`\n')


def test_weights_that_are_not_there_are_named():
    ran = run("sys.exit(demo.main(['--weights', '~/no/such.pt']))")
    assert ran.stderr == 'demo failed: --weights ~/no/such.pt does not exist\n'


def test_an_object_is_said_with_score_and_box():
    found = (
        "TrackedObject(label='mug', state=1, score=0.5, "
        'box=RegionOfInterest(x_offset=1, y_offset=2, width=3, height=4), '
        'mask=Image(data=bytes(12)))'
    )
    imports = 'import report; from sensor_msgs.msg import Image, RegionOfInterest'
    ran = run(
        f'{imports}; from tam_ros.msg import TrackedObject; '
        f"print(report._in_words([{found}, TrackedObject(label='cup', state=3)]))"
    )
    assert ran.stdout == 'mug 0.50 [1,2+3x4], cup lost\n', ran.stderr


def test_depth_plays_the_clip_with_depth_whose_truth_is_known():
    plan = 'plan = demo.make_plan(demo.parse_arguments(["--depth"]))'
    ran = run(f'{plan}; print(plan.video.name, plan.rate_hz, *plan.boxes, plan.depth.exact)')
    assert ran.stdout == 'clip_3d 5.0 oats box ball can mug bottle False\n', ran.stderr


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            ['--video', 'clip/clip.mp4', '--box', '1,2,30,40'],
            '--depth --video clip/clip.mp4: give',
        ),
        (['--video', 'clip', '--box', '1,2,30,40'], 'clip has no rgb: images with depth are'),
    ],
)
def test_depth_of_what_has_none_says_what_is_needed(options, message):
    ran = run(f"sys.exit(demo.main(['--depth', *{options}]))")
    assert ran.returncode == 1
    assert ran.stderr.startswith(f'demo failed: {message}')


def test_pictures_without_matplotlib_say_how_to_install_it():
    ran = run("sys.modules['matplotlib'] = None; sys.exit(demo.main(['--depth']))")
    assert ran.stderr == 'demo failed: pictures need matplotlib: run `make .venv/pictures`\n'


ANSWERS = """
import numpy as np, demo
from boxes import BoxAnswer
from pathlib import Path
from tam_ros.ros.conversions_3d import POINT
clip = demo.make_plan(demo.parse_arguments(['--depth'])).depth.clip
report = demo.BoxReport(clip)
for t in range(0, 60, 20):
    boxes, points = {}, {}
    for name, number in clip.numbers.items():
        xyz = clip.points_m(t, number)
        points[name] = np.zeros(len(xyz), POINT)
        points[name]['x'], points[name]['y'], points[name]['z'] = xyz.T
        points[name]['rgb'] = 0x3060C0
        boxes[name] = clip.box(t, number, np.eye(3))
    report.take(BoxAnswer(t, boxes, points, 100.0))
"""


def test_answers_are_compared_with_the_truth_and_drawn(tmp_path):
    pytest.importorskip('matplotlib', reason='pictures are drawn by matplotlib')
    files = ', '.join(repr(str(tmp_path / name)) for name in ('boxes.png', 'top_view.png'))
    ran = run(
        f'exec({ANSWERS!r}); report.summarise(); from pictures_3d import Painter; '
        'painter = Painter(clip.files, report.answers, clip); '
        f'draw = painter.draw_boxes, painter.draw_top_view; '
        f'[paint(Path(file)) for paint, file in zip(draw, ({files}))]'
    )
    assert ran.returncode == 0, ran.stderr
    assert 'in 3D      3 frames; camera to boxes: p50 100 ms' in ran.stdout
    (row,) = [line for line in ran.stdout.splitlines() if line.startswith('all ')]
    assert row.split() == ['all', '0.0', '0.0', '0.0', '0.00', '0', '0.00']
    for name in ('boxes.png', 'top_view.png'):
        picture = cv2.imread(str(tmp_path / name))
        assert min(picture.shape[:2]) > 700
        assert picture.std() > 20
