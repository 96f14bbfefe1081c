"""Compose training clips: things moving over photos and over moving video, with exact masks.

Everything follows from the random generator given. Usage, to look at some:
python -m training.compose --assets DIR --videos DIR --sheet FILE
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from training.clips import Clip, contact_sheet
from training.material import Material, open_material
from training.motion import Motion, draw_camera, draw_motion, smooth_path, waves
from training.sprites import SPRITE_SIDE, Part, crop, draw_thing, region

MOST_THINGS, MOST_IN_SCENE = 6, 2
SCENE_SHARE = 0.4  # of composed clips, where there are photos whose objects are known


def compose_clip(rng: np.random.Generator, material: Material, frames: int, side: int) -> Clip:
    """Compose a clip of square frames; redraws until an object is seen in the first one."""
    while True:
        if material.known and rng.random() < SCENE_SHARE:
            images, masks = draw_scene(rng, material, frames, side)
            count = int(rng.integers(0, MOST_IN_SCENE + 1))
        else:
            images = _background(rng, material, frames, side)
            masks = np.zeros(images.shape[:3], np.uint8)
            count = int(rng.integers(1, MOST_THINGS + 1))
        add_things(rng, material, images, masks, count)
        if (masks[0] > 0).mean() > 0.004:
            return Clip(develop(rng, images), masks)


def draw_scene(
    rng: np.random.Generator, material: Material, frames: int, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (T, side, side, 3) frames of a photo with known objects, and (T, side, side) masks.

    A camera moves over it, all of it bends in slow waves, and it is squeezed, as the tracker
    squeezes wide pictures.
    """
    photo, labels = material.known[rng.integers(len(material.known))].read()
    flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
    photo, labels = photo[:, flip], labels[:, flip]
    height, width = labels.shape
    motion = draw_camera(rng, frames, side, (width, height))
    bend = side * rng.choice([0, 0.01, 0.03])
    phases, pace = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.3, 1.5)
    images = np.empty((frames, side, side, 3), np.uint8)
    masks = np.empty((frames, side, side), np.uint8)
    place = np.mgrid[:side, :side][::-1].astype(np.float32)  # x, y
    for t in range(frames):
        bent = place + waves(place / side, bend, 2 * np.pi * pace * t / frames, phases)
        back = np.linalg.inv(motion[t])
        there = np.tensordot(back[:2, :2], bent, 1) + back[:2, 2:, None]
        x, y = there.astype(np.float32)
        cv2.remap(photo, x, y, cv2.INTER_LINEAR, images[t], cv2.BORDER_REFLECT_101)
        cv2.remap(labels, x, y, cv2.INTER_NEAREST, masks[t], cv2.BORDER_REFLECT_101)
    return images, masks


def add_things(
    rng: np.random.Generator, material: Material, images: np.ndarray, masks: np.ndarray, count: int
) -> None:
    """Let new things move over square frames, and number them in the masks.

    images: (T, S, S, 3) uint8. masks: (T, S, S) uint8. Look-alikes may come beside the count.
    """
    cast = _cast(rng, material, images, count)
    for label, (thing, motion) in enumerate(cast, start=int(masks.max()) + 1):
        _add_thing(rng, images, masks, thing, motion, label)


def _cast(rng: np.random.Generator, material: Material, images: np.ndarray, count: int):
    """Return (thing, motion) pairs, farthest first, with look-alikes among them."""
    frames, side = images.shape[:2]
    things = [draw_thing(rng, material) for _ in range(count)]
    if things and rng.random() < 0.35:  # the same thing twice
        things.append(things[0])
    if rng.random() < 0.15:  # coloured like the background
        things.append([Part(region(rng, crop(rng, images[0], SPRITE_SIDE)))])
    return [(things[i], draw_motion(rng, frames, side)) for i in rng.permutation(len(things))]


