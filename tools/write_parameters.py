"""Write what users read of the nodes' parameters, from their options: YAML, README's tables.

Usage: python tools/write_parameters.py, with the package built and sourced; or make parameters
Run it again when an option changes; a test says so, too.
"""

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tam_ros.options import Option, options_of
from tam_ros.ros.options_3d import GROUPS_3D
from tam_ros.ros.parameters import PREFIXES
from tam_ros.web.options import ServerOptions

YAML_BOOLEANS = ('yes', 'no', 'on', 'off', 'true', 'false')
ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
FILE_HEAD = """\
# Parameters of {node} and their defaults. In brackets: what is allowed, and `live` for
# what can change at run time. tools/write_parameters.py writes this file: keep values of your own
# in another one ({argument}:=FILE); it may leave out what stays as it is here.
/**:
  ros__parameters:
"""
INDENT = ' ' * 4
WIDTH = 99
TABLE_HEAD = '| parameter | default | allowed | |\n|---|---|---|---|\n'


@dataclass(frozen=True)
class NodeParameters:
    """A node's parameters, and where users read of them."""

    node: str
    """What the node is called in the file's first line."""
    groups: Mapping[type, str]
    """Dataclasses of options, and what the names of their parameters begin with."""
    path: Path
    """The file."""
    argument: str
    """Of the launch file: names another one."""
    start: str
    """The line of README.md before the tables."""
    end: str
    """The line after them."""


TRACKER = NodeParameters(
    'the tracker node',
    PREFIXES,
    ROOT / 'config' / 'track.yaml',
    'params_file',
    '<!-- by tools/write_parameters.py -->\n',
    '<!-- end of what it writes -->\n',
)
OBJECTS_3D = NodeParameters(
    'the node objects_3d',
    dict.fromkeys(GROUPS_3D, ''),
    ROOT / 'config' / 'objects_3d.yaml',
    'params_file_3d',
    '<!-- by tools/write_parameters.py, of objects_3d -->\n',
    '<!-- end of what it writes of objects_3d -->\n',
)
WEB = NodeParameters(
    'the node web',
    {ServerOptions: ''},
    ROOT / 'config' / 'web.yaml',
    'params_file_web',
    '<!-- by tools/write_parameters.py, of web -->\n',
    '<!-- end of what it writes of web -->\n',
)
NODES = (TRACKER, OBJECTS_3D, WEB)


def parameter_file(node: NodeParameters) -> str:
    """Return the text of a node's parameter file."""
    head = FILE_HEAD.format(node=node.node, argument=node.argument)
    return head + '\n'.join(_file_section(group, prefix) for group, prefix in node.groups.items())


def readme(text: str) -> str:
    """Return the text of README.md with its tables of parameters written again.

    Raises ValueError where it lacks the lines that these stand between.
    """
    for node in NODES:
        before, start, rest = text.partition(node.start)
        _, end, after = rest.partition(node.end)
        if not start or not end:
            lines = f'{node.start.strip()} and {node.end.strip()}'
            raise ValueError(f'README.md lacks one of the lines {lines}')
        tables = '\n'.join(_table(group, prefix) for group, prefix in node.groups.items())
        text = f'{before}{start}\n{tables}\n{end}{after}'
    return text


def _file_section(group: type, prefix: str) -> str:
    lines = [f'{INDENT}# -- {_title(group)}\n']
    indent = INDENT
    if prefix:
        lines.append(f'{INDENT}{prefix.rstrip(".")}:\n')
        indent += '  '
    for name, described in options_of(group).items():
        lines.append(_file_comment(described, indent))
        lines.append(f'{indent}{name}: {_literal(described.default)}\n')
    return ''.join(lines)


def _file_comment(described: Option, indent: str) -> str:
    """Return an option's description and, whole where they fit in a line, its notes."""
    width = WIDTH - len(f'{indent}# ')
    lines = textwrap.wrap(described.description, width)
    notes = f'[{_notes(described)}]'
    if notes == '[]':
        pass
    elif len(f'{lines[-1]} {notes}') <= width:
        lines[-1] += f' {notes}'
    else:
        lines += textwrap.wrap(notes, width)
    return ''.join(f'{indent}# {line}\n' for line in lines)


def _table(group: type, prefix: str) -> str:
    rows = (
        f'| `{prefix}{name}` | `{_literal(described.default)}` | {_notes(described)} '
        f'| {described.description} |\n'
        for name, described in options_of(group).items()
    )
    return f'{_title(group)}\n\n{TABLE_HEAD}{"".join(rows)}'


def _title(group: type) -> str:
    """Return what a group's options are about: the first sentence of its docstring."""
    first = (group.__doc__ or '').partition('\n')[0]
    return first.partition(';')[0].rstrip('.') + '.'


def _notes(described: Option) -> str:
    """Return which values an option may have, and whether it is live."""
    allowed = ', '.join(_literal(choice) for choice in described.choices)
    if described.between:
        allowed = '{:.12g} to {:.12g}'.format(*described.between)
    return '; '.join(filter(None, (allowed, 'live' if described.live else '')))


def _literal(value: Any) -> str:
    """Return a value as YAML has it, in quotes where that takes a word for something else."""
    plain = isinstance(value, str) and value and value not in YAML_BOOLEANS
    return value if plain else json.dumps(value)


def main() -> None:
    """Write all."""
    for node in NODES:
        node.path.write_text(parameter_file(node))
    README.write_text(readme(README.read_text()))


if __name__ == '__main__':
    main()
