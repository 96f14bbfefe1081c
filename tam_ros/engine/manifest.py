"""The manifest of an exported network, a folder of ONNX graphs: written, read and checked.

Written by `export`, read by `onnx_engine`; this module needs neither torch nor onnxruntime.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from tam_ros.digests import sha256_of
from tam_ros.engine.base import EngineError
from tam_ros.engine.graph_names import ATTEND_FIRST, REQUIRED
from tam_ros.networks import MODELS, NetworkConfig
from tam_ros.paths import file_fault
from tam_ros.preprocess import Resampling

Precision = Literal['fp32', 'fp16']
PRECISIONS: tuple[Precision, ...] = ('fp32', 'fp16')
FORMAT = 2  # three matched frames; 1: two
MANIFEST = 'manifest.json'
LARGEST_MANIFEST = 1 << 20  # bytes
EXPORT_AGAIN = 'export the network again'
SHA256 = re.compile('[0-9a-f]{64}')
FILE_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]*')  # in the folder itself
LARGEST_COUNT = 1 << 24
BY_MODEL = ('mask_side', 'recent_memories', 'memory_dim', 'model_dim', 'resampling')


@dataclass(frozen=True)
class Manifest:
    """How a folder of graphs was made."""

    model: str
    """Name of the network, one of `MODELS`."""
    image_size: int
    """Side of its input, in pixels."""
    mask_side: int
    """Side of its mask logits."""
    recent_memories: int
    """How many tracked frames it tells apart by age."""
    precision: Precision
    """Of weights and computation; what the host reads and writes is single."""
    opset: int
    """Version of the ONNX operators."""
    weights: str
    """File name of the checkpoint, or what the weights are."""
    weights_sha256: str
    """Of the checkpoint's content, '' of weights that are no file."""
    max_objects: int
    """That will be tracked: for providers that build engines for given sizes."""
    features: tuple[str, ...]
    """Names of the maps of an encoded image, in the order of the graphs' inputs."""
    tokens: int
    """Of a memory, those that are attended to."""
    dense_tokens: int
    """Of a memory, those that are matched; 0 without dense propagation."""
    memory_dim: int
    """Channels of a token."""
    model_dim: int
    """Channels of features and pointers."""
    resampling: Resampling
    """How images are brought to the input's size; see `preprocess`."""
    graphs: dict[str, str]
    """The sha256 of each graph, by name."""
    files: dict[str, str] = field(default_factory=dict)
    """The sha256 of each file beside them that they read weights from, by file name."""
    prefix: str = ''
    """What the names of the graphs' files begin with, and the manifest's."""
    format: int = FORMAT
    """Version of this list."""

    @property
    def attends_apart(self) -> bool:
        """Whether objects with a single memory have a graph of their own."""
        return ATTEND_FIRST in self.graphs


STATED = {  # in every manifest
    field.name
    for field in fields(Manifest)
    if field.default is MISSING and field.default_factory is MISSING
}


