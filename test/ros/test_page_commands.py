"""Commands that the pages tell to type can work: programs, options, services and files are there.

What a rule of `page_commands` knows is held against what is there; it is not done.
"""

import re
import shlex
from dataclasses import dataclass

import cv2
import pytest
from locator import Locator
from offline_runs import first_frames
from page_commands import BY_HAND, WrongCommand, by_hand, check_command, check_options, fill
from pages import PAGES, ROOT, Command, commands, tokens
from programs import LONG_S
from rclpy.action import get_action_names_and_types
from tracker import SMALL, Tracker

from tam_ros.srv import AddPrompt

COMMANDS = [command for page in PAGES for command in commands(page)]
NODES = {'tam': 'docs/interface.md', 'objects_3d': 'docs/3d.md'}  # and where their tables are
FOLDERS = {'in': 'msg', 'out': 'msg', 'srv': 'srv', 'action': 'action'}  # of types


@dataclass
class RunningGraph:
    """What a node has, as others see it."""

    services: dict[str, list[str]]
    """The types of each, by name."""
    topics: dict[str, list[str]]
    """Likewise."""
    actions: dict[str, list[str]]
    """Likewise."""

    def __iter__(self):
        """Go through all names."""
        return iter({*self.services, *self.topics, *self.actions})


def rows_of(node: str) -> list[tuple[str, str, str]]:
    """Return kind, name and type of what the page of a node says that it has."""
    row = re.compile(r'^\| (\w+) \| `(/[\w/]+)`.*? \| `(\w+)/(\w+)` \|', re.MULTILINE)
    rows = row.findall((ROOT / NODES[node]).read_text())
    return [
        (kind, name, f'{package}/{FOLDERS[kind]}/{type_}') for kind, name, package, type_ in rows
    ]


def seen_by(robot, node: str) -> RunningGraph:
    """Return what there is, once all is there that the page says, or after a long time."""

    def see() -> RunningGraph:
        return RunningGraph(
            dict(robot.node.get_service_names_and_types()),
            dict(robot.node.get_topic_names_and_types()),
            dict(get_action_names_and_types(robot.node)),
        )

    awaited = {name for _, name, _ in rows_of(node)}
    awaited |= {'/tam/change_state'} if node == 'tam' else set()
    robot.spin_until(lambda: awaited <= set(see()), LONG_S)
    return see()


@pytest.fixture(scope='module')
def tracker(start_tracker) -> Tracker:
    """A node that runs."""
    return start_tracker(**SMALL)


@pytest.fixture(scope='module')
def graph(tracker) -> RunningGraph:
    """What it has."""
    return seen_by(tracker.robot, 'tam')


@pytest.fixture(scope='module')
def graph_3d(tmp_path_factory) -> RunningGraph:
    """What objects_3d has, as it runs."""
    locator = Locator(tmp_path_factory.mktemp('node'))
    locator.program.wait_for_log('ready:')
    yield seen_by(locator.robot, 'objects_3d')
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


def test_prompts_of_the_readme_start_objects_in_the_clip_of_the_demo(tracker):
    tracker.show(cv2.cvtColor(first_frames(1)[0], cv2.COLOR_BGR2RGB))
    calls = [c.words for c in commands(ROOT / 'README.md') if '/tam/add_prompt' in c.words]
    answers = [
        tracker.robot.call(AddPrompt, '/tam/add_prompt', fill(AddPrompt.Request(), words[-1]))
        for words in calls
    ]
    assert [answer.object.label for answer in answers] == ['mug', 'bottle'], answers
    assert all(answer.success and answer.object.score > 0.7 for answer in answers)


def test_a_program_without_a_command_line_is_no_program_with_options():
    with pytest.raises(WrongCommand, match='has no command line'):
        check_options(ROOT / 'tam_ros' / 'paths.py', [])


@pytest.mark.parametrize('node', NODES)
def test_tables_of_topics_and_services_are_those_of_the_node(node, graph, graph_3d):
    there = {'tam': graph, 'objects_3d': graph_3d}[node]
    of_kind = {'srv': there.services, 'action': there.actions}
    for kind, name, type_name in rows_of(node):
        assert of_kind.get(kind, there.topics).get(name) == [type_name], name
    own = {name for name in there if name.startswith('/tam/') and not is_standard(name, node)}
    assert own <= {name for _, name, _ in rows_of(node)}


def test_names_on_the_pages_are_those_of_the_nodes(graph, graph_3d):
    spans = {t.content for page in PAGES for t in tokens(page) if t.type == 'code_inline'}
    told = {span for span in spans if re.fullmatch(r'/tam/[\w/]+', span)}
    assert '/tam/objects' in told
    assert told <= {*graph, *graph_3d}


def is_standard(name: str, node: str) -> bool:
    """Return whether every node, managed node or action has that, or it is another node's."""
    every = '|'.join(('parameter', 'type_description', 'state', 'transition', '_action/'))
    return bool(re.search(every, name)) or (node, name) == ('objects_3d', '/tam/objects')
