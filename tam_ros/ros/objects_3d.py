"""The node beside the tracker: masks and aligned depth in, objects in 3D out.

Callbacks only pass things on; all is computed in one worker thread, of which the newest frame
gets the next turn. While nobody listens, the node does not either.
"""

import time
from functools import partial
from typing import NoReturn

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from tam_ros.geometry.camera import CalibrationError, Camera
from tam_ros.geometry.depth import DepthError, size_difference
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.options import GeometryOptions
from tam_ros.masks import MaskCrop
from tam_ros.msg import TrackedObject, TrackedObjectArray
from tam_ros.ros import process
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.ros.decoding import ImageError, message_to_rgb
from tam_ros.ros.depth_messages import info_to_calibration, message_to_depth, object_to_mask
from tam_ros.ros.diagnostics import locating_message
from tam_ros.ros.ending import end_by_failure
from tam_ros.ros.joined_input import JoinedFrame, JoinedInput
from tam_ros.ros.locating import Locating, View
from tam_ros.ros.notices import Notices
from tam_ros.ros.object_frames import ObjectFrames
from tam_ros.ros.options_3d import PARAMETERS_3D, InputOptions, OutputOptions
from tam_ros.ros.outputs_3d import Outputs, Picture
from tam_ros.ros.parameters import declare_parameters, read_options
from tam_ros.ros.statistics import RollingStatistics
from tam_ros.ros.target import Target
from tam_ros.ros.transforms import Transforms
from tam_ros.ros.worker import Worker

NAME = 'objects_3d'
STOP_TIMEOUT_S = 1.0
LISTEN_PERIOD_S = 0.25
DIAGNOSTICS_PERIOD_S = 1.0
COUNTS = (  # in the diagnostics also when 0
    'ignored_depth',
    'ignored_images',
    'ignored_masks',
    'missing_calibration',
    'missing_transforms',
    'objects_without_depth',
    'unmatched_masks',
)


