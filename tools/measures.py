"""Measure the code: sizes of functions and files, documented fields, comments, import contracts.

Prints the table in CONTRIBUTING.md; --write puts it there. Its bounds are held by a test. A
function's lines are those from its `def` to its end, docstring included, decorators not.

Usage: python tools/measures.py [--write]
"""

import argparse
import ast
import io
import math
import statistics
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GUIDE = 'CONTRIBUTING.md'
BEGIN, END = '<!-- `make measures` writes from here -->', '<!-- to here -->'
PACKAGE = 'tam_ros'
FOLDERS = (PACKAGE, 'benchmark', 'demo', 'launch', 'scripts', 'test', 'tools', 'training')
CONTRACT = '[[tool.importlinter.contracts]]'
AT_MOST, AT_LEAST, UNBOUND = 'at most', 'at least', ''
NONE = '-'  # of a measure that has no figure for all folders
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
NAMED = 3  # of the largest functions or files, where a figure is out of bounds


@dataclass(frozen=True)
class Piece:
    """A function or a file."""

    lines: int
    """From its first to its last."""
    place: str
    """Where it is, from the root of the project."""


@dataclass(frozen=True)
class Module:
    """A Python file."""

    path: str
    """From the root of the project."""
    text: str
    """All of it."""

    @cached_property
    def definitions(self) -> list[Definition]:
        """All functions and classes, nested ones too."""
        tree = ast.parse(self.text, self.path)
        return [node for node in ast.walk(tree) if isinstance(node, Definition)]

    @cached_property
    def comments(self) -> int:
        """How many lines have a comment, alone or after code."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return sum(t.type == tokenize.COMMENT and not t.string.startswith('#!') for t in tokens)


@dataclass(frozen=True)
class Figure:
    """What is measured of some folders."""

    value: float
    """In the unit that the measure's name says."""
    places: Sequence[str] = ()
    """What makes the value as large as it is, the worst first."""


@dataclass(frozen=True)
class Measure:
    """A row of the table."""

    name: str
    """With its unit."""
    bound: str
    """AT_MOST, AT_LEAST or UNBOUND."""
    package: Figure
    """Of the package alone."""
    all: Figure | None
    """Of all folders; None where that is not asked."""


# -- reading --------------------------------------------------------------------------------


def read_modules(root: Path) -> list[Module]:
    """Read the project's Python files, programs without a suffix too."""
    below = [path for folder in FOLDERS for path in sorted((root / folder).rglob('*'))]
    return [_read(path, root) for path in [*root.glob('*.py'), *below] if _is_python(path)]


def _is_python(path: Path) -> bool:
    if path.suffix == '.py':
        return True
    return path.parent.name == 'scripts' and path.is_file() and not path.suffix


def _read(path: Path, root: Path) -> Module:
    return Module(path.relative_to(root).as_posix(), path.read_text())


def count_contracts(root: Path) -> int:
    """Return how many contracts about imports `make lint` enforces."""
    # Not parsed, for Python 3.10 has no tomllib.
    return (root / 'pyproject.toml').read_text().splitlines().count(CONTRACT)


# -- measuring ------------------------------------------------------------------------------


def measure(root: Path) -> list[Measure]:
    """Return all measures, in the order of the table."""
    modules = read_modules(root)
    package = [m for m in modules if m.path.startswith(f'{PACKAGE}/')]
    rows = [
        Measure(name, bound, figure_of(package), figure_of(modules))
        for name, bound, figure_of in (
            ('modules', UNBOUND, lambda some: Figure(len(some))),
            ('functions', UNBOUND, lambda some: Figure(len(functions(some)))),
            ('median function, lines', AT_MOST, median_function),
            ('nine of ten functions, lines', AT_MOST, large_function),
            ('longest function, lines', AT_MOST, lambda some: longest(functions(some))),
            ('longest file, lines', AT_MOST, lambda some: longest(files(some))),
            ('dataclasses', UNBOUND, lambda some: Figure(len(dataclasses_of(some)))),
            ('dataclasses with an undocumented field', AT_MOST, undocumented_classes),
            ('lines with a comment, %', UNBOUND, comment_share),
        )
    ]
    contracts = Figure(count_contracts(root), ('pyproject.toml',))
    return [*rows, Measure('import contracts', AT_LEAST, contracts, None)]


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def functions(modules: Sequence[Module]) -> list[Piece]:
    """Return all functions, nested ones too, the longest first."""
    return _longest_first(
        Piece(
            _length(node),
            f'{m.path}:{node.lineno} {node.name}',
        )
        for m in modules
        for node in m.definitions
        if not isinstance(node, ast.ClassDef)
    )


def files(modules: Sequence[Module]) -> list[Piece]:
    """Return all files, the longest first."""
    return _longest_first(Piece(len(m.text.splitlines()), m.path) for m in modules)


