"""Arrays that users hand over, in whatever form: read as what they plainly are, or refused."""

import numpy as np


def as_array(value: object, name: str) -> np.ndarray:
    """Return lists, images of Pillow, or tensors on any device as an array of real numbers.

    Raises ValueError, which names the value, for anything else.
    """
    if hasattr(value, 'detach'):  # a tensor, which may need a gradient or be on a GPU
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, OSError) as error:  # the last of cut files
        raise ValueError(f'{name} of type {type(value).__name__} is no array: {error}') from error
    if array.dtype.kind not in 'biuf':
        raise ValueError(
            f'{name} of type {type(value).__name__} is an array of {array.dtype}: give numbers'
        )
    return array


def shape_of(array: np.ndarray) -> str:
    """Return an array's shape as errors name it."""
    return f'shape {tuple(array.shape)}'
