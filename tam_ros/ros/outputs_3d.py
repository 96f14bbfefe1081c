"""What the node objects_3d publishes: each topic only while somebody listens to it."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import cv2
import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from tam_ros.masks import MaskCrop
from tam_ros.ros.conversions import array_to_image
from tam_ros.ros.conversions_3d import (
    object_to_pose,
    objects_to_cloud,
    objects_to_detections,
    objects_to_markers,
)
from tam_ros.ros.depth_messages import depth_to_message, with_holes
from tam_ros.ros.options_3d import OutputOptions
from tam_ros.ros.placement import PlacedObject
from tam_ros.ros.quality import results_quality

OF_ALL = {
    'tam/detections_3d': Detection3DArray,
    'tam/markers': MarkerArray,
    'tam/cloud': PointCloud2,
}
OF_TARGET = {'tam/target/cloud': PointCloud2, 'tam/target/pose': PoseStamped}
# A camera's calibration is by convention beside its images, and found there by image_transport;
# that of the camera itself has long passed when masks, and what is made of them, come.
OF_MASKS = {
    'tam/target/mask': Image,
    'tam/target/depth': Image,
    'tam/target/camera_info': CameraInfo,
    'tam/depth_without_objects': Image,
    'tam/camera_info': CameraInfo,
}


@dataclass(frozen=True)
class Picture:
    """An image's masks and depth."""

    header: Header
    """The image's."""
    masks: Mapping[int, MaskCrop]
    """Of the objects that are visible, by id."""
    depth: np.ndarray
    """(H, W) as it came."""
    target_id: int
    """The chosen object; 0 for none. It need not be visible."""
    image_rgb: np.ndarray | None = None
    """(H, W, 3) uint8 that points get their colours from; None for those of their objects."""
    info: CameraInfo | None = None
    """The newest calibration, which need not be of this image; None before the first."""

    def covered(self, ids: Iterable[int], margin_px: int = 0) -> np.ndarray:
        """Return the pixels of visible objects, grown by a margin, (H, W) bool."""
        pixels = np.zeros(self.depth.shape, np.uint8)
        for object_id in ids:
            if object_id in self.masks:
                self.masks[object_id].paste(pixels, 1)
        if margin_px:
            size = (2 * margin_px + 1,) * 2
            pixels = cv2.dilate(pixels, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size))
        return pixels.astype(bool)


class Outputs:
    """The publishers of a node."""

    def __init__(self, node: Node):
        self._publishers = {
            topic: node.create_publisher(kind, topic, results_quality(node, topic))
            for topic, kind in (OF_ALL | OF_TARGET | OF_MASKS).items()
        }
        self._marked: set[int] = set()

    @property
    def any_wanted(self) -> bool:
        """Whether somebody listens to any topic."""
        return any(map(self._wanted, self._publishers))

    @property
    def all_wanted(self) -> bool:
        """Whether somebody listens to a topic that needs all objects located."""
        return any(map(self._wanted, OF_ALL))

    @property
    def cloud_wanted(self) -> bool:
        """Whether somebody listens to points."""
        return self._wanted('tam/cloud') or self._wanted('tam/target/cloud')

    @property
    def target_wanted(self) -> bool:
        """Whether somebody listens to a topic that needs the target located."""
        return any(map(self._wanted, OF_TARGET))

    def publish_objects(
        self,
        objects: Sequence[PlacedObject],
        picture: Picture,
        header: Header,
        voxel_m: float,
    ) -> None:
        """Publish objects that were located, and the target where it is one of them.

        header: the image's stamp, and the frame of the objects. voxel_m: as in the geometry's
        options.
        """
        for target in (p for p in objects if p.object_id == picture.target_id):
            if self._wanted('tam/target/pose'):
                self._publish('tam/target/pose', object_to_pose(target, header))
            self._publish_cloud('tam/target/cloud', [target], picture, header, voxel_m)
        if self._wanted('tam/detections_3d'):
            self._publish('tam/detections_3d', objects_to_detections(objects, header))
        if self._wanted('tam/markers'):
            ids = {placed.object_id for placed in objects}
            self._publish(
                'tam/markers', objects_to_markers(objects, header, sorted(self._marked - ids))
            )
            self._marked = ids
        self._publish_cloud('tam/cloud', objects, picture, header, voxel_m)

    def _publish_cloud(self, topic, objects, picture, header, voxel_m) -> None:
        if self._wanted(topic):
            cloud = objects_to_cloud(objects, header, voxel_m, picture.image_rgb)
            self._publish(topic, cloud)

    def publish_pictures(self, picture: Picture, options: OutputOptions) -> None:
        """Publish images and calibrations under the image's header.

        Those of the target only where it is visible.
        """
        self._publish_info('tam/camera_info', picture)
        if picture.target_id in picture.masks:
            self._publish_target_pictures(picture)
        if self._wanted('tam/depth_without_objects'):
            ids = picture.masks if options.remove == 'all' else [picture.target_id]
            holes = picture.covered(ids, options.margin_px)
            self._publish_depth('tam/depth_without_objects', picture, holes)

    def _publish_target_pictures(self, picture: Picture) -> None:
        self._publish_info('tam/target/camera_info', picture)
        if not self._wanted('tam/target/mask') and not self._wanted('tam/target/depth'):
            return
        target = picture.covered([picture.target_id])
        if self._wanted('tam/target/mask'):
            mask = array_to_image(target * np.uint8(255), 'mono8', picture.header)
            self._publish('tam/target/mask', mask)
        if self._wanted('tam/target/depth'):
            self._publish_depth('tam/target/depth', picture, ~target)

    def _publish_info(self, topic: str, picture: Picture) -> None:
        if picture.info is not None and self._wanted(topic):
            info = copy(picture.info)
            info.header = picture.header
            self._publish(topic, info)

    def _publish_depth(self, topic: str, picture: Picture, holes: np.ndarray) -> None:
        values = with_holes(picture.depth, holes)
        self._publish(topic, depth_to_message(values, picture.header))

    def _wanted(self, topic: str) -> bool:
        return self._publishers[topic].get_subscription_count() > 0

    def _publish(self, topic: str, message) -> None:
        self._publishers[topic].publish(message)
