"""The tracker node: a camera topic and prompts in, masks and boxes with stable ids out.

Callbacks only pass things on; decoding, tracking and publishing happen in one worker thread, so
services and parameters answer while a frame is worked on.
"""

import time
from concurrent import futures
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from tam_ros.engine.allocation import resident_mb
from tam_ros.engine.base import Engine, NotFiniteError
from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.msg import TrackedObjectArray
from tam_ros.overlay import compress_overlay, draw_overlay
from tam_ros.ros import conversions
from tam_ros.ros.decoding import ImageError, ImageOptions, message_to_rgb
from tam_ros.ros.detections import DetectionInput
from tam_ros.ros.diagnostics import diagnostics_message, starting_message
from tam_ros.ros.ending import end_by_failure
from tam_ros.ros.image_input import ImageInput
from tam_ros.ros.notices import Notices
from tam_ros.ros.parameters import NodeOptions, declare_parameters, read_options
from tam_ros.ros.quality import results_quality
from tam_ros.ros.services import ObjectServices
from tam_ros.ros.statistics import RollingStatistics
from tam_ros.ros.worker import Worker
from tam_ros.tracker.continuity import Remark
from tam_ros.tracker.forecast import MAX_HORIZON_S, reaches
from tam_ros.tracker.memory_options import MemoryOptions
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import make_policy
from tam_ros.tracker.results import FrameResult
from tam_ros.tracker.session import Session
from tam_ros.weights import REPRODUCIBLE

STOP_TIMEOUT_S = 1.0
DIAGNOSTICS_PERIOD_S = 1.0
COUNTS = ('ignored_images', 'ignored_detections', 'resets')  # in the diagnostics also when 0


