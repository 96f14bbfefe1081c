"""What the page shows, of the tracker's topics: subscribed only while somebody looks."""

import math
import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from message_filters import SimpleFilter, TimeSynchronizer
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from tam_ros.masks import MaskCrop
from tam_ros.msg import TrackedObject, TrackedObjectArray
from tam_ros.overlay import color_of
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.ros.decoding import ImageError
from tam_ros.ros.depth_messages import object_to_mask
from tam_ros.ros.feed import SILENT_S, Feed
from tam_ros.ros.statistics import RollingStatistics
from tam_ros.web.pictures import Picture, ShownObject

STATES = {
    TrackedObject.TENTATIVE: 'tentative',
    TrackedObject.TRACKED: 'tracked',
    TrackedObject.OCCLUDED: 'occluded',
    TrackedObject.LOST: 'lost',
}
TOPIC = 'tam/overlay/compressed'
JPEG = b'\xff\xd8'  # how it begins
WAITING = 10  # messages of a topic that wait for the other's


class WatchedInput:
    """Joins overlay and objects of each image, and hears how the tracker is.

    take: called with each picture. warn takes the kind and the text of a warning. group: in which
    all this happens, and `listen` is to be called.
    """

    def __init__(
        self,
        node: Node,
        take: Callable[[Picture], None],
        warn: Callable[[str, str], None],
    ):
        self._take, self._warn = take, warn
        self._clock = node.get_clock()
        self._tracker = f'{node.resolve_topic_name("tam")}: tracking'  # its name in diagnostics
        self.group = group = MutuallyExclusiveCallbackGroup()
        self._pictures = Feed(node, CompressedImage, TOPIC, self._on_overlay, group)
        self._others = (
            Feed(node, TrackedObjectArray, 'tam/objects', self._on_objects, group),
            Feed(node, DiagnosticArray, '/diagnostics', self._on_diagnostics, group),
        )
        self._forget()

    def _forget(self) -> None:
        self._statistics = RollingStatistics()
        self._age_s: float | None = None
        self._words, self._heard_s = '', 0.0
        self._start_joining()

    def _start_joining(self) -> None:
        self._newest_ns = 0
        self._overlays, self._objects = SimpleFilter(), SimpleFilter()
        self._join = TimeSynchronizer([self._overlays, self._objects], WAITING)
        self._join.registerCallback(self._on_joined)

    def listen(self, wanted: bool) -> None:
        """Subscribe or not; call it now and then while wanted."""
        if not wanted:
            self._forget()
        for feed in (self._pictures, *self._others):
            feed.listen(wanted)

    @property
    def rate_hz(self) -> float:
        """Images per second that the tracker answers."""
        return self._statistics.rate_hz

    @property
    def age_ms(self) -> float | None:
        """How old the newest masks were when they came; None where the clocks do not agree."""
        return None if self._age_s is None or self._age_s < 0 else self._age_s * 1e3

    @property
    def silence(self) -> str:
        """Why there is nothing new to look at, for a viewer; '' while there is."""
        problem = self._pictures.problem
        if not problem:
            return ''
        if time.monotonic() - self._heard_s > SILENT_S:
            return f'The tracker is silent: {problem}.'
        if self._words and not self._words.startswith('no images'):
            return f'The tracker says: {self._words}.'
        return f'The camera is silent: {self._words or f"nothing new for {SILENT_S:g} s"}.'

    def _on_overlay(self, msg: CompressedImage) -> None:
        self._overlays.signalMessage(msg)

    def _on_objects(self, msg: TrackedObjectArray) -> None:
        stamp_ns = stamp_to_ns(msg.header.stamp)
        if stamp_ns < self._newest_ns:
            self._start_joining()  # of what waits the oldest give way: all that would come now
        self._newest_ns = stamp_ns
        self._age_s = (self._clock.now().nanoseconds - stamp_ns) * 1e-9
        self._statistics.add(self._age_s, 0.0)
        self._objects.signalMessage(msg)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == self._tracker:
                self._heard_s = time.monotonic()
                self._words = '' if status.level == DiagnosticStatus.OK else status.message

    def _on_joined(self, overlay: CompressedImage, objects: TrackedObjectArray) -> None:
        jpeg = overlay.data.tobytes()
        size_wh = (objects.image_width, objects.image_height)
        if not jpeg.startswith(JPEG) or 0 in size_wh:
            self._warn(
                'ignored_overlays',
                f'overlay ignored: {overlay.format!r} of {size_wh[0]}x{size_wh[1]} pixels is no '
                f'JPEG; is something else on {self._pictures.topic}?',
            )
            return
        shown = tuple(self._shown(tracked, size_wh) for tracked in objects.objects)
        self._take(Picture(stamp_to_ns(overlay.header.stamp), size_wh, jpeg, shown))

    def _shown(self, tracked: TrackedObject, size_wh: tuple[int, int]) -> ShownObject:
        return ShownObject(
            tracked.id,
            tracked.label,
            STATES.get(tracked.state, 'unknown'),
            tracked.score if math.isfinite(tracked.score) else 0.0,
            '#{:02x}{:02x}{:02x}'.format(*color_of(tracked.id)),
            self._mask(tracked, size_wh),
        )

    def _mask(self, tracked: TrackedObject, size_wh: tuple[int, int]) -> MaskCrop | None:
        try:
            return object_to_mask(tracked, size_wh)
        except ImageError as error:
            self._warn('ignored_masks', f'mask ignored: {error}')
            return None
