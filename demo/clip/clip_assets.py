"""Meshes (Wavefront OBJ) and textures (RGB arrays) of the demo clip, all made with numpy."""

import cv2
import numpy as np

CAN_RADIUS, BALL_RADIUS = 0.036, 0.031
STROKES = {  # pen strokes of the letters used, as points xy on a grid 4 wide and 6 high
    'A': '06 20 46,14 34',
    'B': '06 00 30 41 42 33 03,33 44 45 36 06',
    'C': '41 30 10 01 05 16 36 45',
    'I': '20 26',
    'K': '00 06,40 03 46',
    'L': '00 06 46',
    'M': '06 00 24 40 46',
    'O': '01 10 30 41 45 36 16 05 01',
    'R': '06 00 30 41 42 33 03,23 46',
    'S': '41 30 10 01 02 13 33 44 45 36 16 05',
    'T': '00 40,20 26',
}
# Outlines from the bottom's middle to the top's, (radius, height) in metres.
OUTLINES = {
    'mug': [
        (0, 0),
        (0.034, 0),
        (0.039, 0.004),
        (0.041, 0.02),
        (0.041, 0.094),
        (0.0395, 0.0965),
        (0.0375, 0.094),
        (0.037, 0.015),
        (0.033, 0.01),
        (0, 0.009),
    ],
    'can': [
        (0, 0.003),
        (0.033, 0.003),
        (0.034, 0),
        (0.036, 0.001),
        (0.036, 0.109),
        (0.034, 0.11),
        (0.033, 0.107),
        (0, 0.107),
    ],
    'bottle': [
        (0, 0),
        (0.031, 0),
        (0.034, 0.004),
        (0.034, 0.115),
        (0.031, 0.135),
        (0.020, 0.158),
        (0.013, 0.172),
        (0.013, 0.185),
        (0.016, 0.186),
        (0.016, 0.206),
        (0.014, 0.208),
        (0, 0.208),
    ],
    'pot': [
        (0, 0),
        (0.045, 0),
        (0.06, 0.09),
        (0.065, 0.09),
        (0.065, 0.11),
        (0.058, 0.11),
        (0, 0.1),
    ],
}


def grid_obj(points, normals, uv):
    """Turn (rows, columns, ...) grids of points, normals and texture coordinates into an OBJ."""
    rows, columns = points.shape[:2]
    lines = [
        f'{key} ' + ' '.join(f'{x:.6f}' for x in item)
        for key, grid in (('v', points), ('vt', uv), ('vn', normals))
        for item in grid.reshape(-1, grid.shape[-1])
    ]
    corner = np.arange(rows * columns).reshape(rows, columns) + 1
    a, b, c, d = (corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1])
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    lines += ['f ' + ' '.join(f'{i}/{i}/{i}' for i in face) for face in faces]
    return '\n'.join(lines).encode()


def lathe(profile, rings=64, sides=48):
    """Spin a (radius, height) outline, from the bottom's middle to the top's, about the z axis."""
    profile = np.asarray(profile, float)
    length = np.r_[0, np.cumsum(np.hypot(*np.diff(profile, axis=0).T))]
    v = np.linspace(0, 1, rings)
    radius, height = (np.interp(v * length[-1], length, column) for column in profile.T)
    radius = np.maximum(radius, 1e-5)
    slope = np.gradient(np.stack([radius, height], 1), axis=0)
    slope /= np.linalg.norm(slope, axis=1, keepdims=True) + 1e-12
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    cos, sin, one = np.cos(angle), np.sin(angle), np.ones_like(angle)
    points = np.stack([np.outer(radius, cos), np.outer(radius, sin), np.outer(height, one)], -1)
    normals = np.stack(
        [np.outer(slope[:, 1], cos), np.outer(slope[:, 1], sin), np.outer(-slope[:, 0], one)], -1
    )
    return grid_obj(points, normals, np.stack(np.meshgrid(angle / (2 * np.pi), v), -1))


