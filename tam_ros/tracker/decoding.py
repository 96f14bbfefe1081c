"""Where answers of an engine enter the tracker: none that is not finite goes further."""

import contextlib
from collections.abc import Iterator

import numpy as np

from tam_ros.engine.base import (
    Array,
    Decoded,
    DecoderPrompts,
    Engine,
    EngineSpec,
    NotFiniteError,
)
from tam_ros.masks import fill_small_holes, without_parts
from tam_ros.prompts import OBJECT, Prompt, PromptError

FORMER_LOGIT_LIMIT = 32.0  # an answer that is fed back as a prompt is clamped to this


def decode_mask(
    engine: Engine, features: Array, attended: Array | None, prompts: DecoderPrompts
) -> Decoded:
    """Decode masks of B objects with an engine; raises NotFiniteError, and then nothing counts."""
    decoded = engine.decode_mask(features, attended, prompts)
    for name in ('presence_logits', 'predicted_ious', 'candidate_ious', 'logits'):
        if not np.isfinite(getattr(decoded, name)).all():
            raise NotFiniteError(
                f'the network answers with numbers that are not finite (NaN or infinite, {name}): '
                f'weights {engine.spec.weights!r} are damaged, or {engine.spec.runtime} is not '
                'precise enough for them'
            )
    return decoded


def former_logits(logits: np.ndarray) -> np.ndarray:
    """Return (m, m) logits of an answer as prompts take them that refine it, a batch of one."""
    return np.clip(logits, -FORMER_LOGIT_LIMIT, FORMER_LOGIT_LIMIT)[None]


def as_clicked(
    spec: EngineSpec, logits: np.ndarray, prompt: Prompt, size_wh: tuple[int, int]
) -> np.ndarray:
    """Return (m, m) logits that answer a prompt, over a picture of that size, as clicks mean them.

    Small holes are filled. A part of the mask that lies apart is left out where a click says that
    it does not belong to the object: what a small network remembers of it may be stronger than
    that click. Others answer as published.
    """
    logits = fill_small_holes(logits)
    if not spec.matches:
        return logits
    side = len(logits)
    cells = np.clip(prompt.points_xy * side / np.asarray(size_wh), 0, side - 1).astype(int)
    on_object = prompt.point_labels == OBJECT
    return without_parts(logits, cells[~on_object], cells[on_object])


@contextlib.contextmanager
def refusing_prompts() -> Iterator[None]:
    """Refuse a prompt, with a PromptError, whose answer is not finite."""
    try:
        yield
    except NotFiniteError as error:
        raise PromptError(str(error)) from error
