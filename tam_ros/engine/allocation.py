"""Memory of the process: what it keeps between frames, and what it has."""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
KEPT_BYTES = 2**28  # larger blocks than a frame needs


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is glibc.

    Each frame needs the same large blocks again. By default they go back to the system in between,
    which fills them with zeros: 4 to 20 % of a frame's time on a CPU.
    """
    if sys.platform != 'linux':
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    # An old glibc refuses the first; the second alone would do harm.
    if mallopt is not None and mallopt(M_MMAP_THRESHOLD, KEPT_BYTES):
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_freed_memory_back() -> None:
    """Have the system get what is free here and has been kept, where the C library is glibc."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    if trim is not None:
        trim(0)


def resident_mb() -> float:
    """Return the memory this process has resident, in MiB."""
    with open('/proc/self/statm') as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20
