"""A camera for trying things out: publishes a video, a folder of images or a webcam."""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import rclpy
import rclpy.utilities
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger

from tam_ros.ros.conversions import array_to_image, bytes_of

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')
DEFAULT_RATE_HZ = 30.0
CAMERA_QOS = QoSProfile(depth=10)  # reliable, which suits subscribers of either kind
HOLD_PERIOD_S = 2.0  # between two times of the held first frame
ACKNOWLEDGED_WITHIN = Duration(seconds=1.0)


class SourceError(ValueError):
    """A video source cannot be played; the message says why."""


def open_source(source: str) -> tuple[float, Iterator[np.ndarray]]:
    """Return (frames per second, BGR frames) of a video file, image folder or webcam number.

    Raises SourceError.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise SourceError(f'{source} holds no images ({", ".join(IMAGE_SUFFIXES)})')
        return DEFAULT_RATE_HZ, map(_read, files)
    if not source.isdigit() and not path.is_file():
        raise SourceError(f'{source} is no file, folder or webcam number')
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        raise SourceError(f'{source} cannot be opened as a video')
    return capture.get(cv2.CAP_PROP_FPS) or DEFAULT_RATE_HZ, _frames(capture)


def _read(file: Path) -> np.ndarray:
    image = cv2.imread(str(file))
    if image is None:
        raise SourceError(f'{file} cannot be read as an image')
    return image


def _frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        ok, frame = capture.read()
        if not ok:
            return
        yield frame


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
    """Publishes frames at a rate, stamped with the time of publication.

    Started paused, it repeats its first frame under one stamp until the service `~/play` is
    called: time for prompts on that frame, which stays the newest.
    """

    def __init__(self, options: argparse.Namespace):
        super().__init__('play_video')
        self._options = options
        rate_hz, self._frames = open_source(options.source)
        if options.loop:
            self._frames = itertools.chain(self._frames, self._again())
        self._rate_hz = options.rate or rate_hz
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
            self._hold_first_frame()
        else:
            self._play()

    def _again(self) -> Iterator[np.ndarray]:
        while True:
            yield from open_source(self._options.source)[1]

    def _play(self) -> None:
        self._holding = None
        self.create_timer(1.0 / self._rate_hz, self._publish_next)
        self.get_logger().info(f'playing {self._options.source} at {self._rate_hz:.2f} Hz')

    def _hold_first_frame(self) -> None:
        frame = next(self._frames, None)
        if frame is None:
            raise SourceError(f'{self._options.source} has no frames')
        info = self._info_of(frame)
        self._holding = self.create_timer(HOLD_PERIOD_S, lambda: self._publish(frame, info))
        service = self.create_service(Trigger, '~/play', self._on_play)
        self.get_logger().info(f'holding the first frame until {service.service_name} is called')

    def _on_play(self, _, response: Trigger.Response) -> Trigger.Response:
        if self._holding is None:
            response.message = 'playing already'
            return response
        self.destroy_timer(self._holding)
        self._play()
        response.success = True
        return response

    def _publish_next(self) -> None:
        frame = next(self._frames, None)
        if frame is None:
            self._info.wait_for_all_acked(ACKNOWLEDGED_WITHIN)
            self.done = True
        else:
            self._publish(frame, self._info_of(frame))

    def _info_of(self, frame: np.ndarray) -> CameraInfo:
        """Return the calibration for a frame that is shot now."""
        info = camera_info(frame.shape[1], frame.shape[0])
        info.header.frame_id = self._frame_id
        info.header.stamp = self.get_clock().now().to_msg()
        return info

    def _publish(self, frame: np.ndarray, info: CameraInfo) -> None:
        self._image.publish(self._message(frame, info.header))
        self._info.publish(info)

    def _message(self, frame: np.ndarray, header) -> Image | CompressedImage:
        if not self._compressed:
            return array_to_image(frame, 'bgr8', header)
        _, encoded = cv2.imencode('.jpg', frame)
        return CompressedImage(
            header=header, format='bgr8; jpeg compressed bgr8', data=bytes_of(encoded)
        )


def parse_arguments(arguments) -> argparse.Namespace:
    """Return the options of `play_video`."""
    parser = argparse.ArgumentParser(prog='play_video', description=__doc__)
    parser.add_argument('source', help='video file, folder of images, or webcam number')
    parser.add_argument(
        '--rate', type=float, default=0.0, help="frames per second; 0: the video's"
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--start-paused', action='store_true', help='repeat the first frame until ~/play is called'
    )
    parser.add_argument('--compressed', action='store_true', help='publish JPEG')
    parser.add_argument('--frame-id', default='camera_color_optical_frame')
    return parser.parse_args(arguments)


def main(arguments=None) -> int:
    """Play until the end or an interruption; return the exit status."""
    arguments = sys.argv if arguments is None else arguments
    options = parse_arguments(rclpy.utilities.remove_ros_args(arguments)[1:])
    rclpy.init(args=arguments)
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
