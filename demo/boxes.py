"""The demo's side of `objects_3d`: its program, and what it publishes of each frame."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from client import DemoClient
from processes import Program
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection3D, Detection3DArray

from tam_ros.geometry.oriented_box import OrientedBox
from tam_ros.geometry.placement import Placement
from tam_ros.ros.conversions import stamp_to_ns
from tam_ros.ros.conversions_3d import POINT

FRAMES_IN_PARTS = 20  # frames of which only boxes, or only points, are kept


@dataclass(frozen=True)
class BoxAnswer:
    """All that came of one frame in 3D."""

    index: int
    """Its place among the camera's frames."""
    boxes: dict[str, OrientedBox]
    """By the label of the object, in the frame that the node was asked for."""
    points: dict[str, np.ndarray]
    """By label: arrays of `POINT`, in the same frame."""
    latency_ms: float
    """From the camera's stamp to the arrival of boxes and points."""


def start_objects_3d(fixed_frame: str, log: Path) -> Program:
    """Start the node on the camera's depth. fixed_frame: z points up in it; '' for none."""
    arguments = ['--ros-args', '-r', 'depth:=/camera/aligned_depth_to_color/image_raw']
    arguments += ['-r', 'camera_info:=/camera/camera_info', '-r', 'image:=/camera/image_raw']
    arguments += ['-p', 'colors:=image']
    if fixed_frame:
        arguments += ['-p', f'target_frame:={fixed_frame}', '-p', f'up:={fixed_frame}']
        arguments += ['-p', 'tf_timeout_s:=1.0']  # on a busy machine all comes late
    return Program('objects_3d', arguments, log)


class BoxInput:
    """Puts together boxes and points of each frame; on_answer is called with each once."""

    def __init__(self, client: DemoClient, on_answer: Callable[[BoxAnswer], None]):
        self._client, self._on_answer = client, on_answer
        self._boxes: dict[int, Detection3DArray] = {}
        self._clouds: dict[int, PointCloud2] = {}
        self.answered: set[int] = set()
        qos = QoSProfile(depth=10)
        client.create_subscription(Detection3DArray, '/tam/detections_3d', self._take_boxes, qos)
        client.create_subscription(PointCloud2, '/tam/cloud', self._take_cloud, qos)

    def has_all(self) -> bool:
        """Whether all frames that the tracker has answered are answered here, too."""
        return self._client.answered <= self.answered

    def _take_boxes(self, msg: Detection3DArray) -> None:
        self._take(self._boxes, msg)

    def _take_cloud(self, msg: PointCloud2) -> None:
        self._take(self._clouds, msg)

    def _take(self, kept: dict, msg) -> None:
        stamp_ns = stamp_to_ns(msg.header.stamp)
        kept[stamp_ns] = msg
        if stamp_ns in self._boxes and stamp_ns in self._clouds:
            self._complete(self._boxes.pop(stamp_ns), self._clouds.pop(stamp_ns), stamp_ns)
        while len(kept) > FRAMES_IN_PARTS:
            del kept[min(kept)]

    def _complete(self, boxes: Detection3DArray, cloud: PointCloud2, stamp_ns: int) -> None:
        index = self._client.index_of(stamp_ns)
        if index is None or index in self.answered or not boxes.detections:
            return
        self.answered.add(index)
        age_ns = self._client.get_clock().now().nanoseconds - stamp_ns
        points = np.frombuffer(cloud.data, POINT)
        label_of = {int(d.id): d.results[0].hypothesis.class_id for d in boxes.detections}
        self._on_answer(
            BoxAnswer(
                index,
                {label_of[int(d.id)]: detection_to_box(d) for d in boxes.detections},
                {name: points[points['object_id'] == n] for n, name in label_of.items()},
                age_ns * 1e-6,
            )
        )


def detection_to_box(msg: Detection3D) -> OrientedBox:
    """Return the box in a message, in the message's frame."""
    at, q, size = msg.bbox.center.position, msg.bbox.center.orientation, msg.bbox.size
    placed = Placement.of_pose((at.x, at.y, at.z, q.x, q.y, q.z, q.w))
    return OrientedBox(placed.shift_m, placed.turn, np.array([size.x, size.y, size.z]))


def positions_m(points: np.ndarray) -> np.ndarray:
    """Return x, y, z of an array of `POINT`, (N, 3) float32."""
    return np.stack([points[name] for name in 'xyz'], 1)


def colors_of(points: np.ndarray) -> np.ndarray:
    """Return the colours of an array of `POINT`, (N, 3) float in 0..1."""
    rgb = points['rgb'][:, None] >> np.array([16, 8, 0], np.uint32) & 255
    return rgb / 255
