"""Render training clips of moving things with MuJoCo, on the CPU over EGL.

Usage: python -m training.render --assets DIR --out DIR --count N [--seed S] [--sheet FILE]
A clip depends on the seed and its number alone; clips that are there already are kept.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault('MUJOCO_GL', 'egl')

import cv2  # noqa: E402
import mujoco  # noqa: E402
import numpy as np  # noqa: E402
from scipy.interpolate import CubicSpline  # noqa: E402
from tqdm import tqdm  # noqa: E402

from training.clips import Clip, contact_sheet, load_clip, save_clip  # noqa: E402
from training.meshes import Assets  # noqa: E402
from training.scene import Motion, Scene, advance, build_scene, draw_motions, start  # noqa: E402

CLIPS_PER_SCENE = 3  # compiling a scene takes about as long as rendering a clip
ATTEMPTS_PER_SCENE = 6
MOST_OBJECTS = 4
LEAST_AREA, MOST_AREA = 0.004, 0.5  # of the image, of an object in the first frame
GAMMA = 2.2
LINEAR = (np.arange(256, dtype=np.float32) / 255) ** GAMMA
LEAD = 0.02  # seconds before the first frame, for its motion blur
SHEET_CLIPS = 8


@dataclass(frozen=True)
class Order:
    """Which clips to render."""

    out: Path
    """Folder for them."""
    assets: Assets
    """Folder with meshes/ and photos/."""
    indices: tuple[int, ...]
    """Numbers of clips that share a scene."""
    seed: int
    """Of all clips in the folder."""
    size: int
    """Side of the images, in pixels."""
    frames: int
    """Per clip."""

    def path(self, index: int) -> Path:
        return self.out / f'{index:06d}.npz'


@dataclass(frozen=True)
class Shot:
    """How a clip is filmed."""

    view: CubicSpline
    """Path of (azimuth, elevation, roll, log of the distance, and the point looked at: 3) in rad
    and metres over time in seconds."""
    instants: np.ndarray
    """(T, S) seconds of the sub-frames that make up a frame."""


class Studio:
    """Films a scene: owns its simulation state and its renderer."""

    def __init__(self, scene: Scene, size: int):
        self.scene, self.data = scene, mujoco.MjData(scene.model)
        self.renderer = mujoco.Renderer(scene.model, size, size)

    def close(self) -> None:
        """Give the renderer back."""
        self.renderer.close()

    def film(self, frames: int, rng: np.random.Generator) -> Clip | None:
        """Return a clip of a new take; None if no object is well in view or physics fails."""
        frame_seconds = np.exp(rng.uniform(np.log(1 / 30), np.log(1 / 6)))
        motions = draw_motions(self.scene.things, frames, frame_seconds, rng)
        light_scene(self.scene.model, rng)
        self.scene.model.cam_fovy[0] = fovy = rng.uniform(35, 65)
        hero = rng.integers(len(motions))
        extent = 2 * self.scene.things[hero].half.max() / np.tan(np.radians(fovy) / 2)
        base = draw_view(motions[hero].place, extent, rng)
        shot = draw_shot(base, frames, frame_seconds, rng)
        start(self.scene, self.data, motions)
        advance(self.scene, self.data, motions, LEAD)
        numbers = object_numbers(self._labels(shot, LEAD), rng)
        if not numbers.any():
            return None
        start(self.scene, self.data, motions)
        pairs = [self._frame(shot, motions, instants) for instants in shot.instants]
        if any(warning.number for warning in self.data.warning):
            return None  # the simulation burst and began anew
        images = develop([light for light, _ in pairs], rng)
        return Clip(images, numbers[np.stack([labels for _, labels in pairs])])

    def _frame(
        self, shot: Shot, motions: list[Motion], instants: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the light (H, W, 3) of a frame and the things (H, W) in its middle instant."""
        light = np.zeros((), np.float32)
        for i, instant in enumerate(instants):
            advance(self.scene, self.data, motions, instant)
            self._aim(shot, instant)
            light = light + LINEAR[self.renderer.render()]
            if i == len(instants) // 2:
                labels = self._labels(shot, instant)
        return light / len(instants), labels

    def _labels(self, shot: Shot, instant: float) -> np.ndarray:
        self.renderer.enable_segmentation_rendering()
        self._aim(shot, instant)
        geoms = self.renderer.render()[..., 0]
        self.renderer.disable_segmentation_rendering()
        return self.scene.labels[geoms]

    def _aim(self, shot: Shot, instant: float) -> None:
        model = self.scene.model
        model.cam_pos[0], model.cam_quat[0] = camera_pose(shot.view(instant))
        mujoco.mj_kinematics(model, self.data)
        mujoco.mj_comPos(model, self.data)
        mujoco.mj_camlight(model, self.data)
        self.renderer.update_scene(self.data, 'camera')


