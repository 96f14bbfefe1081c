"""One thread that does all tracking: the newest frame wins, jobs come between frames.

Where both wait, they take turns: no flood of jobs delays the next frame by more than one of them,
nor do frames that always wait keep jobs from being done.
"""

import functools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Frame = TypeVar('Frame')
Result = TypeVar('Result')


@dataclass(frozen=True)
class _Job:
    """What is to be done between frames."""

    work: Callable
    """Takes nothing; runs in the thread of the worker."""
    future: Future | None
    """Of who waits for it; None where nobody does, and what it raises ends the worker."""
    after_frame: int
    """Number of the offered frame that goes first; 0 for none."""


class Worker(Generic[Frame]):
    """Runs process_frame on the newest offered frame, and jobs in between, in its own thread.

    failure holds the exception that ended the thread, if one did; on_failure then takes it, in
    that thread.
    """

    def __init__(
        self,
        process_frame: Callable[[Frame], None],
        on_failure: Callable[[BaseException], None] = lambda failure: None,
    ):
        self._process_frame = process_frame
        self._on_failure = on_failure
        self._changed = threading.Condition()
        self._waiting: deque[Frame] = deque(maxlen=1)
        self._jobs: deque[_Job] = deque()
        self._offered = self._processed = 0  # numbers of the newest frame, and of the last one
        self._is_frames_turn = False
        self._stopping = False
        self._is_paused = False
        self.dropped = 0  # frames replaced by newer ones before their turn
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name='tracking', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def pause(self) -> None:
        """Take no frames until `resume`, also not one that waits; jobs are done as ever."""
        with self._changed:
            self._is_paused = True
            self._waiting.clear()

    def resume(self) -> None:
        """Take frames again."""
        with self._changed:
            self._is_paused = False

    @property
    def is_paused(self) -> bool:
        """Whether frames are not taken."""
        return self._is_paused

    def offer(self, frame: Frame) -> None:
        """Put a frame in line, in place of one that still waits."""
        with self._changed:
            if self._is_paused:
                return
            self.dropped += len(self._waiting)
            self._waiting.append(frame)
            self._offered += 1
            self._changed.notify()

    def submit(
        self, job: Callable[[], Result], *, after_waiting: bool = False
    ) -> 'Future[Result]':
        """Have a job done after the frame in progress, in turn with frames; cancelled on stop.

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
            is_frame_first = after_waiting and bool(self._waiting)
            self._jobs.append(_Job(job, future, self._offered if is_frame_first else 0))
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
            self._on_failure(error)

    def _work(self) -> bool:
        """Do one job or frame; return whether to go on."""
        with self._changed:
            self._changed.wait_for(self._has_work)
            if self._stopping:
                return False
            work, future = self._take_job() if self._is_jobs_turn() else self._take_frame()
        if future is None:
            work()
        elif future.set_running_or_notify_cancel():
            _resolve(future, work)
        return True

    def _has_work(self) -> bool:
        return self._stopping or bool(self._jobs) or bool(self._waiting)

    def _is_jobs_turn(self) -> bool:
        if not self._jobs or not self._waiting:
            return bool(self._jobs)
        return not self._is_frames_turn and self._jobs[0].after_frame <= self._processed

    def _take_job(self) -> tuple[Callable, Future | None]:
        self._is_frames_turn = True
        job = self._jobs.popleft()
        return job.work, job.future

    def _take_frame(self) -> tuple[Callable, None]:
        self._is_frames_turn, self._processed = False, self._offered
        return functools.partial(self._process_frame, self._waiting.popleft()), None

    def _cancel_jobs(self) -> None:
        for job in self._jobs:
            if job.future is not None:
                job.future.cancel()
        self._jobs.clear()


def _resolve(future: Future, job: Callable) -> None:
    """Run a job; what it returns or raises is its caller's."""
    try:
        future.set_result(job())
    except BaseException as error:  # noqa: BLE001
        future.set_exception(error)
