"""Masks that may be objects: which are good enough, and which of them show the same thing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tam_ros.tracker.observation import Observation
from tam_ros.tracker.options import DiscoveryOptions

STABILITY_OFFSET = 1.0  # of the two thresholds of logits that a stable mask hardly changes between
INNER_PART = 0.8  # of the smaller of two masks: from here on it is a part of the other


@dataclass(frozen=True, eq=False)
class Candidate:
    """A mask that may be an object."""

    point_xy: np.ndarray
    """(2,) the pixel that was asked."""
    observation: Observation
    """What was answered."""

    @cached_property
    def mask(self) -> np.ndarray:
        """(m, m) bool, cells of the network's logits."""
        inside: np.ndarray = self.observation.logits > 0
        return inside


def are_good(
    logits: np.ndarray, predicted_ious: np.ndarray, options: DiscoveryOptions
) -> np.ndarray:
    """Return (...) bool: which of (..., m, m) mask logits, with (...) predicted IoUs, may be one.

    By predicted IoU, area, and stability: how little the mask changes with the threshold.
    """
    area = (logits > 0).mean((-2, -1))
    good: np.ndarray = (
        (predicted_ious >= options.min_score)
        & (area > 0)
        & (area >= options.min_area)
        & (area <= options.max_area)
        & (stability(logits) >= options.min_stability)
    )
    return good


def stability(logits: np.ndarray) -> np.ndarray:
    """Return the IoU of (..., m, m) logits' masks at a higher and a lower threshold, in [0, 1]."""
    inner = np.count_nonzero(logits > STABILITY_OFFSET, axis=(-2, -1))
    outer = np.count_nonzero(logits > -STABILITY_OFFSET, axis=(-2, -1))
    return inner / np.maximum(outer, 1)


def shared_parts(masks: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Return which part of each of A masks is in each of B others, (A, B); all are (m, m) bool."""
    if not masks or not others:
        return np.zeros((len(masks), len(others)))
    a, b = (np.stack(list(m)).reshape(len(m), -1).astype(np.float32) for m in (masks, others))
    parts: np.ndarray = a @ b.T / np.maximum(a.sum(1, keepdims=True), 1)
    return parts


class BestCandidates:
    """The best candidates so far, none of which shows the same as another, or a part of it."""

    def __init__(self, double_iou: float, most: int):
        """double_iou: of masks, from which they are the same. most: how many are kept."""
        self._double_iou = double_iou
        self._most = most
        self.kept: list[Candidate] = []  # best first

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Take in more; of two that show the same, the one with the higher predicted IoU stays."""
        ranked = sorted([*self.kept, *candidates], key=lambda c: -c.observation.predicted_iou)
        double = self._doubles([c.mask for c in ranked])
        kept: list[int] = []
        for i in range(len(ranked)):
            if len(kept) < self._most and not double[i, kept].any():
                kept.append(i)
        self.kept = [ranked[i] for i in kept]

    def _doubles(self, masks: Sequence[np.ndarray]) -> np.ndarray:
        """Return which of A masks show the same, (A, A) bool."""
        parts = shared_parts(masks, masks)
        with np.errstate(divide='ignore'):
            overlaps = 1 / (1 / parts + 1 / parts.T - 1)  # IoU from both parts
        doubles: np.ndarray = (overlaps >= self._double_iou) | (
            np.maximum(parts, parts.T) >= INNER_PART
        )
        return doubles
