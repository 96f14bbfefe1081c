"""What `play_video` publishes of a frame: image, calibration, and where known depth and TF."""

from collections.abc import Sequence

import cv2
import numpy as np
import tf2_ros
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from tam_ros.geometry.camera import CalibrationError
from tam_ros.image_files import SourceError
from tam_ros.rgbd_folder import CameraFile
from tam_ros.ros.conversions import array_to_image, jpeg_to_image
from tam_ros.ros.depth_messages import depth_to_message, info_to_calibration
from tam_ros.video_source import Frame

CAMERA_QOS = QoSProfile(depth=10)  # reliable, which suits subscribers of either kind
ACKNOWLEDGED_WITHIN = Duration(seconds=1.0)
DEPTH_TOPIC = 'aligned_depth_to_color/image_raw'


class CameraTopics:
    """The publishers of a camera, and of its depth where the source has some.

    Raises SourceError where the source's calibration cannot be.
    """

    def __init__(self, node: Node, camera: CameraFile | None, *, frame_id: str, compressed: bool):
        self._node, self._camera = node, camera
        self._frame_id, self._compressed = frame_id, compressed
        if camera is not None:
            _check(camera)
            self._depth = node.create_publisher(Image, DEPTH_TOPIC, CAMERA_QOS)
            self._transforms = tf2_ros.TransformBroadcaster(node)
        self._image = node.create_publisher(
            CompressedImage if compressed else Image,
            node.resolve_topic_name('image_raw') + ('/compressed' if compressed else ''),
            CAMERA_QOS,
        )
        self._info = node.create_publisher(CameraInfo, 'camera_info', CAMERA_QOS)

    def header(self) -> Header:
        """Return that of a frame which is shot now."""
        return Header(stamp=self._node.get_clock().now().to_msg(), frame_id=self._frame_id)

    def publish(self, frame: Frame, header: Header) -> None:
        """Publish all that there is of a frame.

        The small messages last: in shared memory images overwrite what has not been read yet, and
        a reliable topic sends that again only seconds later.
        """
        self._image.publish(self._message(frame.image_bgr, header))
        if self._camera is not None and frame.depth_mm is not None:
            self._depth.publish(depth_to_message(frame.depth_mm, header))
        height, width = frame.image_bgr.shape[:2]
        info = _ideal_info(width, height) if self._camera is None else _info_of(self._camera)
        info.header = header
        self._info.publish(info)
        if self._camera is not None and frame.pose is not None:
            parent = Header(stamp=header.stamp, frame_id=self._camera.parent_frame)
            self._transforms.sendTransform(_transform(frame.pose, parent, header.frame_id))

    def wait_until_received(self) -> None:
        """Wait until the last frame is there, or for a second."""
        self._image.wait_for_all_acked(ACKNOWLEDGED_WITHIN)
        self._info.wait_for_all_acked(ACKNOWLEDGED_WITHIN)

    def _message(self, image: np.ndarray, header: Header) -> Image | CompressedImage:
        if not self._compressed:
            return array_to_image(image, 'bgr8', header)
        _, encoded = cv2.imencode('.jpg', image)
        return jpeg_to_image(encoded, header)


def _check(camera: CameraFile) -> None:
    """Raise SourceError for a calibration that no image can have."""
    try:
        info_to_calibration(_info_of(camera))
    except CalibrationError as error:
        raise SourceError(f'camera.json: {error}') from error


def _ideal_info(width: int, height: int) -> CameraInfo:
    """Return the calibration of an ideal camera with 60 degrees horizontal field of view."""
    focal = width / 2 / np.tan(np.radians(30))
    return _info_of(
        CameraFile(width, height, (focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1))
    )


def _info_of(camera: CameraFile) -> CameraInfo:
    k = [float(number) for number in camera.k]
    return CameraInfo(
        width=camera.width,
        height=camera.height,
        distortion_model=camera.distortion_model,
        d=[float(number) for number in camera.d] or [0.0] * 5,
        k=k,
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0],
    )


def _transform(pose: Sequence[float], header: Header, child: str) -> TransformStamped:
    """Return the frame of the camera in its parent's; pose: as one of `CameraFile.poses`."""
    x, y, z, *quaternion = map(float, pose)
    length = float(np.linalg.norm(quaternion))
    qx, qy, qz, qw = (part / length for part in quaternion)
    msg = TransformStamped(header=header, child_frame_id=child)
    msg.transform.translation = Vector3(x=x, y=y, z=z)
    msg.transform.rotation = Quaternion(x=qx, y=qy, z=qz, w=qw)
    return msg
