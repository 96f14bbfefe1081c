"""The camera topic: a subscription that is as reliable as the camera offers."""

from collections.abc import Callable, Iterator

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

from tam_ros.options import Option
from tam_ros.ros.parameters import declare
from tam_ros.ros.subscription import BEST_EFFORT, RELIABLE, FollowingSubscription

FOLLOW_PERIOD_S = 0.5
AS_OFFERED = 'system_default'
RELIABILITIES = {'best_effort': BEST_EFFORT, 'reliable': RELIABLE, AS_OFFERED: None}
RELIABILITY = Option(
    AS_OFFERED,
    f'Reliability of the subscription to the camera; {AS_OFFERED} for what the camera offers.',
    choices=tuple(RELIABILITIES),
    live=False,
)
RAW_TYPE, COMPRESSED_TYPE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
SUFFIX = '/compressed'


class ImageInput:
    """Hands a node's images on. topic: its full name. warn takes a warning's kind and text.

    Images are larger than what DDS sends in one piece, and best effort does not send lost pieces
    again: with the defaults of Fast DDS that is two of five 640x480 images, on an idle machine.
    So the subscription is reliable while every camera on the topic is. The parameter
    `qos_overrides.TOPIC.subscription.reliability` decides otherwise.

    problem: why no image can arrive, '' while none is known.
    """

    def __init__(
        self,
        node: Node,
        offer: Callable[[Image | CompressedImage], None],
        warn: Callable[[str, str], None],
        *,
        compressed: bool,
    ):
        self._node = node
        self._warn = warn
        # As image_transport does: remapping `image` takes the compressed topic along.
        name = node.resolve_topic_name('image')
        self._raw_topic = name.removesuffix(SUFFIX) if compressed else name
        self.topic = self._raw_topic + SUFFIX if compressed else name
        self.problem = ''
        group = MutuallyExclusiveCallbackGroup()
        name = f'qos_overrides.{self.topic}.subscription.reliability'
        self._override = RELIABILITIES[declare(node, name, RELIABILITY)]
        self._subscription = FollowingSubscription(
            node,
            CompressedImage if compressed else Image,
            self.topic,
            offer,
            group=group,
            qos=QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST),
            reliability=self._override,
        )
        self._subscription.open(QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)))
        # Not in ROS time, which may stand still.
        node.create_timer(
            FOLLOW_PERIOD_S,
            self._look_for_cameras,
            callback_group=group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def _look_for_cameras(self) -> None:
        offered = self._subscription.offered
        problem = self._find_problem(offered)
        if problem and problem != self.problem:
            self._warn('no_images', f'no images: {problem}')
        self.problem = problem
        self._subscription.follow(offered)

    def _find_problem(self, offered: ReliabilityPolicy | None) -> str:
        if offered == BEST_EFFORT and self._override == RELIABLE:
            return (
                f'the camera publishes with best effort: set qos_overrides.{self.topic}'
                '.subscription.reliability to best_effort'
            )
        if offered is not None:
            return ''
        type_name, elsewhere = self._subscription.type_name, next(self._elsewhere(), '')
        return elsewhere and f'nothing publishes {type_name} on {self.topic}, but {elsewhere}'

    def _elsewhere(self) -> Iterator[str]:
        """Say what is published that may have been meant, and how to listen to that."""
        for topic in (self.topic, self._raw_topic, self._raw_topic + SUFFIX):
            for publisher in self._node.get_publishers_info_by_topic(topic):
                if publisher.topic_type:  # known a little later than the publisher itself
                    yield f'{topic} carries {publisher.topic_type}: {_way_to(topic, publisher)}'


def _way_to(topic: str, publisher) -> str:
    """Return what to set so that the images of a publisher arrive."""
    if publisher.topic_type == RAW_TYPE:
        return f'set image:={topic} image_transport:=raw'
    if publisher.topic_type != COMPRESSED_TYPE:
        return f'publish {RAW_TYPE} or {COMPRESSED_TYPE}'
    if topic.endswith(SUFFIX):
        return f'set image:={topic} image_transport:=compressed'
    return f'set image_transport:=compressed, and remap {topic}{SUFFIX}:={topic}'
