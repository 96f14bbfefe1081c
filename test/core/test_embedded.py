"""The graphs that come with the package: small, whole, those of its weights, the default."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tracks import assert_same_logits, track

from tam_ros.engine.base import EngineError
from tam_ros.engine.embedded import embedded_sizes, graphs_prefix, read_embedded_manifest
from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.engine.manifest import graph_path, read_manifest, write_manifest
from tam_ros.engine.onnx_graph import tensorrt_cache
from tam_ros.engine.sharing import SharedTensors, share_weights
from tam_ros.weights import EMBEDDED_FOLDER, find_weights

MODEL = 'tam_nano'
MAX_MEGABYTES = 20
SIZES = embedded_sizes(MODEL)
STALE = 'run tools/embed_graphs.py'


def test_folder_is_small():
    sizes = [path.stat().st_size for path in EMBEDDED_FOLDER.iterdir()]
    assert sum(sizes) < MAX_MEGABYTES * 1e6


def test_folder_holds_nothing_but_what_the_manifests_name():
    named = {'MODEL_CARD.md'}
    for size in SIZES:
        manifest = read_embedded_manifest(MODEL, size)
        named |= {graph_path(EMBEDDED_FOLDER, g, manifest.prefix).name for g in manifest.graphs}
        named |= {f'{manifest.prefix}manifest.json', *manifest.files}
    assert {path.name for path in EMBEDDED_FOLDER.iterdir()} == named


@pytest.mark.parametrize('size', SIZES)
def test_graphs_track_as_pytorch_does(frames, size):
    onnx, torch = (
        load_engine(EngineChoice(MODEL, engine=name, image_size=size))
        for name in ('onnx', 'torch')
    )
    on_the_square = (120, 130), (170, 130)  # nothing is seen in noise
    assert_same_logits(*(track(e, frames[:6], third=on_the_square) for e in (onnx, torch)))


def test_graphs_are_those_that_an_export_makes(trained, tmp_path):
    """Those of the first size, which begins the file of shared tensors."""
    exported, embedded = read_manifest(trained), read_embedded_manifest(MODEL, 256)
    (extra,) = (name for name in embedded.files if name != exported.weights)
    tensors = SharedTensors(EMBEDDED_FOLDER / exported.weights, extra)
    assert exported.graphs.keys() == embedded.graphs.keys()
    for name in exported.graphs:
        share_weights(graph_path(trained, name), tmp_path / name, tensors)
        ours = graph_path(EMBEDDED_FOLDER, name, graphs_prefix(MODEL, 256))
        assert (tmp_path / name).read_bytes() == ours.read_bytes(), f'{ours.name}: {STALE}'
    made = np.fromfile(tensors.write(tmp_path), np.float32)
    shipped = np.fromfile(EMBEDDED_FOLDER / extra, np.float32)[: len(made)]
    # Folded weights and tables are the machine's, to the last bits.
    np.testing.assert_allclose(shipped, made, rtol=1e-5, atol=1e-6, err_msg=STALE)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A copy of the embedded files that is used in their place."""
    copy = shutil.copytree(EMBEDDED_FOLDER, tmp_path / 'embedded')
    monkeypatch.setattr('tam_ros.engine.embedded.EMBEDDED_FOLDER', copy)
    monkeypatch.setattr('tam_ros.engine.load.EMBEDDED_FOLDER', copy)
    return copy


@pytest.mark.parametrize(
    'name',
    [
        f'{MODEL}.onnx.data',
        f'{MODEL}.safetensors',
        f'{MODEL}_384_manifest.json',
        f'{MODEL}_384_encode_image.onnx',
    ],
)
def test_damaged_and_missing_files_are_named(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    for _ in ('damaged', 'missing'):
        with pytest.raises(EngineError, match=f'{name} .*part of this package, install'):
            load_engine(EngineChoice(MODEL))
        (folder / name).unlink(missing_ok=True)


def test_what_runs_follows_from_what_is_asked(tmp_path):
    def engine(model=MODEL, weights='', **options):
        return EngineChoice(model, weights, **options).resolved_engine

    assert engine() == engine(precision='bf16') == engine(image_size=640) == 'onnx'
    assert engine('edgetam') == engine(engine='torch') == 'torch'
    assert engine(weights='mine.safetensors') == engine(weights='reproducible') == 'torch'
    assert engine('edgetam', str(tmp_path)) == engine('edgetam', engine='onnx') == 'onnx'


def test_default_engine_says_what_runs():
    assert load_engine(EngineChoice(MODEL)).spec.runtime.startswith('ONNX Runtime')
    weights = find_weights(MODEL, '')
    engine = load_engine(EngineChoice(MODEL, weights, image_size=128))
    assert engine.spec.runtime.startswith('PyTorch')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (
            {'image_size': 640},
            'asked for is image_size 640: set engine to torch, .*-size 640',
        ),
        ({'precision': 'fp16'}, 'asked for is precision fp16: .*--precision fp16'),
        ({'precision': 'bf16'}, 'precision bf16: set engine to torch, or use .* of fp32, fp16'),
        ({'image_size': 250}, 'image_size 250 does not fit'),
    ],
)
def test_graphs_that_do_not_come_with_it_are_named(monkeypatch, tmp_path, options, words):
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    with pytest.raises(EngineError, match=words):
        load_engine(EngineChoice(MODEL, **options))


def test_graphs_of_another_size_are_taken_from_the_cache(monkeypatch, tmp_path, trained):
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    monkeypatch.setattr('tam_ros.engine.embedded.MANIFESTS', {MODEL: {384: ''}})
    shutil.copytree(trained, tmp_path / 'onnx' / MODEL)
    assert load_engine(EngineChoice(MODEL, image_size=256)).spec.image_size == 256
    with pytest.raises(EngineError, match='exported with image_size 256, asked for is 640'):
        load_engine(EngineChoice(MODEL, image_size=640))


def test_tensorrt_keeps_engines_of_embedded_graphs_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    manifests = [read_embedded_manifest('tam_nano', size) for size in SIZES]
    caches = {tensorrt_cache(EMBEDDED_FOLDER, manifest) for manifest in manifests}
    assert len(caches) == len(SIZES)
    assert set((tmp_path / 'tensorrt').iterdir()) == caches


def test_tensorrt_takes_no_engine_of_older_weights(tmp_path):
    manifest = read_embedded_manifest('tam_nano', 384)
    caches = []
    for digest in ('0' * 64, '1' * 64):  # of a file that the same graphs read
        write_manifest(tmp_path, replace(manifest, files={'weights': digest}))
        caches.append(tensorrt_cache(tmp_path, manifest))
    assert caches[0] != caches[1]
    assert {cache.parent for cache in caches} == {tmp_path / 'tensorrt'}
