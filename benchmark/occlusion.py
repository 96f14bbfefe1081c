"""Clips in which a slab hides an object for a while, to measure how it is found again.

Truth and images agree: what the slab covers is absent. Knows nothing of trackers.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from training.truth_clips import TruthClip

MARGIN = 0.1  # of the slab around the object, as a part of its sides


@dataclass(frozen=True)
class OccludedClip(TruthClip):
    """A clip with a textured slab over box_xyxy in frames [start, stop)."""

    box_xyxy: tuple[int, int, int, int]
    start: int
    stop: int

    def image_rgb(self, t: int) -> np.ndarray:
        """Return frame t, (H, W, 3) uint8, with the slab where it is there."""
        image = super().image_rgb(t)
        if self.start <= t < self.stop:
            x0, y0, x1, y1 = self.box_xyxy
            image[y0:y1, x0:x1] = slab_texture(x1 - x0, y1 - y0)
        return image


def hide_object(clip: TruthClip, object_id: int, start: int, stop: int) -> OccludedClip:
    """Return a clip in which a slab covers an object wherever it is in frames [start, stop)."""
    hidden = (clip.truth[start:stop] == object_id).any(0).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(hidden)
    dx, dy = round(MARGIN * width), round(MARGIN * height)
    x0, y0 = max(x - dx, 0), max(y - dy, 0)
    x1 = min(x + width + dx, hidden.shape[1])
    y1 = min(y + height + dy, hidden.shape[0])
    truth = clip.truth.copy()
    truth[start:stop, y0:y1, x0:x1] = 0
    return OccludedClip(clip.name, clip.image_files, truth, (x0, y0, x1, y1), start, stop)


def slab_texture(width: int, height: int) -> np.ndarray:
    """Return a grey, grainy (height, width, 3) uint8 surface; always the same."""
    grain = np.random.default_rng(0).normal(0, 1, (height, width))
    grain = cv2.GaussianBlur(grain, (0, 0), 2)
    grey = np.clip(118 + 90 * grain, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
