"""Masks as COCO writes them: run lengths down the columns, as a string of letters.

The format is pycocotools', which reads it: the first run is of background, may be 0, and each
number is written five bits at a time, lowest first, as the difference to the one two before it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from tam_ros.masks import MaskCrop, tight_crop

LOWEST_LETTER = 48  # '0'
BITS, MORE = 5, 0x20


@dataclass(frozen=True)
class RleMask:
    """A mask with at least one pixel, as it is kept: small, and made pixels of when asked for."""

    counts: str
    """COCO's run lengths."""
    size_wh: tuple[int, int]
    """Of the image, in pixels."""
    box_xyxy: tuple[int, int, int, int]
    """The tight box in pixels, x1 and y1 exclusive."""
    area: int
    """In pixels."""

    @classmethod
    def of(cls, crop: MaskCrop, size_wh: tuple[int, int]) -> 'RleMask':
        """Return the mask of a crop of an image of that size."""
        return cls(encode(crop, size_wh), size_wh, crop.box_xyxy, int(crop.mask.sum()))

    @cached_property
    def crop(self) -> MaskCrop | None:
        """Its pixels; raises RleError where the run lengths are damaged."""
        return decode(self.counts, self.size_wh)


class RleError(ValueError):
    """A string says no mask of its size."""


def encode(crop: MaskCrop | None, size_wh: tuple[int, int]) -> str:
    """Return the run lengths of a mask in an image of a size; all background for None."""
    width, height = size_wh
    edges = [] if crop is None else _edges(crop, height)
    runs = np.diff([0, *edges, width * height])
    if len(runs) > 1 and not runs[-1]:  # the mask ends with the image
        runs = runs[:-1]
    return _write_numbers(runs.tolist())


def decode(text: str, size_wh: tuple[int, int]) -> MaskCrop | None:
    """Return the mask of a string, None for one without pixels; raises RleError."""
    width, height = size_wh
    runs = list(_read_numbers(text))
    if min(runs, default=-1) < 0 or sum(runs) != width * height:
        raise RleError(f'{text[:20]!r} is no mask of {width}x{height} pixels')
    edges = np.cumsum(runs)
    if len(edges) < 2:
        return None
    # Only the columns that it is in.
    x0, x1 = edges[0] // height, -(-edges[(len(edges) // 2) * 2 - 1] // height)
    inside = np.diff(np.clip([0, *edges], x0 * height, x1 * height))
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, inside).reshape(-1, height)
    return tight_crop(int(x0), 0, columns.T)


def _edges(crop: MaskCrop, height: int) -> list[int]:
    """Return where, counted down the columns of the image, the mask starts and ends in turn."""
    x0, y0 = crop.box_xyxy[:2]
    steps = np.diff(np.pad(crop.mask, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    columns, rows = np.nonzero(steps)  # by columns, in each a start and an end in turn
    edges = (x0 + columns) * height + y0 + rows
    # A run that reaches the bottom goes on at the top of the next column.
    joined = np.flatnonzero(edges[1:-1:2] == edges[2::2]) * 2 + 1
    return np.delete(edges, [*joined, *(joined + 1)]).tolist()


def _write_numbers(runs: list[int]) -> str:
    before = [0, 0, 0, *runs[1:]]  # the first three stand for themselves
    return ''.join(chain.from_iterable(_letters(a - b) for a, b in zip(runs, before)))


def _letters(number: int) -> Iterator[str]:
    while True:
        low, number = number & 0x1F, number >> BITS
        is_last = number == (-1 if low & 0x10 else 0)  # the highest bit written is the sign
        yield chr(LOWEST_LETTER + (low if is_last else low | MORE))
        if is_last:
            return


def _read_numbers(text: str) -> Iterator[int]:
    runs: list[int] = []
    for number in _differences(text.encode('ascii', 'replace')):
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        yield runs[-1]


def _differences(letters: Iterable[int]) -> Iterator[int]:
    number = shift = 0
    for letter in letters:
        bits = letter - LOWEST_LETTER
        number |= (bits & 0x1F) << shift
        shift += BITS
        if not bits & MORE:
            yield number - (1 << shift) if bits & 0x10 else number
            number = shift = 0
    if shift:
        raise RleError('run lengths are cut off within a number')
