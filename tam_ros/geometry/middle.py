"""Medians and quantiles of few values, without the time that NumPy's own take around them."""

import numpy as np


def at_share(values: np.ndarray, share: float) -> float:
    """Return the value of (N,) ones, N at least 1, that this share of the others is below."""
    place = int(share * (len(values) - 1) + 0.5)
    return float(np.partition(values, place)[place])


def middle(values: np.ndarray) -> float:
    """Return a median of (N,) values, N at least 1; of an even number, one of the two."""
    return at_share(values, 0.5)
