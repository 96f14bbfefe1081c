"""Point the CMake files of the ROS wheels at this Python, not the one they were built with."""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

REPLACEMENTS = (
    (r'/opt/python/cp3\d+-cp3\d+/include/python3\.\d+', sysconfig.get_paths()['include']),
    (
        r'/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages/numpy/(_core|core)/include',
        numpy.get_include(),
    ),
)


def repair(share: Path) -> int:
    """Rewrite all CMake files below share; return how many changed."""
    changed = 0
    for path in share.rglob('*.cmake'):
        text = repaired = path.read_text()
        for pattern, replacement in REPLACEMENTS:
            repaired = re.sub(pattern, replacement, repaired)
        if repaired != text:
            path.write_text(repaired)
            changed += 1
    return changed


if __name__ == '__main__':
    print(f'{repair(Path(sys.argv[1]))} CMake files repaired')
