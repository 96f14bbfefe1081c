"""A real node walks as CONTRIBUTING.md says: from a message to what is published, in order."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from detector import Detector
from tracker import SMALL
from walks import WALKS, not_entered

WALKING = Path(__file__).with_name('walking_node.py')
MIDDLE = (90, 110)  # of the square in the first frame
MANY = 50  # frames; how soon a late object catches up depends on how long the machine takes


@pytest.fixture(scope='module')
def node(start_tracker):
    return start_tracker(script=WALKING, **SMALL, history_s=10.0)


def show(detector: Detector) -> None:
    assert detector.tracker.add([MIDDLE]).success


def prompt(detector: Detector) -> None:
    assert detector.tracker.add([MIDDLE]).success


def prompt_late(detector: Detector) -> None:
    for index in (1, 2):
        detector.show(index)
    assert detector.tracker.add([MIDDLE], header=detector.header(0)).success


WAYS: dict[str, Callable[[Detector], None]] = {
    'A frame': show,
    'A prompt': prompt,
    'A late prompt': prompt_late,
    'A message of detections': lambda detector: detector.detect(0),
}


def entered(log: str) -> list[str]:
    """Return the functions that the node has said it has entered."""
    return re.findall('^entered (.*)$', log, re.MULTILINE)


@pytest.mark.parametrize('title', WALKS)
def test_the_node_walks_as_the_guide_says(node, frames, title):
    node.reset()
    detector = Detector(node, frames)
    detector.show(0)
    before = len(entered(node.program.log))
    WAYS[title](detector)
    for index in range(3, MANY):
        detector.show(index)
        missing = not_entered(WALKS[title], entered(node.program.log)[before:])
        if not missing:
            break
    assert missing == []
