"""The node beside the tracker that serves a page: the overlay to look at, and to click on.

The page's server has a thread of its own. While nobody looks, the node listens to nothing.
"""

from functools import partial
from typing import NoReturn

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from tam_ros.options import Option, options_of
from tam_ros.ros import process
from tam_ros.ros.ending import end_by_failure
from tam_ros.ros.notices import Notices
from tam_ros.ros.parameters import declare_parameters, read_options
from tam_ros.ros.web_calls import ServiceCalls
from tam_ros.ros.web_input import WatchedInput
from tam_ros.web.options import ServerOptions
from tam_ros.web.server import PageServer

NAME = 'web'
STOP_TIMEOUT_S = 1.0
STATUS_PERIOD_S = 0.5
PARAMETERS_WEB: dict[str, Option] = options_of(ServerOptions)


class WebNode(Node):
    """Serves a page of the tracker; docs/interface.md describes it.

    failure: what ended the server, and with it the node; None while all is well.

    Raises ValueError, naming the parameter's value, if it cannot start.
    """

    def __init__(self):
        super().__init__(NAME)
        declare_parameters(self, PARAMETERS_WEB)
        options = read_options(self, ServerOptions)
        self.failure: BaseException | None = None
        self.is_starting = False  # it loads nothing
        self._notices = Notices(self.get_logger().warning)
        self._watched = False
        self._calls = ServiceCalls(self)
        fail = partial(end_by_failure, self)
        self._server = PageServer(options, self._calls, self._on_watched, fail, self._notices.warn)
        self._input = WatchedInput(self, self._server.show, self._notices.warn)
        group = self._input.group
        # Not in ROS time, which may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._status = self.create_timer(
            STATUS_PERIOD_S, self._follow, callback_group=group, clock=steady
        )
        self._status.cancel()
        self._turn = self.create_guard_condition(self._follow, callback_group=group)
        self.get_logger().info(f'ready: {self._server.start()}')

    def stop(self) -> None:
        """End the server, or give up waiting for it."""
        self._server.stop(STOP_TIMEOUT_S)

    def _on_watched(self, watched: bool) -> None:
        """Have the node listen or not. Called in the server's thread."""
        self._watched = watched
        self._turn.trigger()

    def _follow(self) -> None:
        """Listen or not; be as reliable as the tracker, and tell viewers how things stand."""
        self._input.listen(self._watched)
        if not self._watched:
            self._status.cancel()
            return
        if self._status.is_canceled():
            self._status.reset()
        self._notices.say_due()
        age_ms = self._input.age_ms
        self._server.tell(
            {
                'rate_hz': round(self._input.rate_hz, 1),
                'age_ms': None if age_ms is None else round(age_ms),
                'silence': self._input.silence,
                'can_target': self._calls.can_target,
                'target': self._calls.target,
            }
        )


def main(arguments=None) -> NoReturn:
    """Run the node until it is interrupted; see `process.run`."""
    process.run(lambda: WebNode, NAME, arguments, doing='serving')
