"""How much masks overlap, and which pairs of them belong together."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment


def mask_overlaps(masks: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """Return the (A, B) IoU of A masks, each (m * m,) float32 of 0 and 1, with B others."""
    if not masks or not others:
        return np.zeros((len(masks), len(others)))
    a, b = np.stack(masks), np.stack(others)
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1)[None] - both
    return both / np.maximum(either, 1)


def best_pairs(overlaps: np.ndarray, least: float) -> dict[int, int]:
    """Return the pairs, each of least overlap or more, whose overlaps have the largest sum.

    Rows and columns of (A, B) overlaps are in one pair each, at most.
    """
    enough = overlaps >= least
    rows, columns = linear_sum_assignment(overlaps * enough, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist())
    return {row: column for row, column in pairs if enough[row, column]}
