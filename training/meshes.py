"""Things to put into rendered scenes: meshes and primitives of many surfaces, some with limbs.

Adds them to a MuJoCo specification; does not know where they stand nor how they move.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import mujoco
import numpy as np
import trimesh

from tam_ros.image_files import list_files, read_image

GEOM, TEXTURE = mujoco.mjtGeom, mujoco.mjtTexture
SOLIDS = [GEOM.mjGEOM_BOX, GEOM.mjGEOM_SPHERE, GEOM.mjGEOM_CYLINDER]
SOLIDS += [GEOM.mjGEOM_CAPSULE, GEOM.mjGEOM_ELLIPSOID]
LIMBED_SHARE = 0.2
PRIMITIVE_SHARE = 0.22
COLLIDER_GROUP = 3  # not drawn
UNTOUCHED = {'contype': 0, 'conaffinity': 0}  # drawn only
PATCH = 256  # pixels of a texture of a thing
MOST_FACES = 60_000
LEAST_THICKNESS = 0.004  # of the longest side; flatter ones are signs, not things
STICK = 0.25  # the second side of a stick is shorter than this part of the longest
SYMBOLS = (
    ['logo', 'icon', 'checkmark', 'symbol', 'reticle', 'speech_bubble', 'banner_ui', 'marker']
    + ['question_mark', 'exclamation_mark', 'eighth_note', 'half_note', 'quarter_note']
    + ['whole_note', 'keyboard_layout', 'chevron', 'dashed_torus', 'lightning_bolt', 'health']
)


@dataclass(frozen=True)
class Assets:
    """Files to make scenes of."""

    meshes: list[Path]
    """Files .glb of things; at least one."""
    photos: list[Path]
    """Files .jpg to paper them with; at least one."""

    @classmethod
    def of(cls, folder: Path) -> 'Assets':
        """List the files of a folder with meshes/ and photos/."""
        found = cls(mesh_paths(folder / 'meshes'), list_files(folder / 'photos', ('.jpg',)))
        if not found.meshes or not found.photos:
            raise ValueError(f'{folder} has no meshes/*.glb or no photos/*.jpg')
        return found


@dataclass(frozen=True)
class Shape:
    """A triangle mesh, z up, the middle of its box at the origin."""

    vertices: np.ndarray
    """(V, 3) float, metres."""
    uv: np.ndarray
    """(V, 2) texture coordinates."""
    faces: np.ndarray
    """(F, 3) int, vertices of each triangle."""

    @property
    def half(self) -> np.ndarray:
        """(3,) half the sides of its box, metres."""
        return np.ptp(self.vertices, axis=0) / 2

    def scaled(self, longest: float) -> 'Shape':
        """Return the shape with its longest side of a length in metres."""
        factor = longest / (2 * self.half.max())
        return Shape(self.vertices * factor, self.uv, self.faces)


def mesh_paths(folder: Path) -> list[Path]:
    """List the mesh files of a folder that show things and not symbols, sorted by name."""
    return [
        path
        for path in sorted(list_files(folder, ('.glb',)))  # which seeds choose from by number
        if path.stem != 'x' and not any(symbol in path.stem for symbol in SYMBOLS)
    ]


def random_shape(paths: list[Path], rng: np.random.Generator) -> Shape:
    """Draw a mesh that is fit to be shown, of the many sticks only a few."""
    while True:
        shape = load_shape(paths[rng.integers(len(paths))])
        stick = shape is not None and np.sort(shape.half)[1] < STICK * shape.half.max()
        if shape is not None and not (stick and rng.random() < 0.75):
            return shape


@cache
def load_shape(path: Path) -> Shape | None:
    """Read a mesh file as one shape; None if it has no texture coordinates, is huge or flat."""
    mesh = trimesh.load(path, process=False).to_geometry()
    uv = getattr(mesh.visual, 'uv', None)
    if uv is None or not 4 <= len(mesh.faces) <= MOST_FACES:
        return None
    if mesh.extents.min() < LEAST_THICKNESS * mesh.extents.max():
        return None
    centred = mesh.vertices - mesh.bounds.mean(axis=0)
    z_up = centred[:, [0, 2, 1]] * [1, -1, 1]  # files have y up
    return Shape(z_up, np.asarray(uv), np.asarray(mesh.faces))


def cut(shape: Shape, count: int, rng: np.random.Generator) -> list[Shape]:
    """Cut a shape into up to `count` slabs with the same number of faces along some direction."""
    along = shape.vertices[shape.faces].mean(axis=1) @ rng.normal(size=3)
    slabs = np.array_split(np.argsort(along, kind='stable'), count)
    return [_part(shape, slab) for slab in slabs if len(slab)]


def _part(shape: Shape, chosen: np.ndarray) -> Shape:
    used, faces = np.unique(shape.faces[chosen], return_inverse=True)
    return Shape(shape.vertices[used], shape.uv[used], faces.reshape(-1, 3))


# Surfaces


def photo(photos: list[Path], size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random square of a random photo, sometimes recoloured."""
    image = read_image(photos[rng.integers(len(photos))])[..., ::-1]
    side = int(min(image.shape[:2]) * rng.uniform(0.35, 1))
    top, left = (rng.integers(extent - side + 1) for extent in image.shape[:2])
    square = cv2.resize(image[top : top + side, left : left + side], (size, size))
    if rng.random() < 0.18:
        square = square[..., rng.permutation(3)]
    return np.clip(square * rng.uniform(0.75, 1.25, 3), 0, 255).astype(np.uint8)