def _background(rng: np.random.Generator, material: Material, frames: int, side: int):
    """Return (T, side, side, 3) uint8 frames of a photo or a video under a moving camera."""
    if rng.random() < 0.5 and material.videos:
        pictures = list(material.video(rng, frames))
    else:
        pictures = [material.photo(rng)] * frames
    height, width = pictures[0].shape[:2]
    zoom = side / min(height, width) * np.exp(rng.uniform(0.05, 0.8))
    speed = side * rng.choice([0, 0.003, 0.01, 0.04])
    shift = np.stack([smooth_path(rng, frames, speed) for _ in range(2)], -1)
    shift += rng.uniform(-0.3, 0.3, 2) * (np.array([width, height]) * zoom - side)
    angle, scale = smooth_path(rng, frames, 0.01), np.exp(smooth_path(rng, frames, 0.01))
    flip = rng.random() < 0.5
    out = np.empty((frames, side, side, 3), np.uint8)
    for t, picture in enumerate(pictures):
        matrix = cv2.getRotationMatrix2D(
            (width / 2, height / 2), np.degrees(angle[t]), zoom * scale[t]
        )
        matrix[:, 2] += side / 2 - np.array([width, height]) / 2 + shift[t]
        picture = picture[:, ::-1] if flip else picture
        cv2.warpAffine(picture, matrix, (side, side), out[t], borderMode=cv2.BORDER_REFLECT_101)
    return out


def _add_thing(rng, images, masks, thing: list[Part], motion: Motion, label: int) -> None:
    """Paint a thing into every frame, over what is there, and number its pixels in the masks."""
    gain = np.exp(rng.normal(0, 0.12, 3) + rng.normal(0, 0.2)).astype(np.float32)
    shadow = rng.uniform(0.2, 0.6) if rng.random() < 0.3 else 0
    opacity = rng.uniform(0.35, 0.7) if rng.random() < 0.1 else 1.0  # glass, reflections
    phases = rng.uniform(0, 2 * np.pi, 4)
    for t in range(len(images)):
        placed = _place(thing, motion, t, len(images), phases)
        window = _window(placed, images.shape[1])
        if window is None:
            continue
        layer = _layer(placed, window)
        alpha = layer[..., 3:] * (opacity / 255)
        if shadow:
            _cast_shadow(images[t], alpha, window, motion.size[t], shadow)
        seen = images[t][window]
        seen[:] = seen * (1 - alpha) + np.minimum(layer[..., :3] * gain, 255) * alpha
        masks[t][window][layer[..., 3] > 127] = label


def _place(thing: list[Part], motion: Motion, t: int, frames: int, phases: np.ndarray):
    """Return (sprite, 3x3 matrix to frame pixels) of every part in frame t."""
    placed = []
    for part in thing:
        sprite = part.sprite
        if motion.ripple:
            sprite = _ripple(sprite, motion.ripple, 2 * np.pi * t / frames, phases)
        placed.append((sprite, motion.matrix(t) @ part.matrix(t / frames)))
    return placed


def _window(placed, side: int) -> tuple[slice, slice] | None:
    """Return the (rows, columns) of the frame that hold all parts, None if they are outside."""
    corners = []
    for sprite, matrix in placed:
        height, width = sprite.shape[:2]
        box = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float32)
        corners.append(cv2.perspectiveTransform(box, matrix)[0])
    low = np.clip(np.floor(np.concatenate(corners).min(0)), 0, side).astype(int)
    high = np.clip(np.ceil(np.concatenate(corners).max(0)), 0, side).astype(int)
    return (slice(low[1], high[1]), slice(low[0], high[0])) if (high > low).all() else None


