"""What the demo makes of its options, before it starts anything."""

import subprocess
import sys
from pathlib import Path

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
