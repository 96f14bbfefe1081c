"""Prompts: what a user or a detector says about an object in one frame.

Knows nothing of networks or of ROS; coordinates are image pixels, x right, y down.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import SupportsIndex, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tam_ros.arrays import as_array, shape_of

BACKGROUND, OBJECT, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT = 0, 1, 2, 3
LONGEST_LABEL = 256  # characters; it goes out with every frame, and is drawn in it

Box = tuple[float, float, float, float]
Value = TypeVar('Value')


class PromptError(ValueError):
    """A prompt cannot be applied; the message names the value and what would be right."""


@dataclass(frozen=True)
class Prompt:
    """One prompt: clicks and a box, or a mask. Raises PromptError for other shapes and types.

    Arrays may be given as lists, tensors or images of Pillow as well.
    """

    points_xy: np.ndarray
    """(N, 2) float32 clicks in pixels, 0 <= x < width, 0 <= y < height.

    Given (2,) is one click, None is none.
    """
    point_labels: np.ndarray
    """(N,) int64, 1 on the object, 0 on the background; given None, all are on the object."""
    box_xyxy: Box | None
    """x0, y0, x1, y1 in pixels, x1 and y1 just outside the object; None for no box.

    May be given as (1, 4) or as its two corners, (2, 2), too.
    """
    mask: np.ndarray | None
    """(height, width) bool or int, not 0 at the object's pixels; None for no mask.

    Excludes clicks and box. Further axes of length 1 are dropped.
    """
    stamp_ns: int | None
    """Time of the frame that the prompt was made on; None for the newest."""

    def __init__(
        self,
        points_xy: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box_xyxy: ArrayLike | None = None,
        mask: object = None,
        stamp_ns: SupportsIndex | None = None,
    ):
        points = _read_points(points_xy)
        read = {
            'points_xy': points,
            'point_labels': _read_labels(point_labels, len(points)),
            'box_xyxy': None if box_xyxy is None else _read_box(box_xyxy),
            'mask': None if mask is None else _read_mask(mask),
            'stamp_ns': None if stamp_ns is None else _read(check_stamp, stamp_ns),
        }
        for name, value in read.items():
            object.__setattr__(self, name, value)


def _read(read: Callable[..., Value], *arguments: object) -> Value:
    """Return what is read from a user's value; what is wrong with it is wrong with the prompt."""
    try:
        return read(*arguments)
    except ValueError as error:
        raise PromptError(str(error)) from error


def _read_points(value: ArrayLike | None) -> np.ndarray:
    """Return (N, 2) float32 points."""
    if value is None:
        return np.zeros((0, 2), np.float32)
    points = _read(as_array, value, 'points_xy')
    if not points.size:
        return np.zeros((0, 2), np.float32)
    if points.shape != (2,) and (points.ndim != 2 or points.shape[1] != 2):
        raise PromptError(f'points_xy has {shape_of(points)}: give (N, 2), an x and a y of each')
    return points.reshape(-1, 2).astype(np.float32)


def _read_labels(value: ArrayLike | None, points: int) -> np.ndarray:
    """Return (N,) int64 labels; not given, every point is on the object."""
    if value is None:
        return np.full(points, OBJECT)
    labels = _read(as_array, value, 'point_labels')
    if labels.ndim > 1:
        raise PromptError(f'point_labels has {shape_of(labels)}: give (N,), one for each point')
    if (labels != np.floor(labels)).any() or not np.isfinite(labels).all():
        raise PromptError(f'point_labels {labels.tolist()}: use 1 (object) or 0 (background)')
    return labels.reshape(-1).astype(np.int64)


def _read_box(value: ArrayLike) -> Box:
    box = _read(as_array, value, 'box_xyxy')
    if box.shape not in ((4,), (1, 4), (2, 2)):
        raise PromptError(f'box_xyxy has {shape_of(box)}: give one box as (4,): x0, y0, x1, y1')
    x0, y0, x1, y1 = box.reshape(4).tolist()
    return x0, y0, x1, y1


def _read_mask(value: object) -> np.ndarray:
    """Return a (height, width) bool or int mask, none of whose pixels has been looked at."""
    mask = _read(as_array, value, 'mask')
    sides = tuple(n for n in mask.shape if n != 1)
    shape = mask.shape if mask.ndim == 2 else sides
    if len(shape) != 2:
        raise PromptError(f'mask has {shape_of(mask)}: give (height, width)')
    if mask.dtype.kind == 'f':
        raise PromptError(
            f'mask is {mask.dtype}: give bool, such as probability > 0.5 or logits > 0'
        )
    return mask.reshape(shape)


def check_stamp(stamp_ns: SupportsIndex) -> int:
    """Return a stamp as an int; raises ValueError for anything but whole nanoseconds."""
    try:
        return operator.index(stamp_ns)
    except TypeError:
        raise ValueError(f'stamp_ns is {stamp_ns!r}: give nanoseconds as an int') from None


def check_point_count(count: int, most: int) -> None:
    """Raise PromptError for more points than an object may have on one frame."""
    if count > most:
        raise PromptError(
            f'{count} points on one frame, where an object may have {most} (max_prompt_points): '
            'give fewer, a box or a mask'
        )


