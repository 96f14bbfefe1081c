"""Render the demo clip: seven everyday objects on a table, with a ground-truth mask per frame.

Everything in the picture is generated here: lathed and box meshes, numpy textures and scripted
motion, rendered by MuJoCo. Usage: MUJOCO_GL=egl python make_clip.py --out FOLDER [--seed 7]
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault('MUJOCO_GL', 'egl')

import cv2  # noqa: E402
import mujoco  # noqa: E402
import numpy as np  # noqa: E402
from clip_assets import BALL_RADIUS, CAN_RADIUS, meshes, textures  # noqa: E402
from clip_masks import NAMES, save_masks  # noqa: E402

WIDTH, HEIGHT, FPS, FRAMES = 640, 480, 30, 300
SUBFRAMES = 7  # odd: the mask is that of the middle one
SHUTTER = 0.5  # part of the frame time the shutter is open
LENS_BLUR = 0.65  # pixels; also what keeps the file small
LIGHT = np.array([-0.75, -0.35, 1.5])
LIGHT_RADIUS = 0.11
GLOSS = {
    'mug': 0.7,
    'other_mug': 0.7,
    'ball': 0.5,
    'can': 0.6,
    'block': 0.15,
    'bottle': 0.8,
    'box': 0.15,
    'pot': 0.2,
}

SCENE = """
<mujoco>
  <visual>
    <global fovy="42" offwidth="640" offheight="480"/>
    <quality shadowsize="2048" offsamples="4"/>
    <headlight ambient=".30 .29 .28" diffuse=".12 .12 .13" specular="0 0 0"/>
    <map znear=".05" zfar="8" shadowclip="1.2"/>
  </visual>
  <default>
    <geom contype="0" conaffinity="0"/>
    <mesh inertia="shell"/>
    <material specular=".3" shininess=".5"/>
  </default>
  <asset>
    {assets}
    <material name="tabletop" texture="wood" specular=".25" shininess=".4" reflectance=".06"/>
    <material name="table_side" rgba=".42 .28 .17 1"/>
    <material name="wall" texture="plaster" texrepeat="2 1" specular="0"/>
    <material name="floor" rgba=".35 .33 .31 1" specular="0"/>
    <material name="shelf" rgba=".62 .56 .48 1" specular=".1"/>
    <material name="steel" rgba=".55 .56 .58 1" specular=".8" shininess=".8"/>
    <material name="rubber" rgba=".16 .16 .17 1" specular=".1"/>
    <material name="leaf" rgba=".28 .42 .22 1" specular=".2"/>
    <material name="handle" rgba=".29 .42 .55 1" specular=".7" shininess=".8"/>
  </asset>
  <worldbody>
    <light name="key" pos="-.75 -.35 1.5" dir=".4 .25 -1" cutoff="70" exponent="1"
           diffuse=".72 .68 .62" specular=".5 .5 .48" attenuation="1 0 0"/>
    <light pos="2.1 -1.5 2.4" dir="-.7 .5 -.8" cutoff="80" exponent="0" castshadow="false"
           diffuse=".16 .18 .22" specular=".15 .15 .18" attenuation="1 0 0"/>
    <geom type="plane" size=".8 .5 .1" material="tabletop"/>
    <geom type="box" size=".8 .5 .02" pos="0 0 -.0205" material="table_side"/>
    <geom type="plane" size="3 3 .1" pos="0 0 -.75" material="floor"/>
    <geom type="plane" size="2 1.2 .1" pos="0 1.25 .3" xyaxes="1 0 0 0 0 1" material="wall"/>
    {background}
    <body name="camera" mocap="true"><camera name="camera"/></body>
    <body name="pusher" mocap="true">
      <geom type="box" size=".006 .03 .03" material="rubber"/>
      <geom type="capsule" size=".009" fromto="-.01 0 0 -.9 0 .12" material="steel"/>
    </body>
    {objects}
  </worldbody>
