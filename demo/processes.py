"""Child processes of the demo: started with a log file each, ended by their process id."""

import signal
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent / 'scripts'
STOP_TIMEOUT_S = 10.0
LINES_SHOWN = 8


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


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
