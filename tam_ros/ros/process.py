"""A node's process: how it starts, takes signals, and ends in time whatever it does."""

import functools
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions, install_signal_handlers

from tam_ros.ros.start import StartError, start_ros
from tam_ros.weights import DownloadError

EXECUTOR_THREADS = 5  # images, services, a search, and two for parameters and timers
END_S = 2.5  # from a signal until the process has ended; launch sends the next after 5 s


def main(arguments=None) -> NoReturn:
    """Run the tracker node as `run` does."""
    run(_tracker_node, 'tam', arguments, doing='tracking')


def _tracker_node():
    from tam_ros.ros.node import TrackerNode  # takes long, and a signal may come meanwhile

    return TrackerNode


def run(load_node: Callable[[], Callable], name: str, arguments=None, *, doing: str) -> NoReturn:
    """Run a node, and end the process: with status 0 by SIGINT or SIGTERM, 1 by an error.

    load_node: returns what makes the node, which has `stop`, `failure` and `is_starting` as
    `TrackerNode` has.
    name: the node's, for what is said before it is there. doing: what it fails at, if it does.
    """
    spinning = threading.Event()
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    received: list[str] = []  # their names
    threading.Thread(target=_end_after, args=(signals,), daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, functools.partial(_on_signal, spinning, signals, received))
    try:
        node = _start_node(load_node, arguments)
        spinning.set()
        install_signal_handlers(SignalHandlerOptions.ALL)
    except KeyboardInterrupt as interrupt:
        rclpy.logging.get_logger(name).info(f'stopped by {interrupt} while starting')
        _leave(0)
    except (ValueError, DownloadError, ParameterException) as error:
        rclpy.logging.get_logger(name).fatal(str(error))
        rclpy.try_shutdown()
        _leave(1)
    _spin(node, doing, received)


def _start_node(load_node: Callable[[], Callable], arguments):
    make_node = load_node()
    # rclpy takes the signals, and hands them on, only once there is an executor to end.
    start_ros(arguments, signal_handler_options=SignalHandlerOptions.NO)
    return make_node()


def _on_signal(
    spinning: threading.Event,
    signals: queue.SimpleQueue,
    received: list[str],
    number: int,
    _,
) -> None:
    """Stop what is not spun yet; an executor ends by itself, since rclpy shuts its context down.

    A KeyboardInterrupt there could fall into the start of one of its threads, which would then
    wait for ever and the process with it.
    """
    received.append(signal.Signals(number).name)
    signals.put(number)
    if not spinning.is_set():
        raise KeyboardInterrupt(received[-1])


def _end_after(signals: queue.SimpleQueue) -> None:
    """End the process END_S after the first signal, whatever it still does by then."""
    signals.get()
    time.sleep(END_S)
    _leave(0)


def _spin(node, doing: str, received: list[str]) -> NoReturn:
    executor = MultiThreadedExecutor(EXECUTOR_THREADS)
    executor.add_node(node)
    try:
        executor.spin()
    except Exception:
        if node.context.ok():
            raise  # otherwise only the shutdown, found somewhere on the way
    finally:
        node.stop()
        rclpy.try_shutdown()
    # Not the node's, which would be published as well, after the shutdown.
    log = rclpy.logging.get_logger(f'{node.get_logger().name}.process')
    if node.failure is not None:
        _tell_failure(node.failure, log, doing)
    elif node.is_starting:
        log.info(f'stopped by {" ".join(received[:1])} while starting')
    node.destroy_node()  # tells the others, who would believe in it for half a minute
    _leave(0 if node.failure is None else 1)


def _tell_failure(failure: BaseException, log, doing: str) -> None:
    if isinstance(failure, StartError):
        log.fatal(str(failure))
        return
    traceback.print_exception(None, failure, failure.__traceback__)
    log.fatal(f'{doing} failed: {failure!r}')


def _leave(status: int) -> NoReturn:
    """End the process, whatever its worker still loads or computes; nobody waits for that.

    Nor for the interpreter to take its modules down, which on a busy machine lasts seconds.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
