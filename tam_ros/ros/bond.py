"""The bond between a managed node and its manager, by which that learns of the node's death."""

from rclpy.node import Node

try:
    from bondpy import bondpy
except ModuleNotFoundError:  # a package of its own, which older distributions lack
    bondpy = None

TOPIC = 'bond'
HEARTBEAT_PERIOD_S, HEARTBEAT_TIMEOUT_S = 0.1, 4.0  # as nodes of Nav2 have them


class Bond:
    """A bond that a node forms each time it is activated, under its own name, as Nav2 expects.

    Without the package bondpy there is none: the manager must do without (bond_timeout 0).
    """

    def __init__(self, node: Node):
        self._node = node
        self._bond = None

    def form(self) -> None:
        """Begin to tell the manager that the node lives."""
        if bondpy is None:
            self._node.get_logger().info(
                'no bond, as bondpy is not installed: a manager must not wait for one, as with '
                "Nav2's parameter bond_timeout at 0"
            )
            return
        self._bond = bondpy.Bond(TOPIC, self._node.get_name(), self._node)
        self._bond.set_heartbeat_period(HEARTBEAT_PERIOD_S)
        self._bond.set_heartbeat_timeout(HEARTBEAT_TIMEOUT_S)
        self._bond.start()

    def end(self) -> None:
        """Break it, of which the manager is told."""
        if self._bond is not None:
            self._bond.shutdown()
        self._bond = None
