"""What can be chosen by name: engines and memory policies. A further one is a line here."""

from collections.abc import Callable

from tam_ros.engine.base import Engine
from tam_ros.tracker.memory import FifoPolicy, MemoryPolicy
from tam_ros.weights import find_weights


def _load_torch(model: str, weights: str, **options) -> Engine:
    from tam_ros.engine.torch_engine import load_torch_engine  # here: it need not be installed

    return load_torch_engine(model, find_weights(model, weights), **options)


ENGINES: dict[str, Callable[..., Engine]] = {'torch': _load_torch}
POLICIES: dict[str, Callable[[], MemoryPolicy]] = {'fifo': FifoPolicy}
