"""What a configured tracker does with each image of its camera, from decoding to publishing."""

import time
from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from tam_ros.engine.allocation import resident_mb
from tam_ros.engine.base import Engine, NotFiniteError
from tam_ros.ros import conversions
from tam_ros.ros.decoding import ImageError, ImageOptions, message_to_rgb
from tam_ros.ros.detections import DetectionInput
from tam_ros.ros.diagnostics import diagnostics_message
from tam_ros.ros.image_input import ImageInput
from tam_ros.ros.notices import Notices
from tam_ros.ros.parameters import NodeOptions, read_options
from tam_ros.ros.statistics import RollingStatistics
from tam_ros.ros.worker import Worker
from tam_ros.tracker.continuity import Remark
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.results import FrameResult
from tam_ros.tracker.session import Session

COUNTS = ('ignored_images', 'ignored_detections', 'resets')  # in the diagnostics also when 0


class ImageTracking:
    """Tracks objects in a node's images in its worker, and publishes them, while it is open.

    publish: takes what was found in an (H, W, 3) image, the image and its header. engine, session:
    what it tracks with. newest_header: of the newest frame.
    """

    def __init__(
        self,
        node: Node,
        worker: Worker,
        publish: Callable[[FrameResult, np.ndarray, Header], None],
        notices: Notices,
        *,
        engine: Engine,
        session: Session,
    ):
        self._node = node
        self._worker = worker
        self._publish = publish
        self._notices = notices
        self.engine = engine
        self.session = session
        self.newest_header = Header()
        self._detector = DetectionInput(node, worker, session, notices.warn)
        self._images: ImageInput | None = None
        self._statistics = RollingStatistics()
        self._fault = ''  # why the newest frame was not tracked
        self._left_out = 0

    def open(self) -> str:
        """Listen to camera and detector from now on; return the camera's topic.

        Raises ValueError for a parameter that is not allowed.
        """
        options = read_options(self._node, NodeOptions)
        self._images = ImageInput(
            self._node,
            self._worker.offer,
            self._notices.warn,
            compressed=options.image_transport == 'compressed',
        )
        self._detector.open()
        return self._images.topic

    def close(self) -> None:
        """Listen no more."""
        self._detector.close()
        if self._images is not None:
            self._images.close()
        self._images = None

    def forget_what_waits(self) -> None:
        """Forget detections whose frames have not come; the worker calls it."""
        self._detector.forget()

    # -- frames, in the worker thread -------------------------------------------------------

    def process(self, msg: Image | CompressedImage) -> None:
        """Track in one image and publish what was found."""
        started = time.monotonic()
        try:
            image_rgb = self._decode(msg)
        except ImageError as error:
            self._notices.warn('ignored_images', f'image ignored: {error}')
            return
        # Parameters may be set at any time, but hold for whole frames.
        self.session.options = read_options(self._node, SessionOptions)
        stamp_ns = conversions.stamp_to_ns(msg.header.stamp)
        try:
            frame = self.session.step(image_rgb, stamp_ns, frame_id=msg.header.frame_id)
        except NotFiniteError as error:  # nothing is published of it, and no object forgotten
            self.newest_header, self._fault = msg.header, str(error)
            self._notices.warn('untracked_images', f'image not tracked: {error}')
            return
        if frame.remark:
            self._notices.warn(_key(frame.remark), frame.remark.text)
        if frame.left_out:
            self._leave_out(frame.left_out)
            return
        self.newest_header, self._fault = msg.header, ''
        if frame.reset_reason:
            self._notices.warn('resets', f'tracker reset: {frame.reset_reason}')
        if self._node.context.ok():  # the shutdown may have come while the frame was tracked
            self._publish(frame, image_rgb, msg.header)
        age_ns = self._node.get_clock().now().nanoseconds - frame.stamp_ns
        self._statistics.add(age_ns * 1e-9, time.monotonic() - started)
        self._detector.apply_due()

    def _leave_out(self, why: Remark) -> None:
        self._left_out += 1
        self._notices.warn(_key(why), f'image left out: {why.text}')

    def _decode(self, msg: Image | CompressedImage):
        return message_to_rgb(msg, read_options(self._node, ImageOptions))

    # -- diagnostics ------------------------------------------------------------------------

    def diagnostics(self):
        """Return a message on how the tracking goes."""
        images = self._images
        return diagnostics_message(
            self._node.get_fully_qualified_name(),
            self._node.get_clock().now().to_msg(),
            self.engine.spec,
            self._statistics,
            problem='' if images is None else images.problem,
            fault=self._fault,
            dropped_frames=self._worker.dropped,
            left_out_frames=self._left_out,
            dropped_detections=self._detector.dropped,
            resident_memory_mb=f'{resident_mb():.0f}',
            device_memory_mb=f'{self.engine.device_memory_mb():.0f}',
            **(dict.fromkeys(COUNTS, 0) | self._notices.counts),
        )


def _key(remark: Remark) -> str:
    """Return the kind of a remark as a key of the diagnostics."""
    return remark.kind.replace(' ', '_')
