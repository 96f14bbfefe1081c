"""Weights files that are damaged or hostile: each is refused by name, and nothing is loaded."""

import io
import itertools
import json
import os
import pickle
import pickletools
import random
import struct
import zipfile

import pytest
import safetensors.torch
import torch
from torch import nn

from tam_ros.model.checkpoint import CheckpointError, load_weights


@pytest.fixture
def network():
    """A small one: two floating entries and a count."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(30, 20), nn.BatchNorm1d(20))


@pytest.fixture
def state(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def refused(network, path, message) -> str:
    """Load what must be refused in one line, and change nothing; return that line."""
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        load_weights(network, path)
    assert '\n' not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    return str(caught.value)


def save(state, path):
    if path.suffix == '.safetensors':
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


# -- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize('suffix', ['.pt', '.safetensors'])
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_values_that_are_not_finite_are_counted(network, state, tmp_path, value, suffix):
    state['0.weight'][3, :5] = value
    path = save(state, tmp_path / f'x{suffix}')
    refused(network, path, r'not finite .* in 1 of 7 entries, such as 0.weight: 5 of 600')


@pytest.mark.parametrize(
    ('dtype', 'suffix'),
    [
        *itertools.product(
            [torch.bool, torch.int64, torch.uint8, torch.float64], ['.pt', '.safetensors']
        ),
        (torch.complex64, '.pt'),
    ],
)
def test_values_of_other_types_are_named(network, state, tmp_path, dtype, suffix):
    state['0.bias'] = torch.ones(20, dtype=dtype)
    path = save(state, tmp_path / f'x{suffix}')
    name = str(dtype).split('.')[1]
    refused(network, path, f'entries of another type, such as 0.bias is {name}, expected float32')


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_half_and_single_precision_load(network, state, tmp_path, dtype):
    halved = {key: value.to(dtype) for key, value in state.items()}
    load_weights(network, save(halved, tmp_path / 'x.pt'))
    torch.testing.assert_close(network.state_dict()['0.bias'], state['0.bias'], rtol=0.01, atol=0)


@pytest.mark.parametrize(
    'tensor',
    [torch.ones(20, device='meta'), torch.ones(20).to_sparse(), 'text', None],
    ids=['meta', 'sparse', 'text', 'none'],
)
def test_entries_without_plain_values_are_named(network, state, tmp_path, tensor):
    path = save({**state, '0.bias': tensor}, tmp_path / 'x.pt')
    refused(network, path, 'no state dict of tensors|is refused')


def test_names_that_are_no_text_are_named(network, state, tmp_path):
    path = save({**state, 7: torch.ones(1)}, tmp_path / 'x.pt')
    refused(network, path, 'no state dict of tensors')


# -- archives -----------------------------------------------------------------------------------


def test_a_flipped_bit_is_noticed(network, state, tmp_path):
    path = save(state, tmp_path / 'x.pt')
    content = bytearray(path.read_bytes())
    at = content.index(state['0.weight'].numpy().tobytes()) + 100
    content[at] ^= 4
    path.write_bytes(content)
    refused(network, path, 'is damaged: the sum of its entry x/data/0 is another')


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """Write an archive's entries anew, changed by a function of name and content."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))
    return path


def test_a_zip_bomb_is_refused_before_it_is_unpacked(network, state, tmp_path):
    """256 MB in a quarter of one; the time limit of tests would not show it, the reason does."""
    bomb = bytes(1 << 28)
    path = rewritten(
        save(state, tmp_path / 'x.pt'),
        lambda name, content: bomb if name.endswith('data/0') else content,
        zipfile.ZIP_DEFLATED,
    )
    assert path.stat().st_size < 1 << 20
    refused(network, path, 'has a compressed entry, x/.* bytes unpacked')


def test_entries_that_share_their_bytes_are_refused(network, state, tmp_path):
    path = rewritten(
        save(state, tmp_path / 'x.pt'),
        lambda name, content: bytes(100_000) if name.endswith('data/0') else content,
    )
    with zipfile.ZipFile(path, 'a') as archive:
        entry = archive.getinfo('x/data/0')
        archive.filelist += [entry] * 100
        archive._didModify = True
    refused(network, path, 'bytes of content, which is more than its size|is truncated or no')


def test_a_file_larger_than_the_network_is_not_read(network, state, tmp_path):
    path = tmp_path / 'x.pt'
    with path.open('wb') as file:
        file.truncate(1 << 33)  # sparse: it takes no room
    refused(network, path, 'has 8,589,934,592 bytes, more than the weights of this network can')