class TrackerNode(Node):
    """Tracks prompted objects in a camera topic; README.md describes its interface.

    engine: to track with, in place of the one that the parameters choose.
    failure: what ended the tracking, and with it the node; None while all is well.

    Raises ValueError or DownloadError, naming the parameter's value, if it cannot start.
    """

    def __init__(self, *, engine: Engine | None = None):
        super().__init__('tam')
        declare_parameters(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._newest_header = Header()
        self._statistics = RollingStatistics()
        self._notices = Notices(self.get_logger().warning)
        self._fault = ''  # why the newest frame was not tracked
        self._left_out = 0
        self.failure: BaseException | None = None
        self._worker: Worker[Image | CompressedImage] = Worker(
            self._process, partial(end_by_failure, self)
        )
        self._worker.start()
        self._engine, self._session = self._start_tracking(engine)
        self._create_publishers()
        ObjectServices(
            self, self._worker, self._session, lambda: self._newest_header, self._notices.warn
        )
        self._detector = DetectionInput(self, self._worker, self._session, self._notices.warn)
        self._images = ImageInput(
            self,
            self._worker.offer,
            self._notices.warn,
            compressed=self._options().image_transport == 'compressed',
        )
        # Not in ROS time, which may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=steady)
        spec = self._engine.spec
        self.get_logger().info(
            f'ready: {spec.model} at {spec.image_size} px on {spec.device} ({spec.runtime}), '
            f'listening to {self._images.topic}'
        )

    def stop(self) -> None:
        """End the worker thread, or give up waiting for it."""
        self._worker.stop(STOP_TIMEOUT_S)

    # -- set-up -----------------------------------------------------------------------------

    def _options(self) -> NodeOptions:
        return read_options(self, NodeOptions)

    def _start_tracking(self, engine: Engine | None) -> tuple[Engine, Session]:
        """Load in the worker, which may last; publish meanwhile that the node starts.

        Only one thread may ever compute (see `TorchEngine`), or a frame takes half as long again.
        """
        name = self.get_fully_qualified_name()
        what = self._what_starts(engine)
        self.get_logger().info(f'starting: {what}')
        tracking = self._worker.submit(lambda: self._load(engine or self._load_engine()))
        while not tracking.done():
            stamp = self.get_clock().now().to_msg()
            self._diagnostics.publish(starting_message(name, stamp, what))
            futures.wait([tracking], timeout=DIAGNOSTICS_PERIOD_S)
        return tracking.result()

    def _what_starts(self, engine: Engine | None) -> str:
        if engine is not None:
            return f'{engine.spec.model} on {engine.spec.device}, as given'
        choice = read_options(self, EngineChoice)
        return f'{choice.model} with {choice.resolved_engine} on {choice.device}'

    def _load(self, engine: Engine) -> tuple[Engine, Session]:
        memory = read_options(self, MemoryOptions)
        session = Session(
            engine,
            read_options(self, SessionOptions),
            max_objects=memory.max_objects,
            max_prompted_frames=memory.max_prompted_frames,
            policy=make_policy(memory.memory_policy),
        )
        session.warm_up()
        return engine, session

    def _load_engine(self) -> Engine:
        engine = load_engine(read_options(self, EngineChoice))
        if engine.spec.weights == REPRODUCIBLE:
            self.get_logger().warning('untrained weights, made by rule: the masks mean nothing')
        return engine

    def _create_publishers(self) -> None:
        self._objects = self._results_publisher(TrackedObjectArray, '~/objects')
        self._detections = self._results_publisher(Detection2DArray, '~/detections')
        self._label_image = self._results_publisher(Image, '~/label_image')
        self._overlay = self._results_publisher(Image, '~/overlay')
        self._compressed = self._results_publisher(CompressedImage, '~/overlay/compressed')

    def _results_publisher(self, message_type, topic: str):
        return self.create_publisher(message_type, topic, results_quality(self, topic))

    # -- frames, in the worker thread -------------------------------------------------------

    def _process(self, msg: Image | CompressedImage) -> None:
        """Track in one image and publish what was found."""
        started = time.monotonic()
        try:
            image_rgb = self._decode(msg)
        except ImageError as error:
            self._notices.warn('ignored_images', f'image ignored: {error}')
            return
        # Parameters may be set at any time, but hold for whole frames.
        self._session.options = read_options(self, SessionOptions)
        stamp_ns = conversions.stamp_to_ns(msg.header.stamp)
        try:
            frame = self._session.step(image_rgb, stamp_ns, frame_id=msg.header.frame_id)
        except NotFiniteError as error:  # nothing is published of it, and no object forgotten
            self._newest_header, self._fault = msg.header, str(error)
            self._notices.warn('untracked_images', f'image not tracked: {error}')
            return
        if frame.remark:
            self._notices.warn(_key(frame.remark), frame.remark.text)
        if frame.left_out:
            self._leave_out(frame.left_out)
            return
        self._newest_header, self._fault = msg.header, ''
        if frame.reset_reason:
            self._notices.warn('resets', f'tracker reset: {frame.reset_reason}')
        if self.context.ok():  # the shutdown may have come while the frame was tracked
            self.publish(frame, image_rgb, msg.header)
        age_ns = self.get_clock().now().nanoseconds - frame.stamp_ns
        self._statistics.add(age_ns * 1e-9, time.monotonic() - started)
        self._detector.apply_due()

    def _leave_out(self, why: Remark) -> None:
        self._left_out += 1
        self._notices.warn(_key(why), f'image left out: {why.text}')

    def _decode(self, msg: Image | CompressedImage):
        return message_to_rgb(msg, read_options(self, ImageOptions))

    def publish(self, frame: FrameResult, image_rgb, header: Header) -> None:
        """Publish what was found in an image, under its header."""
        self._objects.publish(self._objects_message(frame, header))
        self._detections.publish(conversions.frame_to_detections(frame, header))
        # Whole images are made only while somebody takes them.
        if self._label_image.get_subscription_count():
            labels = frame.label_image()
            self._label_image.publish(conversions.array_to_image(labels, '16UC1', header))
        self._publish_overlay(frame, image_rgb, header)

    def _publish_overlay(self, frame: FrameResult, image_rgb, header: Header) -> None:
        wanted = self._overlay.get_subscription_count(), self._compressed.get_subscription_count()
        if not any(wanted):
            return
        options = self._options()
        drawn = draw_overlay(image_rgb, frame, options.overlay_opacity, warn=self._notices.warn)
        if wanted[0]:
            self._overlay.publish(conversions.array_to_image(drawn, 'rgb8', header))
        if wanted[1]:
            jpeg = compress_overlay(
                drawn, max_width=options.compressed_width, quality=options.compressed_quality
            )
            self._compressed.publish(conversions.jpeg_to_image(jpeg, header))

    def _objects_message(self, frame: FrameResult, header: Header) -> TrackedObjectArray:
        now_ns = self.get_clock().now().nanoseconds
        forecast_ns = self._session.options.forecast_ns(frame.stamp_ns, now_ns)
        if forecast_ns is not None and not reaches(frame.stamp_ns, forecast_ns):
            self._notices.warn(
                'late_forecasts',
                f'no forecast for the time of publishing: it must be 0 to {MAX_HORIZON_S:g} s '
                "after the image's stamp; is the camera's clock that of this node?",
            )
        return conversions.frame_to_objects(
            frame,
            header,
            forecast_ns=forecast_ns,
            forecast_masks=self._options().forecast_masks,
        )

    # -- diagnostics ------------------------------------------------------------------------

    def _publish_diagnostics(self) -> None:
        self._notices.say_due()
        message = diagnostics_message(
            self.get_fully_qualified_name(),
            self.get_clock().now().to_msg(),
            self._engine.spec,
            self._statistics,
            problem=self._images.problem,
            fault=self._fault,
            dropped_frames=self._worker.dropped,
            left_out_frames=self._left_out,
            dropped_detections=self._detector.dropped,
            resident_memory_mb=f'{resident_mb():.0f}',
            device_memory_mb=f'{self._engine.device_memory_mb():.0f}',
            **(dict.fromkeys(COUNTS, 0) | self._notices.counts),
        )
        self._diagnostics.publish(message)


def _key(remark: Remark) -> str:
    """Return the kind of a remark as a key of the diagnostics."""
    return remark.kind.replace(' ', '_')
