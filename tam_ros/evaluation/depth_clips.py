"""Clips of images with depth and truth: masks, boxes and poses. Only for measuring.

A folder as `rgbd_folder` reads it, with the camera's poses, and beside it `masks/` (pixel n =
object n) and `truth.json`: `objects`, by number their `name`, `size_m` and `is_box`; `frames`, for
each image the pose of the middle of each object's box; `floor_m`, the height of what they stand
on. Poses are x, y, z in metres and quaternion x, y, z, w in the frame of the camera's poses, whose
z points up.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tam_ros.evaluation.clips import TruthClip, read_clip
from tam_ros.geometry.camera import Calibration, Camera
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.oriented_box import OrientedBox
from tam_ros.geometry.placement import Placement
from tam_ros.image_files import SourceError
from tam_ros.masks import MaskCrop, tight_crop
from tam_ros.rgbd_folder import RgbdFolder, open_rgbd

UPRIGHT = 0.999  # of an axis along up


@dataclass(frozen=True)
class TrueObject:
    """What is known of an object in all frames."""

    name: str
    """Of the truth; no two have the same."""
    size_m: Sequence[float]
    """(3,) sides of the whole object's box, in its own axes."""
    is_box: bool
    """Whether it fills its box."""


@dataclass(frozen=True)
class Truth3D:
    """What `truth.json` says."""

    objects: Mapping[int, TrueObject]
    """By number, from 1."""
    frames: Sequence[Mapping[int, Placement]]
    """For each image the middle of each object's box, by its number."""
    floor_m: float
    """Height of what objects stand on."""


class DepthClip:
    """A clip of T images with exact depth and truth. Raises SourceError.

    Boxes and points are in the frame of the camera's poses, z up, if not said otherwise.
    """

    def __init__(self, folder: Path):
        self.files: RgbdFolder = open_rgbd(folder)
        self.clip: TruthClip = read_clip(folder, rate_hz=self.files.camera.rate_hz)
        self.truth = read_truth_3d(folder / 'truth.json')
        self._points: dict[tuple[int, int], np.ndarray] = {}  # by frame and object
        counts = len(self.clip), len(self.truth.frames), len(self.files.camera.poses)
        if len(set(counts)) > 1:
            masks, frames, poses = counts
            raise SourceError(
                f'{folder} has {masks} masks, {frames} frames in truth.json and {poses} poses of '
                'the camera: one of each for each image is needed'
            )

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def numbers(self) -> dict[str, int]:
        """Number of each object by its name."""
        return {known.name: number for number, known in self.truth.objects.items()}

    @cached_property
    def camera(self) -> Camera:
        """That of all images."""
        said = self.files.camera
        matrix, coefficients = tuple(said.k), tuple(said.d)
        size = said.width, said.height
        return Camera(Calibration(*size, matrix, coefficients, said.distortion_model))

    def depth_mm(self, t: int) -> np.ndarray:
        """Return (H, W) uint16 exact depth of frame t; 0 is a hole."""
        return self.files.depth_mm(t)

    def placement(self, t: int) -> Placement:
        """Return where the camera is in frame t."""
        return Placement.of_pose(self.files.camera.poses[t])

    def crop(self, t: int, number: int) -> MaskCrop | None:
        """Return the true mask of an object in frame t, None where it is not seen."""
        return tight_crop(0, 0, self.clip.truth[t] == number)

    def center_m(self, t: int, number: int) -> np.ndarray:
        """Return (3,) the middle of an object's whole box in frame t."""
        return self.truth.frames[t][number].shift_m

    def points_m(self, t: int, number: int) -> np.ndarray:
        """Return (N, 3) exact points of an object that are seen in frame t; kept from then on."""
        if (t, number) not in self._points:
            self._points[t, number] = self._seen_points(t, number)
        return self._points[t, number]

    def _seen_points(self, t: int, number: int) -> np.ndarray:
        frame, seen = DepthFrame(self.depth_mm(t), self.camera), self.clip.truth[t] == number
        whole = np.s_[:, :]
        depth_m = frame.metres(whole)
        points = frame.points(depth_m, whole)[:, seen & (depth_m > 0)]
        return self.placement(t).points(points.T)

    def box(self, t: int, number: int, axes: np.ndarray) -> OrientedBox:
        """Return the box that an answer with (3, 3) axes should have in frame t.

        A box is itself. Of what is round, where a camera cannot see the far side, it is that of
        the exact points that are seen, along these axes; and down to the floor if it is upright.
        """
        known = self.truth.objects[number]
        if known.is_box:
            middle = self.truth.frames[t][number]
            return OrientedBox(middle.shift_m, middle.turn, np.asarray(known.size_m, float))
        along = self.points_m(t, number) @ axes
        low, high = along.min(0), along.max(0)
        if axes[2, 2] > UPRIGHT:
            low[2] = self.truth.floor_m
        return OrientedBox(axes @ (low + high) / 2, axes, high - low)


def read_truth_3d(path: Path) -> Truth3D:
    """Read a `truth.json`; raises SourceError."""
    try:
        content = json.loads(path.read_text())
        return Truth3D(
            {int(number): TrueObject(**known) for number, known in content['objects'].items()},
            [
                {int(number): Placement.of_pose(pose) for number, pose in frame.items()}
                for frame in content['frames']
            ],
            float(content['floor_m']),
        )
    except OSError as error:
        raise SourceError(f'{path} cannot be read: {error.strerror}') from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceError(f'{path} is no truth of a clip with depth: {error!r}') from error
