"""A node whose network answers with NaN: it says so, shows nothing of it, and loses nothing."""

import sys

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from robot import header_at, image_message

# The node, with an engine that answers with NaN while a file is there.
NODE = """#!{python}
from dataclasses import replace
from pathlib import Path

from tam_ros.engine.load import load_engine
from tam_ros.ros import node, process


def load_breakable(choice):
    engine = load_engine(choice)
    decode = engine.decode_mask

    def decode_mask(*arguments):
        decoded = decode(*arguments)
        broken = Path({broken!r}).exists()
        return replace(decoded, logits=decoded.logits * float('nan')) if broken else decoded

    engine.decode_mask = decode_mask
    return engine


node.load_engine = load_breakable
process.main()
"""


@pytest.fixture(scope='module')
def broken(tmp_path_factory):
    """The file by which the engine is broken."""
    return tmp_path_factory.mktemp('broken') / 'broken'


@pytest.fixture(scope='module')
def tracker(start_tracker, broken):
    program = broken.with_name('node')
    program.write_text(NODE.format(python=sys.executable, broken=str(broken)))
    program.chmod(0o755)
    return start_tracker(python=program)


def wait_for_status(tracker, diagnostics, image, level) -> str:
    """Show images until the diagnostics have a level; return their message."""

    def has_level():
        return diagnostics and diagnostics[-1].status[0].level == level

    for _ in range(30):
        tracker.publish(image_message(image, 'rgb8', header_at(tracker.robot.now_ns())))
        if tracker.robot.spin_until(has_level, 2):
            return diagnostics[-1].status[0].message
    raise AssertionError(f'no status of level {level}: {diagnostics[-1:]}')


def test_frames_are_not_shown_and_objects_stay(tracker, broken, frames):
    diagnostics = tracker.robot.record(DiagnosticArray, '/diagnostics')
    tracker.show(frames[0])
    added = tracker.add(points=[(90, 110)], label='cup')
    assert added.success, added.message
    tracker.show(frames[0])
    broken.touch()
    message = wait_for_status(tracker, diagnostics, frames[0], DiagnosticStatus.ERROR)
    assert 'not finite' in message
    assert 'calm.safetensors' in message
    shown = len(tracker.received['objects'])
    refused = tracker.add(points=[(200, 60)])
    assert not refused.success
    assert 'not finite' in refused.message
    assert [o.label for o in tracker.objects().objects] == ['cup']
    assert len(tracker.received['objects']) == shown
    broken.unlink()
    assert tracker.show(frames[0]).ids == [1]
    message = wait_for_status(tracker, diagnostics, frames[0], DiagnosticStatus.OK)
    assert message.startswith('tracking at')
    assert tracker.program.log.count('image not tracked') == 1
