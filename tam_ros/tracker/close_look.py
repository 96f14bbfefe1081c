"""A close look at what is prompted: a prompt is decoded again in a window around it, enlarged.

Squeezed to the network's square, a small thing has few cells of its masks, or none: what the
window shows counts instead. Of other boxes, small networks give the mean of both answers. Looking
closely encodes one more image for a prompt; frames cost no more than a copy of their image.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from tam_ros.engine.base import Decoded, DecoderPrompts, Engine
from tam_ros.masks import (
    LogitCrop,
    logits_inside,
    tight_crop,
)
from tam_ros.preprocess import logits_of_mask, network_mask, resize_video_frame
from tam_ros.prompts import OBJECT, Prompt, network_points, prompt_inside
from tam_ros.tracker.decoding import as_clicked, decode_mask, former_logits, refusing_prompts
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.track import Frame, PromptAnswer
from tam_ros.tracker.window import Window, resample

SMALL = 0.15  # of the image's width and height: how long what is looked at closely may be
MARGIN = 3.0  # side of the window, in longer sides of what is prompted
LEAST_SIDE = 64  # of the window in pixels: something of the background must be in it
CLICK_WINDOW = 0.25  # side of the window around clicks, as a part of the image's longer side
MOST_FILLED = 0.1  # part of that which the answer may fill: larger things are seen at a first look
LEAST_GAIN = 0.05  # in predicted IoU over a first answer that is not small
HALF = 0.5  # side of the window around other boxes, as a part of the image's
ROOM = 1.3  # side of that window at least, in sides of the box
LARGEST = 0.8  # part of the image that this window shows at most: else it shows nothing new
CERTAIN = 1 - 1e-6  # of 2 p - 1: how near to that a mean may come


class CloseLook:
    """Decodes prompts a second time, in a window."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def look(
        self, frame: Frame, answer: PromptAnswer, former: Observation | None = None
    ) -> PromptAnswer:
        """Return the answer of a close look at what was prompted, or the first one.

        That stands without a window, where nothing is found in it, for a click where it is the
        better one, and as published evaluations do it. former: what the prompt refines. Raises
        PromptError for an answer of no numbers.
        """
        if self._engine.spec.mode == 'benchmark':
            return answer
        window = choose_window(frame, answer, former)
        if window is None:
            return self._look_again(frame, answer, former)
        decoded = self._decode(frame, window, answer.prompt, former)
        found = self._seen_in(window, decoded.logits[0], frame, answer)
        if found is None or decoded.presence_logits[0] <= 0:
            return answer
        if _is_ambiguous(answer.prompt, former) and not _is_better(decoded, answer):
            return answer
        scores = float(decoded.presence_logits[0]), float(decoded.predicted_ious[0])
        answer = replace(answer, pointer=decoded.pointers[[0]])
        return self._put_back(frame, answer, found, *scores)

    def _look_again(
        self, frame: Frame, answer: PromptAnswer, former: Observation | None
    ) -> PromptAnswer:
        """Return the mean of the answer to a box and of another one in half the image around it.

        Two looks err less than one. Only for small networks: others answer as published.
        """
        window = choose_half(frame, answer.prompt, former) if self._engine.spec.matches else None
        if window is None:
            return answer
        decoded, seen = self._decode(frame, window, answer.prompt, None), answer.observation
        both = resample(seen.logits, seen.window, window), decoded.logits[0]
        found = self._seen_in(window, mean_logits(*both), frame, answer)
        if found is None or decoded.presence_logits[0] <= 0:
            return answer
        return self._put_back(frame, answer, found, seen.presence_logit, seen.predicted_iou)

    def _decode(
        self, frame: Frame, window: Window, prompt: Prompt, former: Observation | None
    ) -> Decoded:
        """Decode a prompt in a window, whose image is mostly brought to more pixels."""
        assert frame.image_rgb is not None  # windows are chosen only where there is one
        spec, image_rgb = self._engine.spec, window.cut(frame.image_rgb)
        box = window.pixels(frame.size_wh)
        size_wh = box[2] - box[0], box[3] - box[1]
        points, labels = network_points(prompt_inside(prompt, box), size_wh, spec.image_size)
        refined = None
        if former and former.fine:
            inside = logits_inside(former.fine, box)
            refined = former_logits(cv2.resize(inside, (spec.mask_side, spec.mask_side)))
        prompts = DecoderPrompts(points[None], labels[None], refined)
        with refusing_prompts():
            features = self._engine.encode_image(resize_video_frame(image_rgb, spec.image_size))
            return decode_mask(self._engine, features, None, prompts)

    def _seen_in(
        self, window: Window, logits: np.ndarray, frame: Frame, answer: PromptAnswer
    ) -> LogitCrop | None:
        """Return (m, m) logits over a window in pixels of the image, as clicks mean them.

        None where no pixel is inside.
        """
        box = window.pixels(frame.size_wh)
        prompt, size_wh = prompt_inside(answer.prompt, box), (box[2] - box[0], box[3] - box[1])
        logits = as_clicked(self._engine.spec, logits, prompt, size_wh)
        seen = replace(answer.observation, logits=logits, window=window)
        found = seen.upsampled(frame.size_wh)
        return found if found and found.tight() else None

    def _put_back(
        self,
        frame: Frame,
        answer: PromptAnswer,
        fine: LogitCrop,
        presence_logit: float,
        predicted_iou: float,
    ) -> PromptAnswer:
        """Return the answer with the mask of a close look, as the whole frame's cells hold it."""
        spec = self._engine.spec
        mask = network_mask(fine.whole(frame.size_wh), spec.image_size)
        seen = replace(
            answer.observation,
            logits=logits_of_mask(mask, spec.mask_side),
            presence_logit=presence_logit,
            predicted_iou=predicted_iou,
            fine=fine,
        )
        return replace(answer, observation=seen)


