"""A topic that is listened to only while somebody wants what is made of it."""

import time
from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile

from tam_ros.ros.image_input import BEST_EFFORT, offered_reliability

SILENT_S = 3.0


class Feed:
    """A subscription that can be off, and is as reliable as its publishers offer.

    receive takes each message. topic: its full name.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        receive: Callable,
        group: CallbackGroup,
    ):
        self._node = node
        self._type = message_type
        self._type_name = (
            f'{message_type.__module__.partition(".")[0]}/msg/{message_type.__name__}'
        )
        self.topic = node.resolve_topic_name(topic)
        self._receive = receive
        self._group = group
        self._subscription = None
        self._qos = QoSProfile(depth=10, history=HistoryPolicy.KEEP_LAST)
        self._heard_s = 0.0  # on the steady clock: the last message, or the start

    def listen(self, wanted: bool) -> None:
        """Be on or off."""
        if wanted and self._subscription is None:
            self._heard_s = time.monotonic()
            self._subscribe()
        elif not wanted and self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def follow(self) -> None:
        """Subscribe again where the publishers' reliability has changed; call it now and then."""
        offered = offered_reliability(self._publishers())
        if self._subscription is not None and offered not in (None, self._qos.reliability):
            self._node.destroy_subscription(self._subscription)
            self._subscribe()

    @property
    def problem(self) -> str:
        """Why nothing has come for a while; '' where something has, or the topic is off."""
        if self._subscription is None or time.monotonic() - self._heard_s < SILENT_S:
            return ''
        if self._publishers():
            return f'nothing comes on {self.topic}, though it is published'
        others = {p.topic_type for p in self._node.get_publishers_info_by_topic(self.topic)}
        carries = f': it carries {", ".join(sorted(others))}' if others - {''} else ''
        return f'nothing publishes {self._type_name} on {self.topic}{carries}'

    def _publishers(self) -> list:
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        return [p for p in publishers if p.topic_type == self._type_name]

    def _subscribe(self) -> None:
        self._qos.reliability = offered_reliability(self._publishers()) or BEST_EFFORT
        self._subscription = self._node.create_subscription(
            self._type, self.topic, self._hear, self._qos, callback_group=self._group
        )

    def _hear(self, msg) -> None:
        self._heard_s = time.monotonic()
        self._receive(msg)
