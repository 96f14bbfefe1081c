"""The box of one object over time: smooth at rest, and never far behind.

At rest a box follows its measurements with a time constant, in real time, so that frames that are
missing do not matter. It is never farther behind than measurements may be off; what moves faster
drags it along.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from tam_ros.geometry.box_axes import named
from tam_ros.geometry.oriented_box import OrientedBox

START_AGAIN_S = 1.0  # without a measurement
DEVIATIONS = 2.0  # of a measurement: so far the box may be behind
LEAST_M = 1e-3  # the same at least, in metres
LEAST_RAD = np.radians(0.5)


class BoxFilter:
    """Smooths the boxes of one object; knows the one before."""

    def __init__(self) -> None:
        self._box: OrientedBox | None = None
        self._stamp_ns = 0

    @property
    def axes(self) -> np.ndarray | None:
        """(3, 3) of the box as it is, which those of the next are named after."""
        return None if self._box is None else self._box.axes

    def reset(self) -> None:
        """Forget the box."""
        self._box = None

    def update(
        self, box: OrientedBox, stamp_ns: int, covariance: np.ndarray, smoothing_s: float
    ) -> OrientedBox:
        """Return the smoothed box, which becomes that before.

        stamp_ns: the image's. covariance: (6, 6) of `pose_covariance`. smoothing_s: 0 for none.
        After a second without one, or where time steps back, the box is taken as it is.
        """
        before, elapsed_s = self._box, (stamp_ns - self._stamp_ns) * 1e-9
        if before is not None and 0 <= elapsed_s <= START_AGAIN_S:
            share = -np.expm1(-elapsed_s / smoothing_s) if smoothing_s else 1.0
            box = _between(before, box, share, covariance)
        self._box, self._stamp_ns = box, stamp_ns
        return box


def _between(
    before: OrientedBox, box: OrientedBox, share: float, covariance: np.ndarray
) -> OrientedBox:
    slack_m = max(DEVIATIONS * float(np.sqrt(np.trace(covariance[:3, :3]) / 3)), LEAST_M)
    slack_rad = max(DEVIATIONS * float(np.sqrt(np.trace(covariance[3:, 3:]) / 3)), LEAST_RAD)
    box = _renamed(box, before.axes)
    turn = Rotation.from_matrix(before.axes.T @ box.axes).as_rotvec()
    axes = before.axes @ Rotation.from_rotvec(turn * _gain(turn, share, slack_rad)).as_matrix()
    move, growth = box.center_m - before.center_m, box.size_m - before.size_m
    return OrientedBox(
        before.center_m + move * _gain(move, share, slack_m),
        axes,
        before.size_m + growth * _gain(growth, share, slack_m),
    )


def _gain(step: np.ndarray, share: float, slack: float) -> float:
    """Return how much of a step is taken: a share, or all but the slack where that is more."""
    length = float(np.linalg.norm(step))
    return max(share, 1 - slack / length) if length else share


def _renamed(box: OrientedBox, after: np.ndarray) -> OrientedBox:
    """Return the same box with its axes named after others."""
    axes = named(box.axes, after)
    return OrientedBox(box.center_m, axes, np.abs(axes.T @ box.axes) @ box.size_m)
