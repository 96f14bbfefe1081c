"""The detector topic: messages wait here until the frame that they belong to has been tracked."""

from collections import deque
from collections.abc import Callable

from rclpy.node import Node
from vision_msgs.msg import Detection2DArray

from tam_ros.prompts import PromptError
from tam_ros.ros.conversions import message_to_detections, stamp_to_ns
from tam_ros.ros.parameters import detection_options
from tam_ros.ros.worker import Worker
from tam_ros.tracker.detector import DetectionFeed, Outcome
from tam_ros.tracker.session import Session

MESSAGES_KEPT = 8  # that wait; then the oldest gives way


class DetectionInput:
    """Subscribes a node to detections, and applies them to its session in its worker.

    warn takes the kind and the text of a warning. dropped: messages that were not applied.
    """

    def __init__(
        self, node: Node, worker: Worker, session: Session, warn: Callable[[str, str], None]
    ):
        self._node = node
        self._worker = worker
        self._feed = DetectionFeed(session)
        self._warn = warn
        self._waiting: deque[Detection2DArray] = deque()
        self.dropped = 0
        node.create_subscription(Detection2DArray, '~/detections_in', self._receive, 5)

    def _receive(self, msg: Detection2DArray) -> None:
        self._worker.post(lambda: self._add(msg), after_waiting=True)

    def _add(self, msg: Detection2DArray) -> None:
        if not stamp_to_ns(msg.header.stamp):
            self._drop(
                'unstamped_detections',
                'detections ignored: their stamp is 0; it must be that of their image',
            )
            return
        self._waiting.append(msg)
        if len(self._waiting) > MESSAGES_KEPT:
            self._waiting.popleft()
            self._drop(
                'unmatched_detections',
                'detections ignored: their images have not come; do the stamps agree?',
            )
        self.apply_due()

    def apply_due(self) -> None:
        """Apply the messages whose frames have been tracked; the worker calls it."""
        while self._waiting and not self._feed.is_early(_stamp_ns(self._waiting[0])):
            msg = self._waiting.popleft()
            try:
                options = detection_options(self._node)
                detections = message_to_detections(msg, self._refuse)
                self._say(self._feed.apply(detections, _stamp_ns(msg), options))
            except PromptError as error:
                self._drop('late_detections', f'detections ignored: {error}')

    def _drop(self, kind: str, why: str) -> None:
        self.dropped += 1
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
