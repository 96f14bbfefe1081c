"""How well masks agree with ground truth: regions, boundaries, which object a track is on, and how
soon it is on an object again that comes back into view.

Pure functions on bool arrays, one frame at a time. Knows nothing of trackers, of files, or of
which frames count.
"""

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

BOUNDARY_TOLERANCE = 0.008  # of the image diagonal
LEAST_SWITCH_IOU = 0.3
HIDDEN_PART = 0.1  # of an object's median area: with less of it in view it counts as hidden
FOUND_IOU = 0.5


def region_similarity(mask: np.ndarray, truth: np.ndarray) -> float:
    """Return J, the intersection of two masks over their union.

    mask, truth: (H, W) bool. 1 where both are empty. Raises ValueError if the sizes differ.
    DAVIS (Perazzi et al., CVPR 2016), section 5.
    """
    _check_sizes(mask, truth)
    union = np.count_nonzero(mask | truth)
    return np.count_nonzero(mask & truth) / union if union else 1.0


def boundary_accuracy(
    mask: np.ndarray, truth: np.ndarray, tolerance: float = BOUNDARY_TOLERANCE
) -> float:
    """Return F, the harmonic mean of precision and recall of a mask's boundary pixels.

    mask, truth: (H, W) bool. tolerance: distance, as a part of the image diagonal and rounded up
    to pixels, within which boundary pixels match. 1 where neither has a boundary, 0 where only
    one has: no boundary is precise, but recalls nothing. Raises ValueError if the sizes differ.
    DAVIS (Perazzi et al., CVPR 2016), section 5.
    """
    _check_sizes(mask, truth)
    radius = math.ceil(tolerance * math.hypot(*mask.shape))
    ours, true = boundary(mask), boundary(truth)
    precision, recall = _matched_part(ours, true, radius), _matched_part(true, ours, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary(mask: np.ndarray) -> np.ndarray:
    """Return the 1-pixel boundary of a mask: pixels unlike one to the right, below or both.

    mask and result: (H, W) bool. The image's edge is not a boundary.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode='edge')
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask != right) | (mask != below) | (mask != diagonal)


def object_under(mask: np.ndarray, truths: Mapping[int, np.ndarray], own_id: int) -> int:
    """Return the id of the object that a track's mask lies on, 0 for an empty mask.

    mask: (H, W) bool. truths: (H, W) bool of every object in the frame, by id. That is the other
    object with the best IoU, if this exceeds both 0.3 and the IoU with the track's own object;
    else the track's own. Raises ValueError if the sizes differ.
    """
    if not mask.any():
        return 0
    ious = {key: region_similarity(mask, truth) for key, truth in truths.items()}
    best = max(ious, key=ious.__getitem__, default=own_id)
    is_on_best = ious.get(best, 0.0) > max(LEAST_SWITCH_IOU, ious.get(own_id, 0.0))
    return best if is_on_best else own_id


def count_switches(objects: Sequence[int], own_id: int) -> int:
    """Count how often a track moves onto another object than its own.

    objects: what `object_under` returned, frame by frame. Moving from one wrong object to the
    next is another switch; coming back to its own is none. Empty frames (0) tell nothing: a
    track that is on the same object after them has not switched.
    """
    seen = [own_id, *(key for key in objects if key)]
    return sum(now not in (own_id, before) for before, now in zip(seen, seen[1:]))


def frames_to_reacquire(areas: Sequence[int], overlaps: Sequence[float]) -> list[int | None]:
    """Return, for each time an object comes back into view, in how many frames it is found.

    areas: pixels of the true mask in each frame, 0 where the object is absent. overlaps: J of the
    track in each. An object is hidden in a frame that shows less than a tenth of its median area
    (over the frames that show any of it). It is found in the first frame in view with a J of at
    least 0.5: 0 frames if that is the one in which it comes back; None if it is hidden again, or
    the clip ends, before.
    """
    pixels = np.asarray(areas)
    if not pixels.any():
        return []
    in_view = pixels >= max(1.0, HIDDEN_PART * float(np.median(pixels[pixels > 0])))
    starts = [t for t in range(1, len(pixels)) if in_view[t] and not in_view[t - 1]]
    return [_frames_until_found(in_view[t:].tolist(), overlaps[t:]) for t in starts]


def _frames_until_found(in_view: Sequence[bool], overlaps: Sequence[float]) -> int | None:
    for t, (is_in_view, overlap) in enumerate(zip(in_view, overlaps)):
        if not is_in_view:
            return None
        if overlap >= FOUND_IOU:
            return t
    return None


def _matched_part(pixels: np.ndarray, others: np.ndarray, radius: int) -> float:
    """Return which part of boundary pixels has one of the others within a radius; 1 of none."""
    count = np.count_nonzero(pixels)
    if not count:
        return 1.0
    near = cv2.dilate(others.astype(np.uint8), _disc(radius)) > 0
    return np.count_nonzero(pixels & near) / count


def _disc(radius: int) -> np.ndarray:
    """Return a (2 radius + 1, 2 radius + 1) uint8 disc of ones."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)


def _check_sizes(mask: np.ndarray, truth: np.ndarray) -> None:
    if mask.shape != truth.shape or mask.ndim != 2:
        raise ValueError(
            f'mask {mask.shape} and truth {truth.shape} cannot be compared: '
            'give two of the same (height, width)'
        )
