"""What CONTRIBUTING.md says of the code is true: its measures, which a change may not worsen."""

import ast
from pathlib import Path

import measures
import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / 'CONTRIBUTING.md'

SMALL = '''"""A module."""

from dataclasses import dataclass


@dataclass
class Click:
    """A click."""

    x: float
    """In pixels."""
    y: float
    """In pixels."""


def double(x):  # quick
    """Return twice x."""
    return 2 * x
'''
LARGE = '''@decorate
def outer():
    """Return three."""

    async def inner():
        return 1

    # The rest is elsewhere.
    return 3


@dataclasses.dataclass(frozen=True)
class Box:
    x: float
    """In pixels."""
    y: float
    both: ClassVar[int] = 2
    z: float = 0.0
'''


def project(folder: Path, **sources: str) -> Path:
    """Write a project with these modules in its package, and one contract."""
    (folder / 'tam_ros').mkdir(parents=True)
    (folder / 'pyproject.toml').write_text('[[tool.importlinter.contracts]]\nname = "one"\n')
    for name, text in sources.items():
        (folder / 'tam_ros' / f'{name}.py').write_text(text)
    return folder


def table_of(root: Path) -> dict[str, tuple[str, str]]:
    """Return the table that the command writes for a project."""
    guide = root / 'GUIDE.md'
    guide.write_text(f'{measures.BEGIN}\n{measures.END}')
    measures.write_table(guide, measures.format_table(measures.measure(root)))
    return measures.read_table(guide.read_text())


def test_no_measure_is_worse_than_the_guide_says():
    table, now = measures.read_table(GUIDE.read_text()), measures.measure(ROOT)
    assert list(table) == [measure.name for measure in now], 'run make measures'
    worse = measures.out_of_bounds(now, table)
    assert not worse, '\n'.join(worse)


def test_every_folder_with_programs_is_measured():
    built = {'build', 'install', 'log'}  # colcon's
    folders = {path.relative_to(ROOT).parts[0] for path in ROOT.glob('[!.]*/*.py')}
    assert folders - built <= set(measures.FOLDERS)


def test_measures_of_a_small_project(tmp_path):
    rows = measures.measure(project(tmp_path, small=SMALL, large=LARGE))
    package = {row.name: row.package.value for row in rows}
    assert package == {
        'modules': 2,
        'functions': 3,
        'median function, lines': 3,  # of 2, 3 and 8
        'nine of ten functions, lines': 8,
        'longest function, lines': 8,
        'longest file, lines': 18,
        'dataclasses': 2,
        'dataclasses with an undocumented field': 1,
        'lines with a comment, %': round(100 * 2 / 36, 1),
        'import contracts': 1,
    }
    undocumented = next(r for r in rows if r.name == 'dataclasses with an undocumented field')
    assert undocumented.package.places == ['tam_ros/large.py:13 Box: y, z']


def test_an_option_is_documented_by_its_description():
    lamp = ast.parse("class Lamp:\n    power_w: float = option(5.0, '')\n    on: bool = False")
    assert measures.undocumented_fields(lamp.body[0]) == ['on']


# What becomes of the small project, and what is said of it.
CHANGES = {
    'a longer function': (
        {'large': LARGE.replace('return 1', 'x = 1\n        y = x\n        return y')},
        [
            'median function, lines of tam_ros: 4, at most 3; see tam_ros/large.py:2 outer (10)',
            'nine of ten functions, lines of tam_ros: 10, at most 8; see tam_ros/large.py:2 outer',
            'longest function, lines of tam_ros: 10, at most 8; see tam_ros/large.py:2 outer (10)',
            'longest file, lines of tam_ros: 20, at most 18; see tam_ros/large.py (20)',
        ],
    ),
    'a field without a docstring': (
        {'small': SMALL.replace('    """In pixels."""\n    y', '    y')},
        [
            'dataclasses with an undocumented field of tam_ros: 2, at most 1; see '
            'tam_ros/large.py:13 Box: y, z; tam_ros/small.py:7 Click: x'
        ],
    ),
    'a file more': ({'more': SMALL}, []),
    'shorter functions': ({'more': 'def f(): pass\n' * 2}, []),
}


@pytest.mark.parametrize('change', CHANGES)
def test_what_got_worse_is_named_and_nothing_else(tmp_path, change):
    sources, expected = CHANGES[change]
    table = table_of(project(tmp_path / 'before', small=SMALL, large=LARGE))
    now = measures.measure(project(tmp_path / 'now', **{'small': SMALL, 'large': LARGE} | sources))
    said = [t for t in measures.out_of_bounds(now, table) if ' of tam_ros:' in t]
    assert len(said) == len(expected)
    assert all(text.startswith(start) for text, start in zip(said, expected))


def test_a_contract_less_is_worse(tmp_path):
    root = project(tmp_path, small=SMALL, large=LARGE)
    table = table_of(root)
    (root / 'pyproject.toml').write_text('')
    assert measures.out_of_bounds(measures.measure(root), table) == [
        'import contracts of tam_ros: 0, at least 1; see pyproject.toml'
    ]


def test_the_table_is_written_between_its_marks(tmp_path):
    guide = tmp_path / 'GUIDE.md'
    guide.write_text(f'before\n{measures.BEGIN}\nold\n{measures.END}\nafter\n')
    table = measures.format_table(measures.measure(project(tmp_path / 'now', small=SMALL)))
    for _ in range(2):
        measures.write_table(guide, table)
    text = guide.read_text()
    assert text == f'before\n{measures.BEGIN}\n\n{table}\n{measures.END}\nafter\n'
    assert measures.read_table(text)['longest file, lines'] == ('18', '18')


def test_a_guide_without_marks_is_not_written_to(tmp_path):
    guide = tmp_path / 'GUIDE.md'
    guide.write_text('before\n')
    with pytest.raises(ValueError, match='lacks the marks'):
        measures.write_table(guide, 'table\n')
    assert guide.read_text() == 'before\n'