def _patchwork(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a coarse grid of a few colours, blurred or sharp; one cell is a plain colour."""
    colours = rng.uniform(20, 236, (rng.integers(1, 5), 3))
    grey = colours.mean(axis=1, keepdims=True)
    colours = (grey + rng.uniform(0, 1) * (colours - grey)).astype(np.uint8)
    cells = colours[rng.integers(len(colours), size=rng.integers(1, 9, 2))]
    smooth = cv2.INTER_CUBIC if rng.random() < 0.4 else cv2.INTER_NEAREST
    return cv2.resize(cells, (size, size), interpolation=smooth)


def surface(assets: Assets, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a texture (size, size, 3) uint8: mostly photo, else patchwork."""
    if rng.random() < 0.78:
        return photo(assets.photos, size, rng)
    return _patchwork(size, rng)


def add_texture(
    spec: mujoco.MjSpec, name: str, kind: mujoco.mjtTexture, image: np.ndarray
) -> None:
    """Add a flat texture, or one that shows the same image on the six sides of a cube."""
    if kind != TEXTURE.mjTEXTURE_2D:
        image = np.concatenate([image] * 6)
    height, width = image.shape[:2]
    texture = spec.add_texture(name=name, type=kind, width=width, height=height, nchannel=3)
    texture.data = np.ascontiguousarray(image).tobytes()


def add_material(
    spec: mujoco.MjSpec,
    name: str,
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    cube: bool = False,
) -> str:
    add_texture(spec, name, TEXTURE.mjTEXTURE_CUBE if cube else TEXTURE.mjTEXTURE_2D, image)
    gloss, sharpness = rng.uniform(0, 0.6), rng.uniform(0.1, 0.9)
    material = spec.add_material(name=name, specular=gloss, shininess=sharpness)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


# Things


@dataclass(frozen=True)
class Making:
    """What a thing is made with."""

    spec: mujoco.MjSpec
    """Of the scene that it is added to."""
    assets: Assets
    """To choose from."""
    shape_rng: np.random.Generator
    """The same one makes the same shape."""
    look_rng: np.random.Generator
    """The same one makes the same look."""


def add_thing(making: Making, name: str) -> np.ndarray:
    """Add a free body, a mesh or primitives, perhaps with limbs; return half its box's sides."""
    body = making.spec.worldbody.add_body(name=name)
    body.add_freejoint()
    longest = np.exp(making.shape_rng.uniform(np.log(0.07), np.log(0.4)))
    if making.shape_rng.random() < PRIMITIVE_SHARE:
        half = _primitive_half(longest, making.shape_rng)
        _add_primitive(making, body, half)
    else:
        shape = random_shape(making.assets.meshes, making.shape_rng).scaled(longest)
        half = shape.half
        _add_mesh(making, body, shape)
    _make_solid(body, half)
    if making.shape_rng.random() < LIMBED_SHARE:
        for _ in range(making.shape_rng.integers(1, 5)):
            _add_limb(making, body, half)
    return half


def _make_solid(body: mujoco.MjsBody, half: np.ndarray) -> None:
    """Give a body a weight and an unseen simple solid that collides in its place."""
    half = np.maximum(half, 0.003)
    body.explicitinertial, body.mass = True, 0.2
    body.inertia = 0.2 / 3 * (np.sum(half**2) - half**2) + 1e-6
    kind, size = GEOM.mjGEOM_BOX, half.tolist()
    if np.ptp(half) < 0.15 * half.max():
        kind, size = GEOM.mjGEOM_SPHERE, [half.mean(), 0, 0]
    elif abs(half[0] - half[1]) < 0.1 * half.max():
        kind, size = GEOM.mjGEOM_CYLINDER, [half[:2].mean(), half[2], 0]
    body.add_geom(type=kind, size=size, group=COLLIDER_GROUP, condim=4)


def _add_mesh(making: Making, body: mujoco.MjsBody, shape: Shape) -> None:
    """Add a mesh in one to three pieces, each with a surface of its own."""
    count = making.shape_rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2])
    for i, piece in enumerate(cut(shape, count, making.shape_rng)):
        name, image = f'{body.name}_{i}', surface(making.assets, PATCH, making.look_rng)
        add_material(making.spec, name, image, making.look_rng)
        mesh = making.spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
        mesh.uservert, mesh.userface = piece.vertices.ravel(), piece.faces.ravel()
        mesh.usertexcoord = piece.uv.ravel()
        body.add_geom(type=GEOM.mjGEOM_MESH, meshname=name, material=name, **UNTOUCHED)


