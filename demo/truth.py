"""A clip's ground truth: prompts from its first frame, and the overlap of answers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from clip.clip_masks import NAMES, load_masks

from tam_ros.evaluation.depth_clips import DepthClip
from tam_ros.evaluation.measures import region_similarity
from tam_ros.msg import TrackedObject
from tam_ros.ros.conversions import roi_to_box

CLIP = Path(__file__).resolve().parent / 'clip'
CLIP_3D = CLIP.with_name('clip_3d')


class Truth:
    """Masks of every frame of a clip, and what the tracker's answers share with them.

    masks: (T, H, W) uint8, pixel n is object n, of which names has the name.
    """

    def __init__(self, masks: np.ndarray, names: Mapping[int, str]):
        self._masks, self._names = masks, names
        self._truth_id = {name: truth_id for truth_id, name in names.items()}
        self._overlaps: dict[str, list[float]] = {}

    @classmethod
    def of_clip(cls) -> 'Truth':
        """Return that of the clip that comes with the demo."""
        return cls(load_masks(CLIP / 'clip_masks.zip'), NAMES)

    @classmethod
    def of_clip_3d(cls, clip: DepthClip) -> 'Truth':
        """Return that of a clip with depth."""
        return cls(clip.clip.truth, {n: known.name for n, known in clip.truth.objects.items()})

    def __len__(self) -> int:
        return len(self._masks)

    def first_boxes(self) -> dict[str, tuple[int, int, int, int]]:
        """Return the boxes of all objects that are wholly inside the first frame, by name."""
        boxes = {}
        for truth_id, name in self._names.items():
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
