"""An engine that sees the truth: what is left to go wrong is what the tracker does with it."""

import cv2
import numpy as np

from tam_ros.engine.base import Decoded, EngineSpec
from tam_ros.evaluation.clips import TruthClip
from tam_ros.evaluation.measures import region_similarity
from tam_ros.masks import tight_crop

SIDE = 96  # of the logits
FITTING_IOU = 0.3  # a box shows the object whose own box it overlaps by this, else its own inside


class TruthStore:
    """Memories say which object they are of; negative ones are numbers of boxes without one."""

    def __init__(self, objects, slots, pointers):
        self.memories = np.zeros((objects, slots), int)

    def write(self, rows, slots, memories):
        self.memories[rows, slots] = memories

    def write_pointers(self, rows, slots, pointers):
        pass


class TruthEngine:
    """Answers with the true masks of a clip, whose frames must come in order, each once."""

    def __init__(self, clip: TruthClip):
        self.spec = EngineSpec('truth', 4 * SIDE, SIDE, 6, 'interactive', 'cpu')
        self._clip = clip
        self._t = -1
        self._boxes: list[tuple[float, float, float, float]] = []  # without an object

    def encode_image(self, image):
        self._t += 1
        return self._t

    def nbytes(self, features):
        return 0

    def attend_memory(self, features, store, plan):
        return store.memories[plan.rows, plan.slots[:, 0]]

    def decode_mask(self, features, attended, prompts):
        shown = attended
        if prompts.labels.shape[1]:
            shown = np.array([self._shown(features, p.ravel()) for p in prompts.points_xy])
        logits = np.stack([self._logits(features, n) for n in shown])
        present = np.where(logits.max((1, 2)) > 0, 5.0, -5.0)
        good = np.full(len(shown), 0.9)
        return Decoded(logits, good, present, shown, logits, logits[:, None], good[:, None])

    def encode_memory(self, features, mask_logits, *, from_prompt):
        return np.array([self._owner(features, logits) for logits in mask_logits])

    def device_memory_mb(self):
        return 0.0

    def allocate_store(self, objects, slots, pointers):
        return TruthStore(objects, slots, pointers)

    def _shown(self, t, box) -> int:
        """Return the object that a box in network pixels shows."""
        place = self._box_mask(box)
        crops = {n: tight_crop(0, 0, self._small(t, n)) for n in self._clip.masks(t)}
        fits = {
            n: region_similarity(place, self._box_mask(4 * np.array(crop.box_xyxy)))
            for n, crop in crops.items()
            if crop is not None
        }
        best = max(fits, key=fits.__getitem__, default=0)
        if best and fits[best] >= FITTING_IOU:
            return best
        self._boxes.append(box)
        return -len(self._boxes)

    def _owner(self, t, logits) -> int:
        """Return the object of a mask, which is one of those just decoded, or remembered."""
        candidates = {*self._clip.masks(t), *range(-len(self._boxes), 0)}
        overlaps = {n: ((self._logits(t, n) > 0) == (logits > 0)).mean() for n in candidates}
        return max(overlaps, key=overlaps.__getitem__)

    def _logits(self, t, n):
        mask = self._box_mask(self._boxes[-n - 1]) if n < 0 else self._small(t, n)
        return np.where(mask, 8, -8).astype(np.float32)

    def _small(self, t, n):
        truth = (self._clip.truth[t] == n).astype(np.uint8)
        return cv2.resize(truth, (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 0

    def _box_mask(self, box):
        x0, y0, x1, y1 = np.rint(np.array(box) / 4).astype(int)
        mask = np.zeros((SIDE, SIDE), bool)
        mask[max(y0, 0) : max(y1, 1), max(x0, 0) : max(x1, 1)] = True
        return mask
