"""The exported graphs: the answers are PyTorch's, and what cannot run is named."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
from calm import calm_network

from tam_ros.engine.base import EngineError
from tam_ros.engine.export import export, main
from tam_ros.engine.graphs import MANIFEST, read_manifest
from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.engine.onnx_engine import PROVIDERS, OnnxEngine
from tam_ros.engine.torch_engine import TorchEngine
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session

TOLERANCE = 1e-3
MODELS = ['edgetam', 'tam_nano', 'efficienttam_ti_1']


def track(engine, frames, *, until=None) -> list[dict[int, np.ndarray]]:
    """Prompt as users do, some of it late; return the logits of every object, frame by frame."""
    mask = np.zeros((240, 320), bool)
    mask[80:140, 60:120] = True
    prompts = {
        0: [({'prompt': Prompt([(90, 110)])}), ({'prompt': Prompt(mask=mask)})],
        2: [({'prompt': Prompt([(200, 60)])})],
        3: [({'prompt': Prompt([(210, 70)], [0]), 'object_id': 3})],
        4: [({'prompt': Prompt(box_xyxy=(60, 80, 150, 150)), 'object_id': 2})],
    }
    session, logits = Session(engine), []
    for t, image in enumerate(frames[:until]):
        session.step(image, t)
        for arguments in prompts.get(t, []):
            session.add_prompt(**arguments)
        logits.append({result.object_id: result.logits for result in session.objects})
    return logits


def assert_same_logits(actual, expected) -> None:
    for t, (a, b) in enumerate(zip(actual, expected)):
        assert a.keys() == b.keys()
        for key in a:
            difference = np.abs(a[key] - b[key]).max()
            assert difference < TOLERANCE, f'object {key} in frame {t}: {difference}'


@pytest.mark.parametrize('mode', ['interactive', 'benchmark'])
@pytest.mark.parametrize('model', MODELS)
def test_both_engines_track_alike(exported, frames, model, mode):
    onnx = OnnxEngine(exported(model, 256), mode=mode)
    torch = TorchEngine(calm_network(model=model), model=model, mode=mode)
    assert_same_logits(track(onnx, frames), track(torch, frames))


@pytest.mark.parametrize('model', MODELS)
def test_static_shapes_change_nothing(exported, frames, model):
    """Batches that are filled up and memories that are masked, as TensorRT gets them."""
    free, static = (
        OnnxEngine(exported(model, 256), static_shapes=static) for static in (False, True)
    )
    assert_same_logits(track(static, frames), track(free, frames))


def test_warming_up_leaves_no_trace(exported, frames):
    engine = OnnxEngine(exported('tam_nano', 256), static_shapes=True)
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


def test_half_precision_keeps_the_masks(frames, tmp_path):
    folders = [tmp_path / precision for precision in ('fp32', 'fp16')]
    for folder in folders:
        export('tam_nano', '', folder, image_size=256, precision=folder.name)
    sizes = [sum(f.stat().st_size for f in folder.iterdir()) for folder in folders]
    assert sizes[1] < 0.6 * sizes[0]
    full, half = (track(OnnxEngine(folder), frames, until=4) for folder in folders)
    for a, b in zip(full, half):
        for key in a:
            both, either = (a[key] > 0) & (b[key] > 0), (a[key] > 0) | (b[key] > 0)
            assert both.sum() >= 0.99 * either.sum()


def test_manifest_says_what_was_exported(exported):
    manifest = read_manifest(exported('tam_nano', 256))
    assert (manifest.model, manifest.image_size, manifest.precision) == ('tam_nano', 256, 'fp32')
    assert manifest.weights == 'reproducible'
    assert manifest.dense_tokens == 32 * 32
    assert manifest.features == ('top', 'stride8', 'stride4', 'keys')


@pytest.fixture
def folder(exported, tmp_path):
    """A copy of an exported network, to be spoiled."""
    return shutil.copytree(exported('tam_nano', 256), tmp_path / 'copy')


def change_manifest(folder, **values) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **values}))


def test_folder_without_manifest_is_named(tmp_path):
    with pytest.raises(EngineError, match=f'{tmp_path} holds no exported network.*export_onnx'):
        OnnxEngine(tmp_path)


def test_manifest_of_another_version_is_named(folder):
    change_manifest(folder, format=99)
    with pytest.raises(EngineError, match='has format 99, this version reads 1'):
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
        with pytest.raises(EngineError, match=f"device '{device}' .* choose from .*'cpu'"):
            OnnxEngine(folder, device=device)


def test_engine_of_another_model_or_size_is_named(folder):
    def load(model='tam_nano', **options):
        return load_engine(EngineChoice(model, str(folder), name='onnx', **options))

    with pytest.raises(EngineError, match='exported with model tam_nano, asked for is edgetam'):
        load('edgetam')
    with pytest.raises(EngineError, match='exported with image_size 256, asked for is 512'):
        load(image_size=512)
    with pytest.raises(EngineError, match='exported with precision fp32, asked for is bf16'):
        load(precision='bf16')
    assert load(image_size=256, precision='fp32').spec.model == 'tam_nano'


def test_folder_of_older_embedded_weights_is_named(folder, monkeypatch, tmp_path):
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    shutil.copytree(folder, tmp_path / 'onnx' / 'tam_nano')
    with pytest.raises(EngineError, match='other weights .* than those that come with tam_nano'):
        load_engine(EngineChoice('tam_nano', name='onnx'))


def test_unknown_engine_is_named():
    with pytest.raises(EngineError, match="engine 'caffe' is unknown: choose from torch, onnx"):
        load_engine(EngineChoice('tam_nano', name='caffe'))


def test_command_line_names_what_cannot_be_exported(tmp_path, capsys):
    assert main(['--image-size', '250', '--out', str(tmp_path / 'out')]) == 1
    assert 'image_size 250 does not fit' in capsys.readouterr().err
    assert main(['--weights', 'nowhere.pt', '--out', str(tmp_path / 'out')]) == 1
    assert 'nowhere.pt does not exist' in capsys.readouterr().err
    assert not (tmp_path / 'out' / MANIFEST).exists()
