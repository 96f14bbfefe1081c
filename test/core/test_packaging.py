"""The core installs and imports without ROS, and the tracker without torch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(name + ' is blocked', name=name)
sys.meta_path.insert(0, Block())
"""


def run_without(blocked: set[str], code: str, folder: Path = ROOT) -> None:
    """Run code in a Python that finds the source tree's package and none of the blocked ones."""
    program = BLOCK.format(blocked=blocked) + code
    done = subprocess.run(
        [sys.executable, '-c', program],
        cwd=folder,
        env={'PYTHONPATH': str(folder), '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1', 'PATH': ''},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_tracker_imports_without_torch_and_ros():
    run_without(
        {'torch', 'safetensors', 'rclpy', 'onnxruntime', 'cv_bridge'},
        'import tam_ros.tracker.session, tam_ros.tracker.image, tam_ros.engine.base, '
        'tam_ros.weights, tam_ros.evaluation.command',
    )


def test_the_default_runs_without_torch_and_ros():
    run_without(
        {'torch', 'safetensors', 'onnx', 'rclpy', 'cv_bridge'},
        'from tam_ros.engine.load import EngineChoice, load_engine\n'
        "assert 'ONNX Runtime' in load_engine(EngineChoice('tam_nano')).spec.runtime",
    )


def test_torch_engine_imports_without_ros():
    run_without({'rclpy', 'cv_bridge', 'vision_msgs'}, 'import tam_ros.engine.torch_engine')


def test_pip_installs_the_core(tmp_path):
    source, target = tmp_path / 'source', tmp_path / 'target'
    shutil.copytree(ROOT / 'tam_ros', source / 'tam_ros')  # building leaves files beside it
    for name in ('setup.py', 'pyproject.toml'):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-build-isolation']
    done = subprocess.run(
        [*pip, '--target', str(target), str(source)], capture_output=True, text=True, timeout=200
    )
    if done.returncode and 'No module named pip' in done.stderr:
        pytest.skip('pip is not installed')
    assert done.returncode == 0, done.stderr
    assert (target / 'tam_ros' / 'tracker' / 'session.py').is_file()
    for path in (ROOT / 'tam_ros' / 'embedded').iterdir():
        assert (target / 'tam_ros' / 'embedded' / path.name).is_file(), path.name
    assert not (target / 'tam_ros' / 'ros').exists()
    run_without({'rclpy'}, 'import tam_ros.tracker.session', target)
