"""Commands that the pages tell to type can work: programs, options, services and files are there.

What a rule of `page_commands` knows is held against what is there; it is not done.
"""

import re
import shlex
from dataclasses import dataclass

import pytest
from locator import Locator
from page_commands import BY_HAND, WrongCommand, by_hand, check_command, check_options
from pages import PAGES, ROOT, Command, commands
from rclpy.action import get_action_names_and_types
from tracker import SMALL

COMMANDS = [command for page in PAGES for command in commands(page)]
TABLES = {'docs/interface.md': 'tam', 'docs/3d.md': 'objects_3d'}


@dataclass
class RunningGraph:
    """What nodes have, as others see it."""

    services: dict[str, list[str]]
    """The types of each, by name."""
    topics: dict[str, list[str]]
    """Likewise."""
    actions: dict[str, list[str]]
    """Likewise."""


def seen_by(robot, awaited: str) -> RunningGraph:
    """Return what there is, once a service that is awaited is."""
    node = robot.node
    robot.wait(lambda: awaited in dict(node.get_service_names_and_types()), awaited)
    return RunningGraph(
        dict(node.get_service_names_and_types()),
        dict(node.get_topic_names_and_types()),
        dict(get_action_names_and_types(node)),
    )


@pytest.fixture(scope='module')
def graph(start_tracker) -> RunningGraph:
    """The tracker, as it runs."""
    return seen_by(start_tracker(**SMALL).robot, '/tam/discover')


@pytest.fixture(scope='module')
def graph_3d(tmp_path_factory) -> RunningGraph:
    """The node objects_3d, as it runs."""
    locator = Locator(tmp_path_factory.mktemp('node'))
    locator.program.wait_for_log('ready:')
    yield seen_by(locator.robot, '/tam/set_target')
    locator.close()


@pytest.mark.parametrize('command', COMMANDS, ids=str)
def test_command_can_work(command: Command, graph):
    try:
        check_command(command.words, graph)
    except ModuleNotFoundError as error:
        if (ROOT / error.name.partition('.')[0]).exists():
            raise
        pytest.skip(f'{error.name} is not installed')


def test_no_more_is_left_to_hands_than_the_pages_have():
    assert {by_hand(command.words) for command in COMMANDS} - {()} == set(BY_HAND)


WRONG = {
    'make plya': 'make has no target plya',
    'make demo DEEP=1': 'make has no variable DEEP',
    'make demo DEMO_ARGS="--rates 1"': 'demo.py has no',
    'make bench BENCH_ARGS="stages --sides 512"': 'run.py has no',
    'ros2 launch tam_ros track.launch.py images:=/a': 'has no argument images',
    'ros2 launch tam_ros track.launch.py camera:=kodak': 'camera may be',
    'ros2 launch tam_ros track.launch.py model:=nano': 'model may be',
    'ros2 run tam_ros tracker': 'no program tracker',
    'ros2 run tam_ros web --port 1': 'the node web has no options',
    'ros2 run tam_ros play_video a.mp4 --looped': 'play_video has no',
    'ros2 run tam_ros play_video demo/clip/film.mp4': 'no file demo/clip/film.mp4',
    'ros2 run tam_ros play_video a.mp4 --ros-args -r pictures:=/a': 'the node has no pictures',
    'ros2 run tam_ros web --ros-args -p door:=1': 'the node has no door',
    'ros2 run tam_ros track_file a.mp4 --box 1,2,3,4': 'refuses',  # lacks --out
    'ros2 run tam_ros download_weights edgetom': 'refuses',
    'ros2 service call /tam/add tam_ros/srv/AddPrompt': 'no service /tam/add ',
    'ros2 service call /tam/reset std_srvs/srv/Empty': 'no service /tam/reset of type',
    'ros2 service call /tam/add_prompt tam_ros/srv/AddPrompt "{box: {x: 1}}"': 'no field x',
    'ros2 service call /tam/add_prompt tam_ros/srv/AddPrompt "{points: [{u: 1}]}"': 'no field u',
    'ros2 service call /tam/add_prompt tam_ros/srv/AddPrompt "{label: [cup]}"': 'is no string',
    'ros2 action send_goal /tam/follow tam_ros/action/Track': 'no action /tam/follow',
    'ros2 topic echo /tam/object': 'no topic /tam/object',
    'ros2 param describe /tam thread': 'no parameter thread',
    'ros2 lifecycle set /tam pause': 'pause is none of',
    'python -m training.learn': 'no file training/learn.py',
    'python benchmark/fast.py': 'no file benchmark/fast.py',
    'pip install .[gpu]': 'no extra',
    'pip install cupboard': 'no package cupboard',
    'YEARS=8 training/gpu.sh': 'reads no YEARS',
    'roslaunch tam_ros track.launch': 'no rule knows roslaunch',
}


@pytest.mark.parametrize('line', WRONG)
def test_what_cannot_work_is_refused(line, graph):
    with pytest.raises(WrongCommand, match=re.escape(WRONG[line])):
        check_command(tuple(shlex.split(line)), graph)


def test_a_program_without_a_command_line_is_no_program_with_options():
    with pytest.raises(WrongCommand, match='has no command line'):
        check_options(ROOT / 'tam_ros' / 'paths.py', [])


@pytest.mark.parametrize(('page', 'node'), TABLES.items())
def test_tables_of_topics_and_services_are_those_of_the_node(page, node, graph, graph_3d):
    there = graph if node == 'tam' else graph_3d
    text = (ROOT / page).read_text()
    rows = re.findall(r'^\| (\w+) \| `(/[\w/]+)`.*? \| `(\w+)/(\w+)` \|', text, re.MULTILINE)
    folders = {'in': 'msg', 'out': 'msg', 'srv': 'srv', 'action': 'action'}
    of_kind = {'srv': there.services, 'action': there.actions}
    for kind, name, package, type_name in rows:
        types = of_kind.get(kind, there.topics).get(name, [])
        assert types == [f'{package}/{folders[kind]}/{type_name}'], name
    own = {name for names in (there.services, there.topics, there.actions) for name in names}
    own = {name for name in own if name.startswith('/tam/') and not is_standard(name, node)}
    assert own <= {name for _, name, *_ in rows}


def is_standard(name: str, node: str) -> bool:
    """Return whether every node, managed node or action has that, or it is another node's."""
    every = '|'.join(('parameter', 'type_description', 'state', 'transition', '_action/'))
    return bool(re.search(every, name)) or (node, name) == ('objects_3d', '/tam/objects')