def light_scene(model: mujoco.MjModel, rng: np.random.Generator) -> None:
    """Put a strong and a weak light above the scene, of random colour and contrast."""
    ambient = rng.uniform(0.15, 0.5)
    model.vis.headlight.ambient[:] = ambient
    model.vis.headlight.diffuse[:] = rng.uniform(0, 0.25)
    for light, strength in enumerate([rng.uniform(0.4, 0.9), rng.uniform(0, 0.35)]):
        pos = np.array([*rng.normal(0, 1, 2), rng.uniform(1, 2.5)])
        model.light_pos[light], model.light_dir[light] = pos, -pos / np.linalg.norm(pos)
        model.light_diffuse[light] = strength * rng.uniform(0.85, 1.1, 3)
        model.light_specular[light] = strength * 0.5


def draw_view(place: np.ndarray, extent: float, rng: np.random.Generator) -> np.ndarray:
    """Return a view as in `Shot`, of a thing at a place (3,), that is of any size in the image.

    extent: how far away, in metres, the thing's longest side is as long as half the image's.
    """
    distance = np.clip(extent / np.exp(rng.uniform(np.log(0.35), np.log(1.8))), 0.3, 1.5)
    around = [rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 1.1), rng.normal(0, 0.06)]
    target = place + rng.normal(0, 0.15, 3) * distance * [1, 1, 0.5]
    return np.array([*around, np.log(distance), *target])


def draw_shot(
    base: np.ndarray, frames: int, frame_seconds: float, rng: np.random.Generator
) -> Shot:
    """Draw a camera motion that begins at a view (7,), and whether frames are blurred."""
    seconds = np.arange(frames) * frame_seconds + LEAD
    times = np.linspace(0, seconds[-1] + frame_seconds, 6)
    steps = rng.normal(size=(6, 7)) * _view_steps(rng) * rng.uniform(0.3, 1)
    view = base + np.cumsum(steps, axis=0)
    return Shot(CubicSpline(times, view), seconds[:, None] + _shutter(frame_seconds, rng))


def _view_steps(rng: np.random.Generator) -> np.ndarray:
    """Return how far each part of a view goes between knots: still, sway, orbit, dolly or arm."""
    still, sway = np.zeros(7), np.array([0.01, 0.01, 0.01, 0.01, 0.008, 0.008, 0.008])
    orbit, dolly = sway + [0.25, 0.08, 0, 0, 0, 0, 0], sway + [0, 0, 0, 0.13, 0, 0, 0]
    arm = sway + [0.08, 0.08, 0.05, 0.06, 0.05, 0.05, 0.03]
    return rng.choice([still, sway, orbit, dolly, arm], p=[0.12, 0.3, 0.2, 0.13, 0.25])