def choose_window(
    frame: Frame, answer: PromptAnswer, former: Observation | None = None
) -> Window | None:
    """Return the part of a frame to look at closely; None where there is none.

    That is around a small box, or a small mask that was looked at closely and is refined. Clicks
    for a new object do not say how large it is: around them, it is always a part of one size.
    """
    prompt = answer.prompt
    if frame.image_rgb is None or prompt.mask is not None:
        return None
    size = np.array(frame.size_wh)
    if _is_ambiguous(prompt, former):
        side = CLICK_WINDOW * size.max()
        box = _with_clicks(prompt)
        return _square(box, side, size) if (box[1] - box[0] <= side / 2).all() else None
    known = _known_box(prompt, former)
    if known is None:
        return None
    box = _with_clicks(prompt, known)
    if not _is_small(box, size):
        return None
    return _square(box, max(MARGIN * (box[1] - box[0]).max(), LEAST_SIDE), size)


def choose_half(frame: Frame, prompt: Prompt, former: Observation | None) -> Window | None:
    """Return the half of a frame, or more, around a new box; None where that shows nothing new."""
    if frame.image_rgb is None or former is not None or prompt.box_xyxy is None:
        return None
    box = _with_clicks(prompt, np.reshape(prompt.box_xyxy, (2, 2)))
    size = np.array(frame.size_wh)
    part = max(HALF, float((ROOM * (box[1] - box[0]) / size).max()))
    return Window.around(box.mean(0), np.ceil(part * size), size) if part <= LARGEST else None


def mean_logits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the logits of the mean of the probabilities that logits of one shape stand for."""
    return 2 * np.arctanh(np.clip((np.tanh(a / 2) + np.tanh(b / 2)) / 2, -CERTAIN, CERTAIN))


def _is_ambiguous(prompt: Prompt, former: Observation | None) -> bool:
    """Return whether there is nothing but clicks."""
    return former is None and prompt.box_xyxy is None


def _is_better(close: Decoded, first: PromptAnswer) -> bool:
    """Return whether what a close look at a click shows is small, and the first answer was not it.

    One that is small, too, or absent, cannot be better.
    """
    if np.count_nonzero(close.logits > 0) > MOST_FILLED * close.logits.size:
        return False
    seen = first.observation
    tight = tight_crop(0, 0, seen.logits > 0) if seen.sighting else None
    if tight is None or _is_small(np.reshape(tight.box_xyxy, (2, 2)), seen.logits.shape):
        return True
    return bool(close.predicted_ious[0] >= seen.predicted_iou + LEAST_GAIN)


def _is_small(box: np.ndarray, size_wh: ArrayLike) -> bool:
    """Return whether a box, of (2, 2) corners, is small in an image of that size."""
    return bool((box[1] - box[0] <= SMALL * np.asarray(size_wh)).all())


def _known_box(prompt: Prompt, former: Observation | None) -> np.ndarray | None:
    """Return the (2, 2) corners of a prompt's box, or of a mask that was looked at closely."""
    if prompt.box_xyxy is not None:
        return np.reshape(prompt.box_xyxy, (2, 2))
    tight = former and former.fine and former.fine.tight()
    return np.reshape(tight.box_xyxy, (2, 2)) if tight else None


def _with_clicks(prompt: Prompt, *corners_xy: np.ndarray) -> np.ndarray:
    """Return the (2, 2) corners of the box around (N, 2) points and the clicks on the object."""
    on_object = prompt.points_xy[prompt.point_labels == OBJECT]
    every = np.concatenate([*corners_xy, on_object, on_object + 1])
    return np.stack([every.min(0), every.max(0)])


def _square(box: np.ndarray, side: float, size_wh: np.ndarray) -> Window:
    """Return the square around a box's middle, moved into the image and no larger than that."""
    return Window.around(box.mean(0), np.full(2, np.ceil(side)), size_wh)
