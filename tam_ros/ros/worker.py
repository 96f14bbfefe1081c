"""One thread that does all tracking: the newest frame wins, jobs come between frames."""

import functools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Frame = TypeVar('Frame')
Result = TypeVar('Result')


class Worker(Generic[Frame]):
    """Runs process_frame on the newest offered frame, and jobs in between, in its own thread.

    failure holds the exception that ended the thread, if one did; on_failure is then called in it.
    """

    def __init__(
        self,
        process_frame: Callable[[Frame], None],
        on_failure: Callable[[], None] = lambda: None,
    ):
        self._process_frame = process_frame
        self._on_failure = on_failure
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._jobs: deque[tuple[Callable, Future | None]] = deque()
        self._is_frame_first = False
        self._stopping = False
        self.dropped = 0  # frames replaced by newer ones before their turn
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name='tracking', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, frame: Frame) -> None:
        """Put a frame in line, in place of one that still waits."""
        with self._changed:
            self.dropped += self._waiting is not None
            self._waiting = frame
            self._changed.notify()

    def submit(
        self, job: Callable[[], Result], *, after_waiting: bool = False
    ) -> 'Future[Result]':
        """Have a job done after the frame in progress, before the next; cancelled on stop.

        after_waiting: a frame that waits goes first, if there is one.
        """
        future: Future = Future()
        if not self._put(job, future, after_waiting):
            future.cancel()
        return future

    def post(self, job: Callable[[], None], *, after_waiting: bool = False) -> None:
        """Have a job done as by `submit`, for which nobody waits: what it raises is a failure."""
        self._put(job, None, after_waiting)

    def _put(self, job: Callable, future: Future | None, after_waiting: bool) -> bool:
        with self._changed:
            if self._stopping or self.failure:
                return False
            self._is_frame_first |= after_waiting and self._waiting is not None
            self._jobs.append((job, future))
            self._changed.notify()
        return True

    def stop(self, timeout_s: float) -> bool:
        """End the thread after what it is doing; return whether it ended in time."""
        with self._changed:
            self._stopping = True
            self._cancel_jobs()
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self._work():
                pass
        except BaseException as error:  # noqa: BLE001 - handed to whoever owns this worker
            with self._changed:
                self.failure = error
                self._cancel_jobs()
            self._on_failure()

    def _work(self) -> bool:
        """Do one job or frame; return whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._jobs or self._waiting)
            if self._stopping:
                return False
            if self._jobs and not self._is_frame_first:
                work, future = self._jobs.popleft()
            else:
                frame, self._waiting = self._waiting, None
                work, future = functools.partial(self._process_frame, frame), None
                self._is_frame_first = False
        if future is None:
            work()
        elif future.set_running_or_notify_cancel():
            _resolve(future, work)
        return True

    def _cancel_jobs(self) -> None:
        for _, future in self._jobs:
            if future is not None:
                future.cancel()
        self._jobs.clear()


def _resolve(future: Future, job: Callable) -> None:
    """Run a job; what it returns or raises is its caller's."""
    try:
        future.set_result(job())
    except BaseException as error:  # noqa: BLE001
        future.set_exception(error)
