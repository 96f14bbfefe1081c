"""Trackers without a network, to judge one by: a still mask, optical flow, a box tracker.

None tells how sure it is.
"""

from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np

from tam_ros.evaluation.clips import Masks
from tam_ros.evaluation.trackers import Tracker
from tam_ros.evaluation.truth_prompts import PromptKind
from tam_ros.prompts import Prompt, PromptError

COLOR_ITERATIONS = 3
BORDER_PART = 0.25  # of a box's sides: background around it for GrabCut to learn from
LEAST_PART = 0.1  # of the box; where GrabCut leaves less, it failed and the box is the mask
LEAST_PIXELS = 100  # GrabCut learns 5 + 5 colour clusters; with fewer pixels the box is the mask
MODEL_SIZE = 65  # numbers in OpenCV's GrabCut models

Box = tuple[int, int, int, int]


class CopyTracker(Tracker):
    """Answers every frame with the first mask."""

    name = 'copy'
    prompt_kinds: ClassVar[tuple[PromptKind, ...]] = ('mask',)

    def __init__(self):
        self._masks: Masks = {}

    def step(self, image_rgb: np.ndarray, stamp_ns: int) -> None:
        pass

    def prompt(self, image_rgb: np.ndarray, prompts: Mapping[int, Prompt]) -> set[int]:
        self._masks |= {key: p.mask for key, p in prompts.items() if p.mask is not None}
        return set()

    def masks(self) -> Masks:
        return dict(self._masks)


class FlowTracker(Tracker):
    """Warps the masks from frame to frame by DIS optical flow (Kroeger et al., ECCV 2016).

    Masks stay soft between frames, so that rounding does not pile up.
    """

    name = 'flow'
    prompt_kinds: ClassVar[tuple[PromptKind, ...]] = ('mask',)

    def __init__(self):
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._soft_masks: dict[int, np.ndarray] = {}  # H, W float32 of 0 to 1
        self._gray: np.ndarray | None = None

    def step(self, image_rgb: np.ndarray, stamp_ns: int) -> None:
        gray = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
        if self._soft_masks:
            source_xy = _pixel_grid(gray.shape) + self._flow.calc(gray, self._gray, None)
            self._soft_masks = {
                key: cv2.remap(soft, source_xy, None, cv2.INTER_LINEAR)
                for key, soft in self._soft_masks.items()
            }
        self._gray = gray

    def prompt(self, image_rgb: np.ndarray, prompts: Mapping[int, Prompt]) -> set[int]:
        given = {key: p.mask for key, p in prompts.items() if p.mask is not None}
        self._soft_masks |= {key: mask.astype(np.float32) for key, mask in given.items()}
        return set()

    def masks(self) -> Masks:
        return {key: soft > 0.5 for key, soft in self._soft_masks.items()}


class BoxTracker(Tracker):
    """Tracks boxes by correlation filters (CSRT, Lukezic et al., CVPR 2017), cut out by GrabCut.

    A box prompt learns colours anew in every frame, from inside against outside the box. A mask
    prompt learns them once, from the mask. Needs the OpenCV that has the contributed modules.
    """

    name = 'csrt'
    prompt_kinds: ClassVar[tuple[PromptKind, ...]] = ('mask', 'box')

    def __init__(self):
        cv2.setRNGSeed(0)  # GrabCut finds its clusters from random starts
        self._trackers: dict[int, cv2.Tracker] = {}
        self._colors: dict[int, tuple[np.ndarray, np.ndarray] | None] = {}
        self._masks: Masks = {}

    def step(self, image_rgb: np.ndarray, stamp_ns: int) -> None:
        image = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
        for key, tracker in self._trackers.items():
            is_found, box_xywh = tracker.update(image)
            box = clip_box(box_xywh, image.shape) if is_found else (0, 0, 0, 0)
            self._masks[key] = cut_out(image, box, self._colors[key])

    def prompt(self, image_rgb: np.ndarray, prompts: Mapping[int, Prompt]) -> set[int]:
        image = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
        for key, prompt in prompts.items():
            self._masks[key] = self._start_one(image, key, prompt)
        return set()

    def masks(self) -> Masks:
        return dict(self._masks)

    def _start_one(self, image: np.ndarray, key: int, prompt: Prompt) -> np.ndarray:
        if prompt.mask is not None:
            box_xywh = cv2.boundingRect(prompt.mask.astype(np.uint8))
            colors = learn_colors(image, prompt.mask)
        elif prompt.box_xyxy is not None:
            x0, y0, x1, y1 = (round(v) for v in prompt.box_xyxy)
            box_xywh, colors = (x0, y0, x1 - x0, y1 - y0), None
        else:
            raise PromptError('csrt has no use for clicks: give a mask or a box')
        self._trackers[key] = cv2.TrackerCSRT_create()
        self._trackers[key].init(image, box_xywh)
        self._colors[key] = colors
        box = clip_box(box_xywh, image.shape)
        return cut_out(image, box, colors) if prompt.mask is None else prompt.mask


