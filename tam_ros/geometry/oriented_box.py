"""The oriented box of an object's visible surface.

Its axes are found by its faces where it has some, else they are those of the smallest box. A few
points far off do not matter. What a camera cannot see, the box does not have, but for the way down
to what the object stands on.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from tam_ros.geometry.middle import middle

TAIL = 0.005  # of the points on each side of an axis that do not count
THICKNESS_M = 0.005  # added to sides, so that flat things have a volume to compare
INSIDE = 2.0  # of how far points are inside counts with the box's mean side
TAIL_NOISE = 2.5  # standard deviations from a face to the end of its points
SEEN = 0.05  # of the points: as many are on a face that is seen
STAY = 1.05  # a box may be larger by this factor to keep the axes of the frame before
FACE_SHARE = 0.06  # of a side: how far from a face points belong to it
FACE_M = 0.004  # the same at least, in metres
DAMPING = 0.02  # of the rotation that faces ask for: how much of them there must be
MAX_TURN = np.radians(5)  # of a round
LEAST_TURN = np.radians(0.5)  # a round that turns less is the last
ROUNDS = 3
GAP_SHARE = 0.1  # of the middle of the points: a gap beyond which there are outliers
MIDDLE = (0.02, 0.98)
TRIPLES = 24


@dataclass(frozen=True)
class OrientedBox:
    """A box in the camera's frame."""

    center_m: np.ndarray
    """(3,) float64 x, y, z in metres."""
    axes: np.ndarray
    """(3, 3) float64 rotation matrix: the box's axes are its columns."""
    size_m: np.ndarray
    """(3,) float64 length of the sides along the axes."""

    @property
    def quaternion_xyzw(self) -> np.ndarray:
        """(4,) float64 rotation from the box's frame to the camera's."""
        return Rotation.from_matrix(self.axes).as_quat()

    @property
    def corners_m(self) -> np.ndarray:
        """(8, 3) float64."""
        signs = np.array(list(product((-0.5, 0.5), repeat=3)))
        return self.center_m + (signs * self.size_m) @ self.axes.T


@dataclass(frozen=True)
class Stance:
    """What is known of an object before its box is fitted."""

    up: np.ndarray | None = None
    """(3,) in the camera's frame, made length 1: boxes are upright along it; None: as they lie."""
    floor_m: float | None = None
    """Height along up of what the object stands on, which its box reaches down to; None: held."""
    axes: np.ndarray | None = None
    """(3, 3) of the box in the frame before, which this one's are named after; None: the first."""

    def __post_init__(self) -> None:
        if self.up is not None:
            object.__setattr__(self, 'up', _of_length_1(self.up))

    @cached_property
    def named_after(self) -> np.ndarray:
        """(3, 3) the axes that those of the box are to be the nearest to."""
        if self.axes is not None:
            return self.axes
        return np.eye(3) if self.up is None else upright_axes(self.up)


def _of_length_1(up: np.ndarray) -> np.ndarray:
    """Return a direction, (3,) float64; raises ValueError for none."""
    up = np.asarray(up, np.float64)
    length = float(np.linalg.norm(up)) if up.shape == (3,) else 0.0
    if not 0 < length < np.inf:
        raise ValueError(f'up is {up.tolist()}: three numbers, not all 0, are needed')
    return up / length


def upright_axes(up: np.ndarray) -> np.ndarray:
    """Return axes (3, 3) whose third is up, the first as far to the camera's right as can be."""
    right = np.array([1.0, 0, 0]) if abs(up[0]) < 0.9 else np.array([0, 0, 1.0])
    right = right - (right @ up) * up
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(up, right), up], 1)


@dataclass(frozen=True)
class Grain:
    """How fine points are."""

    pixel_m: float = 0.0
    """How far apart pixels are at the object: what is seen ends half of it beyond the last."""
    noise_m: float = 0.0
    """Standard deviation of the points from a face, which is in the middle of them."""


