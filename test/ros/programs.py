"""Programs of this package as processes of their own: started, watched by their log, ended."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from filelock import FileLock, Timeout

SCRIPTS = Path(__file__).parents[2] / 'scripts'
LOCALHOST = (
    {'ROS_LOCALHOST_ONLY': '1'}
    if os.environ.get('ROS_DISTRO') == 'humble'
    else {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
)
LONG_S = 120  # limit for what is bound to happen: on a busy machine it may take that long
POLL_S = 0.02


class DomainIds:
    """Domain ids that no other test of this machine uses, of this run or of another.

    Each is this process's until it is released, or else until all are taken.
    """

    ALL = range(1, 102)

    def __init__(self):
        self._locks: dict[int, FileLock] = {}
        self._folder = Path(tempfile.gettempdir()) / f'tam_ros_domain_ids_{os.getuid()}'

    def __next__(self) -> int:
        self._folder.mkdir(exist_ok=True)
        deadline = time.monotonic() + LONG_S
        while time.monotonic() < deadline:
            for domain_id in random.sample(self.ALL, len(self.ALL)):
                if self._take(domain_id):
                    return domain_id
            if self._locks:
                self.release(next(iter(self._locks)))  # the oldest
            time.sleep(POLL_S)
        raise AssertionError(f'other tests use all domain ids: {self._folder}')

    def release(self, domain_id: int) -> None:
        """Let other tests have a domain id."""
        if domain_id in self._locks:
            self._locks.pop(domain_id).release()

    def _take(self, domain_id: int) -> bool:
        if domain_id in self._locks:
            return False
        lock = FileLock(self._folder / f'{domain_id}.lock')
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._locks[domain_id] = lock
        return True


DOMAIN_IDS = DomainIds()


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

    def wait_for_log(self, pattern: str, timeout_s: float = LONG_S) -> None:
        """Wait until the program has said something that matches."""
        deadline = time.monotonic() + timeout_s
        while not re.search(pattern, self.log):
            assert self._process.poll() is None, f'{self.name} ended:\n{self.log}'
            assert time.monotonic() < deadline, f'{self.name} never said {pattern!r}:\n{self.log}'
            time.sleep(POLL_S)

    def wait_for_end(self, timeout_s: float = LONG_S) -> int:
        """Return the exit status once the program has ended by itself."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'{self.name} did not end:\n{self.log}') from None

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time that the program has taken so far, in all its threads."""
        fields = Path(f'/proc/{self._process.pid}/stat').read_text().rpartition(')')[2].split()
        user, system = map(int, fields[11:13])  # of which the first is the third of all
        return (user + system) / os.sysconf('SC_CLK_TCK')

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._process.poll() is None

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def end_by(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """Send a signal; return the exit status and how many seconds the program took to end.

        Seconds in which it, or this process, waited for a core that others had do not count.
        """
        before, waited = self._waited_ns(), {}
        started = time.monotonic()
        self._process.send_signal(number)
        while (status := self._process.poll()) is None:
            assert time.monotonic() < started + LONG_S, f'{self.name} did not end:\n{self.log}'
            waited |= self._waited_ns()
            time.sleep(POLL_S)
        elapsed_s = time.monotonic() - started
        waited_ns = sum(ns - before.get(thread, 0) for thread, ns in waited.items())
        return status, elapsed_s - waited_ns * 1e-9

    def _waited_ns(self) -> dict[str, int]:
        """Return for how long each thread, of the program and here, was ready but had no core."""
        waited = {}
        for pid in (self._process.pid, os.getpid()):
            for thread in Path(f'/proc/{pid}/task').glob('*/schedstat'):
                with contextlib.suppress(OSError):  # it has ended
                    waited[str(thread)] = int(thread.read_text().split()[1])
        return waited

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
