"""One depth image together with the camera that it is of."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tam_ros.geometry.camera import CalibrationError, Camera
from tam_ros.geometry.depth import DepthImage, Window, size_difference
from tam_ros.geometry.options import GeometryOptions


@dataclass(frozen=True)
class DepthFrame:
    """What objects are located in.

    Raises DepthError for what is no depth, CalibrationError where the camera's is another size.
    """

    values: np.ndarray
    """(H, W) uint16 or float32 depth as it came; see `DepthImage`."""
    camera: Camera
    """The camera that masks are of, which depth is aligned to."""
    options: GeometryOptions = field(default_factory=GeometryOptions)
    """How points and boxes are made."""

    def __post_init__(self) -> None:
        camera_wh = self.camera.calibration.size_wh
        wrong = size_difference(camera_wh, 'depth is', self.depth.size_wh)
        if wrong:
            raise CalibrationError(
                f'{wrong}: use the calibration of the images, and aligned depth'
            )

    @cached_property
    def depth(self) -> DepthImage:
        """Depth in the options' unit."""
        return DepthImage(self.values, self.options.depth_unit_m, self.options.max_depth_m)

    def metres(self, window: Window) -> np.ndarray:
        """Return (h, w) float32 depth of a part in metres, new; 0 where no point is."""
        depth_m = self.depth.metres(window)
        if self.camera.blind is not None:
            depth_m[self.camera.blind[window]] = 0
        return depth_m

    def points(self, depth_m: np.ndarray, window: Window) -> np.ndarray:
        """Return (3, h, w) float32 x, y, z in metres at (h, w) depths of a part; 0 at depth 0."""
        xyz_m = np.empty((3, *depth_m.shape), np.float32)
        np.multiply(self.camera.rays[(slice(None), *window)], depth_m, out=xyz_m[:2])
        xyz_m[2] = depth_m
        if self.camera.blind is not None:
            xyz_m[:, self.camera.blind[window]] = 0
        return xyz_m
