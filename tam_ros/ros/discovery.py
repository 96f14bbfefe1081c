"""The service that finds what can be tracked: a search whose steps come between frames."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TypeVar

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Header

from tam_ros.msg import TrackedObjectArray
from tam_ros.prompts import PromptError
from tam_ros.ros import conversions
from tam_ros.ros.current import CurrentTracking
from tam_ros.ros.parameters import read_options
from tam_ros.srv import Discover
from tam_ros.tracker.discovery import Discovery, DiscoveryRequest
from tam_ros.tracker.options import DiscoveryOptions

Done = TypeVar('Done')


class DiscoveryService:
    """The service ~/discover of a node, acting on its session through its worker."""

    def __init__(self, node: Node, current: CurrentTracking):
        self._node = node
        self._current = current
        # One search at a time; it waits for the worker, and no other service for it.
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(Discover, '~/discover', self._discover, callback_group=group)

    def _discover(self, request: Discover.Request, response: Discover.Response):
        is_stamped = conversions.stamp_to_ns(request.header.stamp) != 0
        try:
            search = self._do(lambda: self._begin(request), after_waiting=is_stamped)
            while self._do(lambda: self._go_on(search)):
                pass
            self._do(lambda: self._write(search, response))
        except PromptError as error:
            response.message = str(error)
            self._node.get_logger().warning(f'search refused: {error}')
        except CancelledError:
            response.message = 'the tracker is stopping'
        return response

    def _do(self, job: Callable[[], Done], *, after_waiting: bool = False) -> Done:
        """Have a step done in the worker, in turn with frames and other requests."""
        return self._current.worker.submit(job, after_waiting=after_waiting).result()

    # -- in the worker thread ---------------------------------------------------------------

    def _begin(self, request: Discover.Request) -> Discovery:
        options = _options(request, read_options(self._node, DiscoveryOptions))
        return Discovery(self._current.active_session, request_to_discovery(request), options)

    def _go_on(self, search: Discovery) -> bool:
        if self._current.active_session is not search.session:
            raise PromptError('the tracker was configured anew during the search: search again')
        return search.go_on()

    def _write(self, search: Discovery, response: Discover.Response) -> None:
        """Say in a response what was found."""
        header = Header(
            stamp=conversions.ns_to_stamp(search.frame_stamp_ns),
            frame_id=self._current.newest_header.frame_id,
        )
        response.objects = TrackedObjectArray(
            header=header,
            image_width=search.size_wh[0],
            image_height=search.size_wh[1],
            objects=[conversions.result_to_object(found, header) for found in search.found],
        )
        response.success, response.complete = True, search.complete
        response.message = _summary(search)


def request_to_discovery(request: Discover.Request) -> DiscoveryRequest:
    """Return what a request asks for, but for what it says of options."""
    return DiscoveryRequest(
        region_xyxy=conversions.roi_or_none(request.region),
        stamp_ns=conversions.stamp_to_ns(request.header.stamp) or None,
        start=request.start,
        label=request.label,
    )


def _options(request: Discover.Request, options: DiscoveryOptions) -> DiscoveryOptions:
    """Return the options with what a request asks for instead; raises PromptError."""
    asked = {name: getattr(request, name) for name in ('max_objects', 'min_area', 'min_score')}
    try:
        return replace(options, **{name: value for name, value in asked.items() if value})
    except ValueError as error:
        raise PromptError(str(error)) from error


def _summary(search: Discovery) -> str:
    parts = [f'{len(search.found)} objects found']
    if not search.complete:
        parts.append('the time ended the search: raise discovery.max_s, or give a region')
    if search.refused:
        parts.append(f'{len(search.refused)} not started: {search.refused[0]}')
    return '; '.join(parts)