def mug_handle(sides=16, steps=24):
    """Sweep a tube along a flattened half circle, standing out from the mug along +x."""
    along, around = np.meshgrid(
        np.linspace(-1.65, 1.65, steps), np.linspace(0, 2 * np.pi, sides + 1), indexing='ij'
    )
    cos, sin = np.cos(along), np.sin(along)
    normals = np.stack([np.cos(around) * cos, np.sin(around), np.cos(around) * sin], -1)
    middle = np.stack([0.039 + 0.027 * cos, 0 * cos, 0.05 + 0.03 * sin], -1)
    points = middle + normals * [0.0045, 0.007, 0.0045]
    return grid_obj(points, normals, np.zeros(points.shape[:2] + (2,)))


def box_obj(half):
    """Make a box; faces -y, +x, +y, -x, +z, -z take the texture's six columns in that order."""
    turns = [(0, 0), (90, 0), (180, 0), (270, 0), (0, 90), (0, -90)]
    lines, faces = [], []
    for column, (yaw, pitch) in enumerate(np.radians(turns)):
        right = np.array([np.cos(yaw), np.sin(yaw), 0])
        out = np.array([np.sin(yaw), -np.cos(yaw), 0]) * np.cos(pitch) + [0, 0, np.sin(pitch)]
        up = np.cross(out, right)
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            corner = (out + x * right + y * up) * half
            lines += [
                f'v {corner[0]:.5f} {corner[1]:.5f} {corner[2]:.5f}',
                f'vt {(column + (x + 1) / 2) / 6:.5f} {(y + 1) / 2}',
                f'vn {out[0]:.5f} {out[1]:.5f} {out[2]:.5f}',
            ]
        quad = np.arange(4) + 4 * column + 1
        faces += ['f ' + ' '.join(f'{i}/{i}/{i}' for i in quad[t]) for t in ([0, 1, 2], [0, 2, 3])]
    return '\n'.join(lines + faces).encode()


def circle(radius, centre, start, stop, count=24):
    """Return points of an arc as a lathe outline; angles in degrees from straight down."""
    angle = np.radians(np.linspace(start, stop, count))
    return [(radius * np.sin(a), centre - radius * np.cos(a)) for a in angle]


def meshes():
    """Make every mesh of the scene by name."""
    return {
        **{name: lathe(outline) for name, outline in OUTLINES.items()},
        'ball': lathe(circle(BALL_RADIUS, 0, 0, 180, 60)),
        'handle': mug_handle(),
        'block': box_obj(np.full(3, 0.025)),
        'box': box_obj(np.array([0.08, 0.026, 0.085])),
    }


def smooth_noise(rng, shape, cells):
    """Make noise in -1..1 that changes over about shape / cells pixels."""
    return cv2.resize(rng.uniform(-1, 1, cells), shape[::-1], interpolation=cv2.INTER_CUBIC)


def blend(low, high, amount):
    """Mix two RGB colours by a 2-D amount in 0..1."""
    return np.asarray(low) + np.clip(amount, 0, 1)[..., None] * (np.array(high) - np.array(low))


