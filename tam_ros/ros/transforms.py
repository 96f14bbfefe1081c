"""Transforms by TF at an image's stamp, waited for within a bound."""

import time
from collections.abc import Callable

import numpy as np
import tf2_ros
from builtin_interfaces.msg import Time as Stamp
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from tam_ros.geometry.placement import Placement
from tam_ros.ros.joined_input import JUMP_NS
from tam_ros.ros.options_3d import OutputOptions
from tam_ros.ros.placement import transform_to_placement

POLL_S = 0.005


class Transforms:
    """Looks transforms up, in one thread, which it makes wait. warn takes kind and text."""

    def __init__(self, node: Node, warn: Callable[[str, str], None]):
        self._node, self._warn = node, warn
        self._buffer = tf2_ros.Buffer()
        self._newest_ns = 0  # stamp of the last image that was looked up for
        self._listener: tf2_ros.TransformListener | None = None
        self._broadcaster: tf2_ros.TransformBroadcaster | None = None

    @property
    def listens(self) -> bool:
        """Whether this node itself is one of those that listen to TF."""
        return self._listener is not None

    def listen(self, wanted: bool) -> None:
        """Listen to TF or not; it must be some time before anything is looked up."""
        if wanted and self._listener is None:
            self._listener = tf2_ros.TransformListener(self._buffer, self._node)
        elif not wanted and self._listener is not None:
            self._listener.unregister()
            self._listener = None

    def placement(self, header: Header, options: OutputOptions) -> Placement | None:
        """Return where the camera of an image is in the frame of the outputs.

        None where that is not to be had in time, which is warned of.
        """
        if options.target_frame in ('', header.frame_id):
            return Placement()
        return self._look_up(options.target_frame, header, options.tf_timeout_s)

    def up(self, header: Header, options: OutputOptions) -> np.ndarray | None:
        """Return (3,) up in the camera's frame; None where it is not given or not to be had."""
        if not options.up_frame:
            return options.up_xyz
        found = self._look_up(options.up_frame, header, options.tf_timeout_s)
        return None if found is None else found.turn[2]

    def send(self, transforms: list[TransformStamped]) -> None:
        """Broadcast transforms."""
        if self._broadcaster is None:
            self._broadcaster = tf2_ros.TransformBroadcaster(self._node)
        self._broadcaster.sendTransform(transforms)

    def _look_up(self, target: str, header: Header, timeout_s: float) -> Placement | None:
        stamp = Time.from_msg(header.stamp)
        self._follow_jump(stamp.nanoseconds)
        self._wait(target, header.frame_id, stamp, timeout_s)
        try:
            found = self._buffer.lookup_transform(target, header.frame_id, stamp)
        except tf2_ros.TransformException as error:
            why = f'no transform from {header.frame_id} to {target} at {_seconds(header.stamp)}'
            self._warn('missing_transforms', f'{why}: {str(error).strip()}')
            return None
        return transform_to_placement(found)

    def _follow_jump(self, stamp_ns: int) -> None:
        """Forget what is known where time has jumped back, as of a looped bag.

        It is of times that are yet to come, and tf2 takes nothing that is ten seconds older.
        """
        if stamp_ns < self._newest_ns - JUMP_NS:
            self._buffer.clear()
        self._newest_ns = stamp_ns

    def _wait(self, target: str, source: str, stamp: Time, timeout_s: float) -> None:
        """Wait in real time, as ROS time may stand still."""
        deadline = time.monotonic() + timeout_s
        while not self._buffer.can_transform(target, source, stamp):
            if time.monotonic() >= deadline or not self._node.context.ok():
                return
            time.sleep(POLL_S)


def _seconds(stamp: Stamp) -> str:
    return f'{stamp.sec}.{stamp.nanosec:09d}'
