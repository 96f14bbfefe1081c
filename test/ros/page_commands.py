"""What can be found out of a command that a page tells to type, without doing what it does."""

import argparse
import ast
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import dropwhile
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import yaml
from launch_arguments import LAUNCH_FILE, launch_arguments

from tam_ros.options import Option
from tam_ros.ros.camera_presets import PRESETS
from tam_ros.ros.options_3d import PARAMETERS_3D
from tam_ros.ros.parameters import PARAMETERS
from tam_ros.ros.web import PARAMETERS_WEB

ROOT = Path(__file__).parents[2]
NODES: dict[str, Mapping[str, Option]] = {
    'tracker_node': PARAMETERS,
    'objects_3d': PARAMETERS_3D,
    'web': PARAMETERS_WEB,
    'yolo_bridge': {},
}
PLACEHOLDER = re.compile(r'[A-Z_]+')  # as in: ros2 param set /tam NAME VALUE
ARGUMENTS_OF = {'BENCH_ARGS': 'benchmark/run.py', 'DEMO_ARGS': 'demo/demo.py'}  # in the Makefile


class WrongCommand(ValueError):
    """A command cannot work; the message names what of it."""


class Graph(Protocol):
    """What nodes that run have: for each name its types."""

    services: Mapping[str, list[str]]
    topics: Mapping[str, list[str]]
    actions: Mapping[str, list[str]]


def check(condition: Any, text: str) -> None:
    """Raise WrongCommand, with a text, where something does not hold."""
    if not condition:
        raise WrongCommand(text)


def check_make(words: list[str], graph: Graph) -> None:
    """Check the target and the variables."""
    text = (ROOT / 'Makefile').read_text()
    for word in words:
        name, equals, value = word.partition('=')
        if not equals:
            check(re.search(rf'^{name}:', text, re.MULTILINE), f'make has no target {name}')
            continue
        check(f'$({name})' in text, f'make has no variable {name}')
        if name in ARGUMENTS_OF:
            check_python([ARGUMENTS_OF[name], *shlex.split(value)], graph)


def check_launch(words: list[str], graph: Graph) -> None:
    """Check the arguments, and the values of those that are parameters."""
    check(words[:2] == ['tam_ros', LAUNCH_FILE.name], f'no launch file {words[:2]}')
    for word in words[2:]:
        name, _, value = word.partition(':=')
        check(name in launch_arguments(), f'{LAUNCH_FILE.name} has no argument {name}')
        choices = PARAMETERS[name].choices if name in PARAMETERS else ()
        choices = tuple(PRESETS) if name == 'camera' else choices
        check(not choices or value in choices, f'{name} may be {choices}, not {value}')


def check_run(words: list[str], graph: Graph) -> None:
    """Check that the program is installed, and what it is given."""
    name, *given = words
    installed = re.findall(r'^  scripts/(\w+)$', (ROOT / 'CMakeLists.txt').read_text(), re.M)
    check(name in installed, f'no program {name} is installed')
    at = given.index('--ros-args') if '--ros-args' in given else len(given)
    check_ros_arguments(given[at + 1 :], NODES.get(name, {}))
    if name not in NODES:
        check_options(ROOT / 'scripts' / name, given[:at])
    else:
        check(at == 0, f'the node {name} has no options: {given[:at]}')


def check_ros_arguments(words: list[str], parameters: Mapping[str, Option]) -> None:
    """Check that remapped names are those of a node, and parameters its own."""
    sources = ''.join(path.read_text() for path in ROOT.glob('tam_ros/ros/*.py'))
    for kind, rule in zip(words[::2], words[1::2]):
        name, equals, _ = rule.partition(':=')
        check(equals and kind in ('-r', '-p'), f'{kind} {rule}: use -r or -p, and :=')
        is_known = name in parameters if kind == '-p' else name == '__ns' or f"'{name}'" in sources
        check(is_known, f'the node has no {name}')


def check_python(words: list[str], graph: Graph) -> None:
    """Check the options of a program or module, or that code is code."""
    if words[0] == '-c':
        ast.parse(words[1])
    elif words[0] == '-m':
        check_python([f'{words[1].replace(".", "/")}.py', *words[2:]], graph)
    else:
        check((ROOT / words[0]).is_file(), f'no file {words[0]}')
        check_options(ROOT / words[0], words[1:])


class _Parsed(BaseException):
    """The command line has been read, and the program is to go no further."""


def check_options(program: Path, words: list[str]) -> None:
    """Have a program read its command line, and do nothing else."""
    read = argparse.ArgumentParser.parse_known_args

    def read_only(parser, args=None, namespace=None):
        _, unknown = read(parser, args, namespace)
        check(not unknown, f'{program} has no {unknown}')
        raise _Parsed

    with (
        patch.object(argparse.ArgumentParser, 'parse_known_args', read_only),
        patch.object(sys, 'argv', [str(program), *words]),
        patch.object(sys, 'path', [str(program.parent), *sys.path, str(ROOT)]),
    ):
        try:
            runpy.run_path(str(program), run_name='__main__')
        except _Parsed:
            return
        except SystemExit as error:
            raise WrongCommand(f'{program} refuses {words}') from error
    raise WrongCommand(f'{program} has no command line')


def check_call(words: list[str], graph: Graph) -> None:
    """Check that a service is there, is of the type, and can be asked that."""
    name, kind, *request = words
    check(kind in graph.services.get(name, []), f'no service {name} of type {kind}')
    fill(interface(kind).Request(), *request)


def check_goal(words: list[str], graph: Graph) -> None:
    """Check the same of an action."""
    name, kind, *goal = [word for word in words if word != '--feedback']
    check(kind in graph.actions.get(name, []), f'no action {name} of type {kind}')
    fill(interface(kind).Goal(), *goal)