</mujoco>
"""


def background(rng):
    """Put books on a shelf at the wall, and a plant and two books at the back of the table."""
    box = '<geom type="box" size="{} {} {}" pos="{} {} {}" rgba="{} {} {} 1"/>'
    parts = [
        '<geom type="box" size="1.3 .14 .015" pos="0 1.1 -.5" material="shelf"/>',
        '<geom type="box" size="1.3 .14 .015" pos="0 1.1 -.07" material="shelf"/>',
    ]
    x = -1.1
    while x < 1.1:
        half, tall = rng.uniform(0.012, 0.03), rng.uniform(0.1, 0.16)
        colour = rng.uniform(0.25, 0.6) * rng.uniform(0.75, 1.1, 3)
        parts.append(box.format(half, 0.09, tall, x + half, 1.1, -0.485 + tall, *colour.round(2)))
        x += 2 * half + rng.choice([0.002, 0.002, 0.002, 0.15])
    parts += [
        box.format(0.11, 0.08, 0.014, 0.46, 0.36, 0.014, 0.36, 0.20, 0.20),
        box.format(0.09, 0.07, 0.011, 0.45, 0.37, 0.039, 0.24, 0.30, 0.36),
        '<geom type="mesh" mesh="pot" material="pot" pos="-.44 .37 0"/>',
    ]
    for angle in np.arange(0, 12) * 2.4:
        lean = 25 + 4 * angle
        parts.append(
            f'<body pos="-.44 .37 .1" euler="0 0 {np.degrees(angle):.0f}"><geom '
            f'type="ellipsoid" size=".07 .02 .004" euler="0 {lean - 90:.0f} 0" '
            f'pos="{0.07 * np.sin(np.radians(lean)):.3f} 0 '
            f'{0.07 * np.cos(np.radians(lean)):.3f}" material="leaf"/></body>'
        )
    return '\n'.join(parts)


def tracked():
    """Describe the bodies that have an id, in the order of the ids."""
    parts = [
        [('mug', 'mug'), ('handle', 'handle')],
        [('ball', 'ball')],
        [('can', 'can')],
        [('block', 'block')],
        [('bottle', 'bottle')],
        [('mug', 'other_mug'), ('handle', 'handle')],
        [('box', 'box')],
    ]
    geom = '<geom type="mesh" mesh="{}" material="{}"/>'
    return '\n'.join(
        f'<body name="{name}" mocap="true">'
        + ''.join(geom.format(*part) for part in pair)
        + '</body>'
        for name, pair in zip(NAMES.values(), parts, strict=True)
    )


def build(rng, **repainted):
    """Compile the MuJoCo model from the generated meshes and textures; repainted: other ones."""
    files, tags = {}, []
    for name, data in meshes().items():
        files[f'{name}.obj'] = data
        tags.append(f'<mesh name="{name}" file="{name}.obj"/>')
    for name, image in {**textures(rng), **repainted}.items():
        files[f'{name}.png'] = cv2.imencode('.png', image[..., ::-1])[1].tobytes()
        tags.append(f'<texture name="{name}" type="2d" file="{name}.png"/>')
    material = '<material name="{0}" texture="{0}" specular="{1}"/>'
    tags += [material.format(name, gloss) for name, gloss in GLOSS.items()]
    xml = SCENE.format(assets='\n'.join(tags), background=background(rng), objects=tracked())
    return mujoco.MjModel.from_xml_string(xml, files)


def ease(t, start, stop):
    """Rise smoothly from 0 at start to 1 at stop."""
    s = np.clip((t - start) / (stop - start), 0, 1)
    return s * s * (3 - 2 * s)


def turn(axis, angle):
    """Return the quaternion of a turn about an axis."""
    quat = np.zeros(4)
    mujoco.mju_axisAngle2Quat(quat, np.asarray(axis, float), angle)
    return quat


def then(first, second):
    """Return the quaternion of one turn followed by another, both in world axes."""
    quat = np.zeros(4)
    mujoco.mju_mulQuat(quat, second, first)
    return quat


def can_x(t):
    """Roll the can out of the image, back more slowly, and stop it at the block."""
    s = np.clip((t - 3.4) / 2.4, 0, 1)
    out = min(0.25 + 0.165 * t, 0.60)
    back = (0.60 - 0.232) * (1.35 * s - 0.35 * s * s)
    return out - back - 0.008 * (1 - np.exp(-6 * max(t - 5.8, 0)))


def poses(t):
    """Return position and orientation of every mocap body at a time in seconds."""
    box = -0.22 + 0.20 * ease(t, 1.4, 5.2)
    mug = -0.30 + 0.33 * ease(t, 6.9, 9.3)
    ball = 0.34 - 0.64 * (1 - (1 - min(t / 7.5, 1)) ** 2)
    hit = 1 - np.exp(-5 * max(t - 5.8, 0))
    away = 1 - ease(t, 0.3, 1.4) + ease(t, 5.25, 6.05) - ease(t, 6.05, 6.9) + ease(t, 9.4, 10.2)
    push = (box - 0.087, -0.04, 0.055) if t < 6.05 else (mug - 0.048, -0.215, 0.05)
    tilt, flat, spin = turn((1, 0, 0), 1.1), turn((1, 0, 0), np.pi / 2), (0, 1, 0)
    return {
        'mug': ((mug, -0.215, 0), turn((0, 0, 1), -0.5)),
        'ball': ((ball, 0.065, BALL_RADIUS), then(tilt, turn(spin, ball / BALL_RADIUS))),
        'can': ((can_x(t), -0.07, CAN_RADIUS), then(flat, turn(spin, can_x(t) / CAN_RADIUS))),
        'block': ((0.16 - 0.035 * hit, -0.12, 0.025), turn((0, 0, 1), 0.35 + 0.3 * hit)),
        'bottle': ((0.20, 0.17, 0), turn((0, 0, 1), -0.25)),
        'other mug': ((-0.09, -0.115, 0), turn((0, 0, 1), -0.7)),
        'oats box': ((box, -0.04, 0.085), np.array([1, 0, 0, 0])),
        'pusher': (np.array(push) - (0.5 * away, 0, -0.03 * away), np.array([1, 0, 0, 0])),
        'camera': camera_pose(t),
    }


def camera_pose(t):
    """Drift as if hand-held: slow sway of place and aim with a little roll."""
    sway = sway_at(t)
    place = np.array([0, -0.73, 0.59]) + [0.03, 0.02, 0.02] * sway[0] + 0.004 * sway[1]
    target = np.array([0.01, 0.035, 0.04]) + 0.007 * sway[1] + 0.0015 * sway[2]
    return place, looking_at(place, target, 0.012 * sway[1, 0])


def sway_at(t):
    """Return waves in x, y, z (columns) of three speeds (rows), as of a hand."""
    return np.sin(np.outer([0.9, 1.7, 3.1], [1, 1.13, 0.87]) * t + np.arange(9).reshape(3, 3))


def looking_at(place, target, roll=0.0):
    """Return the quaternion of a camera, which looks along its -z, with up in the image."""
    back = (place - target) / np.linalg.norm(place - target)
    right = np.cross((roll, 0, 1), back)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(back, right), back], 1).ravel())
    return quat


class Filmer:
    """Renders colour frames with motion blur and soft shadows, and label images."""

    def __init__(self, model, poses=poses, fps=FPS, names=NAMES):
        """Make the two renderers, and the table from geom number to object id.

        poses: returns position and orientation of every mocap body at a time in seconds.
        """
        self.model, self.data, self.poses, self.fps = model, mujoco.MjData(model), poses, fps
        self.colour = mujoco.Renderer(model, HEIGHT, WIDTH)
        self.labels = mujoco.Renderer(model, HEIGHT, WIDTH)
        self.labels.enable_segmentation_rendering()
        ids = {model.body(name).id: label for label, name in names.items()}
        self.lut = np.array([ids.get(body, 0) for body in model.geom_bodyid] + [0], np.uint8)

    def pose(self, t, sample):
        """Put every body where it is at time t, and the light at one point of its disc."""
        spiral = np.array([np.cos(2.4 * sample), np.sin(2.4 * sample), 0])
        offset = LIGHT_RADIUS * np.sqrt(sample / SUBFRAMES) * spiral
        self.model.light('key').pos[:] = LIGHT + offset
        for name, (place, quat) in self.poses(t).items():
            mocap = self.model.body(name).mocapid[0]
            self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = place, quat
        mujoco.mj_forward(self.model, self.data)

    def frame(self, index):
        """Return the linear-light mean of the sub-frames, in 0..1, and the middle one's labels."""
        total = np.zeros((HEIGHT, WIDTH, 3))
        for k in range(SUBFRAMES):
            step = k - SUBFRAMES // 2
            self.pose((index + SHUTTER * step / SUBFRAMES) / self.fps, k)
            self.colour.update_scene(self.data, 'camera')
            total += (self.colour.render() / 255.0) ** 2.2
            if step == 0:
                self.labels.update_scene(self.data, 'camera')
                labels = self.lut[self.labels.render()[..., 0]]
        return total / SUBFRAMES, labels

    def close(self):
        """Give the two renderers back."""
        self.colour.close()
        self.labels.close()


