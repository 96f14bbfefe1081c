"""bf16 is refused where the CPU would emulate it, in words that say what to do."""

import pytest

from tam_ros.engine import instructions
from tam_ros.engine.base import EngineError
from tam_ros.engine.instructions import check_bf16
from tam_ros.engine.torch_engine import load_torch_engine

X86 = 'processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f avx512bw{}\nbugs\t\t: bf16\n'
ARM = 'processor\t: 0\nFeatures\t: fp asimd sve{}\nCPU part\t: 0xd42\n'


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    """Return a function that has the CPU be what a text says, as /proc/cpuinfo does."""
    monkeypatch.delenv(instructions.EMULATE_BF16, raising=False)
    monkeypatch.setattr(instructions, 'CPU_INFO', tmp_path / 'cpuinfo')
    return (tmp_path / 'cpuinfo').write_text


@pytest.mark.parametrize(
    'text', [X86.format(' avx512_bf16'), X86.format(' amx_bf16'), ARM.format(' bf16')]
)
def test_cpus_that_have_it_may_use_it(cpu, text):
    cpu(text)
    check_bf16()


@pytest.mark.parametrize('text', [X86.format(''), ARM.format(''), ''])
def test_cpus_that_have_it_not_are_told_what_to_do(cpu, text, monkeypatch):
    cpu(text)
    with pytest.raises(EngineError, match="use 'fp32', or set TAM_ROS_EMULATE_BF16=1"):
        check_bf16()
    monkeypatch.setenv(instructions.EMULATE_BF16, '1')
    check_bf16()


def test_where_nothing_is_known_it_is_refused(cpu):
    with pytest.raises(EngineError, match='no instructions for it'):
        check_bf16()


def test_an_engine_asks(cpu):
    cpu(X86.format(''))
    with pytest.raises(EngineError, match="precision 'bf16': this CPU"):
        load_torch_engine('tam_nano', precision='bf16', image_size=256)
