"""Export a network as ONNX graphs for the ONNX Runtime engine, and check each against PyTorch."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from tam_ros.digests import sha256_of
from tam_ros.engine.base import EngineError
from tam_ros.engine.graph_names import WRITE_ROWS
from tam_ros.engine.manifest import (
    Manifest,
    Precision,
    graph_path,
    manifest_path,
    network_sizes,
    write_manifest,
)
from tam_ros.engine.stage_graphs import GraphMaker
from tam_ros.engine.torch_engine import build_network, choose_config
from tam_ros.engine.tracing import (
    OPSET,
    ExportError,
    compare_graph,
    write_graph,
    write_rows_graph,
)
from tam_ros.model.checkpoint import CheckpointError
from tam_ros.model.fuse import fuse
from tam_ros.model.network import TrackingNetwork
from tam_ros.paths import PathError, make_folder, user_path
from tam_ros.weights import REPRODUCIBLE, DownloadError, export_folder, find_weights


@dataclass(frozen=True)
class Origin:
    """What a network is."""

    model: str
    """Name of the network, one of `MODELS`."""
    weights: str
    """File name of the checkpoint, or what the weights are."""
    sha256: str = ''
    """Of the checkpoint's content, '' of weights that are no file."""


def export(
    model: str,
    weights: str,
    folder: Path,
    *,
    image_size: int = 0,
    precision: Precision = 'fp32',
    max_objects: int = 16,
    report: Callable[[str], None] = print,
) -> Manifest:
    """Export a model with weights, as `find_weights` takes them, to a folder.

    Raises EngineError, CheckpointError, PathError or DownloadError for what cannot be exported,
    ExportError where a graph does something else than the network.
    """
    config = choose_config(model, image_size)
    source = find_weights(model, weights)
    network = build_network(config, source)
    origin = Origin(
        model, Path(source).name, '' if source == REPRODUCIBLE else sha256_of(Path(source))
    )
    return export_network(
        network, origin, folder, precision=precision, max_objects=max_objects, report=report
    )


def export_network(
    network: TrackingNetwork,
    origin: Origin,
    folder: Path,
    *,
    precision: Precision = 'fp32',
    max_objects: int = 16,
    report: Callable[[str], None] = print,
) -> Manifest:
    """Export a network, of which this takes ownership, to a folder; returns its manifest."""
    network = _prepared(network)
    make_folder(folder, 'set --out to a folder that can be written')
    manifest_path(folder).unlink(missing_ok=True)  # until all is written
    digests = {}
    graphs = GraphMaker(network).graphs()
    for graph in tqdm(graphs, desc=f'exporting {origin.model}', unit='graph'):
        path = graph_path(folder, graph.name)
        write_graph(graph, path, precision)
        difference = compare_graph(graph, path, precision)
        report(f'{graph.name}: {difference}')
        digests[graph.name] = sha256_of(path)
    path = graph_path(folder, WRITE_ROWS)
    write_rows_graph(path, precision)
    digests[WRITE_ROWS] = sha256_of(path)
    config = network.config
    manifest = Manifest(
        model=origin.model,
        weights=origin.weights,
        weights_sha256=origin.sha256,
        image_size=config.image_size,
        precision=precision,
        opset=OPSET,
        max_objects=max_objects,
        features=config.feature_names,
        graphs=digests,
        **network_sizes(config),
    )
    write_manifest(folder, manifest)
    return manifest


def _prepared(network: TrackingNetwork) -> TrackingNetwork:
    """Fuse a network, and replace what ONNX lacks and what helps PyTorch's kernels alone."""
    network = fuse(network)
    with torch.no_grad():
        network.precompute()
    without_complex_tables(network)
    network.prepare_for_graph()
    return network


def without_complex_tables(network: TrackingNetwork) -> None:
    """Make rotary tables real, in place: ONNX has no complex numbers, compilers do them badly."""
    for module in network.modules():
        for name, table in module._buffers.items():
            if table is not None and table.is_complex():
                module._buffers[name] = torch.view_as_real(table).clone()


def export_as_asked(options: argparse.Namespace) -> int:
    """Export what the command line names, see `export_command`; return the exit status."""
    try:
        folder = user_path(options.out) if options.out else export_folder(options.model)
        export(
            options.model,
            options.weights,
            folder,
            image_size=options.image_size,
            precision=options.precision,
            max_objects=options.max_objects,
            report=tqdm.write,
        )
    except (EngineError, CheckpointError, DownloadError, ExportError, PathError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f'{folder} cannot be written ({error.strerror or error})', file=sys.stderr)
        return 1
    print(f'exported to {folder}')
    return 0
