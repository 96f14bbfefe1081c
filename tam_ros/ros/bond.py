"""The bond of a managed node with its manager, by which that learns of the node's death.

This is the node's half of the protocol of the package bond. Its own Python half, bondpy, takes its
topics from a node that is being spun, which ends the executor and with it the process.
"""

import uuid

from bond.msg import Status
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

PERIOD_S, TIMEOUT_S = 0.1, 4.0  # as nodes of Nav2 have them


class Bond:
    """Says while it is formed that a node lives, under the node's name, as Nav2 expects.

    The manager forms the bond, and breaks it, too; what the node does is not changed by either.
    """

    def __init__(self, node: Node):
        self._node = node
        self._instance_id = ''  # empty while it is not formed
        group = MutuallyExclusiveCallbackGroup()
        self._publisher = node.create_publisher(Status, 'bond', 10)
        node.create_subscription(Status, 'bond', self._hear, 10, callback_group=group)
        # Not in ROS time, which may stand still.
        self._timer = node.create_timer(
            PERIOD_S,
            self._beat,
            callback_group=group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._timer.cancel()

    def form(self) -> None:
        """Say from now on that the node lives."""
        self._instance_id = str(uuid.uuid4())
        self._timer.reset()

    def end(self) -> None:
        """Say that it goes, and no more."""
        self._timer.cancel()
        if self._instance_id:
            self._say(active=False)
        self._instance_id = ''

    def _beat(self) -> None:
        if self._instance_id:
            self._say(active=True)

    def _hear(self, msg: Status) -> None:
        is_managers = msg.id == self._node.get_name() and msg.instance_id != self._instance_id
        if self._instance_id and is_managers and not msg.active:
            self.end()  # which the manager waits for

    def _say(self, *, active: bool) -> None:
        msg = Status(
            id=self._node.get_name(),
            instance_id=self._instance_id,
            active=active,
            heartbeat_timeout=TIMEOUT_S,
            heartbeat_period=PERIOD_S,
        )
        msg.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(msg)
