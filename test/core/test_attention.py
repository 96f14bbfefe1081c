"""Attention in parts and packed layers do what PyTorch's own do."""

import platform
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tam_ros.model import attention
from tam_ros.model.attention import attend
from tam_ros.model.packed import PackedLinear, activated, pack

MASKS = {
    'no mask': lambda *shape: None,
    'bool': lambda *shape: torch.rand(shape) > 0.3,
    'bias': lambda *shape: torch.rand(shape),
}


def tensors(*widths: int, batch=(2, 3), queries: int = 20, keys: int = 33) -> list[torch.Tensor]:
    torch.manual_seed(0)
    q, k, v = widths
    return [torch.randn(*batch, n, width) for n, width in ((queries, q), (keys, k), (keys, v))]


@pytest.mark.parametrize('scores', [1, 100, 700, 2000, 10**6], ids='{} at a time'.format)
@pytest.mark.parametrize('mask', MASKS)
@torch.inference_mode()
def test_parts_are_the_whole(monkeypatch, scores, mask):
    monkeypatch.setattr(attention, 'SCORES_AT_A_TIME', scores)
    q, k, v = tensors(16, 16, 4)
    seen = MASKS[mask](2, 1, 1, 33)
    expected = F.scaled_dot_product_attention(q, k, F.pad(v, (0, 12)), attn_mask=seen)
    torch.testing.assert_close(attend(q, k, v, seen), expected[..., :4])


@torch.inference_mode()
def test_bfloat16_is_off_by_its_rounding_only():
    q, k, v = tensors(16, 16, 16)
    half = attend(*(x.bfloat16() for x in (q, k, v)))
    expected = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(half.float(), expected, rtol=2**-6, atol=2**-6)


def test_gradients_go_through_narrow_values():
    q, k, v = (x.requires_grad_() for x in tensors(16, 16, 4))
    attend(q, k, v).sum().backward()
    assert v.grad.shape == v.shape


@pytest.mark.parametrize('activation', ['relu', 'gelu'])
@pytest.mark.parametrize(
    'layer',
    [
        nn.Linear(12, 24),
        nn.Conv2d(12, 24, 1),
        nn.Conv2d(12, 24, 3, stride=2, padding=1),
        nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
    ],
    ids=str,
)
@torch.inference_mode()
def test_activation_on_the_way_changes_nothing(layer, activation):
    torch.manual_seed(0)
    x = torch.randn(2, 12, 9, 12)
    expected = getattr(F, activation)(layer(x))
    holder = nn.Sequential(layer)
    pack(holder)
    assert isinstance(holder[0], PackedLinear) == isinstance(layer, nn.Linear)
    torch.testing.assert_close(activated(holder[0], x, activation), expected)


COUNT_FAULTS = """
import resource, sys, torch
from tam_ros.engine.allocation import keep_freed_memory
if sys.argv[1] == 'keep':
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24).sum()  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='memory is kept by glibc')
def test_freed_memory_is_there_for_the_next_frame():
    def faults(how: str) -> int:
        command = [sys.executable, '-c', COUNT_FAULTS, how]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    assert faults('keep') < 0.5 * faults('free')
