"""Where the camera's frame is in that of the outputs, and what of an object is published."""

from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import TransformStamped

from tam_ros.geometry.locate import Located
from tam_ros.geometry.oriented_box import OrientedBox
from tam_ros.geometry.placement import Placement
from tam_ros.masks import MaskCrop


def transform_to_placement(msg: TransformStamped) -> Placement:
    """Return where a transform's source frame is in its target frame."""
    q, t = msg.transform.rotation, msg.transform.translation
    return Placement(_quaternion_to_matrix(q.w, (q.x, q.y, q.z)), np.array([t.x, t.y, t.z]))


def _quaternion_to_matrix(w: float, xyz: tuple[float, float, float]) -> np.ndarray:
    """Return the rotation (3, 3) of a quaternion, which is made of length 1."""
    w, x, y, z = np.array([w, *xyz]) / np.linalg.norm([w, *xyz])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


@dataclass(frozen=True)
class PlacedObject:
    """An object that is visible and has depth, in the frame of the outputs."""

    object_id: int
    """Of the tracker; at least 1."""
    label: str
    """As given with its prompt."""
    score: float
    """Predicted IoU of its mask, 0 to 1."""
    crop: MaskCrop
    """Its mask in the image."""
    box: OrientedBox
    """In the frame of the outputs."""
    covariance: np.ndarray
    """(6, 6) float64 of the box's pose: x, y, z, and rotations about them; m and rad."""
    located: Located
    """In the camera's frame, as measured in this frame alone."""
    placement: Placement
    """The camera in the frame of the outputs."""

    def points(self, voxel_m: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Return its points in the frame of the outputs, (N, 3) float32, and their pixels.

        voxel_m: side of the cubes of which each gives one point; 0 for all. Pixels: (N, 2) x, y.
        """
        xyz, pixels = self.located.points.cloud(voxel_m)
        return self.placement.points(xyz), pixels
