"""What an exported network is: a folder of ONNX graphs, and a manifest that describes them.

Written by `export`, read by `onnx_engine`; this module needs neither torch nor onnxruntime.
"""

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Literal

from tam_ros.digests import sha256_of
from tam_ros.engine.base import EngineError
from tam_ros.engine.manifest_check import manifest_fault
from tam_ros.paths import file_fault
from tam_ros.preprocess import Resampling

Precision = Literal['fp32', 'fp16']
PRECISIONS: tuple[Precision, ...] = ('fp32', 'fp16')
FORMAT = 1
MANIFEST = 'manifest.json'
LARGEST_MANIFEST = 1 << 20  # bytes
EXPORT_AGAIN = 'export the network again'

ENCODE_IMAGE = 'encode_image'
ATTEND_MEMORY = 'attend_memory'
ATTEND_FIRST = 'attend_first'  # a single memory, of networks that pool only several
DECODE_MASK = 'decode_mask'  # of objects that are tracked, without prompts
DECODE_PROMPT = 'decode_prompt'  # of objects that have no memory yet
DECODE_PROMPT_TRACKED = 'decode_prompt_tracked'
POINT_FROM_MASK = 'point_from_mask'
ENCODE_MEMORY = 'encode_memory'
WRITE_ROWS = 'write_rows'  # into a store

STAGES = {ENCODE_IMAGE, ATTEND_MEMORY, DECODE_MASK, DECODE_PROMPT, DECODE_PROMPT_TRACKED}
STAGES |= {POINT_FROM_MASK, ENCODE_MEMORY, WRITE_ROWS}  # without which there is no network

DECODED = ('logits', 'iou', 'score', 'pointer', 'candidate_logits', 'candidate_ious')
PLAN = ('rows', 'slots', 'ages', 'pointer_slots')
GROUPS = ('leader_rows', 'leader_slots', 'hints', 'member_rows', 'member_slots', 'places')


@dataclass(frozen=True)
class Manifest:
    """How a folder of graphs was made.

    features: the maps of an encoded image. tokens: of a memory that are attended to; dense_tokens:
    of one that are matched, 0 without dense propagation. weights_sha256: of the file's content,
    or the name of weights that are no file. graphs: their names and the sha256 of each; prefix:
    what their files' names begin with, and the manifest's. files: those beside them that they
    read weights from, and the sha256 of each.
    """

    model: str
    image_size: int
    mask_side: int
    recent_memories: int
    precision: Precision
    opset: int
    weights: str
    weights_sha256: str
    max_objects: int
    features: tuple[str, ...]
    tokens: int
    dense_tokens: int
    memory_dim: int
    model_dim: int
    resampling: Resampling
    graphs: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)
    prefix: str = ''
    format: int = FORMAT

    @property
    def attends_apart(self) -> bool:
        """Whether objects with a single memory have a graph of their own."""
        return ATTEND_FIRST in self.graphs


REQUIRED = {
    field.name
    for field in fields(Manifest)
    if field.default is MISSING and field.default_factory is MISSING
}


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
    fault = manifest_fault(content, REQUIRED, STAGES)
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
