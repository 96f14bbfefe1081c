"""The topics /tf and /tf_static."""

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

TRANSIENT = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class TransformListener:
    """Has a buffer know what both topics say, while the node is spun."""

    def __init__(self, buffer, node, *, spin_thread: bool = False):
        if spin_thread:
            raise NotImplementedError('spin the node')
        self.buffer, self.node = buffer, node
        group = ReentrantCallbackGroup()
        self.tf_sub = node.create_subscription(
            TFMessage, '/tf', self.callback, QoSProfile(depth=100), callback_group=group
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage, '/tf_static', self.static_callback, TRANSIENT, callback_group=group
        )

    def unregister(self) -> None:
        """End the subscriptions."""
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: TFMessage) -> None:
        """Take transforms that change."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, 'default_authority')

    def static_callback(self, data: TFMessage) -> None:
        """Take transforms that hold for ever."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, 'default_authority')


class TransformBroadcaster:
    """Publishes transforms that change."""

    def __init__(self, node, qos=None):
        self.pub_tf = node.create_publisher(TFMessage, '/tf', qos or QoSProfile(depth=100))

    def sendTransform(self, transform) -> None:  # noqa: N802
        """Publish a transform, or several."""
        transforms = list(transform) if hasattr(transform, '__iter__') else [transform]
        self.pub_tf.publish(TFMessage(transforms=transforms))


class StaticTransformBroadcaster:
    """Publishes transforms that hold for ever; those of before stay."""

    def __init__(self, node, qos=None):
        self.pub_tf = node.create_publisher(TFMessage, '/tf_static', qos or TRANSIENT)
        self._held = {}

    def sendTransform(self, transform) -> None:  # noqa: N802
        """Publish a transform, or several, with those of before."""
        transforms = transform if hasattr(transform, '__iter__') else [transform]
        self._held |= {held.child_frame_id: held for held in transforms}
        self.pub_tf.publish(TFMessage(transforms=list(self._held.values())))
