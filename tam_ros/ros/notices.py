"""Warnings that a stream of messages gives rise to: counted by kind, and said now and then."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

PERIOD_S = 10.0


@dataclass
class _Notice:
    """What is known of one kind."""

    count: int = 0
    """How many came, said or not."""
    unsaid: int = 0
    """How many came since the last one that was said."""
    text: str = ''
    """Of the newest."""
    said_s: float = -math.inf
    """When the last one was said, on the clock of the notices."""


class Notices:
    """Says warnings, each kind at most once in PERIOD_S; the newest of those that had to wait.

    The throttling of rclpy's loggers goes by the line of code, forgets what it leaves out, and
    counts nothing. Kinds are keys of the diagnostics, such as 'ignored_images': few, and without
    values. Any thread may warn.

    say: takes a text, such as a logger's warning. clock: seconds, by default those that pass.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self._say = say
        self._clock = clock
        self._lock = threading.Lock()
        self._notices: dict[str, _Notice] = {}

    def warn(self, kind: str, text: str) -> None:
        """Count a warning, and say it unless its kind was said a short while ago."""
        with self._lock:
            notice = self._notices.setdefault(kind, _Notice())
            notice.count += 1
            notice.unsaid += 1
            notice.text = text
            self._say_if_due(notice)

    def say_due(self) -> None:
        """Say what had to wait and has waited long enough; to be called now and then."""
        with self._lock:
            for notice in self._notices.values():
                self._say_if_due(notice)

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind has come, said or not."""
        with self._lock:
            return {kind: notice.count for kind, notice in self._notices.items()}

    def _say_if_due(self, notice: _Notice) -> None:
        now_s = self._clock()
        if not notice.unsaid or now_s - notice.said_s < PERIOD_S:
            return
        more = f' (and {notice.unsaid - 1} more like it)' if notice.unsaid > 1 else ''
        notice.unsaid, notice.said_s = 0, now_s
        self._say(notice.text + more)
