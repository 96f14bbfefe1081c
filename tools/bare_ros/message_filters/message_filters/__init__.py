"""Messages of several topics joined by their stamps: stand-in for the package message_filters.

Same calls and same behaviour as the Python of that package, as far as it goes: what is found
here works there.
"""

import itertools
import threading
from collections.abc import Callable, Sequence

__all__ = ['ApproximateTimeSynchronizer', 'SimpleFilter', 'Subscriber', 'TimeSynchronizer']

NS_PER_S = 1_000_000_000


class SimpleFilter:
    """Hands messages on to callbacks."""

    def __init__(self):
        self.callbacks: dict[int, tuple[Callable, tuple]] = {}

    def registerCallback(self, cb: Callable, *args) -> int:  # noqa: N802
        """Have cb called with each message, and with args."""
        number = len(self.callbacks)
        self.callbacks[number] = (cb, args)
        return number

    def signalMessage(self, *msg) -> None:  # noqa: N802
        """Hand messages on."""
        for callback, args in self.callbacks.values():
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """Hands on the messages of a topic; takes a node, a type, a topic and what rclpy takes."""

    def __init__(self, node, message_type, topic: str, **options):
        super().__init__()
        self.node, self.topic = node, topic
        options.setdefault('qos_profile', 10)
        self.sub = node.create_subscription(message_type, topic, self.callback, **options)

    def callback(self, msg) -> None:
        """Take a message."""
        self.signalMessage(msg)

    def getTopic(self) -> str:  # noqa: N802
        """Return the topic."""
        return self.topic


class TimeSynchronizer(SimpleFilter):
    """Hands on one message of each filter, all with the same stamp.

    queue_size: messages of each filter that wait for those of others; the oldest give way.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int):
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.queues: list[dict[int, object]] = [{} for _ in fs]
        for i, source in enumerate(fs):
            source.registerCallback(self.add, self.queues[i], i)

    def add(self, msg, my_queue: dict, my_queue_index: int) -> None:
        """Take a message of one filter."""
        with self.lock:
            stamp_ns = self._put(msg, my_queue)
            self._hand_on_first(self._partners(stamp_ns, my_queue_index))

    def _put(self, msg, queue: dict) -> int:
        stamp = msg.header.stamp
        stamp_ns = stamp.sec * NS_PER_S + stamp.nanosec
        queue[stamp_ns] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]
        return stamp_ns

    def _partners(self, stamp_ns: int, index: int):
        """Yield the stamps of sets that a message of a filter may be in, the best first."""
        yield [stamp_ns] * len(self.queues)

    def _hand_on_first(self, sets) -> None:
        for stamps in sets:
            if all(stamp in queue for queue, stamp in zip(self.queues, stamps)):
                self.signalMessage(*(q[stamp] for q, stamp in zip(self.queues, stamps)))
                for queue, stamp in zip(self.queues, stamps):
                    del queue[stamp]
                return


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Hands on one message of each filter, with stamps less than slop seconds apart."""

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int, slop: float):
        super().__init__(fs, queue_size)
        self.slop_ns = round(slop * NS_PER_S)

    def _partners(self, stamp_ns: int, index: int):
        near = [
            sorted((s for s in queue if abs(s - stamp_ns) <= self.slop_ns), key=_from(stamp_ns))
            for queue in self.queues
        ]
        near[index] = [stamp_ns]
        for stamps in itertools.product(*near):
            if max(stamps) - min(stamps) < self.slop_ns:
                yield stamps


def _from(stamp_ns: int) -> Callable[[int], int]:
    return lambda other_ns: abs(other_ns - stamp_ns)
