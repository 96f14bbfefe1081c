"""A client of the action /tam/track under test, as a behaviour tree has one."""

from contextlib import contextmanager

import numpy as np
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from rclpy.action import ActionClient
from rclpy.qos import QoSProfile
from robot import NS_PER_S
from tracker import Tracker, prompt

from tam_ros.action import Track

SUCCEEDED, CANCELED = GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED
MANY = 100
ABORTED, EXECUTING = GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_EXECUTING


def goal(*arguments, max_lost_s: float = 0.0, duration_s: float = 0.0, **options) -> Track.Goal:
    """Return a goal with a prompt of what `tracker.prompt` takes."""
    request = prompt(*arguments, **options)
    fields = {name: getattr(request, name) for name in request.get_fields_and_field_types()}
    return Track.Goal(**fields, max_lost=duration_of(max_lost_s), duration=duration_of(duration_s))


def duration_of(seconds: float) -> Duration:
    """Return seconds as a message."""
    sec, nanosec = divmod(round(seconds * NS_PER_S), NS_PER_S)
    return Duration(sec=sec, nanosec=nanosec)


class Following:
    """A goal that was sent: feedback collects what came of it."""

    def __init__(self, tracker: Tracker, client: ActionClient, request: Track.Goal):
        self._robot = tracker.robot
        self.feedback: list[Track.Feedback] = []
        sent = client.send_goal_async(request, lambda m: self.feedback.append(m.feedback))
        self._robot.wait(sent.done, 'an answer to the goal')
        self.handle = sent.result()
        self._ended = self.handle.get_result_async() if self.handle.accepted else None

    @property
    def is_running(self) -> bool:
        """Whether the result has not come yet."""
        return not self._ended.done()

    @property
    def object_id(self) -> int:
        """The id of the object, once feedback has told it."""
        return self._robot.wait(lambda: self.feedback, 'feedback')[-1].object_id

    def wait_for_feedback(self, condition) -> Track.Feedback:
        """Return the newest feedback, once that is as it should be."""
        self._robot.wait(lambda: self.feedback and condition(self.feedback[-1]), 'feedback')
        return self.feedback[-1]

    def result(self) -> tuple[int, Track.Result]:
        """Wait for the end; return the status and the result."""
        self._robot.wait(self._ended.done, 'the result')
        answer = self._ended.result()
        return answer.status, answer.result

    def cancel(self) -> bool:
        """Ask the server to cancel the goal; return whether it will."""
        asked = self.handle.cancel_goal_async()
        self._robot.wait(asked.done, 'an answer to the cancelling')
        return bool(asked.result().goals_canceling)


@contextmanager
def following(tracker: Tracker):
    """Give a function that sends a goal; needs a frame of 320x240 pixels, and no object."""
    many = QoSProfile(depth=MANY)  # as a busy machine hears them late
    client = ActionClient(
        tracker.robot.node,
        Track,
        f'{tracker.name}/track',
        result_service_qos_profile=many,
        feedback_sub_qos_profile=many,
    )

    def follow(*arguments, **options) -> Following:
        return Following(tracker, client, goal(*arguments, **options))

    try:
        tracker.robot.wait(client.server_is_ready, 'the action')
        while not _has_feedback(tracker, follow):
            pass
        yield follow
    finally:
        client.destroy()


def _has_feedback(tracker: Tracker, follow) -> bool:
    """Return whether the server knows already of the client's subscription to feedback."""
    mask = np.zeros((240, 320), bool)
    mask[80:140, 60:120] = True
    following = follow(mask=mask)
    came = tracker.robot.spin_until(lambda: following.feedback, 1.0)
    assert following.cancel()
    following.result()
    return bool(came)
