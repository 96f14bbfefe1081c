"""Where one frame is in another: boxes, points and covariances go along."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from tam_ros.geometry.oriented_box import OrientedBox


@dataclass(frozen=True)
class Placement:
    """A frame, such as the camera's, in another one."""

    turn: np.ndarray = field(default_factory=lambda: np.eye(3))
    """(3, 3) float64 rotation: its columns are the frame's axes."""
    shift_m: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """(3,) float64 x, y, z of its origin in metres."""

    @classmethod
    def of_pose(cls, pose: Sequence[float]) -> 'Placement':
        """Return that of x, y, z in metres and a quaternion x, y, z, w of any length."""
        return cls(Rotation.from_quat(pose[3:]).as_matrix(), np.array(pose[:3], float))

    @property
    def inverse(self) -> 'Placement':
        """The other frame in this one."""
        return Placement(self.turn.T, -self.turn.T @ self.shift_m)

    def box(self, box: OrientedBox) -> OrientedBox:
        """Return a box of the frame in the other."""
        return OrientedBox(
            self.turn @ box.center_m + self.shift_m, self.turn @ box.axes, box.size_m
        )

    def points(self, points_m: np.ndarray) -> np.ndarray:
        """Return (N, 3) float32 points of the frame in the other."""
        turn, shift_m = self.turn.astype(np.float32), self.shift_m.astype(np.float32)
        return points_m @ turn.T + shift_m

    def covariance(self, covariance: np.ndarray) -> np.ndarray:
        """Return a (6, 6) covariance of x, y, z and rotations about them in the other frame."""
        both = np.zeros((6, 6))
        both[:3, :3] = both[3:, 3:] = self.turn
        return both @ covariance @ both.T
