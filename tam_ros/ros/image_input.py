"""The camera topic: a subscription that is as reliable as the camera offers."""

from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

from tam_ros.ros.parameters import Setting, declare

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ModuleNotFoundError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
FOLLOW_PERIOD_S = 0.5
AS_OFFERED = 'system_default'
RELIABILITIES = {'best_effort': BEST_EFFORT, 'reliable': RELIABLE, AS_OFFERED: None}
RELIABILITY = Setting(
    AS_OFFERED,
    f'Reliability of the subscription to the camera; {AS_OFFERED} for what the camera offers.',
    choices=tuple(RELIABILITIES),
)


class ImageInput:
    """Hands a node's images on. topic: its full name. warn says something once.

    Images are larger than what DDS sends in one piece, and best effort does not send lost pieces
    again: with the defaults of Fast DDS that is two of five 640x480 images, on an idle machine.
    So the subscription is reliable while every camera on the topic is. The parameter
    `qos_overrides.TOPIC.subscription.reliability` decides otherwise.
    """

    def __init__(
        self,
        node: Node,
        offer: Callable[[Image | CompressedImage], None],
        warn: Callable[[str], None],
        *,
        compressed: bool,
    ):
        self._node = node
        self._offer = offer
        self._warn = warn
        self._type = CompressedImage if compressed else Image
        # As image_transport does: remapping `image` takes the compressed topic along.
        self.topic = node.resolve_topic_name('image') + ('/compressed' if compressed else '')
        self._group = MutuallyExclusiveCallbackGroup()
        name = f'qos_overrides.{self.topic}.subscription.reliability'
        self._override = RELIABILITIES[declare(node, name, RELIABILITY)]
        self._qos = QoSProfile(
            depth=1,
            history=HistoryPolicy.KEEP_LAST,
            reliability=self._override or self._offered() or BEST_EFFORT,
        )
        self._subscription = self._subscribe(
            QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))
        )
        node.create_timer(FOLLOW_PERIOD_S, self._follow_cameras, callback_group=self._group)

    def _subscribe(self, overriding: QoSOverridingOptions | None = None):
        return self._node.create_subscription(
            self._type,
            self.topic,
            self._offer,
            self._qos,
            callback_group=self._group,
            qos_overriding_options=overriding,
            # With events of quality the executor wakes twenty times per image for nothing, and
            # takes the interpreter from the tracker.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _offered(self) -> ReliabilityPolicy | None:
        """Return the reliability that suits all cameras on the topic; None without any."""
        cameras = self._node.get_publishers_info_by_topic(self.topic)
        if not cameras:
            return None
        reliable = all(camera.qos_profile.reliability == RELIABLE for camera in cameras)
        return RELIABLE if reliable else BEST_EFFORT

    def _follow_cameras(self) -> None:
        offered = self._offered()
        if offered in (None, self._qos.reliability):
            return
        if self._override is None:
            self._node.destroy_subscription(self._subscription)
            self._qos.reliability = offered
            self._subscription = self._subscribe()
        elif self._override == RELIABLE:
            self._warn(
                f'no images from a best effort camera: set qos_overrides.{self.topic}'
                '.subscription.reliability to best_effort'
            )
