"""Prompts drawn from true masks, always the same ones for the same mask."""

from typing import Literal, get_args

import cv2
import numpy as np

from tam_ros.prompts import BACKGROUND, OBJECT, Prompt

PromptKind = Literal['mask', 'box', 'click', '3clicks']
PROMPT_KINDS: tuple[PromptKind, ...] = get_args(PromptKind)
CORRECTIONS: dict[PromptKind, int] = {'3clicks': 2}  # that follow the first click


def draw_prompt(mask: np.ndarray, kind: PromptKind) -> Prompt:
    """Make the first prompt of an object's (H, W) bool mask: itself, its tight box, or a click.

    A click is on the pixel farthest from the mask's border and from the image's.
    """
    if kind == 'mask':
        return Prompt(mask=mask)
    if kind == 'box':
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        return Prompt(box_xyxy=(x, y, x + width, y + height))
    return Prompt([_deepest_pixel(mask)[0]])


def draw_correction(answer: np.ndarray, mask: np.ndarray) -> Prompt | None:
    """Return a click in the middle of what an answer has most wrong; None if nothing is wrong.

    answer, mask: (H, W) bool, as found and as true. The click is on the object where it is
    missing, and on the background where the answer spills over: on the pixel that is farthest
    from the border of its region, as in interactive segmentation (RITM, Sofiiuk et al., 2022,
    section 4).
    """
    missing_xy, missing_depth = _deepest_pixel(mask & ~answer)
    spilled_xy, spilled_depth = _deepest_pixel(answer & ~mask)
    if not missing_depth and not spilled_depth:
        return None
    if missing_depth >= spilled_depth:
        return Prompt([missing_xy], [OBJECT])
    return Prompt([spilled_xy], [BACKGROUND])


def _deepest_pixel(mask: np.ndarray) -> tuple[tuple[int, int], float]:
    """Return the x, y farthest from a mask's border and the image's, and how far that is."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return (int(x), int(y)), float(depth[y, x])
