"""Random MuJoCo scenes: things of many shapes in a room papered with photos, and their motion.

Does not know how they are filmed.
"""

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.interpolate import CubicSpline

from training.meshes import Assets, Making, add_material, add_texture, add_thing, photo, surface

GEOM = mujoco.mjtGeom
TWIN_SHARE = 0.4  # of the scenes have two things of the same shape
PAPER = 512  # pixels of a texture of the room
TIMESTEP = 0.004  # seconds
TOP_SPEEDS = np.array([2.5, 2.5, 2.5, 15, 15, 15])  # m/s and rad/s


@dataclass(frozen=True)
class Thing:
    """Where a free body and its limbs are in a model."""

    root: int
    """Number of the body."""
    qpos: int
    """First address of its free joint in positions; those of the hinges follow."""
    dof: int
    """First address of its free joint in velocities; those of the hinges follow."""
    hinges: int
    """How many hinge joints its limbs have."""
    half: np.ndarray
    """(3,) half the sides of its box, metres."""


@dataclass(frozen=True)
class Scene:
    """A room with things, compiled."""

    model: mujoco.MjModel
    """Of G geoms."""
    things: list[Thing]
    """Numbered from 1, in order."""
    labels: np.ndarray
    """(G + 1,) uint8 number of the thing of every geom; 0 for those of the room, and last for
    none."""


def build_scene(assets: Assets, size: int, rng: np.random.Generator) -> Scene:
    """Compile a room with 3 to 7 things, to be rendered at size x size pixels."""
    spec = mujoco.MjSpec()
    spec.option.timestep = TIMESTEP
    spec.visual.global_.offwidth = spec.visual.global_.offheight = size
    spec.visual.quality.shadowsize = 1024
    spec.visual.quality.offsamples = rng.choice([0, 4])  # smooth edges double the time
    spec.visual.map.shadowclip, spec.visual.map.shadowscale = 0.8, 0.5
    spec.visual.map.znear = 0.02
    spec.stat.extent, spec.stat.center = 1, [0, 0, 0]
    _add_room(spec, assets, rng)
    halves = [
        add_thing(Making(spec, assets, *rngs), f'thing{i}') for i, rngs in enumerate(_seeds(rng))
    ]
    return _compiled(spec, halves)


def _seeds(rng: np.random.Generator) -> list[tuple[np.random.Generator, np.random.Generator]]:
    """Return generators for the shape and look of each thing; twins share the first or both."""
    seeds = rng.integers(2**32, size=(rng.integers(3, 8), 2))
    if rng.random() < TWIN_SHARE:
        seeds[1, 0] = seeds[0, 0]
        if rng.random() < 0.6:
            seeds[1, 1] = seeds[0, 1]
    return [(np.random.default_rng(shape), np.random.default_rng(look)) for shape, look in seeds]


def _compiled(spec: mujoco.MjSpec, halves: list[np.ndarray]) -> Scene:
    model = spec.compile()
    things = [_thing(model, model.body(f'thing{i}').id, half) for i, half in enumerate(halves)]
    labels = np.zeros(model.ngeom + 1, np.uint8)
    for number, thing in enumerate(things, 1):
        labels[:-1][model.body_rootid[model.geom_bodyid] == thing.root] = number
    return Scene(model, things, labels)


def _thing(model: mujoco.MjModel, root: int, half: np.ndarray) -> Thing:
    joint = model.body_jntadr[root]
    hinges = int(np.sum(model.body_rootid[model.jnt_bodyid] == root)) - 1
    return Thing(root, model.jnt_qposadr[joint], model.jnt_dofadr[joint], hinges, half)


# Room


def _add_room(spec: mujoco.MjSpec, assets: Assets, rng: np.random.Generator) -> None:
    """Add the sky, the ground at height 0, mostly walls, some boxes, two lights and a camera."""
    sky = photo(assets.photos, PAPER, rng)
    add_texture(spec, 'sky', mujoco.mjtTexture.mjTEXTURE_SKYBOX, sky)
    add_material(spec, 'ground', surface(assets, PAPER, rng), rng)
    spec.material('ground').texuniform = True
    spec.material('ground').texrepeat = [rng.uniform(0.7, 4)] * 2
    solidity = {
        'solref': [0.01, rng.uniform(0.15, 1)],
        'friction': [rng.uniform(0.2, 1), 0.005, 0],
    }
    plane = {'type': GEOM.mjGEOM_PLANE, 'size': [4, 4, 0.1]}
    spec.worldbody.add_geom(material='ground', **plane, **solidity)
    if rng.random() < 0.75:
        _add_walls(spec, assets, rng)
    for i in range(rng.integers(0, 4)):
        _add_clutter(spec, f'clutter{i}', assets, rng)
    _add_lights(spec, rng)
    spec.worldbody.add_camera(name='camera')


