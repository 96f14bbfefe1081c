"""Double precision for code that asks PyTorch for single precision, ours and others'.

What two programs differ by in double precision is a difference of what they compute; what they
differ by in single precision only is rounding.
"""

import contextlib
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from tam_ros.engine import torch_engine
from tam_ros.engine.torch_engine import TorchEngine
from tam_ros.model.network import TrackingNetwork

NARROWER = ('float', 'float32', 'bfloat16')


@contextlib.contextmanager
def float64():
    """Have PyTorch compute in float64 where code asks for float32 or bfloat16.

    Networks that are to run inside must be built inside: their tables are computed then.
    """
    with contextlib.ExitStack() as stack:
        for name in NARROWER:
            stack.enter_context(mock.patch.object(torch, name, torch.float64))
        stack.enter_context(mock.patch.object(Tensor, 'float', Tensor.double))
        stack.enter_context(mock.patch.object(torch, 'from_numpy', _widened(torch.from_numpy)))
        stack.enter_context(mock.patch.dict(torch_engine.DTYPES, fp32=torch.float64))
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64)
        yield


def float64_engine(network: TrackingNetwork, *, device: str = 'cpu') -> TorchEngine:
    """Return an engine that computes a network as it is, no layers merged; call in `float64`."""
    return TorchEngine(network, mode='benchmark', device=device, fused=False)


def _widened(from_numpy):
    def from_numpy_in_float64(array: np.ndarray) -> Tensor:
        tensor = from_numpy(array)
        return tensor.double() if tensor.is_floating_point() else tensor

    return from_numpy_in_float64
