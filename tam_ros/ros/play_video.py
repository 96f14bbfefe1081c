"""A camera for trying things out: publishes a video, a folder of images or a webcam.

Of a folder with rgb/, depth/ and camera.json it publishes depth and, where given, TF as well.
"""

import argparse
import sys
import time

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from tam_ros.image_files import SourceError
from tam_ros.rgbd_folder import HIGHEST_RATE_HZ
from tam_ros.ros.camera_topics import CameraTopics
from tam_ros.ros.start import own_arguments, start_ros, until_shutdown
from tam_ros.video_source import Frame, Pace, at_rate, open_source

HOLD_PERIOD_S = 2.0  # between two times of the held first frame


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
        self.done = False
        self._topics = CameraTopics(
            self, source.camera, frame_id=options.frame_id, compressed=options.compressed
        )
        if options.start_paused:
            self._hold(next(self._frames))
        else:
            self._play()

    def _hold(self, frame: Frame) -> None:
        self._held_s = frame.time_s
        header = self._topics.header()
        self._holding = self._every(HOLD_PERIOD_S, lambda: self._topics.publish(frame, header))
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
            self._topics.wait_until_received()
            self.done = True
            return
        self._topics.publish(self._next, self._topics.header())
        self._await_next()


def parse_arguments(arguments) -> argparse.Namespace:
    """Return the options of `play_video`."""
    parser = argparse.ArgumentParser(prog='play_video', description=__doc__)
    parser.add_argument(
        'source',
        help='video, image, folder of images (with depth: rgb/, depth/, camera.json), or webcam: '
        '0, /dev/video0',
    )
    parser.add_argument(
        '--rate', type=_rate_hz, default=0.0, help="frames per second; 0: at the video's own times"
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument(
        '--start-paused', action='store_true', help='repeat the first frame until ~/play is called'
    )
    parser.add_argument('--compressed', action='store_true', help='publish images as JPEG')
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
        with until_shutdown():
            player = VideoPlayer(options)
            while not player.done:
                rclpy.spin_once(player)
    except SourceError as error:
        rclpy.logging.get_logger('play_video').fatal(str(error))
        return 1
    finally:
        rclpy.try_shutdown()
    return 0
