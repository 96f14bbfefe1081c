"""A topic that is listened to only while somebody wants what is made of it."""

import time
from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from tam_ros.ros.subscription import FollowingSubscription

SILENT_S = 3.0
DEPTH = 10


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
        self._receive = receive
        self.topic = node.resolve_topic_name(topic)
        self._subscription = FollowingSubscription(
            node,
            message_type,
            self.topic,
            self._hear,
            group=group,
            depth=DEPTH,
        )
        self._heard_s = 0.0  # on the steady clock: the last message, or the start

    def listen(self, wanted: bool) -> None:
        """Be on or off; call it now and then, for publishers may become less reliable."""
        if self._subscription.is_open and wanted:
            self._subscription.follow(self._subscription.offered)
        elif wanted:
            self._heard_s = time.monotonic()
            self._subscription.open()
        elif self._subscription.is_open:
            self._subscription.close()

    @property
    def problem(self) -> str:
        """Why nothing has come for a while; '' where something has, or the topic is off."""
        if not self._subscription.is_open or time.monotonic() - self._heard_s < SILENT_S:
            return ''
        if self._subscription.offered is not None:
            how = f'published {self._subscription.refusal}'.rstrip()
            return f'nothing comes on {self.topic}, though it is {how}'
        others = {p.topic_type for p in self._node.get_publishers_info_by_topic(self.topic)}
        carries = f': it carries {", ".join(sorted(others))}' if others - {''} else ''
        return f'nothing publishes {self._subscription.type_name} on {self.topic}{carries}'

    def _hear(self, msg) -> None:
        self._heard_s = time.monotonic()
        self._receive(msg)
