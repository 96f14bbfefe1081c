"""The core installs and imports without ROS, the default without torch, and all is declared."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 600  # on a busy machine; quiet, it takes five seconds
# What rosdep calls the packages of these modules.
PACKAGES = {
    'PIL': 'python3-pil',
    'aiohttp': 'python3-aiohttp',
    'cv2': 'python3-opencv',
    'numpy': 'python3-numpy',
    'scipy': 'python3-scipy',
    'tabulate': 'python3-tabulate',
    'tqdm': 'python3-tqdm',
}
OPTIONAL = {'torch', 'safetensors', 'onnx', 'onnxruntime', 'rosbags', 'yolo_msgs'}

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
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr


def test_tracker_imports_without_torch_and_ros():
    run_without(
        {'torch', 'safetensors', 'rclpy', 'onnxruntime', 'cv_bridge', 'rosbags'},
        'import tam_ros.tracker.session, tam_ros.tracker.image, tam_ros.engine.base, '
        'tam_ros.weights, tam_ros.evaluation.command, tam_ros.offline.command',
    )


def test_the_default_runs_without_torch_and_ros():
    run_without(
        {'torch', 'safetensors', 'onnx', 'rclpy', 'cv_bridge'},
        'from tam_ros.engine.load import EngineChoice, load_engine\n'
        "assert 'ONNX Runtime' in load_engine(EngineChoice('tam_nano')).spec.runtime",
    )


def test_exporting_without_torch_says_what_to_install():
    run_without(
        {'torch'},
        'import contextlib, io\n'
        'from tam_ros.engine.export_command import main\n'
        'with contextlib.redirect_stderr(io.StringIO()) as said:\n'
        '    assert main([]) == 1\n'
        "told = 'export_onnx: torch is blocked: pip install torch onnx onnxscript'\n"
        'assert said.getvalue().startswith(told) and said.getvalue().count(chr(10)) == 1',
    )


def test_torch_engine_imports_without_ros():
    run_without({'rclpy', 'cv_bridge', 'vision_msgs'}, 'import tam_ros.engine.torch_engine')


@pytest.mark.parametrize('options', ['-c', '-uc'])
def test_the_environment_of_a_bare_machine_leaves_the_options_of_a_shell(options):
    if not (ROOT / '.ws' / 'install' / 'local_setup.bash').is_file():
        pytest.skip('nothing is built on this machine without ROS')
    code = 'before=$-; source tools/bare_ros/env.sh; echo "$before $-"'
    done = subprocess.run(
        ['bash', options, code], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S
    )
    before, after = done.stdout.split()
    assert before == after, done.stderr


def imports_of(path: Path) -> set[str]:
    """Return the packages that a program imports, wherever in it."""
    tree = ast.parse(path.read_text())
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    return {name.split('.')[0] for name in names} - set(sys.stdlib_module_names)


def test_package_declares_what_its_programs_import():
    programs = [*ROOT.glob('tam_ros/**/*.py'), *ROOT.glob('launch/*.py')]
    programs += [path for path in ROOT.glob('scripts/*') if path.is_file()]
    imported = set().union(*map(imports_of, programs)) - OPTIONAL - {'tam_ros'}
    manifest = ElementTree.parse(ROOT / 'package.xml').getroot()
    declared = {e.text for e in manifest if e.tag in ('depend', 'exec_depend')}
    assert {PACKAGES.get(name, name) for name in imported} <= declared


def test_no_version_of_numpy_is_excluded():
    wanted = re.findall(r"'(numpy[^']*)'", (ROOT / 'setup.py').read_text())
    assert wanted == ['numpy>=1.21']


def test_pip_installs_the_core(tmp_path):
    source, target = tmp_path / 'source', tmp_path / 'target'
    shutil.copytree(ROOT / 'tam_ros', source / 'tam_ros')  # building leaves files beside it
    for name in ('setup.py', 'pyproject.toml'):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-build-isolation']
    done = subprocess.run(
        [*pip, '--target', str(target), str(source)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    if done.returncode and 'No module named pip' in done.stderr:
        pytest.skip('pip is not installed')
    assert done.returncode == 0, done.stderr
    assert (target / 'tam_ros' / 'tracker' / 'session.py').is_file()
    for path in (ROOT / 'tam_ros' / 'embedded').iterdir():
        assert (target / 'tam_ros' / 'embedded' / path.name).is_file(), path.name
    for path in (ROOT / 'tam_ros' / 'offline' / 'definitions').glob('*/*'):
        assert (target / path.relative_to(ROOT)).is_file(), path.name
    assert not (target / 'tam_ros' / 'ros').exists()
    assert not (target / 'tam_ros' / 'web').exists()
    run_without({'rclpy'}, 'import tam_ros.tracker.session', target)