@pytest.mark.parametrize('where', ['before', 'after'])
def test_what_surrounds_an_archive_is_refused(network, state, tmp_path, where):
    path = save(state, tmp_path / 'x.pt')
    content = path.read_bytes()
    path.write_bytes(b'junk' + content if where == 'before' else content + b'junk')
    refused(network, path, 'has something before or after its archive')


def test_files_before_archives_are_refused(network, state, tmp_path):
    """The format before 2020, in which sizes are claimed and not bounded by the file."""
    torch.save(state, tmp_path / 'x.pt', _use_new_zipfile_serialization=False)
    refused(network, tmp_path / 'x.pt', 'is truncated or no PyTorch file')


def test_a_folder_or_pipe_is_named(network, tmp_path):
    (tmp_path / 'x.pt').mkdir()
    refused(network, tmp_path / 'x.pt', 'x.pt is a folder')
    os.mkfifo(tmp_path / 'y.pt')
    refused(network, tmp_path / 'y.pt', 'y.pt is no ordinary file')


# -- pickles ------------------------------------------------------------------------------------


def damage(content: bytes, seed: int) -> bytes:
    """Change some of a pickle's bytes, or leave some out, or put operations where none were."""
    rng, content = random.Random(seed), bytearray(content)
    codes = [op.code.encode('latin1') for op in pickletools.opcodes]
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(content))
        kind = rng.randrange(4)
        if kind == 0:
            content[at] = rng.randrange(256)
        elif kind == 1:
            del content[at : at + rng.randrange(1, 40)]
        elif kind == 2:
            content[at:at] = rng.choice(codes)
        else:
            content[at : at + 1] = rng.choice(codes)
    return bytes(content)


def test_damaged_pickles_load_or_are_refused(network, state, tmp_path):
    """Whatever the unpickler raises over them."""
    content = io.BytesIO()
    torch.save(state, content)
    reasons = []
    for seed in range(400):
        path = tmp_path / 'x.pt'
        path.write_bytes(content.getvalue())
        rewritten(path, lambda name, c: damage(c, seed) if name.endswith('.pkl') else c)  # noqa: B023
        try:
            load_weights(network, path)
        except CheckpointError as error:
            reasons.append(str(error))
    assert len(reasons) > 300
    assert not any('\n' in reason for reason in reasons)


@pytest.mark.parametrize(
    'pickled',
    [
        b'',
        b'.',
        b'\x80\x05K\x01.',
        b'(((((((',
        b'\x80\x02' + b'(' * 100_000 + b'l' * 100_000 + b'.',
        b'\x80\x02cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\0\x40\x85R.',  # of 70 TB
        pickle.dumps({'a': {'b': []}}),
        b'\x80\x02cos\nsystem\n(X\x04\0\0\0truetR.',
    ],
)
def test_pickles_of_other_kinds_are_refused(network, state, tmp_path, pickled):
    path = rewritten(
        save(state, tmp_path / 'x.pt'),
        lambda name, content: pickled if name.endswith('.pkl') else content,
    )
    refused(network, path, 'x.pt (is refused|holds)')


# -- safetensors ----------------------------------------------------------------------------------


def safetensors_file(header, data: bytes = b'', length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(text) if length is None else length) + text + data


def entry(begin: int, end: int, shape, dtype: str = 'F32') -> dict:
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}


@pytest.mark.parametrize(
    'content',
    [
        safetensors_file({}, length=1 << 62),
        safetensors_file({}, length=(1 << 64) - 1),
        safetensors_file(b'[1, 2]'),
        safetensors_file(b'{"a": 3}'),
        safetensors_file({'a': entry(0, 4, [1]), 'b': entry(0, 4, [1])}, bytes(4)),
        safetensors_file({'a': entry(0, 400, [100])}, bytes(4)),
        safetensors_file({'a': entry(4, 0, [1])}, bytes(4)),
        safetensors_file({'a': entry(0, 4, [1 << 62, 1 << 62])}, bytes(4)),
        safetensors_file({'a': entry(0, 4, [-1])}, bytes(4)),
        safetensors_file({'a': entry(0, 4, [1], 'F7')}, bytes(4)),
        safetensors_file({'a': entry(0, 4, [1])}, bytes(9)),
        safetensors_file(b'\xff' * 20),
    ],
)
def test_damaged_safetensors_are_refused(network, tmp_path, content):
    path = tmp_path / 'x.safetensors'
    path.write_bytes(content)
    refused(network, path, 'is not a whole safetensors file')
