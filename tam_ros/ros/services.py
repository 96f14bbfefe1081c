"""Prompts by service and click: each becomes a job that the worker does between frames."""

from collections.abc import Callable
from concurrent.futures import CancelledError

from geometry_msgs.msg import Point
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from tam_ros.prompts import Prompt, PromptError, check_point_count
from tam_ros.ros import conversions
from tam_ros.ros.current import CurrentTracking
from tam_ros.ros.inbox import Inbox
from tam_ros.srv import AddPrompt, ListObjects, RemoveObject, SetLabel

CLICKS_KEPT = 4  # that wait; a newer one takes the place of the oldest


class ObjectServices:
    """The services of a node and, while open, its click topic, acting on its session.

    warn takes the kind and the text of a warning.
    """

    def __init__(self, node: Node, current: CurrentTracking, warn: Callable[[str, str], None]):
        self._node = node
        self._current = current
        self._worker = worker = current.worker
        self._warn = warn
        self._log = node.get_logger()
        self._clicks = Inbox(worker, self._apply_click, CLICKS_KEPT)
        group = MutuallyExclusiveCallbackGroup()  # these wait for the worker; nothing else should
        for service_type, name, callback in (
            (AddPrompt, 'add_prompt', self._add_prompt),
            (RemoveObject, 'remove_object', self._remove_object),
            (SetLabel, 'set_label', self._set_label),
            (ListObjects, 'list_objects', self._list_objects),
            (Trigger, 'reset', self._reset),
        ):
            node.create_service(service_type, f'~/{name}', callback, callback_group=group)
        self._subscription: Subscription | None = None

    def open(self) -> None:
        """Take clicks from now on."""
        self._subscription = self._node.create_subscription(Point, '~/click', self._click, 10)

    def close(self) -> None:
        """Take no more clicks, nor those that wait."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._clicks.clear()

    def _add_prompt(self, request: AddPrompt.Request, response: AddPrompt.Response):
        def job() -> str:
            session = self._current.active_session
            check_point_count(len(request.points), session.options.max_prompt_points)
            prompt = conversions.request_to_prompt(request)
            result = session.add_prompt(prompt, object_id=request.object_id, label=request.label)
            header = Header(
                stamp=conversions.ns_to_stamp(result.stamp_ns),
                frame_id=self._current.newest_header.frame_id,
            )
            response.object = conversions.result_to_object(result, header)
            return f'object {result.object_id}: score {result.predicted_iou:.2f}'

        # Its frame may have come already, and wait.
        is_stamped = conversions.stamp_to_ns(request.header.stamp) != 0
        return self._answer(response, job, after_waiting=is_stamped)

    def _remove_object(self, request: RemoveObject.Request, response: RemoveObject.Response):
        def job() -> str:
            self._current.session.remove(request.object_id)
            return f'object {request.object_id} removed'

        return self._answer(response, job)

    def _set_label(self, request: SetLabel.Request, response: SetLabel.Response):
        def job() -> str:
            self._current.session.rename(request.object_id, request.label)
            return f'object {request.object_id} has the label {request.label!r}'

        return self._answer(response, job)

    def _reset(self, _, response: Trigger.Response):
        def job() -> str:
            session = self._current.session
            count = len(session.objects)
            session.reset()
            return f'{count} objects forgotten'

        return self._answer(response, job)

    def _list_objects(self, _, response: ListObjects.Response):
        def job() -> None:
            session = self._current.session
            if session.has_frame:
                header = self._current.newest_header
                response.objects = conversions.frame_to_objects(session.latest(), header)

        try:
            self._worker.submit(job).result()
        except PromptError as error:
            self._log.warning(f'the list is empty: {error}')
        except CancelledError:
            self._log.warning('the tracker is stopping: the list is empty')
        return response

    def _answer(self, response, job: Callable[[], str], *, after_waiting: bool = False):
        """Have a job done and say in the response how it went."""
        try:
            response.message = self._worker.submit(job, after_waiting=after_waiting).result()
            response.success = True
        except PromptError as error:
            response.message = str(error)
            self._log.warning(f'refused: {error}')
        except CancelledError:
            response.message = 'the tracker is stopping'
        return response

    def _click(self, point: Point) -> None:
        """Take a click on an object as a refinement of it, one elsewhere as a new object."""
        if not self._clicks.put(conversions.click_to_prompt(point)):
            self._warn(
                'ignored_clicks', 'clicks ignored: they come faster than they can be applied'
            )

    def _apply_click(self, prompt: Prompt) -> None:
        try:
            session = self._current.active_session
            object_id = session.object_at(*prompt.points_xy[0])
            result = session.add_prompt(prompt, object_id=object_id)
        except PromptError as error:
            self._log.warning(f'click refused: {error}')
        else:
            done = 'refined' if object_id else 'added'
            self._log.info(
                f'object {result.object_id} {done} by click, score {result.predicted_iou:.2f}'
            )
