"""Child processes of the demo: started with a log file each, ended by their process id."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent / 'scripts'
STOP_TIMEOUT_S = 10.0
LINES_SHOWN = 8
POLL_S = 0.1


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


def on_own_network() -> None:
    """Keep away from other robots, unless told otherwise; to be called before ROS starts."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 101)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')


class Program:
    """One of the package's programs, running in its own process until the block ends."""

    def __init__(self, name: str, arguments: list[str], log: Path):
        self.name = name
        self._log = log
        self._stopped = False
        with log.open('w') as file:
            self._process = subprocess.Popen(
                [sys.executable, str(SCRIPTS / name), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> 'Program':
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    @property
    def ended(self) -> bool:
        """Whether the process is over."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise DemoError, with the last lines of the log, if the process failed by itself."""
        if self._process.poll() and not self._stopped:
            lines = self._log.read_text(errors='replace').splitlines()[-LINES_SHOWN:]
            raise DemoError(
                f'{self.name} ended with status {self._process.returncode}:\n  '
                + '\n  '.join(lines)
            )

    def wait_for_words(self, words: str, timeout_s: float) -> str:
        """Return the rest of the line in which the program says something; raises DemoError."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.check()
            _, said, rest = self._log.read_text(errors='replace').partition(words)
            if said and '\n' in rest:
                return rest.partition('\n')[0]
            time.sleep(POLL_S)
        raise DemoError(f'{self.name} has not said {words!r} in {timeout_s:g} s: see {self._log}')

    def stop(self) -> None:
        """Interrupt the process as Ctrl-C does, and wait for its end."""
        self._stopped = True
        if not self.ended:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
