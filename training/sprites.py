"""Things that move in composed clips: textured parts with transparency, joined or alone.

A sprite is an (H, W, 4) uint8 RGBA picture. Coordinates of a thing are in units of its size,
x right, y down, origin at its middle.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from training.material import Material

SPRITE_SIDE = 128  # pixels of the longest side


@dataclass(frozen=True)
class Part:
    """One rigid piece of a thing."""

    sprite: np.ndarray
    """(H, W, 4) uint8 RGBA, its picture."""
    place: tuple[float, float] = (0.0, 0.0)
    """Joint (x, y) on the thing."""
    pivot: tuple[float, float] = (0.5, 0.5)
    """The point (x, y) of the sprite, in 0..1 of its width and height, that sits on the joint."""
    scale: float = 1.0
    """Thing units per longest side."""
    angle: float = 0.0
    """Radians at rest."""
    swing: float = 0.0
    """Amplitude in radians."""
    pace: float = 1.0
    """Swings per clip."""
    phase: float = 0.0
    """Radians."""

    def matrix(self, time: float) -> np.ndarray:
        """Return the 3x3 matrix from sprite pixels to the thing's coordinates; time in 0..1."""
        height, width = self.sprite.shape[:2]
        turn = self.angle + self.swing * np.sin(2 * np.pi * self.pace * time + self.phase)
        size = self.scale / max(height, width)
        cos, sin = size * np.cos(turn), size * np.sin(turn)
        linear = np.array([[cos, -sin], [sin, cos]])
        shift = np.array(self.place) - linear @ (np.array(self.pivot) * (width, height))
        return np.vstack([np.column_stack([linear, shift]), [0, 0, 1]])


def draw_thing(rng: np.random.Generator, material: Material) -> list[Part]:
    """Draw a random thing: a cut-out, a textured region, or a jointed body of several parts."""
    kind = rng.random()
    if kind < 0.4:
        return [Part(_fit(material.cutout(rng)))]
    if kind < 0.6:
        return [Part(region(rng, _texture(rng, material)))]
    return _jointed(rng, material)


def region(rng: np.random.Generator, texture: np.ndarray) -> np.ndarray:
    """Cut a random closed shape out of a square (S, S, 3) texture; returns a sprite."""
    return np.dstack([texture, _outline(rng, len(texture))])


def _texture(rng: np.random.Generator, material: Material) -> np.ndarray:
    """Return a square RGB crop of a picture, or a plain colour with soft shading."""
    if rng.random() < 0.15:
        return _plain(rng)
    return crop(rng, material.picture(rng), SPRITE_SIDE)


def crop(rng: np.random.Generator, picture: np.ndarray, side: int) -> np.ndarray:
    """Return a random square crop, resized to the side."""
    size = int(min(picture.shape[:2]) * rng.uniform(0.25, 0.9))
    y = rng.integers(picture.shape[0] - size + 1)
    x = rng.integers(picture.shape[1] - size + 1)
    part = picture[y : y + size, x : x + size]
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)


def _plain(rng: np.random.Generator) -> np.ndarray:
    shade = cv2.resize(rng.normal(0, 1, (3, 3)), (SPRITE_SIDE,) * 2, interpolation=cv2.INTER_CUBIC)
    colour = rng.uniform(20, 235, 3) + rng.uniform(0, 30) * shade[..., None]
    return np.clip(colour, 0, 255).astype(np.uint8)


def _outline(rng: np.random.Generator, side: int) -> np.ndarray:
    """Draw a filled star-shaped outline of random roughness and elongation, as (S, S) alpha."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = np.ones_like(angle)
    for k in range(1, 8):
        radius += rng.normal(0, 0.35 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.15, None)
    squeeze = np.exp(rng.uniform(-1, 0))
    points = np.stack([radius * np.cos(angle), squeeze * radius * np.sin(angle)], -1)
    turn = rng.uniform(0, 2 * np.pi)
    points = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points -= (points.max(0) + points.min(0)) / 2
    points = (points / np.abs(points).max() * 0.48 + 0.5) * side
    alpha = np.zeros((side, side), np.uint8)
    cv2.fillPoly(alpha, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return alpha


def _fit(sprite: np.ndarray) -> np.ndarray:
    scale = SPRITE_SIDE / max(sprite.shape[:2])
    return cv2.resize(sprite, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _limb(rng: np.random.Generator, texture: np.ndarray) -> np.ndarray:
    """Cut a tapered strip out of a texture, its joint at the top."""
    width = int(SPRITE_SIDE * rng.uniform(0.14, 0.35))
    alpha = np.zeros((SPRITE_SIDE, width), np.uint8)
    top, bottom = width * rng.uniform(0.3, 0.48), width * rng.uniform(0.15, 0.48)
    middle = width / 2
    corners = [
        (middle - top, 4),
        (middle + top, 4),
        (middle + bottom, 124),
        (middle - bottom, 124),
    ]
    cv2.fillConvexPoly(alpha, np.rint(corners).astype(np.int32), 255, cv2.LINE_AA)
    cv2.circle(alpha, (int(middle), 124 - int(bottom)), int(bottom) + 1, 255, -1)
    return np.dstack([texture[:, :width], alpha])


def _jointed(rng: np.random.Generator, material: Material) -> list[Part]:
    """Make a body with a trunk, limbs that swing and often a head, in up to three textures."""
    textures = [_texture(rng, material) for _ in range(rng.integers(1, 4))]

    def pick() -> np.ndarray:
        return textures[rng.integers(len(textures))]

    turn, trunk = rng.uniform(0, 2 * np.pi), Part(region(rng, pick()), scale=rng.uniform(0.5, 0.8))
    if rng.random() < 0.3:
        trunk = Part(_fit(material.cutout(rng)), scale=trunk.scale)
    pace = rng.uniform(0.3, 2)
    limbs = [_joined(rng, _limb(rng, pick()), turn, pace) for _ in range(rng.integers(1, 5))]
    head = [_joined(rng, region(rng, pick()), turn, pace)] if rng.random() < 0.5 else []
    parts = [*limbs, trunk, *head]
    return [parts[i] for i in rng.permutation(len(parts))] if rng.random() < 0.3 else parts


def _joined(rng: np.random.Generator, sprite: np.ndarray, turn: float, pace: float) -> Part:
    out = turn + rng.uniform(-np.pi, np.pi)
    reach = rng.uniform(0.1, 0.25)
    return Part(
        sprite,
        place=(reach * np.cos(out), reach * np.sin(out)),
        pivot=(0.5, 0.08),
        scale=rng.uniform(0.25, 0.7),
        angle=out - np.pi / 2,
        swing=rng.uniform(0, 0.8),
        pace=pace,
        phase=rng.uniform(0, 2 * np.pi),
    )