def _shutter(frame_seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return the instants (S,) of the sub-frames around a frame's time: one, or five as blur."""
    if rng.random() < 0.8:
        return np.zeros(1)
    return np.linspace(-0.5, 0.5, 5) * min(frame_seconds * rng.uniform(0.2, 0.6), 1.8 * LEAD)


def camera_pose(view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return position and quaternion of a camera, looking along -z, from a view as in `Shot`."""
    azimuth, elevation, roll, log_distance = view[:4]
    back = np.array([np.cos(azimuth), np.sin(azimuth), 0]) * np.cos(elevation)
    back[2] = np.sin(elevation)
    place = view[4:] + np.exp(log_distance) * back
    place[2] = max(place[2], 0.04)
    right = np.cross([0, 0, 1], back) / np.cos(elevation)
    up = np.cross(back, right)
    right, up = right * np.cos(roll) + up * np.sin(roll), up * np.cos(roll) - right * np.sin(roll)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, up, back], axis=1).ravel())
    return place, quat


def object_numbers(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the object number (256,) of each thing: some of those well in view, else 0.

    labels: (H, W) uint8, the things in the first frame.
    """
    area = np.bincount(labels.ravel(), minlength=256) / labels.size
    area[0] = 0
    chosen = np.flatnonzero((area >= LEAST_AREA) & (area <= MOST_AREA))
    chosen = rng.permutation(chosen)[:MOST_OBJECTS]
    numbers = np.zeros(256, np.uint8)
    numbers[chosen] = np.arange(1, len(chosen) + 1)
    return numbers


def develop(lights: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Turn linear light into camera images (T, H, W, 3) uint8: exposure, lens blur and noise."""
    exposure = rng.uniform(0.12, 0.3) / max(lights[0].mean(), 0.01)
    drift = np.cumsum(rng.normal(0, rng.uniform(0, 0.05), len(lights)))
    colour = exposure * rng.uniform(0.85, 1.15, 3)
    blur, noise = rng.uniform(0.05, 0.9), rng.uniform(0, 5)
    images = []
    for light, step in zip(lights, drift):
        image = 255 * np.clip(light * (colour * np.exp(step)).astype(np.float32), 0, 1) ** (
            1 / GAMMA
        )
        image = cv2.GaussianBlur(image, (0, 0), blur)
        image += noise * rng.standard_normal(image.shape, np.float32)
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return np.stack(images)


def render_clips(order: Order) -> int:
    """Render the clips of an order that are missing, in as many scenes as it takes; count all."""
    missing = [index for index in order.indices if not order.path(index).exists()]
    generation = 0
    while missing:
        missing = _render_in_scene(order, missing, generation)
        generation += 1
    return len(order.indices)


def _render_in_scene(order: Order, indices: list[int], generation: int) -> list[int]:
    """Render clips in one scene; return those that did not succeed, however often it was tried."""
    scene_rng = np.random.default_rng([order.seed, 0, order.indices[0], generation])
    studio = Studio(build_scene(order.assets, order.size, scene_rng), order.size)
    left = []
    for index in indices:
        clip = _first_good(studio, order, index, generation)
        if clip is None:
            left.append(index)
        else:
            save_clip(order.path(index), clip)
    studio.close()
    return left


def _first_good(studio: Studio, order: Order, index: int, generation: int) -> Clip | None:
    seeds = ([order.seed, 1, index, generation, i] for i in range(ATTEMPTS_PER_SCENE))
    takes = (studio.film(order.frames, np.random.default_rng(seed)) for seed in seeds)
    return next((clip for clip in takes if clip is not None), None)


def orders(args: argparse.Namespace) -> Iterator[Order]:
    """Yield what is to be rendered, scene by scene."""
    assets = Assets.of(args.assets)
    for first in range(0, args.count, CLIPS_PER_SCENE):
        indices = tuple(range(first, min(first + CLIPS_PER_SCENE, args.count)))
        yield Order(args.out, assets, indices, args.seed, args.size, args.frames)


def render_all(args: argparse.Namespace) -> None:
    """Render all clips, in this process or, where more are wanted, in others."""
    with tqdm(total=args.count, unit='clip') as progress:
        if args.processes == 1:
            for order in orders(args):
                progress.update(render_clips(order))
            return
        with get_context('spawn').Pool(args.processes) as pool:
            for done in pool.imap_unordered(render_clips, orders(args)):
                progress.update(done)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--assets', type=Path, required=True, help='folder of meshes/, photos/')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--count', type=int, required=True)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--size', type=int, default=320, help='side of the images in pixels')
    parser.add_argument('--frames', type=int, default=12)
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--sheet', type=Path, help='PNG to write a view of the first clips to')
    return parser.parse_args(arguments)


def main() -> None:
    """Render the clips the command line asks for."""
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    render_all(args)
    if args.sheet:
        paths = sorted(args.out.glob('[0-9]*.npz'))[:SHEET_CLIPS]
        sheet = contact_sheet([load_clip(path) for path in paths])
        cv2.imwrite(str(args.sheet), sheet[..., ::-1])


if __name__ == '__main__':
    main()
