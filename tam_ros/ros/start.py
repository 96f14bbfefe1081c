"""Start ROS 2, or say in one line why that cannot be."""

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.utilities import remove_ros_args

PLACE_IN_SOURCE = re.compile(r', at /\S+:\d+')


class StartError(Exception):
    """A node cannot start as it is asked to; the message tells a user why."""


def start_ros(arguments: Sequence[str] | None, **options) -> None:
    """Do what `rclpy.init` does; where it cannot, end with the reason and exit status 1.

    Such as arguments that ROS does not know, or no folder for logs.
    """
    with _ending_with_reason():
        rclpy.init(args=arguments, **options)


def own_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that are not for ROS; ends as `start_ros` does."""
    with _ending_with_reason():
        return remove_ros_args(arguments)[1:]


@contextlib.contextmanager
def until_shutdown() -> Iterator[None]:
    """Leave what is spun quietly when a signal ends it, wherever in rclpy that falls."""
    try:
        yield
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:  # between two waits: there is no context any more to wait in
        if rclpy.ok():
            raise


@contextlib.contextmanager
def _ending_with_reason() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # the base of all that rcl raises
        sys.exit(f'ROS 2 cannot start: {_reason(str(error))}')


def _reason(error: str) -> str:
    reason = ' '.join(PLACE_IN_SOURCE.sub('', error).split())
    if 'logging' in reason:
        reason += '; set ROS_LOG_DIR, or HOME, to a folder that can be written'
    return reason
