"""Write what users read of the nodes' parameters, from their options: YAML files, and a page.

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
PAGE = ROOT / 'docs' / 'parameters.md'
FILE_HEAD = """\
# Parameters of {node} and their defaults. In brackets: what is allowed, and `live` for
# what can change at run time. tools/write_parameters.py writes this file: keep values of your own
# in another one ({argument}:=FILE); it may leave out what stays as it is here.
/**:
  ros__parameters:
"""
INDENT = ' ' * 4
WIDTH = 99
PAGE_HEAD = """\
# Parameters

All parameters of the nodes, their defaults and what they may be: {nodes}.

Those marked *live* can change at run time: `ros2 param set /tam NAME VALUE`. To set others, put
what you change into a file of your own, built as the node's file, and start with
`params_file:=FILE` (of objects_3d `params_file_3d:=FILE`, of web `params_file_web:=FILE`). The
usual ones of the tracker have [launch arguments](interface.md#launch-arguments). In a terminal,
`ros2 param describe /tam NAME` says what stands here.

Beside this page: [what the nodes do](interface.md), [in 3D](3d.md). How
[memory policies](../benchmark/README.md#memory-policies) and the
[region of interest](../benchmark/README.md#region-of-interest) compare is measured.
tools/write_parameters.py writes this page.
"""
TABLE_HEAD = '| parameter | default | allowed | |\n|---|---|---|---|\n'


@dataclass(frozen=True)
class NodeParameters:
    """A node's parameters, and where users read of them."""

    name: str
    """What the page calls the node."""
    node: str
    """What the file's first line calls it."""
    about: str
    """What it is, in Markdown, beneath its heading of the page."""
    groups: Mapping[type, str]
    """Dataclasses of options, and what the names of their parameters begin with."""
    path: Path
    """The file."""
    argument: str
    """Of the launch file: names another one."""


TRACKER = NodeParameters(
    'tam',
    'the tracker node',
    'The tracker.',
    PREFIXES,
    ROOT / 'config' / 'track.yaml',
    'params_file',
)
OBJECTS_3D = NodeParameters(
    'objects_3d',
    'the node objects_3d',
    'The node that `depth:=` starts. Lengths are in metres.',
    dict.fromkeys(GROUPS_3D, ''),
    ROOT / 'config' / 'objects_3d.yaml',
    'params_file_3d',
)
WEB = NodeParameters(
    'web',
    'the node web',
    'The page, which `web:=true` starts.',
    {ServerOptions: ''},
    ROOT / 'config' / 'web.yaml',
    'params_file_web',
)
NODES = (TRACKER, OBJECTS_3D, WEB)


def parameter_file(node: NodeParameters) -> str:
    """Return the text of a node's parameter file."""
    head = FILE_HEAD.format(node=node.node, argument=node.argument)
    return head + '\n'.join(_file_section(group, prefix) for group, prefix in node.groups.items())


def page() -> str:
    """Return the text of the page of all parameters."""
    nodes = ', '.join(f'[{node.name}](#{node.name})' for node in NODES)
    return '\n'.join([PAGE_HEAD.format(nodes=nodes), *map(_page_section, NODES)])


def _page_section(node: NodeParameters) -> str:
    file = node.path.relative_to(ROOT)
    about = f'{node.about} Its file: [{file}](../{file}).'
    tables = '\n'.join(_table(group, prefix) for group, prefix in node.groups.items())
    return f'## {node.name}\n\n{about}\n\n{tables}'


def _file_section(group: type, prefix: str) -> str:
    lines = [f'{INDENT}# -- {_title(group)}.\n']
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
    return f'### {_title(group)}\n\n{TABLE_HEAD}{"".join(rows)}'


def _title(group: type) -> str:
    """Return what a group's options are about: the first sentence of its docstring."""
    first = (group.__doc__ or '').partition('\n')[0]
    return first.partition(';')[0].rstrip('.')


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
    PAGE.write_text(page())


if __name__ == '__main__':
    main()
