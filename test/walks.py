"""The walks through the code in CONTRIBUTING.md, and which of their functions a program enters."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

import tam_ros

PACKAGE = Path(__file__).parents[1] / 'tam_ros'
GUIDE = (PACKAGE.parent / 'CONTRIBUTING.md').read_text()
INSTALLED = Path(tam_ros.__file__).parent
STEP = re.compile(r'^(\d+)\. (?:`([\w/]+\.py): ([\w.]+)`)?(.*)$', re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A step of a walk."""

    number: int
    """As it is written."""
    file: str
    """From the package's folder; empty where the step does not begin with a function."""
    name: str
    """Of the function, with its class before a dot."""
    text: str
    """What is said of it."""

    @property
    def function(self) -> str:
        """Where the function is, and its name."""
        return f'{self.file}: {self.name}'


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


class Entries:
    """A profile function for `sys.setprofile`: tells the walks' functions as they are entered."""

    def __init__(self, tell: Callable[[str], object]):
        """tell: takes a function as `Step.function` has it."""
        self._tell = tell
        self._functions: dict[CodeType, str] = {}
        self._named = {
            (step.file, definitions(PACKAGE / step.file).get(step.name)): step.function
            for steps in WALKS.values()
            for step in steps
            if step.file
        }

    def __call__(self, frame: FrameType, event: str, _) -> None:
        if event != 'call':
            return
        code = frame.f_code
        if code not in self._functions:
            self._functions[code] = self._function(code)
        if self._functions[code]:
            self._tell(self._functions[code])

    def _function(self, code: CodeType) -> str:
        """Return the function that some code is of; '' where no walk has it."""
        path = Path(code.co_filename)
        if not path.is_relative_to(INSTALLED):
            return ''
        place = path.relative_to(INSTALLED).as_posix(), code.co_firstlineno
        return self._named.get(place, '')


def not_entered(steps: Sequence[Step], entered: Sequence[str]) -> list[str]:
    """Return from which step on a walk was not walked, in the order of its steps."""
    rest = iter(entered)
    return [step.function for step in steps if step.function not in rest]
