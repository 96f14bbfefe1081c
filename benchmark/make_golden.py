"""Make golden outputs: every stage of the official code, in float64, on frames made by rule.

    python benchmark/make_golden.py --reference EdgeTAM --model edgetam --out test/golden
    python benchmark/make_golden.py --reference EfficientTAM --model efficienttam_ti_1 --soft ...

The arrays and their names are described in `test/golden/README.md`.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from float64 import float64
from PIL import Image
from reference import ReferenceTracker
from rounding import Subject, official_arguments, texture

from tam_ros.prompts import Prompt

SIDE, FRAMES = 512, 4
CLICKS = Prompt([[200, 260], [260, 300], [90, 440]], [1, 1, 0])
COARSE = 64  # blocks along a side; finer detail would fill the files
STEP = 12  # pixels that the disc moves per frame, to the right and down


def frames() -> list[np.ndarray]:
    """Return (512, 512, 3) uint8 frames: a disc of one texture moves over another."""
    blocks = texture(COARSE).repeat(SIDE // COARSE, axis=0).repeat(SIDE // COARSE, axis=1)
    behind, disc = blocks // 2, 255 - blocks[::-1, ::-1] // 2
    y, x = np.mgrid[:SIDE, :SIDE]
    images = []
    for t in range(FRAMES):
        inside = (x - 220 - STEP * t) ** 2 + (y - 270 - STEP * t // 2) ** 2 < 110**2
        images.append(np.where(inside[..., None], np.roll(disc, STEP * t, axis=1), behind))
    return images


def record(tracker: ReferenceTracker, images_rgb: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of all frames, float32."""
    state = tracker.start(images_rgb)
    tracker.prompt(state, 1, **official_arguments(CLICKS))
    arrays: dict[str, np.ndarray] = {}
    video = []
    for t, timing in enumerate(tracker.track(state)):
        arrays |= _stages(tracker.returned, t)
        video.append(timing.logits[0, ::4, ::4])
    arrays['video_logits'] = np.stack(video)
    return {key: value.astype(np.float32) for key, value in arrays.items()}


def _stages(returned: dict, t: int) -> dict[str, np.ndarray]:
    """Return what is stored of one frame's stages."""
    *fine, top = (level[0].numpy() for level in returned['encode_image']['backbone_fpn'])
    multi, _, ious, low_res, _, pointer, score = returned['decode_mask']
    sam = {'low_res_multi': multi[0, :, ::4, ::4], 'ious': ious, 'low_res': low_res}
    sam |= {'obj_ptr': pointer, 'score': score}
    arrays = {f'sam_{t:02}_{key}': value.numpy() for key, value in sam.items()}
    arrays[f'encoder_{t:02}_top'] = top[::8, ::4, ::4]
    if fine:
        arrays[f'encoder_{t:02}_s0'] = fine[0][::4, ::16, ::16]
        arrays[f'encoder_{t:02}_s1'] = fine[1][::8, ::8, ::8]
    memory = returned['encode_memory'][0][0].numpy()
    arrays[f'memory_{t:02}'] = memory[:, ::2] if memory.ndim == 2 else memory[::4, ::2, ::2]
    if t:  # nothing is remembered before the prompted frame
        attended = returned['attend_memory'][0].flatten(1).T.numpy()
        arrays[f'memory_attention_{t - 1:02}'] = attended[::16, ::8]
    return arrays


def main() -> None:
    """Write the frames and one file of arrays."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--reference', type=Path, required=True)
    parser.add_argument('--model', default='edgetam')
    parser.add_argument('--soft', action='store_true', help='soften every attention')
    parser.add_argument('--out', type=Path, required=True)
    options = parser.parse_args()
    images_rgb = frames()
    (options.out / 'frames').mkdir(parents=True, exist_ok=True)
    for t, image in enumerate(images_rgb):
        Image.fromarray(image).save(options.out / 'frames' / f'{t:02}.png', optimize=True)
    with float64():
        subject = Subject(options.model, 0, SIDE, options.soft)
        arrays: dict[str, Any] = record(subject.official(options.reference), images_rgb)
    name = f'{options.model}_{SIDE}{"_soft" if options.soft else ""}_clicks.npz'
    np.savez_compressed(options.out / name, **arrays)


if __name__ == '__main__':
    main()
