"""A camera for trying things out: publishes a video, a folder of images or a webcam."""

import argparse
import sys
import time

import cv2
import numpy as np
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger

from tam_ros.image_files import SourceError
from tam_ros.ros.conversions import array_to_image, bytes_of
from tam_ros.ros.start import own_arguments, start_ros
from tam_ros.video_source import HIGHEST_RATE_HZ, Frame, Pace, at_rate, open_source

CAMERA_QOS = QoSProfile(depth=10)  # reliable, which suits subscribers of either kind
HOLD_PERIOD_S = 2.0  # between two times of the held first frame
ACKNOWLEDGED_WITHIN = Duration(seconds=1.0)


def camera_info(width: int, height: int) -> CameraInfo:
    """Return the calibration of an ideal camera with 60 degrees horizontal field of view."""
    focal = width / 2 / np.tan(np.radians(30))
    cx, cy = width / 2, height / 2
    return CameraInfo(
        width=width,
        height=height,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


class VideoPlayer(Node):
    """Publishes frames at their times, or at a rate, stamped with the time of publication.

    Started paused, it repeats its first frame under one stamp until the service `~/play` is
    called: time for prompts on that frame, which stays the newest.
    """

    def __init__(self, options: argparse.Namespace):
        super().__init__('play_video')
        self._name = options.source
        source = open_source(options.source, loop=options.loop)
        if options.rate:
            source = at_rate(source, options.rate)
        self._rate_hz, self._frames = source.rate_hz, source.frames
        self._pace = Pace()
        self._frame_id = options.frame_id
        self.done = False
        self._compressed = options.compressed
        self._image = self.create_publisher(
            CompressedImage if self._compressed else Image,
            self.resolve_topic_name('image_raw') + ('/compressed' if self._compressed else ''),
            CAMERA_QOS,
        )
        self._info = self.create_publisher(CameraInfo, 'camera_info', CAMERA_QOS)
        if options.start_paused:
            self._hold(next(self._frames))
        else:
            self._play()

    def _hold(self, frame: Frame) -> None:
        self._held_s = frame.time_s
        info = self._info_of(frame.image_bgr)
        self._holding = self._every(HOLD_PERIOD_S, lambda: self._publish(frame.image_bgr, info))
        service = self.create_service(Trigger, '~/play', self._on_play)
        self.get_logger().info(f'holding the first frame until {service.service_name} is called')

    def _on_play(self, _, response: Trigger.Response) -> Trigger.Response:
        if self._holding is None:
            response.message = 'playing already'
            return response
        self.destroy_timer(self._holding)
        self._pace.wait_s(self._held_s, time.monotonic())  # as if the held frame were shown now
        self._play()
        response.success = True
        return response

    def _play(self) -> None:
        self._holding = None
        self._timer = self._every(HOLD_PERIOD_S, self._publish_next)
        self._await_next()
        self.get_logger().info(f'playing {self._name} at {self._rate_hz:.2f} Hz')

    def _every(self, seconds: float, act) -> Timer:
        """Return a timer that does not stand still where ROS time does."""
        return self.create_timer(seconds, act, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _await_next(self) -> None:
        """Read a frame, or the end, before it is due."""
        self._next = next(self._frames, None)
        wait_s = 1 / self._rate_hz
        if self._next is not None:
            wait_s = self._pace.wait_s(self._next.time_s, time.monotonic())
        self._timer.timer_period_ns = max(1, round(wait_s * 1e9))
        self._timer.reset()

    def _publish_next(self) -> None:
        if self._next is None:
            # The process ends next, and with it what has not been sent.
            self._info.wait_for_all_acked(ACKNOWLEDGED_WITHIN)
            self.done = True
            return
        image = self._next.image_bgr
        self._publish(image, self._info_of(image))
        self._await_next()

    def _info_of(self, image: np.ndarray) -> CameraInfo:
        """Return the calibration for an image that is shot now."""
        info = camera_info(image.shape[1], image.shape[0])
        info.header.frame_id = self._frame_id
        info.header.stamp = self.get_clock().now().to_msg()
        return info

    def _publish(self, image: np.ndarray, info: CameraInfo) -> None:
        self._image.publish(self._message(image, info.header))
        self._info.publish(info)

    def _message(self, image: np.ndarray, header) -> Image | CompressedImage:
        if not self._compressed:
            return array_to_image(image, 'bgr8', header)
        _, encoded = cv2.imencode('.jpg', image)
        return CompressedImage(
            header=header, format='bgr8; jpeg compressed bgr8', data=bytes_of(encoded)
        )


def parse_arguments(arguments) -> argparse.Namespace:
    """Return the options of `play_video`."""
    parser = argparse.ArgumentParser(prog='play_video', description=__doc__)
    parser.add_argument('source', help='video, image, folder of images, or webcam: 0, /dev/video0')
    parser.add_argument(
        '--rate', type=_rate_hz, default=0.0, help="frames per second; 0: at the video's own times"
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--start-paused', action='store_true', help='repeat the first frame until ~/play is called'
    )
    parser.add_argument('--compressed', action='store_true', help='publish JPEG')
    parser.add_argument('--frame-id', default='camera_color_optical_frame')
    return parser.parse_args(arguments)


def _rate_hz(text: str) -> float:
    try:
        if 0 <= float(text) <= HIGHEST_RATE_HZ:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f'{text} is no rate: use 0 to {HIGHEST_RATE_HZ:.0f} Hz')


def main(arguments=None) -> int:
    """Play until the end or an interruption; return the exit status."""
    arguments = sys.argv if arguments is None else arguments
    options = parse_arguments(own_arguments(arguments))
    start_ros(arguments)
    try:
        player = VideoPlayer(options)
        while not player.done:
            rclpy.spin_once(player)
    except SourceError as error:
        rclpy.logging.get_logger('play_video').fatal(str(error))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0
