"""The action `track`: a prompt, and then how its object fares, until the goal or the object ends.

Goals hold no thread: what is done for them is done by the worker, after each frame.
"""

from dataclasses import dataclass

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from tam_ros.action import Track
from tam_ros.prompts import PromptError, check_point_count
from tam_ros.ros import conversions
from tam_ros.ros.current import CurrentTracking
from tam_ros.ros.newest_poses import NewestPoses
from tam_ros.tracker.results import FrameResult, ObjectResult, ObjectState
from tam_ros.tracker.session import Session

MOST_GOALS = 32  # at a time
OF_ALL_GOALS = QoSProfile(depth=MOST_GOALS)  # which may end with the same frame
LOOK_PERIOD_S = 0.1  # for cancelled goals and removed objects, also while no frames come
RESULT_KEPT_S = 10.0  # for a client that asks late; the goals' masks are kept as well


@dataclass(eq=False)
class _Goal:
    """A goal that was accepted, and how its object has fared."""

    handle: ServerGoalHandle
    """Of the client's goal."""
    max_lost_ns: int = 0
    """How long the object may be LOST."""
    duration_ns: int = 0
    """After how long the goal is reached; 0: never."""
    object_id: int = 0
    """0 until the prompt has been applied."""
    since_ns: int | None = None
    """Time of the first frame after the prompt."""
    lost_since_ns: int | None = None
    """Time of the frame with which the object counted as LOST; None while it does not."""
    newest: tuple[ObjectResult, Header] | None = None
    """What the newest frame said of the object."""

    def judge(self, state: ObjectState, now_ns: int) -> tuple[int, str] | None:
        """Return why the goal ends with a frame, and that in words; None where it goes on."""
        self.since_ns = now_ns if self.since_ns is None else self.since_ns
        if state is not ObjectState.LOST:
            self.lost_since_ns = None
        elif self.lost_since_ns is None:
            self.lost_since_ns = now_ns
        if self.lost_since_ns is not None and now_ns - self.lost_since_ns >= self.max_lost_ns:
            lost_s = (now_ns - self.lost_since_ns) * 1e-9
            return Track.Result.LOST, f'object {self.object_id} has been LOST for {lost_s:.1f} s'
        if self.duration_ns and now_ns - self.since_ns >= self.duration_ns:
            followed_s = self.duration_ns * 1e-9
            return Track.Result.FOLLOWED, f'object {self.object_id} followed for {followed_s:g} s'
        return None