def _longest_first(pieces: Iterator[Piece]) -> list[Piece]:
    return sorted(pieces, key=lambda piece: piece.lines, reverse=True)


def longest(pieces: Sequence[Piece]) -> Figure:
    """Return the lines of the longest piece, and which those are."""
    named = [f'{piece.place} ({piece.lines})' for piece in pieces[:NAMED]]
    return Figure(pieces[0].lines, named)


def median_function(modules: Sequence[Module]) -> Figure:
    """Return the median of functions' lines."""
    pieces = functions(modules)
    return Figure(statistics.median(p.lines for p in pieces), longest(pieces).places)


def large_function(modules: Sequence[Module]) -> Figure:
    """Return what nine of ten functions do not exceed."""
    pieces = functions(modules)
    return Figure(pieces[len(pieces) - math.ceil(0.9 * len(pieces))].lines, longest(pieces).places)


def dataclasses_of(modules: Sequence[Module]) -> list[tuple[str, ast.ClassDef]]:
    """Return all dataclasses, with where they are."""
    return [
        (f'{m.path}:{node.lineno} {node.name}', node)
        for m in modules
        for node in m.definitions
        if isinstance(node, ast.ClassDef) and any(map(_is_dataclass, node.decorator_list))
    ]


def _is_dataclass(decorator: ast.expr) -> bool:
    name = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(name).split('.')[-1] == 'dataclass'


def undocumented_classes(modules: Sequence[Module]) -> Figure:
    """Return how many dataclasses have a field without a docstring, and which."""
    lacking = [(place, undocumented_fields(node)) for place, node in dataclasses_of(modules)]
    places = [f'{place}: {", ".join(names)}' for place, names in lacking if names]
    return Figure(len(places), places)


def undocumented_fields(node: ast.ClassDef) -> list[str]:
    """Return the names of a dataclass' fields that no docstring follows, but for options."""
    return [
        ast.unparse(field.target)
        for field, beneath in zip(node.body, [*node.body[1:], None])
        if isinstance(field, ast.AnnAssign)
        and _is_field(field)
        and not (_is_option(field) or _is_docstring(beneath))
    ]


def _is_field(node: ast.AnnAssign) -> bool:
    return not ast.unparse(node.annotation).startswith(('ClassVar', 'typing.ClassVar'))


def _is_option(node: ast.AnnAssign) -> bool:
    """Return whether `option` describes a field (see tam_ros/options.py)."""
    return isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == 'option'


def _is_docstring(node: ast.stmt | None) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def comment_share(modules: Sequence[Module]) -> Figure:
    """Return the percentage of lines that have a comment, alone or after code."""
    lines = sum(piece.lines for piece in files(modules))
    return Figure(round(100 * sum(m.comments for m in modules) / lines, 1))


# -- the table ------------------------------------------------------------------------------


def format_table(measures: Sequence[Measure]) -> str:
    """Return the measures as a table in Markdown."""
    rows = [('measure', 'bound', f'`{PACKAGE}/`', 'all'), ('---',) * 4]
    rows += [(m.name, m.bound, _text(m.package), _text(m.all)) for m in measures]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def _text(figure: Figure | None) -> str:
    return NONE if figure is None else f'{figure.value:g}'


def write_table(guide: Path, table: str) -> None:
    """Put the table between its marks; raises ValueError where they are not."""
    text = guide.read_text()
    if not 0 <= text.find(BEGIN) < text.find(END):
        raise ValueError(f'{guide} lacks the marks {BEGIN} and {END}: put them around the table')
    before, rest = text.split(BEGIN)
    guide.write_text(f'{before}{BEGIN}\n\n{table}\n{END}{rest.split(END)[1]}')


def read_table(text: str) -> dict[str, tuple[str, str]]:
    """Return the figures of the table in a guide, of the package and of all, by measure."""
    lines = text.split(BEGIN)[1].split(END)[0].strip().splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return {name: (package, everything) for name, _, package, everything in rows}


def out_of_bounds(measures: Sequence[Measure], table: dict[str, tuple[str, str]]) -> list[str]:
    """Return in words what got worse than the table says, and where that is."""
    return [
        f'{m.name} of {where}: {figure.value:g}, {m.bound} {limit}; see {"; ".join(figure.places)}'
        for m in measures
        for where, figure, limit in zip((PACKAGE, 'all'), (m.package, m.all), table[m.name])
        if figure is not None and _is_worse(figure.value, m.bound, float(limit))
    ]


def _is_worse(value: float, bound: str, limit: float) -> bool:
    return value > limit if bound == AT_MOST else bound == AT_LEAST and value < limit


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it where that is asked; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--write', action='store_true', help=f'put the table into {GUIDE}')
    table = format_table(measure(ROOT))
    if parser.parse_args(arguments).write:
        write_table(ROOT / GUIDE, table)
    print(table, end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