def _primitive_half(longest: float, rng: np.random.Generator) -> np.ndarray:
    """Return half the sides of a random box: cubic, plate-like, stick-like or anything else."""
    return longest / 2 * rng.permutation([1, rng.uniform(0.06, 1), rng.uniform(0.3, 1)])


def _add_primitive(making: Making, body: mujoco.MjsBody, half: np.ndarray) -> None:
    """Add a box or a round solid that fills a box, sometimes with a second one across it."""
    _add_solid(making, body, half)
    if making.shape_rng.random() < 0.4:
        _add_solid(making, body, half[[1, 2, 0]] * 0.9)


def _add_solid(
    making: Making,
    body: mujoco.MjsBody,
    half: np.ndarray,
    *,
    pos: tuple[float, float, float] = (0, 0, 0),
) -> None:
    kind = SOLIDS[making.shape_rng.integers(len(SOLIDS))]
    name = f'{body.name}_{len(body.geoms)}'
    image = surface(making.assets, PATCH, making.look_rng)
    add_material(making.spec, name, image, making.look_rng, cube=True)
    body.add_geom(type=kind, size=_solid_size(kind, half), pos=pos, material=name, **UNTOUCHED)


def _solid_size(kind: mujoco.mjtGeom, half: np.ndarray) -> list[float]:
    """Return MuJoCo's sizes of a solid that fits in a box; the radius is the box's mean one."""
    radius = half[:2].mean()
    sizes = {
        GEOM.mjGEOM_BOX: list(half),
        GEOM.mjGEOM_ELLIPSOID: list(half),
        GEOM.mjGEOM_SPHERE: [half.mean(), 0, 0],
        GEOM.mjGEOM_CYLINDER: [radius, half[2], 0],
        GEOM.mjGEOM_CAPSULE: [radius, max(half[2] - radius, 0.001), 0],
    }
    return sizes[kind]


def _add_limb(making: Making, trunk: mujoco.MjsBody, half: np.ndarray) -> None:
    """Hang one or two links in a row on the surface of a trunk, on hinges."""
    length = half.max() * making.shape_rng.uniform(0.7, 1.4)
    thin = length * making.shape_rng.uniform(0.1, 0.3, 2) / 2
    direction = making.shape_rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    place, quat = direction * half * 0.8, _quat_from_z(direction)
    body = trunk
    for _ in range(making.shape_rng.integers(1, 3)):
        body = body.add_body(name=f'{body.name}_limb{len(body.bodies)}', pos=place, quat=quat)
        body.add_joint(type=mujoco.mjtJoint.mjJNT_HINGE, axis=[1, making.shape_rng.normal(), 0])
        body.explicitinertial, body.mass, body.inertia = True, 0.02, [1e-5] * 3
        link = np.array([*thin, length / 2])
        middle = (0, 0, length / 2)
        _add_solid(making, body, link, pos=middle)
        place, quat = np.array([0, 0, length]), np.array([1, 0, 0, 0])


def _quat_from_z(direction: np.ndarray) -> np.ndarray:
    quat = np.zeros(4)
    mujoco.mju_quatZ2Vec(quat, direction)
    return quat
