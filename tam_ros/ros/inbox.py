"""A bounded queue of messages in front of the worker, which is handed one at a time."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from tam_ros.ros.worker import Worker

Item = TypeVar('Item')


class Inbox(Generic[Item]):
    """Keeps the newest messages of a topic, and has the worker take one after the other.

    However fast they come, it is one job at a time, with a frame in between where one waits.
    dropped: those that newer ones have pushed out.
    """

    def __init__(
        self,
        worker: Worker,
        take: Callable[[Item], None],
        length: int,
        *,
        after_waiting: bool = False,
    ):
        self._worker = worker
        self._take = take
        self._after_waiting = after_waiting
        self._length = length
        self._waiting: deque[Item] = deque(maxlen=length)
        self._lock = threading.Lock()
        self._is_posted = False
        self.dropped = 0

    def put(self, item: Item) -> bool:
        """Put a message in line; return whether there was room without dropping the oldest."""
        with self._lock:
            has_room = len(self._waiting) < self._length
            self.dropped += not has_room
            self._waiting.append(item)
            is_first, self._is_posted = not self._is_posted, True
        if is_first:
            self._worker.post(self._take_next, after_waiting=self._after_waiting)
        return has_room

    def clear(self) -> None:
        """Forget the messages that wait."""
        with self._lock:
            self._waiting.clear()

    def _take_next(self) -> None:
        with self._lock:
            if not self._waiting:  # they were forgotten
                self._is_posted = False
                return
            item = self._waiting.popleft()
            self._is_posted = bool(self._waiting)
            is_more = self._is_posted
        self._take(item)
        if is_more:
            self._worker.post(self._take_next, after_waiting=self._after_waiting)
