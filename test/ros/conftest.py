"""Fixtures of the tests with real nodes, which need ROS and this package's messages."""

import importlib
import os
from pathlib import Path

import pytest
from programs import DOMAIN_IDS, LOCALHOST, Program

LOG_TAIL = 4000  # characters
WITHOUT_TORCH = Path(__file__).parents[2] / '.venv-onnx' / 'bin' / 'python'


def _missing() -> str:
    try:
        for module in ('rclpy', 'vision_msgs.msg', 'tam_ros.msg'):
            importlib.import_module(module)
    except ImportError as error:
        return f'{module} cannot be imported ({error}): build and source the workspace'
    return ''


MISSING = _missing()
os.environ.update(LOCALHOST)  # for the robot in this process


class _SkippedModule(pytest.Module):
    def collect(self):
        pytest.skip(MISSING, allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Skip this whole folder where ROS is missing, instead of failing to import it."""
    return _SkippedModule.from_parent(parent, path=module_path) if MISSING else None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Add the logs of the programs that run to the report of a failed test."""
    report = (yield).get_result()
    if report.failed:
        for program in Program.running:
            report.sections.append((f'log of {program.name}', program.log[-LOG_TAIL:]))


def _save_weights(path: Path, biases: dict[str, float]) -> Path:
    """Save the calm network's weights with some biases raised."""
    pytest.importorskip('torch', reason='EdgeTAM runs on PyTorch')
    import safetensors.torch  # here: slow, and not needed where this folder is skipped
    from calm import calm_network

    state = calm_network().state_dict()
    for key, value in biases.items():
        state[key] += value
    safetensors.torch.save_file({key: value.clone() for key, value in state.items()}, path)
    return path


@pytest.fixture(scope='session')
def weights(tmp_path_factory) -> Path:
    """A weights file whose masks are scattered over the image and cover a part of it."""
    path = tmp_path_factory.mktemp('weights') / 'calm.safetensors'
    mlp = 'sam_mask_decoder.output_hypernetworks_mlps.{}.layers.2.bias'
    return _save_weights(path, {mlp.format(i): 0.15 for i in range(4)})


@pytest.fixture(scope='session')
def blind_weights(tmp_path_factory) -> Path:
    """A weights file that never finds an object, so that only a given mask is ever visible."""
    path = tmp_path_factory.mktemp('weights') / 'blind.safetensors'
    return _save_weights(path, {'sam_mask_decoder.pred_obj_score_head.layers.2.bias': -100.0})


@pytest.fixture(scope='module')
def start_tracker(weights, tmp_path_factory):
    """Start a node with parameters and wait until it is ready; it ends with the module.

    By default it is EdgeTAM with weights made by rule. With engine onnx it is the network that
    comes with the package, and runs where there is no PyTorch.
    """
    from tracker import Tracker

    trackers = []

    def start(**options) -> Tracker:
        defaults = {'image_size': 256, 'threads': 1}
        if options.get('engine') == 'onnx':
            if not WITHOUT_TORCH.exists():
                pytest.skip(
                    f'no environment without PyTorch: `make {WITHOUT_TORCH.parts[-3]}/ready`'
                )
            defaults |= {'model': 'tam_nano', 'weights': "''", 'python': WITHOUT_TORCH}
        else:
            defaults |= {'model': 'edgetam', 'weights': weights}
        options = {**defaults, **options}
        trackers.append(Tracker(tmp_path_factory.mktemp('node'), **options))
        trackers[-1].program.wait_for_log('ready:')
        return trackers[-1]

    yield start
    for tracker in reversed(trackers):
        tracker.close()


@pytest.fixture
def start_program(tmp_path):
    """Start a script of the package on a domain of its own; it ends with the test."""
    programs = []

    def start(script: str, *arguments, **environment) -> Program:
        options = {'domain_id': next(DOMAIN_IDS), 'folder': tmp_path, **environment}
        programs.append(Program(script, *map(str, arguments), **options))
        return programs[-1]

    yield start
    for program in programs:
        program.end()
        DOMAIN_IDS.release(program.domain_id)