def check_label(label: str) -> str:
    """Return an object's label; raises PromptError for one that is too long."""
    if len(label) > LONGEST_LABEL:
        raise PromptError(
            f'label {label[:20]!r}... has {len(label)} characters: use at most {LONGEST_LABEL}'
        )
    return label


def check_prompt(prompt: Prompt, size_wh: tuple[int, int], *, is_new: bool) -> Prompt:
    """Return the prompt for a size_wh image, or raise PromptError.

    Its box is clipped to the image, its mask is bool.

    is_new: whether it starts an object, which background clicks alone cannot do.
    """
    if prompt.mask is not None:
        return replace(prompt, mask=_check_mask(prompt, prompt.mask, size_wh))
    if not len(prompt.points_xy) and prompt.box_xyxy is None:
        raise PromptError('the prompt is empty: give points, a box or a mask')
    _check_points(prompt, size_wh)
    if prompt.box_xyxy is not None:
        prompt = replace(prompt, box_xyxy=_clip_box(prompt.box_xyxy, size_wh))
    elif is_new and not (prompt.point_labels == OBJECT).any():
        raise PromptError(
            'all points have label 0 (background): a new object needs a point with label 1, '
            'a box or a mask'
        )
    return prompt


def _check_mask(prompt: Prompt, mask: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Return the mask as bool; its size is compared before any pixel."""
    width, height = size_wh
    if len(prompt.points_xy) or prompt.box_xyxy is not None:
        raise PromptError('a mask excludes points and a box: give either')
    if mask.shape != (height, width):
        got = 'x'.join(map(str, mask.shape[::-1]))
        raise PromptError(f'the mask is {got}, the image {width}x{height}: give the image size')
    inside: np.ndarray = mask != 0
    if not inside.any():
        raise PromptError('the mask is empty: set the pixels of the object to a non-zero value')
    return inside


def _check_points(prompt: Prompt, size_wh: tuple[int, int]) -> None:
    points, labels = prompt.points_xy, prompt.point_labels
    if len(points) != len(labels):
        raise PromptError(
            f'{len(points)} points but {len(labels)} point_labels: '
            'give one label per point, or none'
        )
    for (x, y), label in zip(points.tolist(), labels.tolist()):
        if not (0 <= x < size_wh[0] and 0 <= y < size_wh[1]):  # also false for NaN
            raise PromptError(
                f'point ({x:g}, {y:g}) is outside the image of {size_wh[0]}x{size_wh[1]} pixels'
            )
        if label not in (BACKGROUND, OBJECT):
            raise PromptError(f'point label {label} is unknown: use 1 (object) or 0 (background)')


def _clip_box(box_xyxy: Box, size_wh: tuple[int, int]) -> Box:
    width, height = size_wh
    text = '({:g}, {:g}, {:g}, {:g})'.format(*box_xyxy)
    if not np.isfinite(box_xyxy).all():
        raise PromptError(f'box {text} is not finite: give x0, y0, x1, y1 in pixels')
    x0, y0, x1, y1 = box_xyxy
    if x1 <= x0 or y1 <= y0:
        raise PromptError(f'box {text} is empty: x1 must exceed x0, and y1 exceed y0')
    x0, x1 = np.clip((x0, x1), 0, width).tolist()
    y0, y1 = np.clip((y0, y1), 0, height).tolist()
    if x1 <= x0 or y1 <= y0:
        raise PromptError(f'box {text} is outside the image of {width}x{height} pixels')
    return x0, y0, x1, y1


def merge_prompts(earlier: Prompt | None, later: Prompt) -> Prompt:
    """Add later clicks to the prompt given before on the same frame; a box or mask starts anew."""
    if earlier is None or later.box_xyxy is not None or later.mask is not None:
        return later
    return replace(
        later,
        points_xy=np.concatenate([earlier.points_xy, later.points_xy]),
        point_labels=np.concatenate([earlier.point_labels, later.point_labels]),
        box_xyxy=earlier.box_xyxy,
    )


def prompt_inside(prompt: Prompt, box_xyxy: tuple[int, int, int, int]) -> Prompt:
    """Return the clicks and the box of a prompt, as far as they are in a part of the image.

    They are then in its pixels.
    """
    x0, y0, x1, y1 = box_xyxy
    origin, size = np.array((x0, y0), np.float32), np.array((x1 - x0, y1 - y0), np.float32)
    points = prompt.points_xy - origin
    inside = ((points >= 0) & (points < size)).all(axis=1)
    box = prompt.box_xyxy and np.clip(np.reshape(prompt.box_xyxy, (2, 2)) - origin, 0, size)
    return Prompt(points[inside], prompt.point_labels[inside], box)


def network_points(
    prompt: Prompt, size_wh: tuple[int, int], side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return ((N, 2) float32 points in network pixels, (N,) int64 labels), box corners first."""
    points, labels = prompt.points_xy, prompt.point_labels
    if prompt.box_xyxy is not None:
        corners = np.asarray(prompt.box_xyxy, np.float32).reshape(2, 2)
        points = np.concatenate([corners, points])
        labels = np.concatenate([[BOX_TOP_LEFT, BOX_BOTTOM_RIGHT], labels])
    scale = side / np.asarray(size_wh, np.float32)
    return (points * scale).astype(np.float32), labels.astype(np.int64)