def available_baselines() -> list[type[Tracker]]:
    """Return the classes of baselines that this OpenCV can run."""
    has_csrt = hasattr(cv2, 'TrackerCSRT_create')
    return [CopyTracker, FlowTracker] + ([BoxTracker] if has_csrt else [])


def clip_box(box_xywh, shape: tuple[int, ...]) -> Box:
    """Return the part of a box in an image of that (H, W, ...), as x0, y0, x1, y1 exclusive."""
    x, y, width, height = (round(v) for v in box_xywh)
    x0, x1 = np.clip((x, x + width), 0, shape[1]).tolist()
    y0, y1 = np.clip((y, y + height), 0, shape[0]).tolist()
    return x0, y0, x1, y1


def learn_colors(image_bgr: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return GrabCut's models of the colours around an object and of its own.

    image_bgr: (H, W, 3) uint8. mask: (H, W) bool. None where either has too few pixels.
    """
    window = _window(clip_box(cv2.boundingRect(mask.astype(np.uint8)), mask.shape))
    inside = mask[window]
    if _fewest_pixels(inside) < LEAST_PIXELS:
        return None
    labels = np.where(inside, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
    models = np.zeros((1, MODEL_SIZE)), np.zeros((1, MODEL_SIZE))
    cv2.grabCut(image_bgr[window].copy(), labels, None, *models, 1, cv2.GC_INIT_WITH_MASK)
    return models


def cut_out(image_bgr: np.ndarray, box: Box, colors=None) -> np.ndarray:
    """Return the (H, W) bool mask that GrabCut finds in a box, by given or by its own colours.

    The mask is the whole box where that is too small for GrabCut, or where it finds next to
    nothing.
    """
    mask = np.zeros(image_bgr.shape[:2], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    window = _window(box)
    inside = mask[window]
    if _fewest_pixels(inside) >= LEAST_PIXELS:
        found = _grab_cut(image_bgr[window].copy(), inside, colors)
        if np.count_nonzero(found) >= LEAST_PART * np.count_nonzero(inside):
            mask[window] = found
    return mask


def _grab_cut(image_bgr: np.ndarray, inside: np.ndarray, colors) -> np.ndarray:
    labels = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    if colors is None:
        models = np.zeros((1, MODEL_SIZE)), np.zeros((1, MODEL_SIZE))
        mode, iterations = cv2.GC_INIT_WITH_MASK, COLOR_ITERATIONS
    else:
        models = tuple(model.copy() for model in colors)
        mode, iterations = cv2.GC_EVAL_FREEZE_MODEL, 1
    cv2.grabCut(image_bgr, labels, None, *models, iterations, mode)
    return labels == cv2.GC_PR_FGD


def _window(box: Box) -> tuple[slice, slice]:
    """Return the rows and columns of a box and a border around it: GrabCut sees no more."""
    x0, y0, x1, y1 = box
    border_x, border_y = (round(BORDER_PART * side) + 1 for side in (x1 - x0, y1 - y0))
    return np.s_[max(y0 - border_y, 0) : y1 + border_y, max(x0 - border_x, 0) : x1 + border_x]


def _fewest_pixels(inside: np.ndarray) -> int:
    """Return how many pixels the smaller of inside and outside has."""
    count = int(np.count_nonzero(inside))
    return min(count, inside.size - count)


def _pixel_grid(shape: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 2) float32 x, y of every pixel."""
    height, width = shape
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2).astype(np.float32)
