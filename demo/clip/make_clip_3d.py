"""Render the demo's RGB-D clip: things on a table, a camera that goes around them, all known.

The things and the table are those of `make_clip`. Writes a folder that `play_video` plays (`rgb/`,
`depth/`, `camera.json`), with the truth beside it (`masks/`, `truth.json`).
Usage: MUJOCO_GL=egl python make_clip_3d.py --out ../clip_3d [--seed 7]
"""

import argparse
import json
from pathlib import Path

import cv2
import mujoco
import numpy as np
from clip_assets import BALL_RADIUS, speckled
from make_clip import HEIGHT, WIDTH, Filmer, build, develop, ease, looking_at, sway_at, then, turn

FPS, FRAMES = 12, 60
NOISE = 0.7  # grey levels
JPEG_QUALITY = 75
FARTHEST_M = 2.0  # as of a depth camera for the desk; also what keeps the files small
CAN_M, BOTTLE_M, MUG_M = (0.072, 0.072, 0.11), (0.068, 0.068, 0.208), (0.1115, 0.082, 0.0965)
BOX_M = (0.16, 0.052, 0.17)
NAMES = {1: 'oats box', 2: 'ball', 3: 'can', 4: 'mug', 5: 'bottle'}
# Sides, and the middle of the box from the body's origin; a mug's includes its handle.
BOXES = {
    'oats box': (BOX_M, (0, 0, 0)),
    'ball': ((2 * BALL_RADIUS,) * 3, (0, 0, 0)),
    'can': (CAN_M, (0, 0, CAN_M[2] / 2)),
    'mug': (MUG_M, (MUG_M[0] / 2 - 0.041, 0, MUG_M[2] / 2)),
    'bottle': (BOTTLE_M, (0, 0, BOTTLE_M[2] / 2)),
}
BOX_YAW = 0.35
BALL_RGB = (44, 118, 122)  # plain, so that it looks the same while it rolls
TO_OPTICAL = np.diag([1.0, -1.0, -1.0])  # MuJoCo's cameras look along -z with y up


def pushed_m(t):
    """Return how far the box has been pushed: twice, with a rest between."""
    return 0.19 * ease(t, 0.3, 1.9) + 0.21 * ease(t, 2.5, 4.3)


def poses(t):
    """Return position and orientation of every mocap body at a time in seconds."""
    yaw, way = turn((0, 0, 1), BOX_YAW), np.array([np.cos(BOX_YAW), np.sin(BOX_YAW), 0])
    box = np.array([-0.33, 0.0, BOX_M[2] / 2]) + pushed_m(t) * way
    away = 1 - ease(t, -0.4, 0.25) + ease(t, 4.35, 4.9)
    ball = -0.30 + 0.58 * (1 - (1 - min(t / 5.5, 1)) ** 2)
    spin = then(turn((1, 0, 0), 1.1), turn((0, 1, 0), ball / BALL_RADIUS))
    return {
        'oats box': (box, yaw),
        'ball': ((ball, -0.2, BALL_RADIUS), spin),
        'can': ((0.33, 0.0, 0), turn((0, 0, 1), 1.2)),
        'mug': ((0.1, -0.08, 0), turn((0, 0, 1), -0.6)),
        'bottle': ((0.23, 0.19, 0), turn((0, 0, 1), -0.25)),
        'block': ((0, 0, -3), turn((0, 0, 1), 0.5)),  # out of sight
        'other mug': ((-0.1, 0.33, 0), turn((0, 0, 1), 2.2)),
        'pusher': (box - (0.087 + 0.5 * away) * way - (0, 0, 0.03 - 0.03 * away), yaw),
        'camera': camera_pose(t),
    }