def wood(rng, shape, planks):
    """Paint grain along the rows, in planks of slightly different shade."""
    rows = np.linspace(0, planks, shape[0], endpoint=False)[:, None]
    plank = rows.astype(int)
    warp = 1.6 * smooth_noise(rng, shape, (4 * planks, 6)) + 0.5 * smooth_noise(
        rng, shape, (40, 9)
    )
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (4 * rows + warp) + 40 * np.sin(9.0 * plank))
    fibre = smooth_noise(rng, shape, (shape[0] // 5, 16))
    shade = 0.25 * np.sin(5.0 * plank + 1)
    image = blend((118, 88, 62), (178, 142, 106), 0.5 + 0.3 * (rings - 0.5) + 0.14 * fibre + shade)
    image[np.abs((rows - np.round(rows))[:, 0]) < 0.012] *= 0.55
    return np.clip(image, 0, 255).astype(np.uint8)


def speckled(rng, shape, colour, strength=4):
    """Paint one colour with soft unevenness, as in glaze, paint or plaster."""
    soft = smooth_noise(rng, shape, (12, 12)) + 0.6 * smooth_noise(rng, shape, (64, 64))
    image = np.asarray(colour) + strength * soft[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def bands(image, stripes):
    """Paint horizontal stripes (from, to, colour), measured from the mesh's bottom in 0..1."""
    height = 1 - (np.arange(len(image)) + 0.5) / len(image)
    for low, high, colour in stripes:
        image[(height >= low) & (height < high)] = colour
    return image


def write(image, text, centre, height, colour):
    """Draw the letters of a text, centred on a pixel, with pen strokes."""
    step = height / 6
    left = centre[0] - (3 * len(text) - 1) * step
    for place, letter in enumerate(text):
        for stroke in STROKES[letter].split(','):
            pen = np.array([[int(x) + 6 * place, int(y) - 3] for x, y in stroke.split()]) * step
            pen = np.rint(pen + [left, centre[1]]).astype(np.int32)
            cv2.polylines(image, [pen], False, colour, round(1.2 * step), cv2.LINE_AA)


def can_label(rng):
    """Paint a tomato can: metal ends, red label, cream band with a name and round fruit."""
    image = bands(
        speckled(rng, (512, 1024), (176, 178, 180)),
        [
            (0.235, 0.765, (158, 50, 40)),
            (0.36, 0.64, (226, 212, 184)),
            (0.345, 0.36, (70, 96, 58)),
        ],
    )
    for x in (256, 768):
        write(image, 'TOMATO', (x, 256), 54, (64, 84, 50))
        cv2.circle(image, (x + 256, 256), 48, (190, 64, 44), -1, 16)
    return image


def box_label(rng):
    """Paint a carton of oats; six columns for the six faces."""
    image = speckled(rng, (512, 3072), (206, 166, 92), 5)
    for x in (256, 1280):
        image[60:190, x - 216 : x + 216] = (70, 62, 86)
        write(image, 'OATS', (x, 125), 84, (236, 222, 190))
        cv2.ellipse(image, (x, 330), (150, 110), 0, 0, 180, (96, 110, 140), -1, 16)
        cv2.ellipse(image, (x, 330), (150, 34), 0, 0, 360, (236, 226, 204), -1, 16)
    for x in (768, 1792):
        for row in range(90, 440, 34):
            image[row : row + 12, x - 180 : x + 150 - row % 90] = (120, 92, 58)
    return image


def block_faces(rng):
    """Paint a letter block: pale wood, a coloured frame and a letter on each face."""
    image = speckled(rng, (256, 1536), (214, 182, 130), 9)
    colours = [(64, 112, 88), (176, 92, 48), (72, 90, 140)] * 2
    for face, (letter, colour) in enumerate(zip('ABCKRM', colours, strict=True)):
        x = 256 * face
        cv2.rectangle(image, (x + 22, 22), (x + 234, 234), colour, 14, 16)
        write(image, letter, (x + 128, 128), 110, colour)
    return image


def mug_glaze(rng, dotted):
    """Paint blue-grey glaze with a cream band; the look-alike has dots in place of the band."""
    image = speckled(rng, (512, 512), (78, 110, 142), 5)
    if not dotted:
        return bands(image, [(0.40, 0.47, (226, 216, 196)), (0.34, 0.36, (226, 216, 196))])
    for x in range(16, 512, 32):
        cv2.circle(image, (x, 288), 9, (226, 216, 196), -1, 16)
    return image


def textures(rng):
    """Make every texture of the scene by name, RGB."""
    ball = speckled(rng, (256, 256), (226, 220, 204), 3)
    cream, teal, orange = (214, 204, 178), (44, 118, 122), (206, 112, 48)
    bottle = speckled(rng, (512, 512), (46, 84, 56), 4)
    bottle = bands(
        bottle,
        [(0.18, 0.42, cream), (0.20, 0.215, teal), (0.385, 0.40, teal), (0.735, 1, (150, 60, 46))],
    )
    for x in (128, 384):
        write(bottle, 'OLIO', (x, 358), 46, (60, 84, 52))
    return {
        'wood': wood(rng, (1024, 1536), 6),
        'plaster': speckled(rng, (512, 512), (186, 182, 172), 5),
        'mug': mug_glaze(rng, False),
        'other_mug': mug_glaze(rng, True),
        'can': can_label(rng),
        'box': box_label(rng),
        'block': block_faces(rng),
        'ball': bands(
            ball, [(0, 0.14, orange), (0.3, 0.46, teal), (0.58, 0.74, teal), (0.86, 1, orange)]
        ),
        'bottle': bottle,
        'pot': speckled(rng, (128, 128), (164, 98, 70), 10),
    }