def _add_walls(spec: mujoco.MjSpec, assets: Assets, rng: np.random.Generator) -> None:
    for i, angle in enumerate(np.arange(4) * np.pi / 2):
        name = add_material(spec, f'wall{i}', photo(assets.photos, PAPER, rng), rng)
        outward = np.array([np.cos(angle), np.sin(angle), 0])
        spec.worldbody.add_geom(
            type=GEOM.mjGEOM_PLANE,
            size=[3.5, 1.5, 0.1],
            pos=outward * rng.uniform(1.9, 3.4) + [0, 0, 1],
            quat=_frame_quat(np.cross([0, 0, 1], -outward), np.array([0, 0, 1])),
            material=name,
            contype=0,
            conaffinity=0,
        )


def _frame_quat(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([x, y, np.cross(x, y)], axis=1).ravel())
    return quat


def _add_clutter(spec: mujoco.MjSpec, name: str, assets: Assets, rng: np.random.Generator) -> None:
    half = rng.uniform(0.03, 0.25, 3)
    angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1.6)
    add_material(spec, name, photo(assets.photos, PAPER, rng), rng, cube=True)
    spec.worldbody.add_geom(
        type=GEOM.mjGEOM_BOX,
        size=half,
        pos=[away * np.cos(angle), away * np.sin(angle), half[2]],
        quat=[np.cos(angle), 0, 0, np.sin(angle)],
        material=name,
    )


def _add_lights(spec: mujoco.MjSpec, rng: np.random.Generator) -> None:
    kinds = [mujoco.mjtLightType.mjLIGHT_SPOT, mujoco.mjtLightType.mjLIGHT_DIRECTIONAL]
    for name, shadow in (('key', rng.random() < 0.8), ('fill', False)):
        kind = kinds[rng.integers(2)]
        spec.worldbody.add_light(name=name, type=kind, castshadow=shadow, cutoff=75, exponent=1)


# Motion


@dataclass(frozen=True)
class Motion:
    """How a thing starts and moves in a clip, in world axes."""

    place: np.ndarray
    """(3,) metres, at time 0."""
    quat: np.ndarray
    """(4,) at time 0, w first."""
    velocity: np.ndarray
    """(3,) metres per second, at time 0."""
    spin: np.ndarray
    """(3,) rad/s, at time 0; that of a carried thing stays."""
    path: CubicSpline | None
    """Where a carried thing is at a time in seconds; None where physics moves it."""
    swing: np.ndarray
    """(3, J) amplitudes in rad, rates in rad/s and phases in rad of its hinges."""


def draw_motions(
    things: list[Thing], frames: int, frame_seconds: float, rng: np.random.Generator
) -> list[Motion]:
    """Place things apart from each other and choose a way to move for each."""
    places = _scatter([float(np.linalg.norm(thing.half)) for thing in things], rng)
    span = frames, frame_seconds
    return [_draw_motion(thing, place, span, rng) for thing, place in zip(things, places)]


def _scatter(radii: list[float], rng: np.random.Generator) -> list[np.ndarray]:
    """Return a place (2,) on the ground for each circle, close together, hardly overlapping."""
    places: list[np.ndarray] = []
    spread = 0.06
    for radius in radii:
        place = rng.normal(0, spread, 2)
        while any(
            np.linalg.norm(place - other) < 0.85 * (radius + taken)
            for other, taken in zip(places, radii)
        ):
            spread += 0.01
            place = rng.normal(0, spread, 2)
        places.append(place)
    return places