def interface(kind: str) -> Any:
    """Return the class of an interface, as of tam_ros/srv/AddPrompt."""
    package, folder, name = kind.split('/')
    return getattr(import_module(f'{package}.{folder}'), name)


def fill(message: Any, text: str = '{}') -> Any:
    """Set fields of a message from YAML, as ros2 does, and return it; raises WrongCommand."""
    return _fill(message, yaml.safe_load(text))


def _fill(message: Any, values: Mapping[str, Any]) -> Any:
    kinds = message.get_fields_and_field_types()
    for name, value in values.items():
        check(name in kinds, f'{type(message).__name__} has no field {name}')
        setattr(message, name, _field(kinds[name], getattr(message, name), value))
    return message


def _field(kind: str, default: Any, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _fill(default, value)
    if of := re.fullmatch(r'sequence<(\w+)/(\w+)>', kind):
        return [_fill(interface(f'{of[1]}/msg/{of[2]}')(), item) for item in value]
    if isinstance(default, float):
        return float(value)
    types = list if kind.startswith('sequence') else type(default)
    check(isinstance(value, types), f'{value} is no {kind}')
    return value


def check_topic(words: list[str], graph: Graph) -> None:
    """Check that a topic of the tracker is there."""
    (name,) = [word for word in words[1:] if not word.startswith('--')]
    check(name in graph.topics, f'no topic {name}')


def check_param(words: list[str], graph: Graph) -> None:
    """Check that the tracker has the parameter."""
    verb, node, name, *_ = words
    check((verb in ('set', 'describe'), node) == (True, '/tam'), f'{verb} {node}')
    check(PLACEHOLDER.fullmatch(name) or name in PARAMETERS, f'{node} has no parameter {name}')


def check_lifecycle(words: list[str], graph: Graph) -> None:
    """Check the node, and the transition."""
    node, transition = words[1:]
    check(f'{node}/change_state' in graph.services, f'{node} is no managed node')
    known = ('configure', 'activate', 'deactivate', 'cleanup', 'shutdown')
    check(transition in known, f'{transition} is none of {known}')


def check_pip(words: list[str], graph: Graph) -> None:
    """Check files, extras, and that packages are such as the project names elsewhere."""
    named = ''.join(path.read_text() for path in [*ROOT.glob('requirements/*.txt')])
    named += (ROOT / 'setup.py').read_text()
    for word in words:
        if word.startswith('.['):
            check(f"'{word[2:-1]}': [" in named, f'setup.py has no extra {word}')
        elif word.endswith('.txt'):
            check((ROOT / word).is_file(), f'no file {word}')
        elif word != '-r':
            name = re.split('[<>=]', word)[0]
            check(re.search(rf"(^|'){name}[=>]", named, re.M), f'no package {name}')


def check_script(words: list[str], graph: Graph) -> None:
    """Check that a script is there, and reads what it is given by the environment."""
    *given, name = words
    check((ROOT / name).is_file(), f'no file {name}')
    for variable in given:
        variable = variable.partition('=')[0]
        check(f'${{{variable}:' in (ROOT / name).read_text(), f'{name} reads no {variable}')


# What a command begins with, and what checks the words after that.
RULES: dict[tuple[str, ...], Callable[[list[str], Graph], None]] = {
    ('make',): check_make,
    ('ros2', 'launch'): check_launch,
    ('ros2', 'run', 'tam_ros'): check_run,
    ('ros2', 'service', 'call'): check_call,
    ('ros2', 'action', 'send_goal'): check_goal,
    ('ros2', 'topic'): check_topic,
    ('ros2', 'param'): check_param,
    ('ros2', 'lifecycle'): check_lifecycle,
    ('python',): check_python,
    ('python3',): check_python,
    ('pip', 'install'): check_pip,
    ('source',): check_script,
}
# What is known by no rule: typed by hand where that was possible, see CONTRIBUTING.md.
BY_HAND = (
    ('cd',),
    ('git', 'clone'),
    ('rosdep', 'install'),
    ('colcon', 'build'),
    ('source', 'install/setup.bash'),
    ('docker', 'build'),
    ('ssh',),
    ('pip', 'install', 'pre-commit'),
    ('pre-commit', 'install'),
    ('ros2', 'run', 'depth_image_proc'),
    ('ros2', 'run', 'octomap_server'),
    ('ros2', 'run', 'anygrasp_ros'),
    ('ros2', 'service', 'call', '/anygrasp/detection'),
)


def by_hand(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the beginning by which a command is one of those, or nothing."""
    return next((start for start in BY_HAND if words[: len(start)] == start), ())


def check_command(words: tuple[str, ...], graph: Graph) -> None:
    """Raise WrongCommand for a command that cannot work, or that no rule knows."""
    check_files(words)
    if by_hand(words):
        return
    typed = tuple(dropwhile(re.compile(r'\w+=').match, words))  # after the environment's variables
    if typed[0].endswith('.sh'):
        check_script(list(words), graph)
        return
    rules = [(start, rule) for start, rule in RULES.items() if typed[: len(start)] == start]
    check(rules, f'no rule knows {shlex.join(words)}')
    for start, rule in rules:
        rule(list(typed[len(start) :]), graph)


def check_files(words: tuple[str, ...]) -> None:
    """Raise WrongCommand for a file of the project that is not there."""
    for before, word in zip(('', *words), words):
        inside = re.fullmatch(r'(?:src/tam_ros/)?((?:demo|training|test|docker)/.*)', word)
        if inside and before not in ('--out', '-m'):
            check((ROOT / inside[1]).exists(), f'no file {inside[1]}')
