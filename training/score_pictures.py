"""Pictures of an evaluation: contact sheets of tracked masks, and curves of J over time."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from training.clips import color_of, draw_outline
from training.scores import ClipScore, Tracked
from training.truth_clips import Masks, TruthClip

SHEET_FRAMES = 8
SHEET_COLUMNS = 4
TILE_WIDTH = 480
WHITE = (255, 255, 255)


def save_sheet(path: Path, clip: TruthClip, tracked: Tracked) -> None:
    """Write a PNG of some frames: tracked masks tinted, the truth outlined in white."""
    chosen = np.linspace(0, len(clip) - 1, SHEET_FRAMES).round().astype(int).tolist()
    tiles = [_tile(clip, tracked.masks[t], t) for t in chosen]
    rows = [tiles[i : i + SHEET_COLUMNS] for i in range(0, SHEET_FRAMES, SHEET_COLUMNS)]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def _tile(clip: TruthClip, masks: Masks, t: int) -> np.ndarray:
    image = clip.image_rgb(t)
    for object_id, mask in masks.items():
        image[mask] = image[mask] // 2 + color_of(object_id) // 2
    for truth in clip.masks(t).values():
        draw_outline(image, truth, WHITE)
    height = round(image.shape[0] * TILE_WIDTH / image.shape[1])
    tile = cv2.resize(image, (TILE_WIDTH, height), interpolation=cv2.INTER_AREA)
    return cv2.putText(tile, str(t), (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, WHITE, 1, cv2.LINE_AA)


def save_curves(path: Path, scores: Sequence[ClipScore]) -> None:
    """Write a PNG of J per frame: a panel for each score of one clip, a line per object."""
    from matplotlib.figure import Figure  # only pictures need it

    figure = Figure(figsize=(9, 2.2 * len(scores)), layout='constrained')
    for axes, score in zip(figure.subplots(len(scores), squeeze=False)[:, 0], scores):
        for o in score.objects:
            frames = range(o.first_frame, o.first_frame + len(o.j))
            axes.plot(frames, o.j, color=color_of(o.object_id) / 255, label=str(o.object_id))
        axes.set(ylim=(0, 1), ylabel='J', title=f'{score.clip}: {score.tracker}, {score.prompt}')
        axes.legend(title='object', loc='center left', bbox_to_anchor=(1, 0.5), ncols=2)
    figure.savefig(path, dpi=80)
