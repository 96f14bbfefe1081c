"""What CONTRIBUTING.md says of where things are is true: its files, and its walks through them."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros.prompts import Prompt
from tam_ros.tracker.association import Detection, DetectionAssociation
from tam_ros.tracker.options import DetectionOptions
from tam_ros.tracker.session import Session

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / 'tam_ros'
TRACKER = PACKAGE / 'tracker'
GUIDE = (ROOT / 'CONTRIBUTING.md').read_text()
SPAN = re.compile(r'`([^`\n]+)`')
STEP = re.compile(r'^(\d+)\. (?:`([\w/]+\.py): ([\w.]+)`)?(.*)$', re.MULTILINE)
MOST_STEPS = 10
IMAGE = np.zeros((240, 320, 3), np.uint8)
PERIOD_NS = 33_000_000


@dataclass(frozen=True)
class Step:
    """A step of a walk."""

    number: int
    """As it is written, from 1."""
    file: str
    """From the package's folder; empty where the step does not begin with a function."""
    name: str
    """Of the function, with its class before a dot."""
    text: str
    """What is said of it."""


def read_walks() -> dict[str, list[Step]]:
    """Return the steps of each walk, by its heading."""
    section = GUIDE.split('\n## Four walks\n')[1].split('\n## ')[0]
    walks = (part.split('\n', 1) for part in section.split('\n### ')[1:])
    return {
        title: [Step(int(number), *rest) for number, *rest in STEP.findall(text)]
        for title, text in walks
    }


@cache
def definitions(path: Path) -> dict[str, int]:
    """Return the functions and classes of a file by their names, and on which lines they begin.

    A decorated one begins with its first decorator.
    """
    return dict(_definitions(ast.parse(path.read_text()), ''))


def _definitions(parent: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name, min(n.lineno for n in (node, *node.decorator_list))
            yield from _definitions(node, f'{prefix}{node.name}.')


WALKS = read_walks()


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
    bases = (ROOT, PACKAGE, TRACKER)
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


def entered_in(call: Callable[[], None]) -> list[tuple[str, int]]:
    """Return the functions that are entered in a call, in order, by their files and lines."""
    entered = []

    def note(frame, event, _) -> None:
        if event == 'call':
            entered.append((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    # What is installed are links to the sources.
    return [(str(Path(file).resolve()), line) for file, line in entered]


@pytest.mark.parametrize('title', WAYS)
def test_the_tracker_walks_as_the_guide_says(title):
    stream = Stream()
    entered = iter(entered_in(lambda: WAYS[title](stream)))
    steps = [s for s in WALKS[title] if s.file.startswith('tracker/')]
    lines = [definitions(PACKAGE / s.file)[s.name] for s in steps]
    missing = [s for s, line in zip(steps, lines) if (str(PACKAGE / s.file), line) not in entered]
    assert not missing, f'not entered after the step before it: {missing[0]}'
