"""The exported graphs: the answers are PyTorch's, and what cannot run is named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from calm import calm_network
from tracks import assert_same_logits, track

import tam_ros
from tam_ros.engine.base import EngineError
from tam_ros.engine.export_command import main
from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.engine.manifest import (
    FORMAT,
    MANIFEST,
    graph_path,
    read_manifest,
    sha256_of,
    write_manifest,
)
from tam_ros.engine.onnx_engine import OnnxEngine
from tam_ros.engine.onnx_graph import PROVIDERS
from tam_ros.engine.torch_engine import TorchEngine, load_torch_engine
from tam_ros.engine.tracing import halve_graph
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session
from tam_ros.weights import EMBEDDED, find_weights

MODELS = ['tam_nano', 'efficienttam_ti_1']  # EdgeTAM's is in test_golden


def onnx_folder(request, model: str):
    """Return where a model lies exported; an export takes a minute, so there are few."""
    if model == 'tam_nano':
        return request.getfixturevalue('trained')
    return request.getfixturevalue('exported')(model, 256)


def torch_engine(model: str, mode: str) -> TorchEngine:
    if model == 'tam_nano':
        return load_torch_engine(model, find_weights(model, ''), image_size=256, mode=mode)
    return TorchEngine(calm_network(model=model), model=model, mode=mode)


@pytest.mark.parametrize('mode', ['interactive', 'benchmark'])
@pytest.mark.parametrize('model', MODELS)
def test_both_engines_track_alike(request, frames, model, mode):
    onnx = OnnxEngine(onnx_folder(request, model), mode=mode)
    assert_same_logits(track(onnx, frames), track(torch_engine(model, mode), frames))


@pytest.mark.parametrize('model', MODELS)
def test_static_shapes_change_nothing(request, frames, model):
    """Batches that are filled up and memories that are masked, as TensorRT gets them."""
    folder = onnx_folder(request, model)
    free, static = (OnnxEngine(folder, static_shapes=static) for static in (False, True))
    assert_same_logits(track(static, frames), track(free, frames))


def test_warming_up_leaves_no_trace(trained, frames):
    engine = OnnxEngine(trained, static_shapes=True)
    session = Session(engine, max_objects=3)
    session.warm_up()
    assert not session.has_frame
    session.step(frames[0], 0)
    session.add_prompt(Prompt(box_xyxy=(60, 80, 120, 140)))
    warm = session.step(frames[1], 1).objects[0].logits
    session = Session(engine, max_objects=3)
    session.step(frames[0], 0)
    session.add_prompt(Prompt(box_xyxy=(60, 80, 120, 140)))
    np.testing.assert_array_equal(session.step(frames[1], 1).objects[0].logits, warm)


def test_graphs_do_not_tell_where_they_were_made(trained):
    source = str(Path(tam_ros.__file__).parent).encode()
    for path in trained.glob('*.onnx'):
        assert source not in path.read_bytes(), path.name


def test_half_precision_keeps_the_masks(trained, frames, tmp_path):
    half = shutil.copytree(trained, tmp_path / 'half')
    manifest = read_manifest(half)
    for name in manifest.graphs:
        halve_graph(graph_path(half, name))
    digests = {name: sha256_of(graph_path(half, name)) for name in manifest.graphs}
    write_manifest(half, replace(manifest, precision='fp16', graphs=digests))
    sizes = [sum(f.stat().st_size for f in folder.iterdir()) for folder in (trained, half)]
    assert sizes[1] < 0.6 * sizes[0]
    runs = [track(OnnxEngine(folder), frames) for folder in (trained, half)]
    pairs = [(a[key] > 0, b[key] > 0) for a, b in zip(*runs) for key in a]
    both, either = (sum(f(a, b).sum() for a, b in pairs) for f in (np.logical_and, np.logical_or))
    assert both >= 0.99 * either
    assert either > 1000


def test_manifest_says_what_was_exported(trained):
    manifest = read_manifest(trained)
    assert (manifest.model, manifest.image_size, manifest.precision) == ('tam_nano', 256, 'fp32')
    assert manifest.weights == 'tam_nano.safetensors'
    assert manifest.weights_sha256 == EMBEDDED['tam_nano'].sha256
    assert manifest.dense_tokens == 32 * 32
    spec = OnnxEngine(trained).spec
    assert (spec.resampling, spec.matches) == ('area', True)
    assert manifest.features == ('top', 'stride8', 'stride4', 'keys')


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of an exported network, to be spoiled."""
    return shutil.copytree(trained, tmp_path / 'copy')


