"""Masks, depth and what else is of an image: subscribed while wanted, joined by their stamps."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from message_filters import ApproximateTimeSynchronizer, SimpleFilter
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from tam_ros.msg import TrackedObjectArray
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.ros.feed import Feed
from tam_ros.ros.image_input import SUFFIX
from tam_ros.ros.options_3d import InputOptions
from tam_ros.ros.subscription import transport_topic

# By the name of a transport: what its topics end with, and the type of their messages.
DEPTH_TRANSPORTS = {'raw': ('', Image), 'compressed': ('/compressedDepth', CompressedImage)}
IMAGE_TRANSPORTS = {'raw': ('', Image), 'compressed': (SUFFIX, CompressedImage)}
JUMP_NS = 1_000_000_000  # back in time
ALONE = 10  # masks in a row that meet no depth


@dataclass(frozen=True)
class JoinedFrame:
    """What is known of one image."""

    objects: TrackedObjectArray
    """The masks."""
    depth: Image | CompressedImage
    """As it came."""
    info: CameraInfo | None
    """The newest calibration, which need not be of this image; None before the first."""
    image: Image | CompressedImage | None
    """None where it is not asked for."""


class JoinedInput:
    """Hands on what belongs together. take: called with each `JoinedFrame`.

    Masks come later than the depth of their image, by as much as the tracker takes; depth waits
    for them. Of calibrations the newest holds. warn takes the kind and the text of a warning.
    """

    def __init__(
        self,
        node: Node,
        take: Callable[[JoinedFrame], None],
        warn: Callable[[str, str], None],
        options: InputOptions,
    ):
        self._take, self._warn, self._options = take, warn, options
        suffix, depth_type = DEPTH_TRANSPORTS[options.depth_transport]
        depth_topic = transport_topic(node, 'depth', suffix)
        # One at a time, not to wait for others; whoever calls `listen` does it in here, too.
        self.group = group = MutuallyExclusiveCallbackGroup()
        self._feeds = {
            'masks': Feed(node, TrackedObjectArray, 'tam/objects', self._on_masks, group),
            'depth': Feed(node, depth_type, depth_topic, self._on_depth, group),
            'calibration': Feed(node, CameraInfo, 'camera_info', self._on_info, group),
        }
        if options.colors == 'image':
            suffix, image_type = IMAGE_TRANSPORTS[options.image_transport]
            image_topic = transport_topic(node, 'image', suffix)
            self._feeds['image'] = Feed(node, image_type, image_topic, self._on_image, group)
        self.listening = False
        self._forget()

    def _forget(self) -> None:
        self._start_joining()
        self._info: CameraInfo | None = None
        self.newest_objects: TrackedObjectArray | None = None

    def _start_joining(self) -> None:
        self._masks, self._depth, self._image = filters = [SimpleFilter() for _ in range(3)]
        self._join = ApproximateTimeSynchronizer(
            filters if 'image' in self._feeds else filters[:2],
            self._options.queue_length,
            self._options.slop_s,
        )
        self._join.registerCallback(self._on_joined)
        self._depth_ns: deque[int] = deque(maxlen=self._options.queue_length)
        self._alone_ns: deque[int] = deque(maxlen=ALONE)

    @property
    def topics(self) -> str:
        """The topics, for a log."""
        return ', '.join(feed.topic for feed in self._feeds.values())

    @property
    def problem(self) -> str:
        """Why nothing is joined; '' while that is not known, or nothing is wanted."""
        problems = (f'no {what}: {f.problem}' for what, f in self._feeds.items() if f.problem)
        return next(problems, '')

    def listen(self, wanted: bool) -> None:
        """Subscribe or not; what has come before is forgotten."""
        if wanted != self.listening:
            self._forget()
            self.listening = wanted
        for feed in self._feeds.values():
            feed.listen(wanted)

    def _on_info(self, msg: CameraInfo) -> None:
        self._info = msg

    def _on_depth(self, msg: Image | CompressedImage) -> None:
        stamp_ns = stamp_to_ns(msg.header.stamp)
        if self._depth_ns and stamp_ns < self._depth_ns[-1] - JUMP_NS:
            # As of a looped bag: the oldest give way, which would be all that comes from now on.
            self._start_joining()
        self._depth_ns.append(stamp_ns)
        self._depth.signalMessage(msg)

    def _on_image(self, msg: Image | CompressedImage) -> None:
        self._image.signalMessage(msg)

    def _on_masks(self, msg: TrackedObjectArray) -> None:
        self.newest_objects = msg
        self._alone_ns.append(stamp_to_ns(msg.header.stamp))
        self._masks.signalMessage(msg)
        if len(self._alone_ns) == ALONE and self._depth_ns:
            self._warn('unmatched_masks', self._why_alone())

    def _on_joined(
        self,
        objects: TrackedObjectArray,
        depth: Image | CompressedImage,
        image: Image | CompressedImage | None = None,
    ) -> None:
        self._alone_ns.clear()
        self._take(JoinedFrame(objects, depth, self._info, image))

    def _why_alone(self) -> str:
        """Say of masks that met no depth by how much they missed it."""
        behind_s = (self._depth_ns[0] - self._alone_ns[-1]) * 1e-9
        if behind_s > 0 and len(self._depth_ns) == self._depth_ns.maxlen:
            return (
                f'masks come too late: the depth that waits is {behind_s:.2f} s newer; raise '
                f'queue_s, {self._options.queue_s:g}'
            )
        apart_ns = np.subtract.outer(np.array(self._alone_ns), np.array(self._depth_ns))
        return (
            f'masks and depth never meet: the nearest of their stamps are '
            f'{np.abs(apart_ns).min() * 1e-9:.3f} s apart; use depth with the stamps of the '
            f'images, or raise slop_s, {self._options.slop_s:g}'
        )
