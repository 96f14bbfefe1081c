"""The default clip's ground truth: prompts from its first frame, and the overlap of answers."""

from pathlib import Path

import numpy as np
from clip.clip_masks import NAMES, load_masks

from tam_ros.evaluation.measures import region_similarity
from tam_ros.msg import TrackedObject
from tam_ros.ros.conversions import roi_to_box

CLIP = Path(__file__).resolve().parent / 'clip'


class Truth:
    """Masks of every frame of the clip, and what the tracker's answers share with them."""

    def __init__(self):
        self._masks = load_masks(CLIP / 'clip_masks.zip')  # frames, H, W
        self._truth_id = {name: truth_id for truth_id, name in NAMES.items()}
        self._overlaps: dict[str, list[float]] = {}

    def __len__(self) -> int:
        return len(self._masks)

    def first_boxes(self) -> dict[str, tuple[int, int, int, int]]:
        """Return the boxes of all objects that are wholly inside the first frame, by name."""
        boxes = {}
        for truth_id, name in NAMES.items():
            mask = self._masks[0] == truth_id
            if mask.any() and not _touches_border(mask):
                boxes[name] = _box_of(mask)
        return boxes

    def compare(self, index: int, objects: list[TrackedObject]) -> None:
        """Take the overlap of each object with the truth in frame index, where it is visible."""
        for found in objects:
            truth = self._masks[index] == self._truth_id[found.label]
            if truth.any():
                self._overlaps.setdefault(found.label, []).append(_overlap(found, truth))

    def mean_overlaps(self) -> dict[str, float]:
        """Return the mean IoU of each object, by name, over the frames it is visible in."""
        return {name: float(np.mean(values)) for name, values in self._overlaps.items()}


def _touches_border(mask: np.ndarray) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def _box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _overlap(found: TrackedObject, truth: np.ndarray) -> float:
    """Return the intersection of an object's mask with the truth, over their union."""
    x0, y0, x1, y1 = roi_to_box(found.box)
    mask = np.zeros_like(truth)
    if found.mask.data:
        pixels = np.frombuffer(found.mask.data, np.uint8).reshape(found.mask.height, -1)
        mask[y0:y1, x0:x1] = pixels[:, : found.mask.width] > 0
    return region_similarity(mask, truth)
