"""How far boxes and points of objects are from the truth of a clip with depth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from tam_ros.evaluation.depth_clips import DepthClip
from tam_ros.geometry.oriented_box import OrientedBox

OFF_M = 0.02  # a point so far from the object is wrong
FLIP_RAD = np.radians(30)  # axes that turn by more from one answer to the next flip
MOVING_M = 0.05  # what comes farther in a clip moves


@dataclass
class _Track:
    """The answers about one object, in order."""

    frames: list[int] = field(default_factory=list)
    """Numbers of the images."""
    misses_m: list[np.ndarray] = field(default_factory=list)
    """(3,) from the true middle to that of the box."""
    sides_m: list[float] = field(default_factory=list)
    """Mean difference of the sides, each sorted by length."""
    axes: list[np.ndarray] = field(default_factory=list)
    """(3, 3) of the box."""
    off_shares: list[float] = field(default_factory=list)
    """Of the points, those that are off the object; for answers with points."""


@dataclass(frozen=True)
class BoxScore:
    """How good the boxes of some objects are over a clip."""

    boxes: int
    """How many were scored."""
    position_mm: float
    """Median distance of the middles."""
    position_p95_mm: float
    """That which 95 of 100 are within."""
    sides_mm: float
    """Median of the mean error of a box's sides."""
    off_percent: float
    """Mean share of the points that are more than 2 cm off; NaN without points."""
    flips_per_minute: float
    """How often the axes of one object turn by more than 30 degrees between two answers."""
    frames_behind: float
    """By how many frames boxes are behind things that move; NaN where none does."""


class BoxScores:
    """Compares answers with a clip, in any order of objects, each in the order of the frames."""

    def __init__(self, clip: DepthClip):
        self._clip = clip
        self._tracks: dict[int, _Track] = {}

    @property
    def numbers(self) -> list[int]:
        """The objects that were answered."""
        return sorted(self._tracks)

    def add(
        self, t: int, number: int, box: OrientedBox, points_m: np.ndarray | None = None
    ) -> None:
        """Take the answer about an object in frame t.

        box, (N, 3) points_m: in the frame of the clip's poses. An object that is not seen in that
        frame does not count.
        """
        exact_m = self._clip.points_m(t, number)
        if not len(exact_m):
            return
        true, track = (
            self._clip.box(t, number, box.axes),
            self._tracks.setdefault(number, _Track()),
        )
        track.frames.append(t)
        track.misses_m.append(box.center_m - true.center_m)
        track.sides_m.append(float(np.abs(np.sort(box.size_m) - np.sort(true.size_m)).mean()))
        track.axes.append(box.axes)
        if points_m is not None and len(points_m):
            track.off_shares.append(float((_distances(points_m, exact_m) > OFF_M).mean()))

    def score(self, numbers: Sequence[int] | None = None) -> BoxScore:
        """Return the score of some objects, by default of all; raises ValueError for none."""
        chosen = self.numbers if numbers is None else [n for n in numbers if n in self._tracks]
        if not chosen:
            raise ValueError(f'no boxes of objects {numbers} have come')
        tracks = [self._tracks[n] for n in chosen]
        far_mm = 1e3 * np.linalg.norm(np.concatenate([t.misses_m for t in tracks]), axis=1)
        off = [share for track in tracks for share in track.off_shares]
        behind = [b for b in map(self._frames_behind, chosen) if np.isfinite(b)]
        return BoxScore(
            len(far_mm),
            float(np.median(far_mm)),
            float(np.percentile(far_mm, 95)),
            1e3 * float(np.median(np.concatenate([t.sides_m for t in tracks]))),
            100 * float(np.mean(off)) if off else np.nan,
            self._flips_per_minute(tracks),
            float(np.mean(behind)) if behind else np.nan,
        )

    def _flips_per_minute(self, tracks: Sequence[_Track]) -> float:
        flips = sum(_angle(a, b) > FLIP_RAD for track in tracks for a, b in pairwise(track.axes))
        frames = max(sum(track.frames[-1] - track.frames[0] for track in tracks), 1)
        return float(flips) * 60 * self._clip.files.camera.rate_hz / frames

    def _frames_behind(self, number: int) -> float:
        """Return the lag that explains the misses best, beside one that is always the same.

        What moves by v a frame and is behind by n frames is off by -n v. NaN for what stands.
        """
        track, last = self._tracks[number], len(self._clip) - 1
        centers = np.stack([self._clip.center_m(t, number) for t in range(last + 1)])
        if np.linalg.norm(np.ptp(centers[track.frames], axis=0)) < MOVING_M:
            return np.nan
        speed = np.gradient(centers, axis=0)[track.frames]
        speed = speed - speed.mean(0)
        return float(-(speed * np.stack(track.misses_m)).sum() / (speed**2).sum())


def _distances(points_m: np.ndarray, exact_m: np.ndarray) -> np.ndarray:
    """Return how far (N, 3) points are from the nearest of (M, 3) others, (N,)."""
    return cKDTree(exact_m).query(points_m)[0]


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle in rad between two (3, 3) rotations."""
    return float(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1)))
