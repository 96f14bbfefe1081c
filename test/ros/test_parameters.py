"""Parameters of the node: described, checked, and changed at run time where that is possible."""

import math

import pytest
import safetensors.torch
import torch
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from tracker import SMALL

LIVE = {
    'lost_after_s': 5.0,
    'confirm_s': 0.3,
    'exit_ratio': 0.4,
    'entry_ratio': 0.8,
    'max_growth': 9.0,
    'max_move': 2.0,
    'exclusive_masks': False,
    'overlay_opacity': 0.8,
    'forecast': 'publish_time',
    'forecast_ms': 50.0,
    'forecast_masks': True,
    'max_image_pixels': 10_000_000,
    'significant_bits': 12,
}
REFUSED = {
    'exit_ratio': 1.5,
    'max_growth': 0.5,
    'memory_policy': 'dam',
    'overlay_opacity': 1.5,
    'lost_after_s': -1.0,
    'exclusive_masks': 'maybe',
    'forecast': 'soon',
    'forecast_ms': 2001.0,
    'model': 'edgetam',
    'weights': 'other.pt',
    'image_size': 512,
    'max_objects': 5,
    'image_transport': 'compressed',
    'max_image_pixels': 1000,
    'significant_bits': 17,
}


@pytest.fixture(scope='module')
def tracker(start_tracker):
    return start_tracker(**SMALL)


def descriptors(tracker):
    """Return the descriptors of the node's own parameters."""
    listed = tracker.call(ListParameters, 'list_parameters').result.names
    own = [name for name in listed if name != 'use_sim_time']  # that is every node's
    request = DescribeParameters.Request(names=own)
    return tracker.call(DescribeParameters, 'describe_parameters', request).descriptors


def value_of(tracker, name: str):
    request = GetParameters.Request(names=[name])
    return tracker.call(GetParameters, 'get_parameters', request).values[0]


def test_every_parameter_has_a_description(tracker):
    described = descriptors(tracker)
    assert {'model', 'weights', 'image_size', *LIVE} <= {d.name for d in described}
    assert [d.name for d in described if not d.description] == []


def test_every_number_has_a_range(tracker):
    named = {d.name: d for d in descriptors(tracker)}
    for name in ('image_size', 'threads', 'max_objects', 'max_prompted_frames'):
        assert len(named[name].integer_range) == 1
    for name in (name for name, value in LIVE.items() if isinstance(value, float)):
        assert len(named[name].floating_point_range) == 1


def test_qos_of_every_topic_can_be_overridden(tracker):
    names = {d.name for d in descriptors(tracker)}
    assert 'qos_overrides./camera/image.subscription.reliability' in names
    for topic in ('objects', 'detections', 'label_image', 'overlay'):
        assert f'qos_overrides./tam/{topic}.publisher.reliability' in names


@pytest.mark.parametrize('name', LIVE)
def test_live_parameter_can_be_set(tracker, name):
    before = value_of(tracker, name)
    assert tracker.set_parameter(name, LIVE[name]).successful
    assert value_of(tracker, name) != before


@pytest.mark.parametrize('name', REFUSED)
def test_bad_value_or_read_only_parameter_is_refused(tracker, name):
    before = value_of(tracker, name)
    result = tracker.set_parameter(name, REFUSED[name])
    assert not result.successful
    assert result.reason
    assert value_of(tracker, name) == before


def test_values_a_little_out_of_range_are_refused_and_the_tracker_lives(tracker, frames):
    for described in descriptors(tracker):
        for limits in described.floating_point_range:
            for value in (limits.to_value * (1 + 5e-7), limits.from_value * (1 - 5e-7), math.nan):
                if limits.from_value <= value <= limits.to_value:
                    continue  # 0 has no neighbours
                result = tracker.set_parameter(described.name, value)
                assert not result.successful, (described.name, value)
                assert described.name in result.reason
    assert tracker.show(frames[0])


@pytest.mark.parametrize(
    ('parameter', 'message'),
    [
        ('model:=sam9', "parameter model is 'sam9': choose from edgetam, tam_nano"),
        ('image_transport:=theora', "image_transport is 'theora': choose from raw, compressed"),
        ('forecast:=soon', "forecast is 'soon': choose from none, publish_time, fixed_ms"),
        ('mode:=fast', "mode is 'fast': choose from interactive, benchmark"),
        ('memory_policy:=lru', "memory_policy is 'lru': choose from fifo, quality, dam, tree"),
        ('device:=cuda:9', "device 'cuda:9' is not available here: choose from cpu"),
        ('image_size:=100', '100'),
        ('image_size:=9999', 'image_size'),
        ('lost_after_s:=3600.0018', 'lost_after_s is 3600.0018: use 0 to 3600'),
        ('exit_ratio:=.nan', 'exit_ratio'),
        ('max_objects:=0', 'max_objects'),
        ('max_objects:=many', 'max_objects'),
        ('qos_overrides./image.subscription.reliability:=often', "reliability is 'often'"),
        ('weights:=/nowhere/model.pt', 'weights file /nowhere/model.pt does not exist'),
        ('weights:=~nobody_here/x.pt', '~nobody_here/x.pt: no home folder is known for it'),
        ('weights:=/usr', '/usr holds no exported network: manifest.json is missing'),
    ],
)
def test_bad_parameter_ends_the_node_with_a_message(start_program, parameter, message):
    node = start_program(
        'tracker_node', '--ros-args', '-p', 'weights:=reproducible', '-p', parameter
    )
    assert_ends_with(node, message)


def test_missing_download_ends_the_node_with_what_to_do(start_program, tmp_path):
    model = ('--ros-args', '-p', 'model:=edgetam')
    node = start_program('tracker_node', *model, TAM_ROS_WEIGHTS=str(tmp_path))
    assert_ends_with(node, f'{tmp_path / "edgetam.pt"} does not exist')
    assert 'download_weights edgetam' in node.log


def test_a_home_in_weights_is_the_users(start_program, tmp_path):
    weights = ('--ros-args', '-p', 'weights:=~/none.pt')
    node = start_program('tracker_node', *weights, HOME=str(tmp_path))
    assert_ends_with(node, f'weights file {tmp_path}/none.pt does not exist')


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('page.pt', b'<!DOCTYPE html>', 'page.pt is a page or pointer of text'),
        ('noise.pt', b'noise', 'noise.pt'),
        ('noise.safetensors', b'noise', 'noise.safetensors is not a whole safetensors file'),
        ('model.onnx', b'', "model.onnx ends in '.onnx': expected .pt, .pth or .safetensors"),
    ],
)
def test_file_that_holds_no_weights_ends_the_node(start_program, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    node = start_program('tracker_node', '--ros-args', '-p', f'weights:={tmp_path / name}')
    assert_ends_with(node, message)


def test_weights_of_another_network_end_the_node(start_program, tmp_path):
    path = tmp_path / 'other.safetensors'
    safetensors.torch.save_file({'layer.weight': torch.zeros(2)}, path)
    node = start_program('tracker_node', '--ros-args', '-p', f'weights:={path}')
    assert_ends_with(node, f'{path} has 1 entries and is of another network')


def assert_ends_with(node, message: str) -> None:
    assert node.wait_for_end() == 1
    assert message in node.log
    assert 'Traceback' not in node.log