def fit_box(
    points_m: np.ndarray, stance: Stance | None = None, grain: Grain | None = None
) -> OrientedBox:
    """Return the oriented box of (N, 3) points, N at least 1."""
    stance = stance or Stance()
    points = _without_outliers(np.ascontiguousarray(np.transpose(points_m), np.float64))
    axes = _best_axes(points, stance)
    axes = _aligned_with_faces(points, axes, stance.up)
    axes = named(axes, stance.named_after, upright=stance.up is not None)
    return _box(points, axes, stance, grain or Grain())


def _box(points: np.ndarray, axes: np.ndarray, stance: Stance, grain: Grain) -> OrientedBox:
    low, high = _without_noise(axes.T @ points, grain.noise_m)
    view = points.mean(1) / max(np.linalg.norm(points.mean(1)), 1e-9)
    rim = grain.pixel_m / 2 * np.sqrt(np.clip(1 - (view @ axes) ** 2, 0, 1))
    low, high = low - rim, high + rim
    if stance.floor_m is not None:
        low[2] = min(stance.floor_m, high[2])
    return OrientedBox(axes @ (low + high) / 2, axes, high - low)


def _without_noise(along: np.ndarray, noise_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where (3, N) places begin and end: faces in the middle of their points, not outside.

    Where noise would not explain it, as in a curved surface, they do not move so far.
    """
    low, high = _ends(along)
    nearest, close = _faces(along, low, high)
    for face, end in enumerate((low, low, low, high, high, high)):
        on_face = along[face % 3, (nearest == face) & close]
        if noise_m and len(on_face) > SEEN * along.shape[1]:
            inward = middle(on_face) - end[face % 3]
            end[face % 3] += np.clip(inward, -TAIL_NOISE * noise_m, TAIL_NOISE * noise_m)
    return low, high


def _faces(along: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the face nearest to each point (0 to 2: low ends, 3 to 5: high), and if it is close.

    along: (3, N) places.
    """
    to_faces = np.abs(np.concatenate([along - low[:, None], high[:, None] - along]))
    nearest = to_faces.argmin(0)
    reach = np.maximum(FACE_SHARE * (high - low), FACE_M)
    return nearest, to_faces.min(0) < reach[nearest % 3]


def _ends(along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where (K, N) places begin and end, (K,) each, but for the tails."""
    cut = int(TAIL * along.shape[1])
    last = along.shape[1] - 1 - cut
    ordered = np.partition(along, (cut, last), axis=1)
    return ordered[:, cut], ordered[:, last]


def _without_outliers(points: np.ndarray) -> np.ndarray:
    """Leave out points beyond a gap, along each of the axes of most spread."""
    if points.shape[1] < 10:
        return points
    along = _spread(points).T @ points
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


def _spread(points: np.ndarray) -> np.ndarray:
    """Return the principal axes, (3, 3), the most spread last; of a rotation."""
    center = np.array([[middle(along)] for along in points])
    spread = (points - center) @ (points - center).T
    return _right_handed(np.linalg.eigh(spread)[1])


def _right_handed(axes: np.ndarray) -> np.ndarray:
    return axes * [1, 1, np.sign(np.linalg.det(axes)) or 1]


# Which way the box lies


def _best_axes(points: np.ndarray, stance: Stance) -> np.ndarray:
    """Return the axes (3, 3) of the best box, or those of before if theirs is as good."""
    if stance.up is not None:
        candidates = [_smallest_around(points, stance.up)]
    else:
        spread = _spread(points)
        normals = (spread[:, 0], spread[:, 2], _face_normal(points, spread))
        candidates = [_smallest_around(points, normal) for normal in normals]
    best = min(candidates, key=lambda axes: _misfit(points, axes))
    before = stance.axes
    if before is not None and stance.up is not None:
        before = _made_upright(before, stance.up)
    if before is not None and _misfit(points, before) < STAY * _misfit(points, best):
        return before
    return best


def _made_upright(axes: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return axes turned the short way so that the third is up."""
    right = axes[:, 0] - (axes[:, 0] @ up) * up
    if np.linalg.norm(right) < 0.1:
        return upright_axes(up)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(up, right), up], 1)