def _layer(placed, window: tuple[slice, slice]) -> np.ndarray:
    """Return the (h, w, 4) float32 RGBA picture of all parts in a window, later ones in front."""
    rows, columns = window
    size_wh = columns.stop - columns.start, rows.stop - rows.start
    shift = np.array([[1, 0, -columns.start], [0, 1, -rows.start], [0, 0, 1]])
    layer = np.zeros((*size_wh[::-1], 4), np.float32)
    for sprite, matrix in placed:
        picture = cv2.warpPerspective(sprite, shift @ matrix, size_wh).astype(np.float32)
        alpha = picture[..., 3:] / 255
        picture[..., 3] = 255
        layer += (picture - layer) * alpha
    layer[..., :3] *= 255 / np.maximum(layer[..., 3:], 1)  # undo the fading to black at edges
    return layer


def _cast_shadow(image, alpha: np.ndarray, window, size: float, strength: float) -> None:
    """Darken what lies beside the thing, within its window grown by the shadow's reach."""
    reach = int(0.25 * size) + 2
    rows, columns = (slice(max(s.start - reach, 0), s.stop + reach) for s in window)
    seen = image[rows, columns]
    dark = np.zeros(seen.shape[:2], np.float32)
    y, x = window[0].start - rows.start, window[1].start - columns.start
    dark[y : y + alpha.shape[0], x : x + alpha.shape[1]] = alpha[..., 0]
    offset = np.array([[1, 0, 0.08 * size], [0, 1, 0.12 * size]], np.float32)
    dark = cv2.blur(cv2.warpAffine(dark, offset, dark.shape[::-1]), (int(0.15 * size) + 1,) * 2)
    seen[:] = seen * (1 - strength * dark[..., None])


def _ripple(sprite: np.ndarray, amplitude: float, time: float, phases: np.ndarray) -> np.ndarray:
    """Bend a sprite by slow waves that run over it."""
    height, width = sprite.shape[:2]
    place = np.mgrid[:height, :width][::-1].astype(np.float32)  # x, y
    x, y = (place + waves(place / SPRITE_SIDE, amplitude, time, phases)).astype(np.float32)
    return cv2.remap(sprite, x, y, cv2.INTER_LINEAR)


def develop(rng: np.random.Generator, images: np.ndarray) -> np.ndarray:
    """Give (T, H, W, 3) frames a camera's flaws: exposure drift, colour, blur, noise, JPEG."""
    frames = len(images)
    gain = np.exp(rng.normal(0, 0.15) + smooth_path(rng, frames, 0.02))
    tint, gamma = np.exp(rng.normal(0, 0.06, 3)), np.exp(rng.normal(0, 0.15))
    noise, blur = rng.choice([0, 2, 5, 10]), rng.choice([0, 0, 0.6, 1.2])
    grey, quality = rng.random() < 0.05, int(rng.choice([100, 100, 70, 40]))
    levels = np.arange(256)[:, None] / 255
    grain = rng.normal(0, noise, images.shape[1:]).astype(np.float32)
    out = np.empty_like(images)
    for t, image in enumerate(images):
        table = np.clip(255 * (levels * gain[t] * tint) ** gamma, 0, 255).astype(np.uint8)
        image = cv2.LUT(image, table[None])
        if grey:
            image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
        if blur:
            image = cv2.GaussianBlur(image, (0, 0), blur)
        if noise:
            shifted = np.roll(grain, rng.integers(0, len(grain), 2), (0, 1))
            image = np.clip(image + shifted, 0, 255).astype(np.uint8)
        if quality < 100:
            coded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        out[t] = image
    return out


def main() -> None:
    """Write a contact sheet of the first clips of a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--assets', type=Path, required=True)
    parser.add_argument('--videos', type=Path)
    parser.add_argument('--sheet', type=Path, required=True)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--count', type=int, default=8)
    parser.add_argument('--side', type=int, default=192)
    args = parser.parse_args()
    material = open_material(args.assets, args.videos)
    clips = [
        compose_clip(np.random.default_rng([args.seed, i]), material, 8, args.side)
        for i in range(args.count)
    ]
    cv2.imwrite(str(args.sheet), contact_sheet(clips)[..., ::-1])


if __name__ == '__main__':
    main()
