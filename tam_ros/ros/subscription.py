"""A subscription that is as reliable as what publishes on its topic."""

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from tam_ros.ros.quality import (
    AS_OFFERED,
    BEST_EFFORT,
    RELIABLE,
    input_quality,
    reliability_parameter,
)

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


def transport_topic(node: Node, name: str, suffix: str) -> str:
    """Return the full name under which a transport of images carries what `name` stands for.

    As image_transport does: remapping the name takes the topics with a suffix along. suffix: of
    the transport, such as '/compressed'; '' for raw images.
    """
    return node.resolve_topic_name(name).removesuffix(suffix) + suffix


class FollowingSubscription:
    """Can be open or not, and follows the reliability of its publishers; not open at first.

    Images, masks and depth are larger than what DDS sends in one piece, and best effort does not
    send lost pieces again: with the defaults of Fast DDS that is two of five 640x480 images, on an
    idle machine. So it is reliable while all publishers are, unless the user overrides that, as
    in `quality`. topic: its full name. receive takes each message. depth: messages that wait, if
    the user does not override that, too. Raises ValueError for a value that is not allowed.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        receive: Callable,
        *,
        group: CallbackGroup,
        depth: int,
    ):
        self._node = node
        self._type = message_type
        self.type_name = f'{message_type.__module__.partition(".")[0]}/msg/{message_type.__name__}'
        self.topic = topic
        self._receive = receive
        self._group = group
        self._qos = input_quality(node, topic, depth)
        self._follows = self._qos.reliability == AS_OFFERED
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

    @property
    def refusal(self) -> str:
        """How it is published, and what to set, where that cannot arrive; '' where it can."""
        if self._follows or self._qos.reliability != RELIABLE or self.offered != BEST_EFFORT:
            return ''
        return f'with best effort: set {reliability_parameter(self.topic)} to best_effort'

    def open(self) -> None:
        """Receive from now on."""
        if self._follows:
            self._qos.reliability = self.offered or BEST_EFFORT
        self._subscribe()

    def close(self) -> None:
        """Receive no more."""
        self._node.destroy_subscription(self._subscription)
        self._subscription = None

    def follow(self, offered: ReliabilityPolicy | None) -> None:
        """Be as reliable as is offered now; call it every now and then while open."""
        if offered in (None, self._qos.reliability) or not self._follows:
            return
        # The reliability of a subscription cannot be changed.
        self.close()
        self._qos.reliability = offered
        self._subscribe()

    def _subscribe(self) -> None:
        self._subscription = self._node.create_subscription(
            self._type,
            self.topic,
            self._receive,
            self._qos,
            callback_group=self._group,
            # With events of quality the executor wakes twenty times per image for nothing, and
            # takes the interpreter from who computes.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )
