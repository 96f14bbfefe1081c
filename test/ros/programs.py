"""Programs of this package as processes of their own: started, watched by their log, ended."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / 'scripts'
LOCALHOST = (
    {'ROS_LOCALHOST_ONLY': '1'}
    if os.environ.get('ROS_DISTRO') == 'humble'
    else {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
)
# Every node under test has a domain to itself; test runs at the same time start elsewhere, and
# the two processes of one run have different halves of the 101 domains.
HALF = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]) % 2
DOMAIN_IDS = (1 + 50 * HALF + i % 50 for i in itertools.count(os.getpid() % 50))
POLL_S = 0.02


class Program:
    """One running script of the package, by default in this Python; its output goes to a file.

    Raises AssertionError, with the log, where what is waited for does not happen.
    """

    running: 'list[Program]' = []  # for the logs of failed tests

    def __init__(
        self,
        script: str,
        *arguments: str,
        domain_id: int,
        folder: Path,
        python: Path | str = sys.executable,
        **environment,
    ):
        self.name = f'{script} {" ".join(arguments)}'
        self.domain_id = domain_id
        self._log = folder / f'{Path(script).name}_{time.monotonic_ns()}.log'
        quiet = {'RCUTILS_COLORIZED_OUTPUT': '0', 'ROS_LOG_DIR': str(folder)}
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [str(python), str(SCRIPTS / script), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id), **quiet, **environment},
            )
        Program.running.append(self)

    @property
    def log(self) -> str:
        """All that the program has said so far."""
        return self._log.read_text(errors='replace')

    def wait_for_log(self, pattern: str, timeout_s: float = 60) -> None:
        """Wait until the program has said something that matches."""
        deadline = time.monotonic() + timeout_s
        while not re.search(pattern, self.log):
            assert self._process.poll() is None, f'{self.name} ended:\n{self.log}'
            assert time.monotonic() < deadline, f'{self.name} never said {pattern!r}:\n{self.log}'
            time.sleep(POLL_S)

    def wait_for_end(self, timeout_s: float = 60) -> int:
        """Return the exit status once the program has ended by itself."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'{self.name} did not end:\n{self.log}') from None

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self.signal(signal.SIGINT)

    def end(self) -> None:
        """End the program, by force if need be."""
        Program.running.remove(self)
        if self._process.poll() is None:
            self.interrupt()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
