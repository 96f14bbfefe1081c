"""Ctrl-C and SIGTERM, which wait for the frame that is worked on; a second one does not."""

import signal
from types import FrameType


class StoppedError(Exception):
    """A signal has come amid a frame, which is then not done."""


class Interruption:
    """A context that takes the signals which end a program."""

    def __init__(self) -> None:
        self.number = 0  # of the signal that has come

    def __enter__(self) -> 'Interruption':
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._former = {number: signal.signal(number, self._take) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise StoppedError if a signal has come; for what may take longer than a frame."""
        if self.number:
            raise StoppedError

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
