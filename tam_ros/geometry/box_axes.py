"""How an object's box lies: its axes, from its points.

Where a box has faces, its axes are those that make the points at each as flat as can be; else they
are those of the smallest box. Points are (3, N) float64; axes (3, 3) are columns of a rotation.
"""

from itertools import permutations, product

import cv2
import numpy as np

from tam_ros.geometry.extents import (
    FACE_M,
    FACE_SHARE,
    ends,
    nearest_faces,
    principal_axes,
)
from tam_ros.geometry.middle import middle

THICKNESS_M = 0.005  # added to sides, so that flat things have a volume to compare
INSIDE = 2.0  # of how far points are inside counts with the box's mean side
STAY = 1.1  # a box may fit worse by this factor to keep the axes of the frame before
DAMPING = 0.02  # of the rotation that faces ask for: how much of them there must be
MAX_TURN = np.radians(5)  # of a round
LEAST_TURN = np.radians(0.5)  # a round that turns less is the last
ROUNDS = 3
TRIPLES = 24
_TURNS = np.array(  # that make each of three axes any of them, either way
    [
        turn
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
        if np.linalg.det(turn := np.eye(3)[list(order)] * signs) > 0
    ]
)
_UPRIGHT_TURNS = _TURNS[_TURNS[:, 2, 2] == 1]


def upright_axes(up: np.ndarray) -> np.ndarray:
    """Return axes (3, 3) whose third is up, the first as far to the camera's right as can be."""
    right = np.array([1.0, 0, 0]) if abs(up[0]) < 0.9 else np.array([0, 0, 1.0])
    right = right - (right @ up) * up
    right /= np.linalg.norm(right)
    return np.stack([right, _normal_to(up, right), up], 1)


def best_axes(points: np.ndarray, up: np.ndarray | None, before: np.ndarray | None) -> np.ndarray:
    """Return the axes of the best box, or those of the frame before if theirs is as good.

    up: (3,) of length 1, which the third is to be; None for any.
    """
    if up is not None:
        candidates = [_smallest_around(points, up)]
        before = None if before is None else _made_upright(before, up)
    else:
        spread = principal_axes(points)
        normals = (spread[:, 0], _face_normal(points, spread))
        candidates = [_smallest_around(points, normal) for normal in normals]
    best = min(candidates, key=lambda axes: _misfit(points, axes))
    if before is not None and _misfit(points, before) < STAY * _misfit(points, best):
        return before
    return best


def _normal_to(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross product of two (3,) vectors; NumPy's takes ten times as long for two."""
    return np.array(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def _made_upright(axes: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return axes turned the short way so that the third is up."""
    right = axes[:, 0] - (axes[:, 0] @ up) * up
    if np.linalg.norm(right) < 0.1:
        return upright_axes(up)
    right /= np.linalg.norm(right)
    return np.stack([right, _normal_to(up, right), up], 1)


def _misfit(points: np.ndarray, axes: np.ndarray) -> float:
    """Return how large a box is, and how far points are inside it, in metres.

    Size alone does not tell: two faces of a box fit as well into one along their diagonal.
    """
    along = axes.T @ points
    low, high = (end[:, None] for end in ends(along))
    inside = np.minimum(np.abs(along - low), np.abs(high - along)).min(0)
    return float(np.cbrt(np.prod(high - low + THICKNESS_M)) + INSIDE * inside.mean())


def _smallest_around(points: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return the axes of the smallest box with one axis, the third, given."""
    axes = upright_axes(normal)
    flat = (axes[:, :2].T @ points).astype(np.float32)
    angle = np.radians(cv2.minAreaRect(np.ascontiguousarray(flat.T))[2])
    along = axes[:, :2] @ (np.cos(angle), np.sin(angle))
    return np.stack([along, _normal_to(axes[:, 2], along), axes[:, 2]], 1)


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


def aligned_with_faces(points: np.ndarray, axes: np.ndarray, up: np.ndarray | None) -> np.ndarray:
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
    low, high = ends(along)
    nearest, close = nearest_faces(along, low, high)
    sums, target = np.zeros((3, 3)), np.zeros(3)
    scatters = _scatters(points, np.where(close, nearest, 6))
    for axis, scatter in zip(axes.T, scatters[:3] + scatters[3:]):
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


def named(axes: np.ndarray, after: np.ndarray, *, upright: bool = False) -> np.ndarray:
    """Return the same axes in that order and direction, of all 24, which is nearest to another.

    upright: the third stays the third.
    """
    turns = _UPRIGHT_TURNS if upright else _TURNS
    return axes @ turns[np.tensordot(turns, axes.T @ after, 2).argmax()]
