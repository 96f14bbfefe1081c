"""The graphs that come with the package, for some sizes of the input; see tools/embed_graphs.py.

Needs neither torch nor onnxruntime.
"""

from tam_ros.digests import sha256_of
from tam_ros.engine.base import EngineError
from tam_ros.engine.manifest import Manifest, manifest_path, read_manifest
from tam_ros.networks import MODELS
from tam_ros.paths import file_fault
from tam_ros.weights import EMBEDDED_FOLDER

PRECISION = 'fp32'
INSTALL_AGAIN = 'it is a part of this package, install that again'
# sha256 of the manifests, which in turn have those of all other files.
MANIFESTS: dict[str, dict[int, str]] = {
    'tam_nano': {
        256: '2ff38a7a855e27628d20a94e231722381474862dceaea1e1dd3636e2a6a1baba',
        384: 'df15b804c0ef5f4b2cd1dad41857f92bf34b324cc6f1513e84c789cd63396055',
        512: 'f4cf355897062ef59061f972b5b159235c3cf90144857201a66052fc546f75c5',
    },
}


def graphs_prefix(model: str, image_size: int) -> str:
    """Return what the names of embedded graphs begin with."""
    return f'{model}_{image_size}_'


def embedded_sizes(model: str) -> tuple[int, ...]:
    """Return the sizes in pixels for which a model's graphs are embedded."""
    return tuple(MANIFESTS.get(model, ()))


def has_embedded_graphs(model: str, image_size: int, precision: str) -> bool:
    """Whether graphs are embedded for what is asked; a size of 0 is the model's own."""
    sizes = embedded_sizes(model)
    if not sizes or precision not in ('', PRECISION):
        return False
    return (image_size or MODELS[model].image_size) in sizes


def read_embedded_manifest(model: str, image_size: int) -> Manifest:
    """Check embedded graphs and return their manifest; raises EngineError naming what is wrong.

    image_size: one of `embedded_sizes`, or 0 for the model's own.
    """
    size = image_size or MODELS[model].image_size
    prefix = graphs_prefix(model, size)
    path = manifest_path(EMBEDDED_FOLDER, prefix)
    fault = file_fault(path)
    if fault:
        raise EngineError(f'{path} {fault}: {INSTALL_AGAIN}')
    if sha256_of(path) != MANIFESTS[model][size]:
        raise EngineError(f'{path} is damaged: {INSTALL_AGAIN}')
    return read_manifest(EMBEDDED_FOLDER, model, prefix=prefix, cure=INSTALL_AGAIN)