def change_manifest(folder, **values) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **values}))


def test_folder_without_manifest_is_named(tmp_path):
    with pytest.raises(EngineError, match=f'{tmp_path} holds no exported network.*export_onnx'):
        OnnxEngine(tmp_path)


def test_manifest_of_another_version_is_named(folder):
    change_manifest(folder, format=99)
    with pytest.raises(EngineError, match=f'has format 99, this version reads {FORMAT}'):
        OnnxEngine(folder)


def test_graph_of_another_export_is_named(folder):
    (folder / 'encode_memory.onnx').write_bytes(b'something else')
    with pytest.raises(EngineError, match='encode_memory.onnx is not the file that was exported'):
        OnnxEngine(folder)
    (folder / 'encode_memory.onnx').unlink()
    with pytest.raises(EngineError, match='encode_memory.onnx is missing'):
        OnnxEngine(folder)


def test_device_that_is_not_here_is_named_with_those_that_are(folder):
    missing = [
        device
        for device, provider in PROVIDERS.items()
        if provider not in onnxruntime.get_available_providers()
    ]
    for device in (*missing, *(f'{device}:1' for device in missing), 'cpu:0', 'npu', 'cuda:x'):
        with pytest.raises(EngineError, match=f"device '{device}' .* choose from .*cpu"):
            OnnxEngine(folder, device=device)


def test_engine_of_another_model_or_size_is_named(folder):
    def load(model='tam_nano', **options):
        return load_engine(EngineChoice(model, str(folder), engine='onnx', **options))

    with pytest.raises(EngineError, match='exported with model tam_nano, asked for is edgetam'):
        load('edgetam')
    with pytest.raises(EngineError, match='exported with image_size 256, asked for is 512'):
        load(image_size=512)
    with pytest.raises(EngineError, match='exported with precision fp32, asked for is bf16'):
        load(precision='bf16')
    assert load(image_size=256, precision='fp32').spec.model == 'tam_nano'


def test_folder_of_older_embedded_weights_is_named(folder, monkeypatch, tmp_path):
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    monkeypatch.setattr('tam_ros.engine.embedded.MANIFESTS', {'tam_nano': {384: ''}})
    change_manifest(folder, weights_sha256='0' * 64)
    shutil.copytree(folder, tmp_path / 'onnx' / 'tam_nano')
    with pytest.raises(EngineError, match='other weights .* than those that come with tam_nano'):
        load_engine(EngineChoice('tam_nano', engine='onnx', image_size=256))


def test_unknown_engine_is_named():
    with pytest.raises(EngineError, match="engine 'caffe' is unknown: choose from torch, onnx"):
        load_engine(EngineChoice('tam_nano', engine='caffe'))


def test_command_line_names_what_cannot_be_exported(tmp_path, capsys):
    assert main(['--image-size', '250', '--out', str(tmp_path / 'out')]) == 1
    assert 'image_size 250 does not fit' in capsys.readouterr().err
    assert main(['--weights', 'nowhere.pt', '--out', str(tmp_path / 'out')]) == 1
    assert 'nowhere.pt does not exist' in capsys.readouterr().err
    assert not (tmp_path / 'out' / MANIFEST).exists()


def test_command_line_names_a_folder_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    (tmp_path / 'file').write_text('')
    for out, message in (
        (tmp_path / 'file', 'file cannot be made (File exists): set --out'),
        (tmp_path / 'file' / 'x', 'x cannot be made (Not a directory): set --out'),
        ('~nobody_here/x', 'no home folder is known for it: set HOME'),
    ):
        assert main(['--image-size', '256', '--out', str(out)]) == 1
        assert message in capsys.readouterr().err
    for variable in ('TAM_ROS_WEIGHTS', 'XDG_CACHE_HOME', 'HOME'):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr('os.getuid', lambda: 54321)  # as in a container
    assert main(['--image-size', '256']) == 1
    assert 'set HOME, or TAM_ROS_WEIGHTS to a folder' in capsys.readouterr().err