class Objects3D(Node):
    """Locates tracked objects by depth; docs/3d.md describes its interface.

    failure: what ended the work, and with it the node; None while all is well. Raises ValueError,
    naming the parameter's value, if it cannot start.
    """

    def __init__(self):
        super().__init__(NAME)
        declare_parameters(self, PARAMETERS_3D)
        read_options(self, OutputOptions)  # raises for what its range does not tell
        self.failure: BaseException | None = None
        self.is_starting = False  # it loads nothing
        self._camera: Camera | None = None
        self._problem = ''  # why nothing comes, as it was last said
        self._statistics = RollingStatistics()
        self._notices = Notices(self.get_logger().warning)
        self._worker: Worker[JoinedFrame] = Worker(self._process, partial(end_by_failure, self))
        self._worker.start()
        warn = self._notices.warn
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._outputs = Outputs(self)
        self._transforms = Transforms(self, warn)
        self._frames = ObjectFrames(self, self._transforms)
        self._locating = Locating(warn)
        self._input = JoinedInput(self, self._worker.offer, warn, read_options(self, InputOptions))
        self._target = Target(self, self._newest_objects)
        # Not in ROS time, which may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(
            LISTEN_PERIOD_S, self._listen, callback_group=self._input.group, clock=steady
        )
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=steady)
        self.get_logger().info(f'ready: joins {self._input.topics} while somebody listens')

    def stop(self) -> None:
        """End the worker thread, or give up waiting for it."""
        self._worker.stop(STOP_TIMEOUT_S)

    def _listen(self) -> None:
        options = self._output_options()
        wanted = self._outputs.any_wanted or self._frames.wanted(options)
        self._transforms.listen(wanted and options.needs_tf)
        self._input.listen(wanted)

    def _newest_objects(self) -> list[TrackedObject] | None:
        newest = self._input.newest_objects
        return None if newest is None else newest.objects

    def _output_options(self) -> OutputOptions:
        return read_options(self, OutputOptions)

    # -- frames, in the worker thread -------------------------------------------------------

    def _process(self, frame: JoinedFrame) -> None:
        """Locate the objects of one image, and publish what is wanted of them."""
        started = time.monotonic()
        try:
            depth = message_to_depth(frame.depth)
            _check_aligned(depth, frame.objects)
        except DepthError as error:
            self._notices.warn('ignored_depth', f'depth ignored: {error}')
            return
        objects, header = frame.objects.objects, frame.objects.header
        picture = Picture(
            header,
            self._masks(frame.objects),
            depth,
            self._target.of(objects),
            self._image_rgb(frame, depth),
            frame.info,
        )
        options = self._output_options()
        self._locating.forget_others(objects)
        if not self.context.ok():  # the shutdown came meanwhile
            return
        self._outputs.publish_pictures(picture, options)
        to_tf = self._frames.wanted(options)
        if to_tf or self._outputs.all_wanted or self._outputs.target_wanted:
            self._locate_and_publish(frame, picture, options, to_tf=to_tf)
        age_ns = self.get_clock().now().nanoseconds - stamp_to_ns(header.stamp)
        self._statistics.add(age_ns * 1e-9, time.monotonic() - started)

    def _image_rgb(self, frame: JoinedFrame, depth: np.ndarray) -> np.ndarray | None:
        """Return the image where points want its colours, None where it cannot be read."""
        if frame.image is None or not self._outputs.cloud_wanted:
            return None
        try:
            image_rgb = message_to_rgb(frame.image)
            wrong = size_difference(image_rgb.shape[1::-1], 'depth is', depth.shape[::-1])
            if wrong:
                raise ImageError(wrong)
        except ImageError as error:
            self._notices.warn(
                'ignored_images', f"image ignored, points have their object's colour: {error}"
            )
            return None
        return image_rgb

    def _masks(self, message: TrackedObjectArray) -> dict[int, MaskCrop]:
        """Return the masks of the objects that are visible, by id."""
        size_wh, masks = (message.image_width, message.image_height), {}
        for tracked in message.objects:
            crop = self._mask(tracked, size_wh)
            if crop is not None:
                masks[tracked.id] = crop
        return masks

    def _mask(self, tracked: TrackedObject, size_wh: tuple[int, int]) -> MaskCrop | None:
        try:
            return object_to_mask(tracked, size_wh)
        except ImageError as error:
            self._notices.warn('ignored_masks', f'mask ignored: {error}')
            return None

    def _locate_and_publish(
        self, frame: JoinedFrame, picture: Picture, options: OutputOptions, *, to_tf: bool
    ) -> None:
        view = self._view(frame, picture.depth, options)
        if view is None:
            return
        wanted = objects = frame.objects.objects
        if not self._outputs.all_wanted and not to_tf:
            wanted = [o for o in objects if o.id == picture.target_id]
        placed = self._locating.locate(wanted, picture.masks, view)
        header = Header(
            stamp=picture.header.stamp, frame_id=options.target_frame or picture.header.frame_id
        )
        self._outputs.publish_objects(placed, picture, header, view.frame.options.voxel_m)
        if to_tf:
            self._frames.send(placed, [o.id for o in objects], header, options)

    def _view(self, frame: JoinedFrame, depth: np.ndarray, options: OutputOptions) -> View | None:
        """Return from where depth was taken; None where that is not known, which is warned of."""
        located_in = self._depth_frame(frame, depth)
        if located_in is None:
            return None
        header = frame.objects.header
        placement = self._transforms.placement(header, options)
        if placement is None:
            return None
        up = self._transforms.up(header, options)
        stamp_ns = stamp_to_ns(header.stamp)
        return View(located_in, stamp_ns, placement, up, options.target_frame)

    def _depth_frame(self, frame: JoinedFrame, depth: np.ndarray) -> DepthFrame | None:
        try:
            camera = self._calibrated(frame.info)
            return DepthFrame(depth, camera, read_options(self, GeometryOptions))
        except CalibrationError as error:
            self._notices.warn('missing_calibration', f'no calibration: {error}')
            return None

    def _calibrated(self, info: CameraInfo | None) -> Camera:
        if info is None:
            raise CalibrationError(
                f'no camera_info has come on {self.resolve_topic_name("camera_info")}'
            )
        rectified = read_options(self, InputOptions).rectified
        calibration = info_to_calibration(info, rectified=rectified)
        if self._camera is None or self._camera.calibration != calibration:
            self._camera = Camera(calibration)
        return self._camera

    # -- diagnostics ------------------------------------------------------------------------

    def _publish_diagnostics(self) -> None:
        self._notices.say_due()
        problem = self._input.problem
        if problem and problem != self._problem:
            self._notices.warn('silent_inputs', problem)
        self._problem = problem
        message = locating_message(
            self.get_fully_qualified_name(),
            self.get_clock().now().to_msg(),
            self._statistics,
            listening=self._input.listening,
            problem=problem,
            dropped_frames=self._worker.dropped,
            **(dict.fromkeys(COUNTS, 0) | self._notices.counts),
        )
        self._diagnostics.publish(message)


def _check_aligned(depth: np.ndarray, objects: TrackedObjectArray) -> None:
    """Raise DepthError where depth is not of the size of the images that masks are of."""
    images_wh = (objects.image_width, objects.image_height)
    wrong = size_difference(depth.shape[::-1], 'the images are', images_wh)
    if wrong:
        raise DepthError(f'{wrong}: aligned depth is needed, for instance aligned_depth_to_color')


def main(arguments=None) -> NoReturn:
    """Run the node until it is interrupted; see `process.run`."""
    process.run(lambda: Objects3D, NAME, arguments, doing='locating')