def _draw_motion(
    thing: Thing, spot: np.ndarray, span: tuple[int, float], rng: np.random.Generator
) -> Motion:
    """Rest, push, roll, drop, throw or carry a thing that stands on a spot (2,) of the ground."""
    kinds, shares = ['rest', 'push', 'drop', 'throw', 'carry'], [0.08, 0.27, 0.15, 0.1, 0.4]
    kind = 'carry' if thing.hinges and rng.random() < 0.7 else rng.choice(kinds, p=shares)
    frames, frame_seconds = span
    speed = 2 * thing.half.max() * rng.uniform(0.02, 0.25) / frame_seconds
    quat = _draw_quat(rng, upright=kind in ('rest', 'push'))
    height = _half_height(thing.half, quat) + 0.001
    if kind in ('drop', 'throw', 'carry'):
        height += rng.uniform(0.02, 0.3)
    place = np.array([*spot, height])
    return Motion(
        place,
        quat,
        _draw_velocity(kind, min(speed, TOP_SPEEDS[0]), rng),
        rng.normal(size=3) * (0 if kind == 'rest' else rng.uniform(0, 0.2) / frame_seconds),
        _draw_path(place, speed, span, rng) if kind == 'carry' else None,
        _draw_swing(thing.hinges, frame_seconds, rng),
    )


def _draw_quat(rng: np.random.Generator, *, upright: bool) -> np.ndarray:
    """Return any rotation, or one that mostly keeps the z axis up and else lays it down."""
    quat = rng.normal(size=4)
    if upright:
        yaw, lean = rng.uniform(0, np.pi), rng.choice([0, 0, 0, np.pi / 4])
        mujoco.mju_mulQuat(
            quat,
            np.array([np.cos(yaw), 0, 0, np.sin(yaw)]),
            np.array([np.cos(lean), np.sin(lean), 0, 0]),
        )
    return quat / np.linalg.norm(quat)


def _half_height(half: np.ndarray, quat: np.ndarray) -> float:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return float(np.abs(matrix.reshape(3, 3)[2]) @ half)


def _draw_velocity(kind: str, speed: float, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    along = speed * np.array([np.cos(angle), np.sin(angle), 0])
    if kind == 'throw':
        return along + [0, 0, rng.uniform(0.5, 2)]
    return along if kind == 'push' else np.zeros(3)


def _draw_path(
    start: np.ndarray, speed: float, span: tuple[int, float], rng: np.random.Generator
) -> CubicSpline:
    """Return a smooth path above the ground from a place; one in five goes far and returns."""
    frames, frame_seconds = span
    times = np.linspace(0, frames * frame_seconds, 5)
    knots = np.cumsum(rng.normal(0, speed * times[1] / 1.7, (5, 3)) * [1, 1, 0.5], axis=0)
    knots -= knots[0]
    if rng.random() < 0.2:
        knots[2:4, :2] += rng.normal(size=2) * 0.7
        knots[4] *= 0.3
    knots += start
    knots[1:, 2] = 0.06 + np.abs(knots[1:, 2] - 0.06)
    return CubicSpline(times, knots)


def _draw_swing(hinges: int, frame_seconds: float, rng: np.random.Generator) -> np.ndarray:
    amplitude = rng.uniform(0.2, 1.3, hinges)
    rate = rng.uniform(0.1, 0.9, hinges) / frame_seconds
    return np.stack([amplitude, rate, rng.uniform(0, 2 * np.pi, hinges)])


def start(scene: Scene, data: mujoco.MjData, motions: list[Motion]) -> None:
    """Put every thing where its motion begins, at time 0."""
    mujoco.mj_resetData(scene.model, data)
    for thing, motion in zip(scene.things, motions):
        data.qpos[thing.qpos : thing.qpos + 7] = *motion.place, *motion.quat
        data.qvel[thing.dof : thing.dof + 6] = *motion.velocity, *motion.spin


def advance(scene: Scene, data: mujoco.MjData, motions: list[Motion], time: float) -> None:
    """Let things move up to a time in seconds, the carried ones and limbs as they must."""
    while data.time < time:
        for thing, motion in zip(scene.things, motions):
            _drive(data, thing, motion)
        mujoco.mj_step(scene.model, data)


def _drive(data: mujoco.MjData, thing: Thing, motion: Motion) -> None:
    velocity = data.qvel[thing.dof : thing.dof + 6]
    np.clip(velocity, -TOP_SPEEDS, TOP_SPEEDS, out=velocity)  # things that overlap burst apart
    if motion.path is not None:
        data.qpos[thing.qpos : thing.qpos + 3] = motion.path(data.time)
        data.qvel[thing.dof : thing.dof + 6] = *motion.path(data.time, 1), *motion.spin
    if thing.hinges:
        amplitude, rate, phase = motion.swing
        angle = rate * data.time + phase
        data.qpos[thing.qpos + 7 : thing.qpos + 7 + thing.hinges] = amplitude * np.sin(angle)
        joints = slice(thing.dof + 6, thing.dof + 6 + thing.hinges)
        data.qvel[joints] = amplitude * rate * np.cos(angle)
