"""What a folder of exported graphs must hold before any of it is loaded."""

import hashlib
import json

import pytest

from tam_ros.engine.base import EngineError
from tam_ros.engine.graph_names import REQUIRED
from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.engine.manifest import FORMAT, MANIFEST, graph_path, read_manifest

ZERO = '0' * 64


@pytest.fixture
def folder(tmp_path):
    """A folder as export_onnx makes it, but for the graphs' content."""
    digests = {}
    for name in sorted(REQUIRED):
        graph_path(tmp_path, name).write_text(name)
        digests[name] = hashlib.sha256(name.encode()).hexdigest()
    content = {
        'model': 'efficienttam_ti',
        'image_size': 512,
        'mask_side': 128,
        'recent_memories': 6,
        'precision': 'fp32',
        'opset': 18,
        'weights': 'efficienttam_ti.pt',
        'weights_sha256': '',
        'max_objects': 16,
        'features': ['top'],
        'tokens': 1024,
        'dense_tokens': 0,
        'memory_dim': 64,
        'model_dim': 256,
        'resampling': 'bicubic',
        'graphs': digests,
        'format': FORMAT,
    }
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    return tmp_path


def change(folder, **values) -> dict:
    content = json.loads((folder / MANIFEST).read_text()) | values
    (folder / MANIFEST).write_text(json.dumps(content))
    return content


def test_a_whole_folder_is_read(folder):
    manifest = read_manifest(folder)
    assert manifest.features == ('top',)
    assert manifest.graphs.keys() == REQUIRED


@pytest.mark.parametrize('text', ['[1]', '"x"', '3', 'null', 'true'])
def test_a_manifest_that_is_no_object_is_named(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(EngineError, match='is no manifest: it holds a'):
        read_manifest(folder)


@pytest.mark.parametrize('content', [b'', b'{', b'\xff\xfe', b'[' * 100_000, b'\0' * 9])
def test_a_damaged_manifest_is_named(folder, content):
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(EngineError, match='manifest.json is no JSON'):
        read_manifest(folder)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'features': 'top'}, "has features 'top', expected a list of texts"),
        ({'features': None}, 'has features None'),
        ({'image_size': '512'}, "has image_size '512', expected a number"),
        ({'image_size': True}, 'has image_size True'),
        ({'image_size': 500}, 'image_size 500 does not fit .* export the network again'),
        ({'image_size': 0}, 'image_size 0 does not fit'),
        ({'tokens': 1 << 40}, 'has tokens 1099511627776, expected a number'),
        ({'tokens': 4096}, 'has tokens 4096, expected 1024 for efficienttam_ti'),
        ({'mask_side': 127}, 'has mask_side 127, expected 128'),
        ({'memory_dim': -1}, 'has memory_dim -1'),
        ({'precision': 'bf16'}, "has precision 'bf16', expected fp32 or fp16"),
        ({'resampling': 'none'}, "has resampling 'none', expected 'bicubic'"),
        ({'model': 'sam9'}, "is of model 'sam9', known are edgetam"),
        ({'model': ['sam9']}, 'expected a text'),
        ({'weights_sha256': 7}, 'has weights_sha256 7'),
        ({'graphs': []}, 'has graphs .*, expected names of files'),
        ({'graphs': {}}, 'has no graph attend_memory, decode_mask'),
        ({'graphs': {'encode_image': 5}}, 'expected names of files in its folder'),
        ({'graphs': {'encode_image': ZERO[1:]}}, 'expected names of files in its folder'),
    ],
)
def test_wrong_values_are_named(folder, values, message):
    change(folder, **values)
    with pytest.raises(EngineError, match=message):
        read_manifest(folder)


@pytest.mark.parametrize('name', sorted(REQUIRED))
def test_a_missing_stage_is_named(folder, name):
    graphs = change(folder)['graphs']
    change(folder, graphs={key: value for key, value in graphs.items() if key != name})
    with pytest.raises(EngineError, match=f'has no graph {name}'):
        read_manifest(folder)


@pytest.mark.parametrize('kind', ['graphs', 'files'])
@pytest.mark.parametrize('name', ['../x', '/etc/x', 'a/../../x', 'a/b', '..', '', '.x', 'a\0'])
def test_paths_that_leave_the_folder_are_refused(folder, kind, name):
    named = change(folder).get(kind, {})
    change(folder, **{kind: {**named, name: ZERO}})
    with pytest.raises(EngineError, match='expected names of files in its folder'):
        read_manifest(folder)


def test_a_graph_that_is_missing_or_another_is_named(folder):
    graph_path(folder, 'decode_mask').write_text('x')
    with pytest.raises(EngineError, match=r'decode_mask.onnx is not the file that was exported'):
        read_manifest(folder)
    graph_path(folder, 'decode_mask').unlink()
    with pytest.raises(EngineError, match=r'decode_mask.onnx is missing: export'):
        read_manifest(folder)
    graph_path(folder, 'decode_mask').mkdir()
    with pytest.raises(EngineError, match=r'decode_mask.onnx is a folder'):
        read_manifest(folder)


def load(weights):
    return load_engine(EngineChoice('efficienttam_ti', str(weights), engine='onnx'))


def test_what_is_no_graph_is_one_line(folder):
    with pytest.raises(EngineError, match=r'onnx is no graph for this onnxruntime: .*') as caught:
        load(folder)
    assert '\n' not in str(caught.value)


def test_weights_that_are_no_folder_of_graphs_are_named(folder, monkeypatch):
    monkeypatch.setenv('HOME', str(folder.parent))
    with pytest.raises(EngineError, match='is a file: engine onnx takes a folder'):
        load(folder / MANIFEST)
    with pytest.raises(EngineError, match=f'{folder.parent}/none holds no exported network'):
        load('~/none')
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).mkdir()
    with pytest.raises(EngineError, match='manifest.json is a folder'):
        load(f'~/{folder.name}')
