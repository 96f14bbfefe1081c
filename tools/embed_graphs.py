"""Export the default network for ONNX Runtime into the package, with its weights only once.

Usage: python tools/embed_graphs.py [--out DIR]
Run it again when the embedded weights or the exporter change, and put the hashes that it prints
into tam_ros/engine/embedded.py.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tam_ros.digests import sha256_of
from tam_ros.engine.embedded import embedded_sizes, graphs_prefix
from tam_ros.engine.export import export
from tam_ros.engine.manifest import (
    Manifest,
    graph_path,
    manifest_path,
    write_manifest,
)
from tam_ros.engine.sharing import SharedTensors, share_weights
from tam_ros.weights import EMBEDDED_FOLDER, find_weights

MODEL = 'tam_nano'
EXTRA = f'{MODEL}.onnx.data'


def embed(folder: Path, sizes: Sequence[int]) -> dict[int, str]:
    """Write graphs for some sizes to a folder; returns the sha256 of the manifests by size."""
    checkpoint = Path(find_weights(MODEL, ''))
    tensors = SharedTensors(checkpoint, EXTRA)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as exports:
        manifests = [
            _embed_size(size, Path(exports) / str(size), folder, tensors) for size in sizes
        ]
    if checkpoint.parent != folder.resolve():
        shutil.copy(checkpoint, folder)
    files = {checkpoint.name: checkpoint, EXTRA: tensors.write(folder)}
    digests = {name: sha256_of(path) for name, path in files.items()}
    for manifest in manifests:
        write_manifest(folder, replace(manifest, files=digests))
    return {m.image_size: sha256_of(manifest_path(folder, m.prefix)) for m in manifests}


def _embed_size(size: int, exported: Path, folder: Path, tensors: SharedTensors) -> Manifest:
    manifest = export(MODEL, '', exported, image_size=size)
    prefix = graphs_prefix(MODEL, size)
    digests = {}
    for name in manifest.graphs:
        path = graph_path(folder, name, prefix)
        share_weights(graph_path(exported, name), path, tensors)
        digests[name] = sha256_of(path)
    return replace(manifest, prefix=prefix, graphs=digests)


def main() -> None:
    """Embed the graphs and print their hashes."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--out', type=Path, default=EMBEDDED_FOLDER)
    for size, digest in embed(parser.parse_args().out, embedded_sizes(MODEL)).items():
        print(f'{size}: {digest}')


if __name__ == '__main__':
    main()
