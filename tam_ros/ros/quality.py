"""Quality of service: what topics have by default, and what a user overrides for each of them.

By parameters that are named as rclpy names them, such as `qos_overrides./tam/objects.publisher.
reliability`. rclpy would declare them as well, but only once a topic is opened, and ends a node
with a traceback for a value that is not allowed.
"""

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from tam_ros.options import Option
from tam_ros.ros.parameters import declare

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
AS_OFFERED = ReliabilityPolicy.SYSTEM_DEFAULT
RELIABILITIES = {'best_effort': BEST_EFFORT, 'reliable': RELIABLE, 'system_default': AS_OFFERED}
HISTORIES = {'keep_last': HistoryPolicy.KEEP_LAST, 'keep_all': HistoryPolicy.KEEP_ALL}
RESULTS_DEPTH = 5


def results_quality(node: Node, topic: str) -> QoSProfile:
    """Return how results are published on a topic: reliably, unless the user overrides that.

    Masks come in several pieces, and lost ones are sent again; it suits subscribers of either
    kind. Raises ValueError for a value that is not allowed.
    """
    text = 'Reliability of what is published.'
    full_name = node.resolve_topic_name(topic)
    return _overridden(node, full_name, 'publisher', RESULTS_DEPTH, ('reliable', text))


def input_quality(node: Node, topic: str, depth: int) -> QoSProfile:
    """Return how messages are received, of which depth wait, unless the user overrides that.

    topic: its full name. The reliability is AS_OFFERED where it is to be that of the publishers.
    Raises ValueError for a value that is not allowed.
    """
    text = 'Reliability of the subscription; system_default for what publishers offer.'
    return _overridden(node, topic, 'subscription', depth, ('system_default', text))


def reliability_parameter(topic: str) -> str:
    """Return the name of the parameter that overrides the reliability of a subscription."""
    return _parameter(topic, 'subscription', 'reliability')


def _overridden(
    node: Node, topic: str, role: str, depth: int, reliability: tuple[str, str]
) -> QoSProfile:
    """Declare the parameters of a topic in a role; reliability: its default and description."""

    def ask(policy: str, option: Option):
        return declare(node, _parameter(topic, role, policy), option)

    history = Option('keep_last', 'Which messages wait.', choices=tuple(HISTORIES), live=False)
    waiting = Option(depth, 'Messages that wait at most.', between=(1, 10000), live=False)
    reliable = Option(*reliability, choices=tuple(RELIABILITIES), live=False)
    return QoSProfile(
        history=HISTORIES[ask('history', history)],
        depth=ask('depth', waiting),
        reliability=RELIABILITIES[ask('reliability', reliable)],
    )


def _parameter(topic: str, role: str, policy: str) -> str:
    return f'qos_overrides.{topic}.{role}.{policy}'