class TrackAction:
    """The action server of a node: follows what its worker tracks."""

    def __init__(self, node: Node, current: CurrentTracking):
        self._current = current
        self._worker = current.worker
        self._log = node.get_logger()
        self._goals: list[_Goal] = []  # grows in the executor, shrinks in the worker
        self._is_looking = False
        group = MutuallyExclusiveCallbackGroup()
        self._poses = NewestPoses(node, group)
        self._server = _Server(
            node,
            Track,
            '~/track',
            lambda handle: Track.Result(),
            callback_group=group,
            goal_callback=self._judge_request,
            handle_accepted_callback=self._accept,
            cancel_callback=self._allow_cancel,
            result_service_qos_profile=OF_ALL_GOALS,
            feedback_pub_qos_profile=OF_ALL_GOALS,
            result_timeout=RESULT_KEPT_S,
        )
        # Not in ROS time, which may stand still.
        self._timer = node.create_timer(
            LOOK_PERIOD_S,
            self._look,
            callback_group=group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._timer.cancel()

    def destroy(self) -> None:
        """Take the action from those that others see."""
        self._server.destroy()

    # -- in the executor --------------------------------------------------------------------

    def _judge_request(self, _) -> GoalResponse:
        if len(self._goals) < MOST_GOALS:
            return GoalResponse.ACCEPT
        self._log.warning(f'goal rejected: {MOST_GOALS} are followed already')
        return GoalResponse.REJECT

    def _accept(self, handle: ServerGoalHandle) -> None:
        handle.execute()
        goal = _Goal(handle)
        self._goals.append(goal)
        self._timer.reset()
        self._poses.open()
        # Its frame may have come already, and wait.
        is_stamped = conversions.stamp_to_ns(handle.request.header.stamp) != 0
        self._worker.post(lambda: self._begin(goal), after_waiting=is_stamped)

    def _allow_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        is_followed = any(goal.handle is handle for goal in self._goals)
        return CancelResponse.ACCEPT if is_followed else CancelResponse.REJECT

    def _look(self) -> None:
        if not self._goals:
            self._timer.cancel()
            self._poses.close()
        elif not self._is_looking:
            self._is_looking = True
            self._worker.post(self._look_after_goals)

    # -- in the worker ----------------------------------------------------------------------

    def follow(self, frame: FrameResult, header: Header) -> None:
        """Tell the goals what a frame says of their objects, and end those that it ends."""
        if not self._goals:
            return
        results = {result.object_id: result for result in frame.objects}
        for goal in tuple(self._goals):
            result = results.get(goal.object_id)
            if result is None:  # of a late object there is nothing to tell yet
                continue
            self._tell(goal, result, header)
            end = goal.judge(result.state, frame.stamp_ns)
            if end is not None:
                self._end(goal, *end)

    def stop(self) -> None:
        """End all goals, for nothing is tracked any more; their objects are kept."""
        for goal in tuple(self._goals):
            self._end(goal, Track.Result.STOPPED, 'the tracker was deactivated')

    def _begin(self, goal: _Goal) -> None:
        try:
            request = goal.handle.request
            goal.max_lost_ns = _duration_ns('max_lost', request.max_lost)
            goal.duration_ns = _duration_ns('duration', request.duration)
            if not goal.handle.is_cancel_requested:
                self._prompt(goal, self._current.active_session)
        except PromptError as error:
            self._log.warning(f'refused: {error}')
            self._end(goal, Track.Result.REFUSED, str(error))

    def _prompt(self, goal: _Goal, session: Session) -> None:
        request = goal.handle.request
        check_point_count(len(request.points), session.options.max_prompt_points)
        prompt = conversions.request_to_prompt(request)
        is_empty = not len(prompt.points_xy) and prompt.box_xyxy is None and prompt.mask is None
        if is_empty and request.object_id:
            goal.object_id = session.tracked.find(request.object_id).object_id
            for result in session.objects:
                if result.object_id == goal.object_id:
                    self._tell(goal, result, self._current.newest_header)
            return
        result = session.add_prompt(prompt, object_id=request.object_id, label=request.label)
        goal.object_id = result.object_id
        stamp = conversions.ns_to_stamp(result.stamp_ns)
        frame_id = self._current.newest_header.frame_id
        self._tell(goal, result, Header(stamp=stamp, frame_id=frame_id))

    def _tell(self, goal: _Goal, result: ObjectResult, header: Header) -> None:
        goal.newest = result, header
        feedback = Track.Feedback(
            header=header,
            object_id=result.object_id,
            state=int(result.state),
            score=float(result.predicted_iou),
            pose=self._poses.of(result.object_id),
        )
        if result.box_xyxy is not None:
            feedback.box = conversions.box_to_roi(result.box_xyxy)
        goal.handle.publish_feedback(feedback)

    def _look_after_goals(self) -> None:
        """End goals that were cancelled, and those whose objects are no more."""
        self._is_looking = False
        for goal in tuple(self._goals):
            if goal.handle.is_cancel_requested:
                self._cancel(goal)
            elif goal.object_id and not self._is_tracked(goal.object_id):
                text = f'object {goal.object_id} was removed, or the tracker was reset'
                self._end(goal, Track.Result.REMOVED, text)

    def _cancel(self, goal: _Goal) -> None:
        text = 'cancelled before its prompt was applied'
        if goal.object_id:
            text = f'object {goal.object_id} removed'
            if self._is_tracked(goal.object_id):
                self._current.session.remove(goal.object_id)
        self._end(goal, Track.Result.CANCELLED, text)

    def _is_tracked(self, object_id: int) -> bool:
        return object_id in self._current.session.tracked

    def _end(self, goal: _Goal, reason: int, message: str) -> None:
        self._goals.remove(goal)
        result = Track.Result(reason=reason, message=message)
        if goal.newest is not None:
            result.object = conversions.result_to_object(*goal.newest)
        self._server.end(goal.handle, result)


class _Server(ActionServer):
    """An action server whose goals are executed without a function that runs until they end."""

    def notify_execute(self, goal_handle, execute_callback):
        """Start nothing for a goal that begins to be executed; it has its state by that."""

    def end(self, handle: ServerGoalHandle, result: Track.Result) -> None:
        """Have the executor give a goal its last state and its result."""

        def finish(handle: ServerGoalHandle) -> Track.Result:
            ends = {Track.Result.FOLLOWED: handle.succeed, Track.Result.CANCELLED: handle.canceled}
            ends.get(result.reason, handle.abort)()
            return result

        super().notify_execute(handle, finish)


def _duration_ns(name: str, duration) -> int:
    """Return a duration in nanoseconds; raises PromptError for a negative one."""
    duration_ns = conversions.stamp_to_ns(duration)
    if duration_ns < 0:
        raise PromptError(f'{name} is {duration_ns * 1e-9:g} s: use 0 or more')
    return duration_ns
