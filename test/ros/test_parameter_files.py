"""What users read of parameters, in files, docs and launch arguments, is as options say."""

import ast
import math
import re
from pathlib import Path

import pytest
import write_parameters
import yaml
from launch_arguments import launch_arguments, overrides, value_of
from write_parameters import NODES, OBJECTS_3D, TRACKER, WEB

from tam_ros.options import options_of
from tam_ros.ros.camera_presets import PRESETS, info_beside
from tam_ros.ros.decoding import ImageOptions
from tam_ros.ros.options_3d import GROUPS_3D, PARAMETERS_3D, InputOptions, OutputOptions
from tam_ros.ros.outputs_3d import OF_ALL
from tam_ros.ros.parameters import PARAMETERS, PREFIXES, NodeOptions
from tam_ros.ros.web import PARAMETERS_WEB

ROOT = Path(__file__).parents[2]
WRITE = 'run make parameters'


def flat(parameters: dict, prefix: str = '') -> dict:
    """Return nested parameters by their full names."""
    named = {}
    for name, value in parameters.items():
        inner = isinstance(value, dict)
        named |= flat(value, f'{prefix}{name}.') if inner else {prefix + name: value}
    return named


@pytest.mark.parametrize('node', NODES, ids=lambda node: node.path.stem)
def test_parameter_file_is_as_the_options_say(node):
    assert node.path.read_text() == write_parameters.parameter_file(node), WRITE


def test_page_is_as_the_options_say():
    assert write_parameters.PAGE.read_text() == write_parameters.page(), WRITE


@pytest.mark.parametrize(
    ('node', 'parameters'),
    [(TRACKER, PARAMETERS), (OBJECTS_3D, PARAMETERS_3D), (WEB, PARAMETERS_WEB)],
)
def test_parameter_file_holds_every_parameter_with_its_default(node, parameters):
    content = yaml.safe_load(node.path.read_text())
    held = flat(content['/**']['ros__parameters'])
    assert held == {name: described.default for name, described in parameters.items()}
    assert {n: type(v) for n, v in held.items()} == {
        name: type(described.default) for name, described in parameters.items()
    }


@pytest.mark.parametrize(
    ('node', 'parameters'),
    [(TRACKER, PARAMETERS), (OBJECTS_3D, PARAMETERS_3D), (WEB, PARAMETERS_WEB)],
)
def test_page_tells_every_parameter_once_and_no_other(node, parameters):
    page = write_parameters.PAGE.read_text()
    section = page.partition(f'\n## {node.name}\n')[2].partition('\n## ')[0]
    rows = re.findall(r'^\| `([\w.]+)` \| `(.+?)` \| (.*?) \| (.+) \|$', section, re.MULTILINE)
    assert [name for name, *_ in rows] == list(parameters)
    for name, default, notes, description in rows:
        described = parameters[name]
        assert yaml.safe_load(default) == described.default
        assert description == described.description
        assert notes.endswith('live') == described.live, name
        assert all(choice in notes for choice in described.choices), name


def test_an_option_that_changes_changes_the_files(monkeypatch):
    monkeypatch.setitem(PREFIXES, NodeOptions, 'picture.')
    assert '\n    picture:\n      # How images arrive' in write_parameters.parameter_file(TRACKER)
    assert '| `picture.overlay_opacity` | `0.45` |' in write_parameters.page()


def test_launch_arguments_are_of_parameters_and_told_in_the_docs():
    assert set(overrides()) <= set(PARAMETERS)
    text = (ROOT / 'docs' / 'interface.md').read_text()
    told = re.search(r'The launch arguments (.*?) set the usual ones', text, re.DOTALL)
    cameras = set(PRESETS)
    assert set(re.findall(r'`(\w+)`', told.group(1))) == launch_arguments() | cameras


def test_rviz_shows_what_is_published_and_moves_with_the_namespace():
    config = yaml.safe_load((ROOT / 'rviz' / 'track.rviz').read_text())
    displays = config['Visualization Manager']['Displays']
    topics = {display['Topic']['Value'] for display in displays if 'Topic' in display}
    moved = set(ast.literal_eval(value_of('SHOWN')))
    assert topics == moved | {ast.literal_eval(value_of('IMAGE'))}
    assert moved - {'/tam/overlay'} <= {f'/{topic}' for topic in OF_ALL}


@pytest.mark.parametrize(
    ('image', 'info'),
    [
        ('/camera/color/image_raw', '/camera/color/camera_info'),
        ('/camera/color/image_raw/compressed', '/camera/color/camera_info'),
        ('/image', '/camera_info'),
    ],
)
def test_calibration_is_looked_for_beside_the_image(image, info):
    assert info_beside(image) == info


def test_no_two_groups_share_the_name_of_a_parameter():
    assert sum(len(options_of(group)) for group in PREFIXES) == len(PARAMETERS)
    assert sum(len(options_of(group)) for group in GROUPS_3D) == len(PARAMETERS_3D)


@pytest.mark.parametrize(
    ('group', 'values', 'message'),
    [
        (ImageOptions, {'max_image_pixels': 1023}, 'max_image_pixels 1023: use 1024 to 1.78e'),
        (ImageOptions, {'significant_bits': 17}, 'significant_bits 17: use 0 to 16'),
        (NodeOptions, {'overlay_opacity': math.nan}, 'overlay_opacity nan: use 0 to 1'),
        (InputOptions, {'queue_s': 0.0}, 'queue_s 0: use 0.1 to 60'),
        (OutputOptions, {'up': '0 1'}, "up '0 1': use a frame, or three numbers, not all 0"),
        (NodeOptions, {'image_transport': 'tv'}, "image_transport 'tv': use raw, compressed"),
    ],
)
def test_options_out_of_range_are_named(group, values, message):
    with pytest.raises(ValueError, match=message):
        group(**values)
