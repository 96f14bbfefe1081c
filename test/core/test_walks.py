"""What CONTRIBUTING.md says of where things are is true: its files, and its walks through them."""

import re
import sys
from collections.abc import Callable

import numpy as np
import pytest
from fake_engine import FakeEngine
from walks import GUIDE, PACKAGE, WALKS, Entries, definitions, not_entered

from tam_ros.prompts import Prompt
from tam_ros.tracker.association import Detection, DetectionAssociation
from tam_ros.tracker.options import DetectionOptions
from tam_ros.tracker.session import Session

TRACKER = PACKAGE / 'tracker'
SPAN = re.compile(r'`([^`\n]+)`')
MOST_STEPS = 10
IMAGE = np.zeros((240, 320, 3), np.uint8)
PERIOD_NS = 33_000_000


# -- files ----------------------------------------------------------------------------------


def paths_of(span: str) -> list[str]:
    """Return the paths that are named together as in `folder/{one,two}.py`."""
    braces = re.search(r'\{(.*)\}', span)
    if braces is None:
        return [span]
    return [span.replace(braces.group(), name) for name in braces.group(1).split(',')]


def named_paths() -> list[str]:
    """Return all paths that the guide names, as it names them."""
    spans = [span for span in SPAN.findall(GUIDE) if ' ' not in span]
    return [path for span in spans if '/' in span or '.py' in span for path in paths_of(span)]


def test_every_file_and_folder_that_the_guide_names_is_there():
    bases = (PACKAGE.parent, PACKAGE, TRACKER)
    paths = named_paths()
    assert 'tam_ros/model/' in paths
    assert 'tam_ros/digests.py' in paths
    assert 'tracking.py' in paths
    assert [p for p in paths if not any(any(base.glob(p)) for base in bases)] == []


def test_every_file_of_the_tracker_is_named():
    there = {path.name for path in TRACKER.glob('*.py')} - {'__init__.py'}
    assert there <= set(named_paths())


# -- walks ----------------------------------------------------------------------------------


def test_the_walks_follow_a_frame_a_prompt_a_late_prompt_and_detections():
    assert list(WALKS) == ['A frame', 'A prompt', 'A late prompt', 'A message of detections']


@pytest.mark.parametrize('title', WALKS)
def test_a_walk_has_few_steps_and_each_is_a_function_that_exists(title):
    steps = WALKS[title]
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert 1 < len(steps) <= MOST_STEPS
    assert [s for s in steps if s.name not in definitions(PACKAGE / s.file)] == []


@pytest.mark.parametrize('title', WALKS)
def test_what_else_a_walk_names_is_in_the_code(title):
    known = {
        name
        for path in PACKAGE.rglob('*.py')
        for qualified in definitions(path)
        for name in (qualified, qualified.rsplit('.', 1)[-1])
    }
    named = [name for step in WALKS[title] for name in SPAN.findall(step.text)]
    assert [name for name in named if name not in known] == []


class Stream:
    """A session with an object in it, and its frames."""

    def __init__(self):
        self.session = Session(FakeEngine())
        self.index = -1
        self.step(2)
        self.session.add_prompt(Prompt([(60, 60)]))
        self.step(8)

    def step(self, frames: int = 1) -> None:
        for _ in range(frames):
            self.index += 1
            self.session.step(IMAGE, self.index * PERIOD_NS)


def prompt(stream: Stream) -> None:
    stream.session.add_prompt(Prompt([(200, 160)]))
    stream.step()


def prompt_late(stream: Stream) -> None:
    stamp_ns = (stream.index - 4) * PERIOD_NS
    stream.session.add_prompt(Prompt([(200, 160)], stamp_ns=stamp_ns))
    stream.step(4)


def detect(stream: Stream) -> None:
    association, stamp_ns = DetectionAssociation(stream.session), stream.index * PERIOD_NS
    assert not association.is_early(stamp_ns)
    found = [Detection((20, 20, 100, 100), 0.9), Detection((160, 120, 240, 200), 0.9)]
    association.apply(found, stamp_ns, DetectionOptions())
    stream.step()


# What is done to walk so.
WAYS: dict[str, Callable[[Stream], None]] = {
    'A frame': Stream.step,
    'A prompt': prompt,
    'A late prompt': prompt_late,
    'A message of detections': detect,
}


@pytest.mark.parametrize('title', WAYS)
def test_the_tracker_walks_as_the_guide_says(title):
    stream, entered = Stream(), []
    sys.setprofile(Entries(entered.append))
    try:
        WAYS[title](stream)
    finally:
        sys.setprofile(None)
    steps = [step for step in WALKS[title] if step.file.startswith('tracker/')]
    assert not_entered(steps, entered) == []