def network_sizes(config: NetworkConfig) -> dict[str, Any]:
    """Return what a manifest says of a network's shape, by the names of its fields."""
    sizes = {name: getattr(config, name) for name in BY_MODEL}
    return {**sizes, 'tokens': config.attended_tokens, 'dense_tokens': config.dense_tokens}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, last of all: a folder without one is not whole."""
    text = json.dumps(asdict(manifest), indent=2) + '\n'
    manifest_path(folder, manifest.prefix).write_text(text)


def read_manifest(
    folder: Path, model: str = 'MODEL', *, prefix: str = '', cure: str = EXPORT_AGAIN
) -> Manifest:
    """Read and check a folder's manifest; raises EngineError naming what is wrong.

    model: that it should be of, for the message. prefix: of the files' names. cure: what to do
    where files are damaged.
    """
    path = manifest_path(folder, prefix)
    if file_fault(folder) == '':
        raise EngineError(f'{folder} is a file: engine onnx takes a folder of export_onnx')
    if not path.exists():
        raise EngineError(
            f'{folder} holds no exported network: {MANIFEST} is missing. '
            f'`ros2 run tam_ros export_onnx --model {model} --out {folder}` makes one'
        )
    content = _read_json(path)
    if content.get('format') != FORMAT:
        raise EngineError(
            f'{path} has format {content.get("format")!r}, this version reads {FORMAT}: {cure}'
        )
    fault = _fault(content)
    if fault:
        raise EngineError(f'{path} {fault}: {cure}')
    known = {f.name: content[f.name] for f in fields(Manifest) if f.name in content}
    known |= {'features': tuple(content['features']), 'prefix': prefix}
    manifest = Manifest(**known)
    for name, digest in manifest.graphs.items():
        _check_file(graph_path(folder, name, prefix), digest, cure)
    for name, digest in manifest.files.items():
        _check_file(folder / name, digest, cure)
    return manifest


def _read_json(path: Path) -> dict:
    fault = file_fault(path)
    if fault:
        raise EngineError(f'{path} {fault}')
    if path.stat().st_size > LARGEST_MANIFEST:
        raise EngineError(f'{path} has {path.stat().st_size:,} bytes: no manifest has so many')
    try:
        content = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise EngineError(f'{path} is no JSON: {error}') from error
    if not isinstance(content, dict):
        raise EngineError(f'{path} is no manifest: it holds a {type(content).__name__}')
    return content


def manifest_path(folder: Path, prefix: str = '') -> Path:
    """Return where a folder's manifest lies."""
    return folder / f'{prefix}{MANIFEST}'


def graph_path(folder: Path, name: str, prefix: str = '') -> Path:
    """Return where a graph lies."""
    return folder / f'{prefix}{name}.onnx'


def _check_file(path: Path, digest: str, cure: str) -> None:
    fault = file_fault(path)
    if fault:
        why = 'is missing' if fault == 'does not exist' else fault
        raise EngineError(f'{path} {why}: {cure}')
    if sha256_of(path) != digest:
        raise EngineError(f'{path} is not the file that was exported: {cure}')


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_digests(value: object) -> bool:
    return isinstance(value, dict) and all(
        FILE_NAME.fullmatch(name) and _is_text(digest) and SHA256.fullmatch(digest)
        for name, digest in value.items()
    )


TEXT, COUNT = ('a text', _is_text), ('a number, not negative', _is_count)
DIGESTS = ('names of files in its folder with the sha256 of each', _are_digests)
KINDS: dict[str, tuple[str, Callable[[object], object]]] = {
    'model': TEXT,
    'weights': TEXT,
    'weights_sha256': TEXT,
    'resampling': TEXT,
    'precision': ('fp32 or fp16', lambda value: value in ('fp32', 'fp16')),
    **dict.fromkeys(('image_size', 'mask_side', 'recent_memories', 'opset'), COUNT),
    **dict.fromkeys(('max_objects', 'tokens', 'dense_tokens', 'memory_dim', 'model_dim'), COUNT),
    'features': ('a list of texts', _are_texts),
    'graphs': DIGESTS,
    'files': DIGESTS,
}


def _fault(content: Mapping) -> str:
    """Return what is wrong with the content of a manifest, to follow its name; '' if nothing.

    Checked before anything of it is believed.
    """
    missing = STATED - content.keys()
    if missing:
        return f'lacks {", ".join(sorted(missing))}'
    for name, (kind, is_valid) in KINDS.items():
        if name in content and not is_valid(content[name]):
            return f'has {name} {content[name]!r:.80}, expected {kind}'
    missing = REQUIRED - content['graphs'].keys()
    if missing:
        return f'has no graph {", ".join(sorted(missing))}'
    return _model_fault(content)


def _model_fault(content: Mapping) -> str:
    """Return where a manifest says of a network what is not so, or no longer."""
    if content['model'] not in MODELS:
        return f'is of model {content["model"]!r}, known are {", ".join(MODELS)}'
    try:
        config = replace(MODELS[content['model']], image_size=content['image_size'])
    except ValueError as error:
        return f'has another network: {error}'
    for name, value in network_sizes(config).items():
        if content[name] != value:
            return f'has {name} {content[name]!r}, expected {value!r} for {content["model"]}'
    return ''
