"""Where objects are in 3D, as the node beside the tracker says, while that is wanted."""

from geometry_msgs.msg import PoseStamped
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription
from vision_msgs.msg import Detection3DArray


class NewestPoses:
    """Listens to the objects' boxes in 3D while open; what it hears has them computed."""

    def __init__(self, node: Node, group: CallbackGroup):
        self._node = node
        self._group = group
        self._subscription: Subscription | None = None
        self._poses: dict[str, PoseStamped] = {}

    def open(self) -> None:
        """Listen from now on, if that is not so yet."""
        if self._subscription is None:
            self._subscription = self._node.create_subscription(
                Detection3DArray, '~/detections_3d', self._receive, 1, callback_group=self._group
            )

    def close(self) -> None:
        """Listen no more."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription, self._poses = None, {}

    def of(self, object_id: int) -> PoseStamped:
        """Return an object's pose from the newest message; an empty one where it has none."""
        return self._poses.get(str(object_id)) or PoseStamped()

    def _receive(self, msg: Detection3DArray) -> None:
        self._poses = {
            detection.id: PoseStamped(header=msg.header, pose=detection.bbox.center)
            for detection in msg.detections
        }
