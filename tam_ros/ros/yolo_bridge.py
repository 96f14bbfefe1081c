"""Republish yolo_ros detections as vision_msgs/Detection2DArray, which the tracker takes.

Needs the package yolo_msgs. Subscribes to `detections` (yolo_msgs/DetectionArray) and publishes
`detections_2d`; remap both.
"""

import sys

import rclpy
from rclpy.node import Node
from vision_msgs.msg import Detection2D, Detection2DArray

from tam_ros.ros.conversions import detection_message
from tam_ros.ros.start import start_ros, until_shutdown

NOT_INSTALLED = 'yolo_msgs is not installed: it comes with yolo_ros, build and source that first'


class YoloBridge(Node):
    """Republishes every message of message_type, yolo_msgs/DetectionArray."""

    def __init__(self, message_type):
        super().__init__('yolo_bridge')
        self._publisher = self.create_publisher(Detection2DArray, 'detections_2d', 5)
        self.create_subscription(message_type, 'detections', self._receive, 5)

    def _receive(self, msg) -> None:
        self._publisher.publish(detection_array(msg))


def detection_array(msg) -> Detection2DArray:
    """Return a yolo_msgs/DetectionArray with each class's name as class_id."""
    detections = [_detection(msg.header, detection) for detection in msg.detections]
    return Detection2DArray(header=msg.header, detections=detections)


def _detection(header, yolo) -> Detection2D:
    msg = detection_message(header, yolo.id, yolo.class_name, yolo.score)
    msg.bbox.center.position.x = yolo.bbox.center.position.x
    msg.bbox.center.position.y = yolo.bbox.center.position.y
    msg.bbox.center.theta = yolo.bbox.center.theta
    msg.bbox.size_x, msg.bbox.size_y = yolo.bbox.size.x, yolo.bbox.size.y
    return msg


def main(arguments=None) -> int:
    """Run the bridge until it is interrupted; return the exit status."""
    try:
        from yolo_msgs.msg import DetectionArray  # here: few users have it
    except ImportError:
        print(NOT_INSTALLED, file=sys.stderr)
        return 1
    start_ros(arguments)
    try:
        with until_shutdown():
            rclpy.spin(YoloBridge(DetectionArray))
    finally:
        rclpy.try_shutdown()
    return 0
