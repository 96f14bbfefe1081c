"""The camera topic: a subscription that is as reliable as the camera offers."""

import threading
from collections.abc import Callable, Iterator

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from tam_ros.ros.subscription import FollowingSubscription, transport_topic

FOLLOW_PERIOD_S = 0.5
RAW_TYPE, COMPRESSED_TYPE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
SUFFIX = '/compressed'


class ImageInput:
    """Hands a node's images on until it is closed.

    topic: its full name. warn takes a warning's kind and text.

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
        suffix = SUFFIX if compressed else ''
        self.topic = transport_topic(node, 'image', suffix)
        self._raw_topic = self.topic.removesuffix(suffix)
        self.problem = ''
        group = MutuallyExclusiveCallbackGroup()
        self._subscription = FollowingSubscription(
            node,
            CompressedImage if compressed else Image,
            self.topic,
            offer,
            group=group,
            depth=1,
        )
        self._subscription.open()
        self._lock = threading.Lock()  # whoever closes is no callback of the group
        # Not in ROS time, which may stand still.
        self._timer = node.create_timer(
            FOLLOW_PERIOD_S,
            self._look_for_cameras,
            callback_group=group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def close(self) -> None:
        """Listen no more."""
        with self._lock:
            self._node.destroy_timer(self._timer)
            self._subscription.close()

    def _look_for_cameras(self) -> None:
        with self._lock:
            if self._subscription.is_open:
                self._follow_cameras()

    def _follow_cameras(self) -> None:
        offered = self._subscription.offered
        problem = self._find_problem(offered)
        if problem and problem != self.problem:
            self._warn('no_images', f'no images: {problem}')
        self.problem = problem
        self._subscription.follow(offered)

    def _find_problem(self, offered: ReliabilityPolicy | None) -> str:
        if offered is not None:
            refusal = self._subscription.refusal
            return refusal and f'the camera publishes {refusal}'
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