def _misfit(points: np.ndarray, axes: np.ndarray) -> float:
    """Return how large a box is, and how far points are inside it, in metres.

    Size alone does not tell: two faces of a box fit as well into one along their diagonal.
    """
    along = axes.T @ points
    low, high = (end[:, None] for end in _ends(along))
    inside = np.minimum(np.abs(along - low), np.abs(high - along)).min(0)
    return float(np.cbrt(np.prod(high - low + THICKNESS_M)) + INSIDE * inside.mean())


def _smallest_around(points: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return the axes of the smallest box with one axis, the third, given."""
    axes = upright_axes(normal)
    flat = (axes[:, :2].T @ points).astype(np.float32)
    angle = np.radians(cv2.minAreaRect(np.ascontiguousarray(flat.T))[2])
    along = axes[:, :2] @ (np.cos(angle), np.sin(angle))
    return np.stack([along, np.cross(axes[:, 2], along), axes[:, 2]], 1)


def _face_normal(points: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the normal of the plane through three points that most others are on."""
    rng = np.random.default_rng(0)  # the same for the same points
    some = points[:, :: max(points.shape[1] // 150, 1)].T
    a, b, c = some[rng.integers(len(some), size=(3, TRIPLES))]
    normals = np.cross(b - a, c - a)
    length = np.linalg.norm(normals, axis=1)
    normals, a = normals[length > 0], a[length > 0]
    if not len(normals):
        return spread[:, 0]
    normals /= length[length > 0, None]
    reach = max(FACE_M, FACE_SHARE / 2 * float(np.ptp(some @ spread[:, 2])))
    on_it = np.abs(some @ normals.T - (a * normals).sum(1)) < reach
    return normals[on_it.sum(0).argmax()]


# Turned to its faces


def _aligned_with_faces(points: np.ndarray, axes: np.ndarray, up: np.ndarray | None) -> np.ndarray:
    """Turn axes so that the points at each face are as flat as they can be, by least squares."""
    for _ in range(ROUNDS):
        turn = _turn_to_faces(points, axes, up)
        axes = cv2.Rodrigues(turn)[0] @ axes
        if np.abs(turn).max() < LEAST_TURN:
            break
    return axes


def _turn_to_faces(points: np.ndarray, axes: np.ndarray, up: np.ndarray | None) -> np.ndarray:
    """Return the rotation vector (3,) of a Gauss-Newton step.

    Turning by w moves an axis u by w x u, hence a point p along it by w . (u x p).
    """
    along = axes.T @ points
    low, high = _ends(along)
    nearest, close = _faces(along, low, high)
    sums, target = np.zeros((3, 3)), np.zeros(3)
    for face, scatter in enumerate(_scatters(points, np.where(close, nearest, 6))):
        axis = axes[:, face % 3]
        lever = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        sums += lever @ scatter @ lever.T
        target -= lever @ scatter @ axis
    if up is not None:
        sums, target = np.outer(up, up) * (up @ sums @ up), up * (up @ target)
    # Rotations that no face tells of stay as they are.
    spread = points.shape[1] * max(middle(high - low), FACE_M) ** 2 / 12
    turn = np.linalg.solve(sums + DAMPING * spread * np.eye(3), target)
    return turn * min(1.0, MAX_TURN / max(float(np.linalg.norm(turn)), 1e-9))


def _scatters(points: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Return the sums of squares about each face's mean of its (3, N) points, (6, 3, 3)."""
    on_face = (face == np.arange(6)[:, None]).astype(float)
    sums = on_face @ points.T
    squares = (on_face[:, None] * points) @ points.T
    count = np.maximum(on_face.sum(1), 1)[:, None, None]
    return squares - sums[:, :, None] * sums[:, None, :] / count


# Which axis is which

_TURNS = np.array(
    [
        turn
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
        if np.linalg.det(turn := np.eye(3)[list(order)] * signs) > 0
    ]
)
_UPRIGHT_TURNS = _TURNS[_TURNS[:, 2, 2] == 1]


def named(axes: np.ndarray, after: np.ndarray, *, upright: bool = False) -> np.ndarray:
    """Return the same axes in that order and direction, of all 24, which is nearest to another.

    upright: the third stays the third.
    """
    turns = _UPRIGHT_TURNS if upright else _TURNS
    return axes @ turns[np.tensordot(turns, axes.T @ after, 2).argmax()]
