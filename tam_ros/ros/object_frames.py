"""The frames of objects in TF: while they are visible, and a given time longer."""

from collections.abc import Iterable, Sequence

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from std_msgs.msg import Header

from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.ros.conversions_3d import object_to_transform
from tam_ros.ros.options_3d import OutputOptions
from tam_ros.ros.placement import PlacedObject
from tam_ros.ros.transforms import Transforms

TF_TOPIC = '/tf'


class ObjectFrames:
    """Broadcasts the frame of each object's box."""

    def __init__(self, node: Node, transforms: Transforms):
        self._node, self._transforms = node, transforms
        self._last: dict[int, TransformStamped] = {}

    def wanted(self, options: OutputOptions) -> bool:
        """Whether somebody else than this node listens to TF."""
        listeners = self._node.count_subscribers(TF_TOPIC) - self._transforms.listens
        return options.broadcast_tf and listeners > 0

    def send(
        self,
        objects: Sequence[PlacedObject],
        tracked_ids: Iterable[int],
        header: Header,
        options: OutputOptions,
    ) -> None:
        """Broadcast under a header: its stamp is the image's, its frame that of the boxes.

        tracked_ids: of all objects, hidden ones included; others are forgotten.
        """
        new = {
            placed.object_id: object_to_transform(
                placed, header, f'{options.tf_prefix}object_{placed.object_id}'
            )
            for placed in objects
        }
        known = self._last | new
        self._last = {i: known[i] for i in tracked_ids if i in known}
        held = [
            _again(last, header)
            for object_id, last in self._last.items()
            if object_id not in new and _is_held(last, header, options.tf_hold_s)
        ]
        if new or held:
            self._transforms.send([*new.values(), *held])


def _is_held(last: TransformStamped, header: Header, hold_s: float) -> bool:
    since_ns = stamp_to_ns(header.stamp) - stamp_to_ns(last.header.stamp)
    return last.header.frame_id == header.frame_id and 0 <= since_ns <= hold_s * 1e9


def _again(last: TransformStamped, header: Header) -> TransformStamped:
    return TransformStamped(
        header=header, child_frame_id=last.child_frame_id, transform=last.transform
    )
