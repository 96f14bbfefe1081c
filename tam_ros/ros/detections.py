"""The detector topic: messages wait here until the frame that they belong to has been tracked."""

from collections.abc import Callable

from rclpy.node import Node
from rclpy.subscription import Subscription
from vision_msgs.msg import Detection2DArray

from tam_ros.prompts import PromptError
from tam_ros.ros.conversions import message_to_detections, stamp_to_ns
from tam_ros.ros.inbox import Inbox
from tam_ros.ros.parameters import read_options
from tam_ros.ros.worker import Worker
from tam_ros.tracker.association import DetectionAssociation, Outcome
from tam_ros.tracker.options import DetectionOptions
from tam_ros.tracker.session import Session

MESSAGES_KEPT = 8  # that wait; then the oldest gives way
MOST_AHEAD_S = 5.0  # a stamp farther ahead of the newest frame is none of a frame to come
FLOOD = (
    'flood_of_detections',
    'detections ignored: they come faster than they can be applied',
)


class DetectionInput:
    """Subscribes a node to detections while open, and applies them to its session in its worker.

    warn takes the kind and the text of a warning.
    """

    def __init__(
        self, node: Node, worker: Worker, session: Session, warn: Callable[[str, str], None]
    ):
        self._node = node
        self._association = DetectionAssociation(session)
        self._warn = warn
        self._session = session
        self._worker = worker
        self._is_posted = False  # a turn for what is due
        # The frame of a message may have come already, and wait.
        self._inbox = Inbox(worker, self._add, MESSAGES_KEPT, after_waiting=True)
        self._waiting: list[Detection2DArray] = []
        self._dropped = 0
        self._subscription: Subscription | None = None

    def open(self) -> None:
        """Listen from now on."""
        self._subscription = self._node.create_subscription(
            Detection2DArray, '~/detections_in', self._receive, 5
        )

    def close(self) -> None:
        """Listen no more; `forget` has those forgotten that wait."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None

    def forget(self) -> None:
        """Forget the messages that wait; the worker calls it."""
        self._inbox.clear()
        self._waiting.clear()

    @property
    def dropped(self) -> int:
        """How many messages were not applied."""
        return self._dropped + self._inbox.dropped

    def _receive(self, msg: Detection2DArray) -> None:
        if not self._inbox.put(msg):
            self._warn(*FLOOD)

    def _add(self, msg: Detection2DArray) -> None:
        if not _stamp_ns(msg):
            self._drop(
                'unstamped_detections',
                'detections ignored: their stamp is 0; it must be that of their image',
            )
            return
        self._waiting.append(msg)
        self._apply_oldest()
        if len(self._waiting) > MESSAGES_KEPT:
            self._drop_oldest()

    def apply_due(self) -> None:
        """Have the messages applied whose frames have been tracked; the worker calls it.

        Each has a turn of its own, so that the next frame waits for one of them at most.
        """
        is_due = any(not self._is_early(msg) for msg in self._waiting)
        if is_due and not self._is_posted:
            self._is_posted = True
            self._worker.post(self._take_turn)

    def _take_turn(self) -> None:
        self._is_posted = False
        self._apply_oldest()

    def _apply_oldest(self) -> None:
        """Apply one message; those that must wait, or never can be applied, do not hold it up."""
        self._waiting = sorted(filter(self._may_come, self._waiting), key=_stamp_ns)
        due = (i for i, msg in enumerate(self._waiting) if not self._is_early(msg))
        first = next(due, None)
        if first is not None:
            self._apply(self._waiting.pop(first))
            self.apply_due()

    def _is_early(self, msg: Detection2DArray) -> bool:
        return self._association.is_early(_stamp_ns(msg))

    def _may_come(self, msg: Detection2DArray) -> bool:
        """Return whether the frame of a message may be yet to come, or has; drop it otherwise."""
        ahead_s = self._session.history.ahead_s(_stamp_ns(msg))
        if ahead_s <= MOST_AHEAD_S:
            return True
        self._drop(
            'early_detections',
            f'detections ignored: their stamp is {ahead_s:.3f} s ahead of the newest '
            f"image's, where at most {MOST_AHEAD_S:g} s are; do the clocks agree?",
        )
        return False

    def _drop_oldest(self) -> None:
        if self._is_early(self._waiting.pop(0)):
            self._drop(
                'unmatched_detections',
                'detections ignored: their images have not come; do the stamps agree?',
            )
        else:
            self._drop(*FLOOD)

    def _apply(self, msg: Detection2DArray) -> None:
        try:
            options = read_options(self._node, DetectionOptions)
            detections = message_to_detections(msg, self._refuse)
            self._say(self._association.apply(detections, _stamp_ns(msg), options))
        except PromptError as error:
            self._drop('late_detections', f'detections ignored: {error}')

    def _drop(self, kind: str, why: str) -> None:
        self._dropped += 1
        self._warn(kind, why)

    def _refuse(self, why: str) -> None:
        self._warn('ignored_detections', f'detection ignored: {why}')

    def _say(self, outcome: Outcome) -> None:
        log = self._node.get_logger()
        for verb in ('started', 'confirmed', 'corrected', 'dropped'):
            ids = getattr(outcome, verb)
            if ids:
                log.info(f'detector {verb} object {", ".join(map(str, ids))}')
        for why in outcome.refused:
            self._refuse(why)


def _stamp_ns(msg: Detection2DArray) -> int:
    return stamp_to_ns(msg.header.stamp)
