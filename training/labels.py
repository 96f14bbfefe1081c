"""Outlines of objects, drawn by hand in key frames of videos: one JSON file per video.

Says nothing of what the videos hold between key frames; `training.film` carries the masks there.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

LABELS = Path(__file__).parent / 'labels'  # in held_out: of videos kept for measuring
SIMPLIFY = 0.8  # pixels that a stored outline may differ from its mask


@dataclass(frozen=True)
class Labels:
    """What is known of one video."""

    video: str
    """Name of its file."""
    size_wh: tuple[int, int]
    """Of the pictures that were drawn on, in pixels."""
    objects: dict[str, dict[int, list[np.ndarray]]]
    """By name, by frame number, the (N, 2) int outlines (x, y) of what is visible of it, where an
    outline within another is a hole; none at all where it is not to be seen."""

    @property
    def key_frames(self) -> list[int]:
        """Numbers of the frames in which something was drawn, ascending."""
        return sorted({frame for drawn in self.objects.values() for frame in drawn})

    def mask(self, name: str, frame: int) -> np.ndarray | None:
        """Return the (H, W) bool mask of an object; None where nobody has looked for it."""
        outlines = self.objects[name].get(frame)
        if outlines is None:
            return None
        mask = np.zeros(self.size_wh[::-1], np.uint8)
        if outlines:
            cv2.fillPoly(mask, outlines, 1)
        return mask > 0


def trace(mask: np.ndarray) -> list[np.ndarray]:
    """Return the outlines of an (H, W) bool mask, as `Labels` keeps them."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outlines = [cv2.approxPolyDP(outline, SIMPLIFY, True)[:, 0] for outline in found]
    return [outline for outline in outlines if len(outline) > 2]


def save_labels(path: Path, labels: Labels) -> None:
    """Write labels, a line per object and frame."""
    objects = []
    for name, drawn in labels.objects.items():
        lines = [
            f'   "{frame}": {_compact(outlines)}' for frame, outlines in sorted(drawn.items())
        ]
        objects.append(f'  {json.dumps(name)}: {{\n' + ',\n'.join(lines) + '\n  }')
    head = f'{{\n "video": {json.dumps(labels.video)},\n "size_wh": {list(labels.size_wh)},\n'
    path.write_text(head + ' "objects": {\n' + ',\n'.join(objects) + '\n }\n}\n')


def _compact(outlines: list[np.ndarray]) -> str:
    return json.dumps([outline.ravel().tolist() for outline in outlines], separators=(',', ':'))


def load_labels(path: Path) -> Labels:
    """Read labels written by `save_labels`; raises ValueError naming the file that is none."""
    try:
        content = json.loads(path.read_text())
        objects = {
            name: {
                int(frame): [np.array(o, np.int32).reshape(-1, 2) for o in outlines]
                for frame, outlines in drawn.items()
            }
            for name, drawn in content['objects'].items()
        }
        return Labels(content['video'], tuple(content['size_wh']), objects)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} does not hold labels of a video: {error!r}') from error
