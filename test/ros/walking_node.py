"""The tracker node, which says when it enters a function that a walk in CONTRIBUTING.md names."""

import os
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from walks import Entries  # noqa: E402

from tam_ros.ros import process  # noqa: E402


def say(function: str) -> None:
    """Write a line at once and in one piece, whichever thread it is."""
    os.write(sys.stdout.fileno(), f'entered {function}\n'.encode())


if __name__ == '__main__':
    threading.setprofile(Entries(say))
    process.main(sys.argv)
