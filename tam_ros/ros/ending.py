"""How a node ends by what fails in its worker."""

from rclpy.node import Node


def end_by_failure(node: Node, failure: BaseException) -> None:
    """Have a node's process end, and tell what failed: see `process.run`."""
    if node.context.ok():  # otherwise only the shutdown, found somewhere on the way
        node.failure = failure
        node.context.try_shutdown()
