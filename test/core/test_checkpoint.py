"""Loading weights: the official layout loads, anything else is refused by name."""

import json
import pickle
import re

import pytest
import safetensors.torch
import torch
from calm import calm_network

from tam_ros.engine.torch_engine import make_network
from tam_ros.model.checkpoint import CheckpointError, load_weights
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.reproducible import reproducible_state_dict
from tam_ros.networks import MODELS, EdgeTAMConfig

PUBLISHED = [model for model in MODELS if model != 'tam_nano']
FAMILY = re.compile('edgetam|efficienttam_(s|ti)')


@pytest.fixture(scope='module')
def state():
    return calm_network().state_dict()


@pytest.fixture
def network():
    return EdgeTAM(EdgeTAMConfig(image_size=256))


def save(content, path):
    torch.save(content, path)
    return path


@pytest.mark.parametrize('model', PUBLISHED)
def test_key_layout_is_the_official_one(golden, model):
    layout = json.loads((golden / f'{FAMILY.match(model)[0]}_layout.json').read_text())
    official = {key: (tuple(shape), dtype) for key, shape, dtype in layout}
    state = make_network(MODELS[model]).state_dict()
    ours = {k: (tuple(v.shape), str(v.dtype).split('.')[-1]) for k, v in state.items()}
    assert ours == official


@pytest.mark.parametrize(
    ('model', 'entries', 'parameters'),
    [
        ('edgetam', 982, 13_895_794),
        ('efficienttam_s', 455, 34_055_842),
        ('efficienttam_ti_2', 455, 17_866_018),
    ],
)
def test_layout_has_the_published_counts(model, entries, parameters):
    network = make_network(MODELS[model])
    assert len(network.state_dict()) == entries
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize('wrapped', [True, False])
def test_official_container_and_plain_state_dict_load(network, state, tmp_path, wrapped):
    path = save({'model': state} if wrapped else state, tmp_path / 'edgetam.pt')
    load_weights(network, path)
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key])


def test_safetensors_load(network, state, tmp_path):
    safetensors.torch.save_file(state, tmp_path / 'edgetam.safetensors')
    load_weights(network, tmp_path / 'edgetam.safetensors')
    assert torch.equal(network.state_dict()['no_obj_ptr'], state['no_obj_ptr'])


def test_weights_do_not_depend_on_the_image_size(state):
    large = EdgeTAM(EdgeTAMConfig(image_size=1024))
    assert {k: v.shape for k, v in large.state_dict().items()} == {
        k: v.shape for k, v in state.items()
    }


def without(state, key):
    return {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: without(s, 'no_obj_ptr'), r'981 entries .* 982: 1 missing, such as no_obj_ptr'),
        (lambda s: {**s, 'teacher.x': s['no_obj_ptr']}, '1 unknown, such as teacher.x'),
        (
            lambda s: {**s, 'no_obj_ptr': torch.zeros(3)},
            r'1 misshapen, such as no_obj_ptr is \(3,\), expected \(1, 256\)',
        ),
        (lambda s: {'a': torch.zeros(1)}, r'1 entries .* another network'),
        (lambda s: [1, 2], 'holds a list, expected a state dict'),
        (lambda s: {'epoch': 3, 'model': 'x'}, 'no state dict of tensors; its entries: epoch'),
    ],
)
def test_another_network_is_named(network, state, tmp_path, change, message):
    path = save(change(state), tmp_path / 'x.pt')
    before = network.no_obj_ptr.clone()
    with pytest.raises(CheckpointError, match=message):
        load_weights(network, path)
    assert torch.equal(network.no_obj_ptr, before)


def test_truncated_files_are_named(network, state, tmp_path):
    path = save({'model': state}, tmp_path / 'edgetam.pt')
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(CheckpointError, match=r'\(1,000,000 bytes\) is truncated'):
        load_weights(network, path)
    path = tmp_path / 'edgetam.safetensors'
    safetensors.torch.save_file(state, path)
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(CheckpointError, match='is not a whole safetensors file'):
        load_weights(network, path)


class Hostile:
    """What unpickling of this would do must never happen."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), 'w'))


def test_code_in_a_file_is_not_run(network, tmp_path):
    trace = tmp_path / 'trace'
    path = save({'model': Hostile(trace)}, tmp_path / 'evil.pt')
    with pytest.raises(CheckpointError, match='refused'):
        load_weights(network, path)
    (tmp_path / 'evil2.pt').write_bytes(pickle.dumps(Hostile(trace)))
    with pytest.raises(CheckpointError):
        load_weights(network, tmp_path / 'evil2.pt')
    assert not trace.exists()


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.onnx', b'x', r"ends in '.onnx': expected .pt, .pth or .safetensors"),
        ('a.pt', b'version https://git-lfs.github.com/spec/v1\n', 'a page or pointer of text'),
        ('a.pt', b'<!DOCTYPE html><html>', 'a page or pointer of text'),
        ('a.pt', b'', r'\(0 bytes\) is truncated or no PyTorch file'),
        ('a.pt', b'\x00\x01 nonsense' * 50, 'a.pt'),
        ('a.safetensors', b'nonsense', 'is not a whole safetensors file'),
    ],
)
def test_other_files_are_named(network, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_weights(network, tmp_path / name)


def test_missing_file_is_named(network, tmp_path):
    with pytest.raises(CheckpointError, match=r'none.pt does not exist'):
        load_weights(network, tmp_path / 'none.pt')


@pytest.mark.parametrize('seed', [0, 1])
def test_reproducible_weights_are_the_same_everywhere(network, golden, seed):
    """The values are those that the reference outputs were made with."""
    namespace = {'__file__': str(golden / 'weights.py'), '__name__': 'weights'}
    exec((golden / 'weights.py').read_text(), namespace)
    expected = namespace['state_dict']('edgetam', seed)
    for key, value in reproducible_state_dict(network, seed).items():
        assert (value.numpy() == expected[key]).all(), key
