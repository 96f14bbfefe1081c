"""Which arithmetic a CPU has instructions for; what it has not is emulated, and slow."""

import os
import re
from pathlib import Path

from tam_ros.engine.base import EngineError

CPU_INFO = Path('/proc/cpuinfo')
BF16_FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16', 'svebf16'}  # of x86 and of ARM, as Linux has them
EMULATE_BF16 = 'TAM_ROS_EMULATE_BF16'


def check_bf16() -> None:
    """Raise EngineError where a CPU has no bf16 instructions, unless told to emulate them."""
    if os.environ.get(EMULATE_BF16) == '1' or cpu_flags() & BF16_FLAGS:
        return
    raise EngineError(
        "precision 'bf16': this CPU has no instructions for it (none of "
        f'{", ".join(sorted(BF16_FLAGS))}) and would emulate it, many times slower than fp32: use '
        f"'fp32', or set {EMULATE_BF16}=1 in the environment to have it all the same"
    )


def cpu_flags() -> set[str]:
    """Return what Linux says that this CPU can do; nothing where it says nothing."""
    try:
        text = CPU_INFO.read_text()
    except OSError:
        return set()
    return set(' '.join(re.findall(r'^(?:flags|Features)\s*:(.*)$', text, re.MULTILINE)).split())