def develop(light, index, rng, noise=1.5):
    """Turn linear light into an 8-bit BGR camera image: vignette, blur, noise."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    vignette = 1 - 0.13 * (x * x + y * y)
    drift = 1 + 0.05 * np.sin(0.021 * index) + 0.015 * np.sin(0.13 * index)
    light = cv2.GaussianBlur(light * (1.28 * vignette * drift)[..., None], (0, 0), LENS_BLUR)
    image = 255 * np.clip(light, 0, 1) ** (1 / 2.2)
    image += rng.normal(0, noise, image.shape[:2])[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)[..., ::-1]


def main():
    """Render the clip and write clip.mp4 and clip_masks.zip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('.'))
    parser.add_argument('--seed', type=int, default=7)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    filmer, masks = Filmer(build(rng)), []
    codec = cv2.VideoWriter_fourcc(*'mp4v')
    video = cv2.VideoWriter(str(args.out / 'clip.mp4'), codec, FPS, (WIDTH, HEIGHT))
    for index in range(FRAMES):
        light, labels = filmer.frame(index)
        video.write(np.ascontiguousarray(develop(light, index, rng)))
        masks.append(labels)
    video.release()
    filmer.close()
    save_masks(args.out / 'clip_masks.zip', masks)


if __name__ == '__main__':
    main()
