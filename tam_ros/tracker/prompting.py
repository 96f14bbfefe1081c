"""Decode prompts on any frame that is still encoded; nothing is changed by it."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from tam_ros.engine.base import Array, Decoded, DecoderPrompts, Engine, MemoryStore
from tam_ros.masks import LogitCrop, tight_crop
from tam_ros.preprocess import MASK_LOGIT, logits_of_mask, network_mask
from tam_ros.prompts import (
    OBJECT,
    Prompt,
    PromptError,
    check_point_count,
    merge_prompts,
    network_points,
)
from tam_ros.tracker.close_look import CloseLook
from tam_ros.tracker.decoding import as_clicked, decode_mask, former_logits, refusing_prompts
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.planning import plan_memories
from tam_ros.tracker.track import Frame, PromptAnswer, Track

CERTAIN_LOGIT = 10.0  # of the presence of an object whose mask was given


class PromptDecoder:
    """Answers prompts with an engine, for objects whose memories are in a store."""

    def __init__(self, engine: Engine, store: MemoryStore):
        self._engine = engine
        self._store = store
        self._close = CloseLook(engine)

    def decode(
        self, frame: Frame, prompt: Prompt, track: Track | None, *, max_points: int
    ) -> PromptAnswer:
        """Answer a prompt for a new object, or one that is tracked.

        max_points: clicks on the frame, earlier ones included. Raises PromptError for more, and
        where the network finds no object, or answers with no numbers.
        """
        if track is not None and track.answer.observation.frame_index == frame.index:
            prompt = merge_prompts(track.answer.prompt, prompt)
        check_point_count(len(prompt.points_xy), max_points)
        answer = self._decode(frame, prompt, track)
        presence_logit = answer.observation.presence_logit
        if presence_logit <= 0:
            raise PromptError(
                f'no object found at the prompt (presence logit {presence_logit:.2f}, needs > 0)'
            )
        return answer

    def decode_boxes(self, frame: Frame, prompts: Sequence[Prompt]) -> list[PromptAnswer]:
        """Answer prompts that are boxes alone, at least one, as a batch.

        A presence logit of 0 or less says that there is no object.
        """
        points, labels = zip(*(self._points(frame, prompt) for prompt in prompts))
        decoded = self._ask(frame, None, DecoderPrompts(np.stack(points), np.stack(labels)))
        return [self._answer(frame, p, decoded, row) for row, p in enumerate(prompts)]

    def look_closely(self, frame: Frame, answer: PromptAnswer) -> PromptAnswer:
        """Return the answer to a box as a close look has it; see `CloseLook.look`."""
        return self._close.look(frame, answer)

    def decode_points(self, frame: Frame, points_xy: np.ndarray) -> Decoded:
        """Decode what is at each of (B, 2) points in pixels, a click of its own, as a batch."""
        scale = self._engine.spec.image_size / np.asarray(frame.size_wh, np.float32)
        points = (points_xy * scale).astype(np.float32)[:, None]
        labels = np.full((len(points), 1), OBJECT, np.int64)
        return self._ask(frame, None, DecoderPrompts(points, labels))

    def answer_as_seen(
        self, frame: Frame, point_xy: np.ndarray, seen: Observation
    ) -> PromptAnswer:
        """Return an observation of `decode_points` as the answer to its (2,) point.

        Only its pointer is decoded, as of a given mask: the points' are of one candidate each.
        """
        side = self._engine.spec.image_size
        mask = cv2.resize(seen.logits, (side, side), interpolation=cv2.INTER_LINEAR) > 0
        return PromptAnswer(Prompt(points_xy=point_xy), seen, self._pointer_of(frame, mask))

    @property
    def mask_side(self) -> int:
        """Side of the answers' logits."""
        return self._engine.spec.mask_side

    def _decode(self, frame: Frame, prompt: Prompt, track: Track | None) -> PromptAnswer:
        if prompt.mask is not None:
            return self._decode_given_mask(frame, prompt, prompt.mask)
        former = attended = None
        if track is not None:
            former = _former(frame, track)
            attended = self._attended(frame, track)
        points, labels = self._points(frame, prompt)
        refined = former_logits(former.over(frame.window).logits) if former else None
        prompts = DecoderPrompts(points[None], labels[None], refined)
        answer = self._answer(frame, prompt, self._ask(frame, attended, prompts))
        return self._close.look(frame, answer, former)

    def _decode_given_mask(self, frame: Frame, prompt: Prompt, mask: np.ndarray) -> PromptAnswer:
        """A given mask is its own answer: certain, and only its pointer is decoded."""
        spec = self._engine.spec
        resized = network_mask(mask, spec.image_size)
        logits = logits_of_mask(resized, spec.mask_side)
        fine = _certain_crop(mask)
        seen = Observation(frame.index, frame.stamp_ns, logits, CERTAIN_LOGIT, 1.0, fine=fine)
        return PromptAnswer(prompt, seen, self._pointer_of(frame, resized))

    def _pointer_of(self, frame: Frame, mask: np.ndarray) -> Array:
        """Return the (1, C) pointer of a mask, (S, S) bool in network pixels."""
        prompts = replace(DecoderPrompts.none(1), masks=mask[None])
        return self._ask(frame, None, prompts).pointers

    def _ask(self, frame: Frame, attended: Array | None, prompts: DecoderPrompts) -> Decoded:
        with refusing_prompts():
            return decode_mask(self._engine, frame.features, attended, prompts)

    def _points(self, frame: Frame, prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
        return network_points(prompt, frame.size_wh, self._engine.spec.image_size)

    def _attended(self, frame: Frame, track: Track) -> Array | None:
        """Return features conditioned on what an object remembers of other frames, if anything."""
        if track.frame_index == frame.index:
            # As it was decoded there; memories have the frame itself by now.
            return track.attended and track.attended.alone()
        memory = track.memory.beside(frame.index)
        if not memory.prompted or not memory.is_of(frame.window, frame.index):
            return None
        plan = plan_memories([track.row], [memory], frame.index)
        return self._engine.attend_memory(frame.features, self._store, plan)

    def _answer(
        self, frame: Frame, prompt: Prompt, decoded: Decoded, row: int = 0
    ) -> PromptAnswer:
        logits = decoded.logits[row]
        if self._engine.spec.mode == 'interactive':
            logits = as_clicked(self._engine.spec, logits, prompt, frame.size_wh)
        seen = Observation(
            frame.index,
            frame.stamp_ns,
            logits,
            float(decoded.presence_logits[row]),
            float(decoded.predicted_ious[row]),
        )
        return PromptAnswer(prompt, seen, decoded.pointers[[row]])


def _certain_crop(mask: np.ndarray) -> LogitCrop | None:
    """Return the logits of a given mask at its own resolution."""
    crop = tight_crop(0, 0, mask)
    if crop is None:
        return None
    x0, y0, *_ = crop.box_xyxy
    return LogitCrop(x0, y0, np.where(crop.mask, MASK_LOGIT, -MASK_LOGIT).astype(np.float32))


def _former(frame: Frame, track: Track) -> Observation | None:
    """Return what prompts refine of an object in a frame; None where it is hidden."""
    is_newest = track.frame_index == frame.index
    seen = track.observation if is_newest else frame.observations.get(track.object_id)
    return seen if seen and seen.visible else None
