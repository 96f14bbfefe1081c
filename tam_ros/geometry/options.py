"""Options of the geometry: what may change while it runs."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tam_ros.options import check_options, option

Depth = TypeVar('Depth', float, np.ndarray)
STEEP = 3.7  # slope against the image of a surface that is still one: 75 degrees
DEVIATIONS = 6.0  # of depth, that noise may make between neighbours


@dataclass(frozen=True)
class GeometryOptions:
    """How points and boxes are made; raises ValueError for a value that is not allowed."""

    depth_unit_m: float = option(
        0.0,
        'Metres per unit of the depth image; 0: millimetres of 16UC1, metres of 32FC1.',
        between=(0.0, 1000.0),
    )
    max_depth_m: float = option(
        10.0, 'Depth in metres beyond which there is nothing.', between=(0.01, 1000.0)
    )
    depth_noise: float = option(
        0.0025,
        'Standard deviation of depth in metres at one metre; it grows with the square of depth.',
        between=(0.0, 1.0),
    )
    erode: float = option(
        0.025,
        'Where a surface goes on outside the mask, a rim is left out of this part of the '
        "mask's size.",
        between=(0.0, 0.5),
    )
    gap_m: float = option(
        0.02,
        'Step of depth in metres between neighbouring pixels that separates two surfaces; what '
        'noise and a surface seen aslant explain comes on top.',
        between=(0.0, 10.0),
    )
    max_points: int = option(
        12_000,
        'Points of an object; of masks with more pixels every second row and column is taken, or '
        'every third, and so on.',
        between=(100, 400_000),
    )
    voxel_m: float = option(
        0.0,
        'Side in metres of voxels of which a cloud has one point each; 0: all points.',
        between=(0.0, 1.0),
    )
    smoothing_s: float = option(
        0.1,
        'Time constant in seconds by which boxes at rest are smoothed; 0: they are not.',
        between=(0.0, 10.0),
    )
    support_reach_m: float = option(
        0.15,
        'Metres above a plane up to which an object is taken to stand on it, not to be held.',
        between=(0.0, 2.0),
    )

    def __post_init__(self) -> None:
        check_options(self)

    def noise_m(self, depth_m: Depth) -> Depth:
        """Return the standard deviation of a depth, or of each in an array."""
        return self.depth_noise * depth_m**2

    def gaps_m(self, depth_m: Depth, pixel_rad: float) -> Depth:
        """Return the step between neighbours, pixel_rad apart, that separates surfaces."""
        return self.gap_m + STEEP * pixel_rad * depth_m + DEVIATIONS * self.noise_m(depth_m)
