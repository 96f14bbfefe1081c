"""A subscription that is as reliable as what publishes on its topic."""

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


class FollowingSubscription:
    """Can be open or not, and follows the reliability of its publishers; not open at first.

    topic: its full name. receive takes each message. qos: is changed in its reliability.
    reliability: the one to keep to; None for that of the publishers.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        receive: Callable,
        *,
        group: CallbackGroup,
        qos: QoSProfile,
        reliability: ReliabilityPolicy | None = None,
    ):
        self._node = node
        self._type = message_type
        self.type_name = f'{message_type.__module__.partition(".")[0]}/msg/{message_type.__name__}'
        self.topic = topic
        self._receive = receive
        self._group = group
        self._qos = qos
        self._fixed = reliability
        self._subscription = None

    @property
    def is_open(self) -> bool:
        """Whether messages are received."""
        return self._subscription is not None

    @property
    def offered(self) -> ReliabilityPolicy | None:
        """The reliability that suits all publishers of the type; None without any."""
        publishers = self._node.get_publishers_info_by_topic(self.topic)
        offers = [p.qos_profile.reliability for p in publishers if p.topic_type == self.type_name]
        if not offers:
            return None
        return RELIABLE if all(offer == RELIABLE for offer in offers) else BEST_EFFORT

    def open(self, overriding: QoSOverridingOptions | None = None) -> None:
        """Receive from now on. overriding: what of the quality users may override."""
        self._qos.reliability = self._fixed or self.offered or BEST_EFFORT
        self._subscribe(overriding)

    def close(self) -> None:
        """Receive no more."""
        self._node.destroy_subscription(self._subscription)
        self._subscription = None

    def follow(self, offered: ReliabilityPolicy | None) -> None:
        """Be as reliable as is offered now; call it every now and then while open."""
        if offered in (None, self._qos.reliability) or self._fixed is not None:
            return
        # The reliability of a subscription cannot be changed.
        self.close()
        self._qos.reliability = offered
        self._subscribe()

    def _subscribe(self, overriding: QoSOverridingOptions | None = None) -> None:
        self._subscription = self._node.create_subscription(
            self._type,
            self.topic,
            self._receive,
            self._qos,
            callback_group=self._group,
            qos_overriding_options=overriding,
            # With events of quality the executor wakes twenty times per image for nothing, and
            # takes the interpreter from who computes.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
