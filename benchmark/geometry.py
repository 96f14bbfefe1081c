"""How true boxes and clouds of objects are, and what they take, on scenes that are exact.

    python benchmark/geometry.py [--views 40] [--seconds 12] [--parts accuracy motion time]

A box, a cylinder and a ball stand on a table that the camera looks down on from 0.5 to 1.2 m.
Masks are true, depth is exact or with the faults of a stereo camera (see `depth_noise`).
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from depth_methods import METHODS, Answer, Method, ours
from depth_scenes import Box, Cylinder, Ellipsoid, Solid, Table, View, look, pinhole
from scipy.spatial.transform import Rotation
from tables import table

from tam_ros.evaluation.depth_noise import StereoNoise
from tam_ros.geometry.box_filter import BoxFilter
from tam_ros.geometry.camera import Camera
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.options import GeometryOptions
from tam_ros.geometry.oriented_box import OrientedBox, Stance
from tam_ros.masks import MaskCrop

PARTS = ('accuracy', 'motion', 'time')
OFF_M = 0.02  # a point so far from the object is wrong
FLIP = np.radians(30)  # axes that turn by more from frame to frame flip
UPRIGHT = 0.999  # of an axis along up
HZ = 15
SPEED_M_S = 0.3
TURN_DEG_S = 30.0
CONDITIONS = {  # depth, and pixels by which masks are too large
    'exact': (None, 0),
    'stereo': (StereoNoise(), 0),
    'stereo, masks 3 px too large': (StereoNoise(), 3),
}
SHAPES = {'box': Box, 'cylinder': Cylinder, 'ball': Ellipsoid}


@dataclass(frozen=True)
class Scene:
    """Solids on a table, as seen; the table is shape number 1."""

    table: Table
    """What they stand on."""
    solids: dict[str, Solid]
    """By name; shapes from number 2."""
    view: View
    """Exact."""

    def frame(self, noise: StereoNoise | None, rng: np.random.Generator) -> DepthFrame:
        """Return the depth that a camera would give."""
        exact = self.view.depth_m
        return DepthFrame(exact if noise is None else noise.apply(exact, rng), self.view.camera)

    def objects(self) -> Iterator[tuple[str, Solid, int]]:
        """Yield name, shape and number of each."""
        for number, (name, solid) in enumerate(self.solids.items(), 2):
            yield name, solid, number

    def true_box(self, solid: Solid, number: int, axes: np.ndarray) -> OrientedBox:
        """Return the box that an answer with these axes should have.

        A box is itself. Of what is round it is that of the exact points that are seen, and reaches
        down to the table if it is upright.
        """
        if isinstance(solid, Box):
            return OrientedBox(solid.center_m, solid.axes, solid.size_m)
        low_high = np.sort(self.view.points_m(number) @ axes, 0)[[0, -1]]
        if axes[:, 2] @ self.table.up > UPRIGHT:
            low_high[0, 2] = np.dot(self.table.plane.point_m, self.table.up)
        return OrientedBox(axes @ low_high.mean(0), axes, low_high[1] - low_high[0])


def scene(camera: Camera, rng: np.random.Generator) -> Scene:
    """Return a scene by chance."""
    top = Table(rng.uniform(30, 55), rng.uniform(0.5, 1.2))
    solids = {}
    for (name, shape), x in zip(SHAPES.items(), (0.0, -0.22, 0.22)):
        across, high = rng.uniform(0.07, 0.13, 2)
        size = {'box': (across, rng.uniform(0.05, 0.12), high), 'cylinder': (across, across, high)}
        yaw = rng.uniform(0, 90) if name == 'box' else 0.0
        x_m = x * top.distance_m + rng.uniform(-0.02, 0.02)
        size_m = size.get(name, (across,) * 3)
        solids[name] = top.standing(shape, size_m, x_m=x_m, y_m=rng.uniform(0, 0.05), yaw_deg=yaw)
    return Scene(top, solids, look(camera, [top.plane, *solids.values()]))


# Accuracy


def accuracy(views: int) -> str:
    """Return the table of errors over views of scenes by chance."""
    camera, rng = pinhole(), np.random.default_rng(0)
    errors: dict[tuple[str, str, str], list] = defaultdict(list)
    for _ in range(views):
        seen = scene(camera, rng)
        for condition, (noise, grown_px) in CONDITIONS.items():
            frame = seen.frame(noise, rng)
            for (name, solid, number), (who, method) in _pairs(seen):
                crop = seen.view.crop(number, grown_px)
                answer = method(frame, crop, Stance(seen.table.up))
                true = seen.true_box(solid, number, answer.box.axes)
                errors[condition, name, who].append(_errors(answer, true, solid))
    figures = ('position, mm', 'p95', 'sides, mm', '% of points off', 'error² / variance')
    columns = ('depth and masks', 'shape', 'who', *figures)
    return table(columns, (_accuracy_row(*key, errors[key]) for key in sorted(errors)))


def _pairs(seen: Scene):
    return ((each, method) for method in METHODS.items() for each in seen.objects())


def _errors(answer: Answer, true: OrientedBox, solid: Solid) -> tuple[float, ...]:
    """Return errors of position and of sides in m, the share of points off, and over-confidence.

    The last is the squared error of the position over its variance.
    """
    miss = answer.box.center_m - true.center_m
    sides = np.abs(np.sort(answer.box.size_m) - np.sort(true.size_m)).mean()
    off = (solid.distance_m(answer.points_m) > OFF_M).mean()
    sure = np.nan
    if answer.covariance is not None:
        sure = miss @ np.linalg.solve(answer.covariance[:3, :3], miss) / 3
    return float(np.linalg.norm(miss)), float(sides), float(off), float(sure)


def _accuracy_row(condition: str, name: str, who: str, errors: list) -> tuple:
    position, sides, off, sure = np.array(errors).T
    middle, most = np.percentile(position * 1e3, (50, 95))
    return (
        condition,
        name,
        who,
        f'{middle:.1f}',
        f'{most:.1f}',
        f'{np.median(sides) * 1e3:.1f}',
        f'{off.mean() * 100:.2f}',
        '' if np.isnan(sure).all() else f'{np.median(sure):.1f}',
    )


# Motion


def motion(seconds: float) -> str:
    """Return the table of flips while things turn, and lag while one moves, with noise."""
    rows = []
    for who in ('ours, up known', 'ours', 'principal axes'):
        flips = [flips_per_minute(METHODS[who], shape, seconds) for shape in SHAPES.values()]
        rows.append((who, *(f'{flip:.0f}' for flip in flips), _lag_text(METHODS[who])))
    names = (f'flips a minute, {name}' for name in SHAPES)
    return table(('who', *names, f'frames behind at {SPEED_M_S} m/s'), rows)


def _lag_text(method: Method) -> str:
    return f'{frames_behind(method):.2f}'


def boxes_over_time(method: Method, solids: list[Solid], top: Table) -> list[OrientedBox]:
    """Return the smoothed boxes of a solid that is seen at one place after the other."""
    camera, rng, smoother = pinhole(), np.random.default_rng(0), BoxFilter()
    boxes = []
    for frame, solid in enumerate(solids):
        view = look(camera, [top.plane, solid])
        seen = DepthFrame(StereoNoise().apply(view.depth_m, rng), camera)
        answer = method(seen, view.crop(2), Stance(top.up, axes=smoother.axes))
        box = answer.box
        if answer.covariance is not None:
            stamp_ns, smoothing_s = int(frame * 1e9 / HZ), GeometryOptions.smoothing_s
            box = smoother.update(box, stamp_ns, answer.covariance, smoothing_s)
        boxes.append(box)
    return boxes


def flips_per_minute(method: Method, shape: type[Solid], seconds: float) -> float:
    """Return how often axes flip while a solid turns on the table."""
    top, size_m = Table(), (0.1, 0.08, 0.12) if shape is Box else (0.1, 0.1, 0.1)
    turns = np.arange(int(seconds * HZ)) * TURN_DEG_S / HZ
    boxes = boxes_over_time(
        method, [top.standing(shape, size_m, yaw_deg=turn) for turn in turns], top
    )
    steps = [Rotation.from_matrix(a.axes.T @ b.axes).magnitude() for a, b in zip(boxes, boxes[1:])]
    return float(np.sum(np.array(steps) > FLIP)) * 60 / seconds


def frames_behind(method: Method) -> float:
    """Return how many frames the box of a thing that moves across is behind that at rest."""
    top, size_m, step_m = Table(), (0.1, 0.08, 0.12), SPEED_M_S / HZ
    places = (np.arange(14) - 6) * step_m
    solids = [top.standing(Box, size_m, x_m=x, yaw_deg=25) for x in places]
    moving = boxes_over_time(method, solids, top)
    behind = [s.center_m[0] - b.center_m[0] for s, b in zip(solids, moving)][3:]
    still = [boxes_over_time(method, [s], top)[0] for s in solids[3:]]
    offset = [s.center_m[0] - b.center_m[0] for s, b in zip(solids[3:], still)]
    return float(np.mean(behind) - np.mean(offset)) / step_m


# Time


def times(rounds: int = 30) -> str:
    """Return the table of milliseconds of processor time per frame for three objects."""
    cv2.setNumThreads(1)
    rows = []
    for camera in (pinhole(640, 480, 600), pinhole(1280, 720, 900)):
        seen = _three_of_150_px(camera)
        frame = seen.frame(StereoNoise(), np.random.default_rng(0))
        crops = [seen.view.crop(number) for _, _, number in seen.objects()]
        for known in (True, False):
            stance = Stance(seen.table.up if known else None)
            took = [_frame_ms(frame, crops, stance) for _ in range(rounds)]
            pixels = ', '.join(str(int(crop.mask.sum())) for crop in crops)
            size = '{}x{}'.format(*camera.calibration.size_wh)
            said = 'known' if known else 'not known'
            rows.append((size, pixels, said, f'{min(took):.1f}', f'{np.median(took):.1f}'))
    return table(('image', 'pixels of the masks', 'up', 'least ms', 'median ms'), rows)


def _three_of_150_px(camera: Camera) -> Scene:
    top = Table(distance_m=0.8)
    solids = {
        'box': top.standing(Box, (0.14, 0.12, 0.11), yaw_deg=25),
        'ball': top.standing(Ellipsoid, (0.185,) * 3, x_m=0.25, y_m=0.05),
        'cylinder': top.standing(Cylinder, (0.12, 0.12, 0.16), x_m=-0.25),
    }
    return Scene(top, solids, look(camera, [top.plane, *solids.values()]))


def _frame_ms(frame: DepthFrame, crops: list[MaskCrop], stance: Stance) -> float:
    start = time.process_time()
    for crop in crops:
        ours(frame, crop, stance)
    return (time.process_time() - start) * 1e3


def print_tables(parts=PARTS, views: int = 40, seconds: float = 12.0) -> None:
    """Measure, and print a table for each part."""
    tables = {
        'accuracy': lambda: accuracy(views),
        'motion': lambda: motion(seconds),
        'time': times,
    }
    for part in parts:
        print(tables[part](), end='\n\n', flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--views', type=int, default=40)
    parser.add_argument('--seconds', type=float, default=12.0, help='of things that turn')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS)
    args = parser.parse_args()
    print_tables(args.parts, args.views, args.seconds)


if __name__ == '__main__':
    main()
