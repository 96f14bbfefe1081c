"""What an exported network is: a folder of ONNX graphs, and a manifest that describes them.

Written by `export`, read by `onnx_engine`; this module needs neither torch nor onnxruntime.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from tam_ros.engine.base import EngineError
from tam_ros.model.config import Resampling

Precision = Literal['fp32', 'fp16']
PRECISIONS: tuple[Precision, ...] = ('fp32', 'fp16')
FORMAT = 1
MANIFEST = 'manifest.json'

ENCODE_IMAGE = 'encode_image'
ATTEND_MEMORY = 'attend_memory'
ATTEND_FIRST = 'attend_first'  # a single memory, of networks that pool only several
DECODE_MASK = 'decode_mask'  # of objects that are tracked, without prompts
DECODE_PROMPT = 'decode_prompt'  # of objects that have no memory yet
DECODE_PROMPT_TRACKED = 'decode_prompt_tracked'
POINT_FROM_MASK = 'point_from_mask'
ENCODE_MEMORY = 'encode_memory'
WRITE_ROWS = 'write_rows'  # into a store

DECODED = ('logits', 'iou', 'score', 'pointer', 'candidate_logits', 'candidate_ious')
PLAN = ('rows', 'slots', 'ages', 'pointer_slots')
GROUPS = ('leader_rows', 'leader_slots', 'hints', 'member_rows', 'member_slots', 'places')


@dataclass(frozen=True)
class Manifest:
    """How a folder of graphs was made.

    features: the maps of an encoded image. tokens: of a memory that are attended to; dense_tokens:
    of one that are matched, 0 without dense propagation. weights_sha256: of the file's content,
    or the name of weights that are no file. graphs: file names and the sha256 of each.
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
    format: int = FORMAT

    @property
    def attends_apart(self) -> bool:
        """Whether objects with a single memory have a graph of their own."""
        return ATTEND_FIRST in self.graphs


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, last of all: a folder without one is not whole."""
    manifest_path(folder).write_text(json.dumps(asdict(manifest), indent=2) + '\n')


def read_manifest(folder: Path, model: str = 'MODEL') -> Manifest:
    """Read and check a folder's manifest; raises EngineError naming what is wrong.

    model: that it should be of, for the message.
    """
    path = manifest_path(folder)
    if not path.is_file():
        raise EngineError(
            f'{folder} holds no exported network: {MANIFEST} is missing. '
            f'`ros2 run tam_ros export_onnx --model {model} --out {folder}` makes one'
        )
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise EngineError(f'{path} is no JSON: {error}') from error
    if content.get('format') != FORMAT:
        raise EngineError(
            f'{path} has format {content.get("format")!r}, this version reads {FORMAT}: '
            'export the network again'
        )
    missing = {field.name for field in fields(Manifest)} - content.keys()
    if missing:
        raise EngineError(f'{path} lacks {", ".join(sorted(missing))}: export the network again')
    manifest = Manifest(**{**content, 'features': tuple(content['features'])})
    for name, digest in manifest.graphs.items():
        _check_graph(graph_path(folder, name), digest)
    return manifest


def manifest_path(folder: Path) -> Path:
    """Return where a folder's manifest lies."""
    return folder / MANIFEST


def graph_path(folder: Path, name: str) -> Path:
    """Return where a graph lies."""
    return folder / f'{name}.onnx'


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_graph(path: Path, digest: str) -> None:
    if not path.is_file():
        raise EngineError(f'{path} is missing: export the network again')
    if sha256_of(path) != digest:
        raise EngineError(f'{path} is not the file that was exported: export the network again')