def camera_pose(t):
    """Go around the table by 40 degrees and nearer, as an arm or a hand would."""
    sway = sway_at(t)
    around, down, far = np.radians(-22 + 44 * ease(t, -0.5, 5.5)), 0.66, 0.98 - 0.02 * t
    way = np.array([np.sin(around) * np.cos(down), -np.cos(around) * np.cos(down), np.sin(down)])
    target = np.array([0.03, 0.03, 0.04]) + 0.01 * sway[1] + 0.0015 * sway[2]
    place = target + far * way + 0.01 * sway[0]
    return place, looking_at(place, target, 0.03 * sway[1, 0])


class DepthFilmer(Filmer):
    """Renders depth as well, and says where things are."""

    def __init__(self, model):
        super().__init__(model, poses, FPS, NAMES)
        self.depth = mujoco.Renderer(model, HEIGHT, WIDTH)
        self.depth.enable_depth_rendering()

    def depth_mm(self, index):
        """Return (H, W) uint16 depth along the optical axis in the middle of a frame."""
        self.pose(index / FPS, 0)
        self.depth.update_scene(self.data, 'camera')
        depth_m = self.depth.render()
        return np.where(depth_m < FARTHEST_M, np.round(depth_m * 1e3), 0).astype(np.uint16)

    def close(self):
        """Give the renderers back."""
        super().close()
        self.depth.close()


def pose_of(place, quat, offset=(0, 0, 0), axes=None):
    """Return x, y, z, qx, qy, qz, qw of a pose moved and turned within itself."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    matrix = matrix.reshape(3, 3)
    place = np.asarray(place) + matrix @ offset
    turned = np.zeros(4)
    mujoco.mju_mat2Quat(turned, (matrix if axes is None else matrix @ axes).ravel())
    return [round(float(x), 6) for x in (*place, *turned[1:], turned[0])]


def camera_json(model):
    """Return what `play_video` wants to know: the calibration, the rate, and the camera's path."""
    focal = HEIGHT / 2 / np.tan(np.radians(float(model.camera('camera').fovy[0])) / 2)
    k = [focal, 0, (WIDTH - 1) / 2, 0, focal, (HEIGHT - 1) / 2, 0, 0, 1]
    path = [pose_of(*camera_pose(i / FPS), axes=TO_OPTICAL) for i in range(FRAMES)]
    return {
        'width': WIDTH,
        'height': HEIGHT,
        'k': [round(float(x), 4) for x in k],
        'rate_hz': FPS,
        'parent_frame': 'table',
        'poses': path,
    }


def truth_json():
    """Return what things are, and where the middle of each one's box is in every frame."""
    things = {
        str(number): {'name': name, 'size_m': BOXES[name][0], 'is_box': name == 'oats box'}
        for number, name in NAMES.items()
    }
    frames = []
    for index in range(FRAMES):
        found = poses(index / FPS)
        frames.append({str(n): pose_of(*found[name], BOXES[name][1]) for n, name in NAMES.items()})
    return {'objects': things, 'floor_m': 0.0, 'frames': frames}


def write_json(path, content):
    """Write a JSON file with a line for each pose."""
    text = json.dumps(content).replace('}, {', '},\n{').replace('], [', '],\n[')
    path.write_text(text + '\n')


def main():
    """Render the clip and write its folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=7)
    args = parser.parse_args()
    for name in ('rgb', 'depth', 'masks'):
        (args.out / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    model = build(rng, ball=speckled(rng, (256, 256), BALL_RGB, 6))
    filmer = DepthFilmer(model)
    for index in range(FRAMES):
        light, labels = filmer.frame(index)
        image = develop(light, index, rng, NOISE)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        smallest = [cv2.IMWRITE_PNG_COMPRESSION, 9]
        cv2.imwrite(str(args.out / f'rgb/{index:03d}.jpg'), image, quality)
        cv2.imwrite(str(args.out / f'depth/{index:03d}.png'), filmer.depth_mm(index), smallest)
        cv2.imwrite(str(args.out / f'masks/{index:03d}.png'), labels, smallest)
    write_json(args.out / 'camera.json', camera_json(model))
    write_json(args.out / 'truth.json', truth_json())
    filmer.close()


if __name__ == '__main__':
    main()
