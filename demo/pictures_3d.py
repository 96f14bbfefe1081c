"""Pictures of boxes and points: over the images, as clouds, and from above."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from boxes import BoxAnswer, colors_of, positions_m

from tam_ros.evaluation.depth_clips import DepthClip
from tam_ros.geometry.oriented_box import OrientedBox
from tam_ros.geometry.placement import Placement
from tam_ros.overlay import color_of
from tam_ros.rgbd_folder import RgbdFolder

mpl.use('Agg')

from matplotlib import pyplot as plt  # noqa: E402

SHOWN = 3  # frames side by side
CLOUD_POINTS = 6000  # of each frame, at most
# Pairs of corners that differ along one axis, in the order of `OrientedBox.corners_m`.
EDGES = [(a, b) for a, b in combinations(range(8), 2) if (a ^ b) in (1, 2, 4)]
TURNED, DOWN = np.radians((-30, 30))  # how somebody at the left of the camera looks at things
AXIS_COLORS = ('#e03030', '#20a020', '#3050f0')
TRUTH = {'color': '0.35', 'linewidth': 0.9, 'linestyle': (0, (3, 2))}


class Painter:
    """Draws the answers about one folder. clip: its truth, None where that is not known."""

    def __init__(self, folder: RgbdFolder, answers: Sequence[BoxAnswer], clip: DepthClip | None):
        self._folder, self._clip = folder, clip
        self._answers = sorted(answers, key=lambda answer: answer.index)
        names = sorted({name for answer in answers for name in answer.boxes})
        self._colors = {n: np.divide(color_of(i), 255) for i, n in enumerate(names, 1)}

    # -- boxes and clouds -------------------------------------------------------------------

    def draw_boxes(self, path: Path) -> None:
        """Write a PNG: boxes over some images, and below them the points of the same frames."""
        places = np.linspace(0, len(self._answers) - 1, SHOWN).round().astype(int)
        shown = [self._answers[i] for i in dict.fromkeys(places)]
        figure, rows = plt.subplots(
            *(2, len(shown)),
            figsize=(6.4 * len(shown), 8.2),
            height_ratios=(3, 2),
            squeeze=False,
        )
        for answer, over, under in zip(shown, *rows):
            self._draw_image(over, answer)
            self._draw_cloud(under, answer)
        figure.tight_layout(pad=0.4)
        _save(figure, path)

    def _draw_image(self, axes, answer: BoxAnswer) -> None:
        image_bgr = self._folder.view(answer.index).image_bgr
        axes.imshow(image_bgr[..., ::-1])
        axes.set_title(f'frame {answer.index}', loc='left', fontsize=11)
        axes.set_axis_off()
        for name, box in answer.boxes.items():
            corners = self._pixels(answer.index, box.corners_m)
            _draw_edges(axes, corners, self._colors[name], linewidth=1.4)
            ends = box.center_m + np.vstack([np.zeros(3), (0.5 * box.size_m * box.axes).T])
            middle, *tips = self._pixels(answer.index, ends)
            for tip, color in zip(tips, AXIS_COLORS):
                axes.plot(*np.stack([middle, tip]).T, color=color, linewidth=1.8)
            x, y = corners[:, 0].mean(), corners[:, 1].min() - 6
            _write(axes, (x, y), name, self._colors[name])
        height, width = image_bgr.shape[:2]
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))

    def _pixels(self, index: int, points_m: np.ndarray) -> np.ndarray:
        """Return where points of the answers' frame are in an image, (N, 2) x, y."""
        camera = self._folder.camera
        seen = self._placement(index).inverse.points(points_m).astype(float)
        k, d = np.reshape(camera.k, (3, 3)).astype(float), np.array(camera.d, float)
        return cv2.projectPoints(seen, np.zeros(3), np.zeros(3), k, d)[0].reshape(-1, 2)

    def _placement(self, index: int) -> Placement:
        poses = self._folder.camera.poses
        return Placement.of_pose(poses[index]) if poses else Placement()

    def _draw_cloud(self, axes, answer: BoxAnswer) -> None:
        """Draw points and boxes from another side than the camera's, the farthest first."""
        points = np.concatenate(list(answer.points.values()))
        points = points[:: max(len(points) // CLOUD_POINTS, 1)]
        seen = self._from_aside(positions_m(points))
        order = np.argsort(-seen[:, 2])
        axes.scatter(*seen[order, :2].T, c=colors_of(points)[order], s=4, linewidths=0)
        for name, box in answer.boxes.items():
            corners = self._from_aside(box.corners_m)
            _draw_edges(axes, corners[:, :2], self._colors[name], linewidth=1.3)
        self._draw_floor(axes)
        axes.set_aspect('equal')
        axes.set_axis_off()

    def _draw_floor(self, axes) -> None:
        """Draw a grid of decimetres under all that was ever found."""
        every = [self._upright(b.corners_m) for a in self._answers for b in a.boxes.values()]
        low, high = np.min(every, (0, 1)), np.max(every, (0, 1))
        left, near = np.floor(low[:2] * 10) / 10
        right, far = np.ceil(high[:2] * 10) / 10
        lines = [[(x, near), (x, far)] for x in np.arange(left, right + 0.01, 0.1)]
        lines += [[(left, y), (right, y)] for y in np.arange(near, far + 0.01, 0.1)]
        for ends in lines:
            ends_m = np.column_stack([ends, [low[2]] * 2])
            axes.plot(*(ends_m @ _aside())[:, :2].T, color='0.85', linewidth=0.7, zorder=0)

    def _from_aside(self, points_m: np.ndarray) -> np.ndarray:
        """Return (N, 3) to the right, up and away, of points seen by somebody at the side."""
        return self._upright(points_m) @ _aside()

    def _upright(self, points_m: np.ndarray) -> np.ndarray:
        """Return points with z up, for a view: of the camera's frame, where no other is known."""
        return points_m if self._folder.camera.poses else points_m[:, [0, 2, 1]] * (1, 1, -1)

    # -- from above -------------------------------------------------------------------------

    def draw_top_view(self, path: Path) -> None:
        """Write a PNG: where things were found and, dashed, are; and where the camera was."""
        figure, axes = plt.subplots(figsize=(9.6, 9.6))
        for name, color in self._colors.items():
            self._draw_way(axes, name, color)
            of_it = [answer for answer in self._answers if name in answer.boxes]
            for answer in (of_it[0], of_it[-1]):
                self._draw_outline(axes, answer, name, color)
            outline = _outline(self._upright(of_it[-1].boxes[name].corners_m))
            _write(axes, (outline[0].mean(), outline[1].max() + 0.012), name, color)
            points = of_it[-1].points[name]
            seen = self._upright(positions_m(points))[::2, :2]
            axes.scatter(*seen.T, c=colors_of(points)[::2], s=2, linewidths=0, zorder=1)
        self._draw_camera(axes)
        self._explain(axes)
        axes.set_aspect('equal')
        axes.grid(color='0.92')
        axes.set_axisbelow(True)
        axes.set(xlabel='x, m', ylabel='y, m' if self._folder.camera.poses else 'z, m')
        figure.tight_layout()
        _save(figure, path)

    def _explain(self, axes) -> None:
        axes.plot([], [], color='0.2', linewidth=1.6, label='box, first and last')
        axes.plot([], [], '.', color='0.2', label='its middle in each frame')
        if self._clip is not None:
            axes.plot([], [], label='truth (of round things what is seen)', **TRUTH)
        axes.legend(loc='upper left', frameon=False, fontsize=9)

    def _draw_way(self, axes, name: str, color: np.ndarray) -> None:
        found = [a.boxes[name].center_m for a in self._answers if name in a.boxes]
        axes.plot(*self._upright(np.stack(found))[:, :2].T, '.', color=color, markersize=4)
        if self._clip is not None:
            number = self._clip.numbers[name]
            way = np.stack([self._clip.center_m(t, number) for t in range(len(self._clip))])
            axes.plot(*way[:, :2].T, **TRUTH)

    def _draw_outline(self, axes, answer: BoxAnswer, name: str, color: np.ndarray) -> None:
        box = answer.boxes[name]
        axes.fill(*_outline(self._upright(box.corners_m)), color=color, alpha=0.12)
        axes.plot(*_outline(self._upright(box.corners_m)), color=color, linewidth=1.6)
        if self._clip is not None:
            axes.plot(*_true_outline(self._clip, answer.index, name), **TRUTH)

    def _draw_camera(self, axes) -> None:
        where = [self._placement(answer.index) for answer in self._answers]
        way = self._upright(np.stack([place.shift_m for place in where]))
        axes.plot(*way[:, :2].T, color='0.2', linewidth=1)
        for place in (where[0], where[-1]):
            wedge = np.array([[0, 0, 0], [-0.5, 0, 0.9], [0.5, 0, 0.9], [0, 0, 0]]) * 0.07
            axes.plot(*self._upright(place.points(wedge))[:, :2].T, color='0.2', linewidth=1.2)
        axes.annotate('camera', way[-1][:2], xytext=(8, -4), textcoords='offset points')


def _aside() -> np.ndarray:
    """Return right, up and away of somebody at the side, as columns in x, y, z with z up."""
    right = np.array([np.cos(TURNED), np.sin(TURNED), 0])
    ahead, up = np.array([-np.sin(TURNED), np.cos(TURNED), 0]), np.array([0, 0, 1])
    sin, cos = np.sin(DOWN), np.cos(DOWN)
    return np.stack([right, sin * ahead + cos * up, cos * ahead - sin * up], 1)


def _outline(points_m: np.ndarray) -> np.ndarray:
    """Return the convex outline of points from above, closed, (2, N)."""
    hull = cv2.convexHull(np.ascontiguousarray(points_m[:, :2], np.float32))[:, 0]
    return np.vstack([hull, hull[:1]]).T


def _true_outline(clip: DepthClip, t: int, name: str) -> np.ndarray:
    """Return the outline of a box, or of what is seen of what is round, as `_outline`."""
    number = clip.numbers[name]
    known = clip.truth.objects[number]
    if not known.is_box:
        return _outline(clip.points_m(t, number))
    whole = OrientedBox(np.zeros(3), np.eye(3), np.asarray(known.size_m))
    return _outline(clip.truth.frames[t][number].points(whole.corners_m))


def _draw_edges(axes, corners: np.ndarray, color: np.ndarray, **style) -> None:
    for a, b in EDGES:
        axes.plot(*corners[[a, b]].T, color=color, solid_capstyle='round', **style)


def _write(axes, place: Sequence[float], text: str, color: np.ndarray) -> None:
    box = {'facecolor': color, 'edgecolor': 'none', 'alpha': 0.85, 'boxstyle': 'round,pad=0.15'}
    axes.text(*place, text, ha='center', va='bottom', fontsize=9, color='black', bbox=box)


def _save(figure, path: Path) -> None:
    figure.savefig(path, bbox_inches='tight', pad_inches=0.1)
    plt.close(figure)
