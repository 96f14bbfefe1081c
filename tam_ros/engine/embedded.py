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
        256: 'e85b901df2fa8533822c9cd9f91d8e47cdcb310542ea93b1dc7237c4c7575890',
        384: 'd6cd1037d5407968bce49997e128fa1d2b7984bd3042d468d50cbab0f205ec50',
        512: 'ac6d773deef791c6fd0bf26011d035bf6f4e645628dd71da52d901a0483ce900',
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
