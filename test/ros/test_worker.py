"""The worker thread by itself: order, dropped frames, stopping, failure."""

import threading
from concurrent.futures import CancelledError

import pytest

from tam_ros.ros.worker import Worker

SOON_S = 60  # a limit; nothing here takes a tenth of a second on a quiet machine


class SlowWork:
    """Processes frames, each only once it may; keeps what was done, in order."""

    def __init__(self):
        self.done = []
        self.started = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)

    def process(self, frame: str) -> None:
        self.started.release()
        assert self.may_go_on.acquire(timeout=SOON_S)
        self.done.append(frame)


@pytest.fixture
def work():
    return SlowWork()


@pytest.fixture
def worker(work):
    """A worker that is busy with its first frame."""
    worker = Worker(work.process)
    worker.start()
    worker.offer('first')
    assert work.started.acquire(timeout=SOON_S)
    yield worker
    work.may_go_on.release(100)
    assert worker.stop(SOON_S)


def finish(worker, work) -> None:
    """Wait until all that was offered is done."""
    work.may_go_on.release(100)
    worker.submit(lambda: None).result(SOON_S)


def test_newest_frame_wins_and_the_others_are_counted(worker, work):
    for frame in ('second', 'third', 'fourth'):
        worker.offer(frame)
    work.may_go_on.release()
    assert work.started.acquire(timeout=SOON_S)
    finish(worker, work)
    assert work.done == ['first', 'fourth']
    assert worker.dropped == 2


def test_job_can_wait_for_the_frame_that_waits(worker, work):
    worker.offer('second')
    job = worker.submit(lambda: list(work.done), after_waiting=True)
    finish(worker, work)
    assert job.result(SOON_S) == ['first', 'second']


def test_posted_job_that_raises_is_a_failure(worker, work):
    def fail() -> None:
        raise RuntimeError('a bug')

    worker.post(fail)
    job = worker.submit(lambda: None)
    work.may_go_on.release(100)
    with pytest.raises(CancelledError):
        job.result(SOON_S)
    assert str(worker.failure) == 'a bug'


def test_job_does_not_wait_for_a_frame_that_is_not_there(worker, work):
    job = worker.submit(lambda: list(work.done), after_waiting=True)
    work.may_go_on.release()
    assert job.result(SOON_S) == ['first']


def test_job_is_done_after_the_frame_in_progress_and_before_the_next(worker, work):
    worker.offer('second')
    future = worker.submit(lambda: work.done.append('job'))
    assert not future.done()
    work.may_go_on.release()
    future.result(SOON_S)
    assert work.started.acquire(timeout=SOON_S)
    finish(worker, work)
    assert work.done == ['first', 'job', 'second']


def test_a_paused_worker_forgets_what_waits_and_does_jobs(worker, work):
    worker.offer('second')
    waiting = worker.submit(lambda: list(work.done), after_waiting=True)
    worker.pause()
    worker.offer('third')
    assert worker.is_paused
    finish(worker, work)
    assert waiting.result(SOON_S) == ['first']
    worker.resume()
    worker.offer('fourth')
    finish(worker, work)
    assert work.done == ['first', 'fourth']
    assert worker.dropped == 0


def test_jobs_are_done_in_order(worker, work):
    futures = [worker.submit(lambda i=i: work.done.append(i)) for i in range(5)]
    finish(worker, work)
    assert work.done == ['first', 0, 1, 2, 3, 4]
    assert all(future.done() for future in futures)


def test_job_hands_its_result_or_its_error_to_its_caller(worker, work):
    answer, failing = worker.submit(lambda: 42), worker.submit(lambda: 1 // 0)
    work.may_go_on.release()
    assert answer.result(SOON_S) == 42
    with pytest.raises(ZeroDivisionError):
        failing.result(SOON_S)
    assert worker.failure is None
    assert worker.submit(lambda: 'still here').result(SOON_S) == 'still here'


def test_stop_cancels_jobs_that_wait_and_leaves_the_frame_that_waits(worker, work):
    worker.offer('second')
    waiting = worker.submit(lambda: work.done.append('job'))
    work.may_go_on.release(2)
    assert worker.stop(SOON_S)
    with pytest.raises(CancelledError):
        waiting.result(SOON_S)
    assert work.done == ['first']


def test_job_after_stop_is_cancelled(worker, work):
    work.may_go_on.release()
    assert worker.stop(SOON_S)
    with pytest.raises(CancelledError):
        worker.submit(lambda: 42).result(SOON_S)


def test_stop_says_when_the_frame_in_progress_takes_too_long(worker):
    assert not worker.stop(0.05)


def test_failure_is_kept_and_cancels_jobs(work):
    error = RuntimeError('the network broke')

    def fail(frame: str) -> None:
        work.process(frame)
        raise error

    worker = Worker(fail)
    worker.start()
    worker.offer('first')
    assert work.started.acquire(timeout=SOON_S)
    waiting = worker.submit(lambda: 42)
    work.may_go_on.release()
    for future in (waiting, worker.submit(lambda: 42)):
        with pytest.raises(CancelledError):
            future.result(SOON_S)
    assert worker.failure is error


def test_jobs_and_frames_take_turns_where_both_wait(worker, work):
    jobs = [worker.submit(lambda i=i: work.done.append(i)) for i in range(4)]
    for i in range(3):
        worker.offer(f'frame {i}')
        work.may_go_on.release()
        assert work.started.acquire(timeout=SOON_S)
    finish(worker, work)
    assert all(job.done() for job in jobs)
    assert work.done == ['first', 0, 'frame 0', 1, 'frame 1', 2, 'frame 2', 3]


def test_jobs_that_wait_for_frames_are_done_although_a_frame_always_waits(worker, work):
    jobs = []
    for i in range(4):
        worker.offer(f'frame {i}')
        jobs.append(worker.submit(lambda i=i: work.done.append(i), after_waiting=True))
        work.may_go_on.release()
        assert work.started.acquire(timeout=SOON_S)
    finish(worker, work)
    assert [done for done in work.done if isinstance(done, int)] == [0, 1, 2, 3]
    assert work.done.index(0) < work.done.index('frame 2')
