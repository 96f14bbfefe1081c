"""Where points begin and end along axes, without the few that are far off."""

import numpy as np

from tam_ros.geometry.middle import middle

TAIL = 0.005  # of the points on each side of an axis that do not count
FACE_SHARE = 0.06  # of a side: how far from a face points belong to it
FACE_M = 0.004  # the same at least, in metres
GAP_SHARE = 0.1  # of the middle of the points: a gap beyond which there are outliers
MIDDLE = (0.02, 0.98)


def ends(along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where (K, N) places begin and end, (K,) each, but for the tails."""
    cut = int(TAIL * along.shape[1])
    last = along.shape[1] - 1 - cut
    ordered = np.partition(along, (cut, last), axis=1)
    return ordered[:, cut], ordered[:, last]


def nearest_faces(
    along: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the face nearest to each point (0 to 2: low ends, 3 to 5: high), and if it is close.

    along: (3, N) places.
    """
    to_faces = np.abs(np.concatenate([along - low[:, None], high[:, None] - along]))
    nearest = to_faces.argmin(0)
    reach = np.maximum(FACE_SHARE * (high - low), FACE_M)
    return nearest, to_faces.min(0) < reach[nearest % 3]


def without_outliers(points: np.ndarray) -> np.ndarray:
    """Leave out points beyond a gap, along each of the axes of most spread."""
    if points.shape[1] < 10:
        return points
    along = principal_axes(points).T @ points
    ends = np.array([_without_gaps(line) for line in np.sort(along, axis=1)])
    return points[:, ((along >= ends[:, :1]) & (along <= ends[:, 1:])).all(0)]


def _without_gaps(ordered: np.ndarray) -> tuple[float, float]:
    """Return the first and the last of (N,) rising places that no gap parts from the middle."""
    first, last = (int(share * (len(ordered) - 1)) for share in MIDDLE)
    reach = max(GAP_SHARE * (ordered[last] - ordered[first]), FACE_M)
    below = np.flatnonzero(np.diff(ordered[: first + 1]) > reach)
    above = np.flatnonzero(np.diff(ordered[last:]) > reach)
    start = below[-1] + 1 if len(below) else 0
    return ordered[start], ordered[last + above[0] if len(above) else -1]


def principal_axes(points: np.ndarray) -> np.ndarray:
    """Return the principal axes, (3, 3), the most spread last; of a rotation."""
    center = np.array([[middle(along)] for along in points])
    spread = (points - center) @ (points - center).T
    return _right_handed(np.linalg.eigh(spread)[1])


def _right_handed(axes: np.ndarray) -> np.ndarray:
    return axes * [1, 1, np.sign(np.linalg.det(axes)) or 1]
