"""Scores of what a tracker answered to a clip, as DAVIS counts.

J and F are means over frames, then over objects. As in DAVIS the first and the last frame of a
clip do not count; nor do, for an object that appears later, the frames up to its prompt, and nor
do void pixels. A refused prompt scores 0 in every frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tam_ros.evaluation.clips import Masks, TruthClip
from tam_ros.evaluation.measures import (
    boundary_accuracy,
    count_switches,
    frames_to_reacquire,
    object_under,
    region_similarity,
)
from tam_ros.evaluation.runs import Tracked
from tam_ros.evaluation.trackers import Confidence
from tam_ros.evaluation.truth_prompts import PromptKind


@dataclass(frozen=True)
class ObjectScore:
    """One object in each frame that counts."""

    object_id: int
    """Of the truth."""
    first_frame: int
    """Number of the first frame that counts."""
    j: list[float]
    """Region similarity per frame, in [0, 1]."""
    f: list[float]
    """Boundary accuracy per frame, in [0, 1]."""
    areas: list[int]
    """True pixels per frame, 0 where the object is absent."""
    confidences: list[Confidence | None]
    """The tracker's own per frame, None where it gave none."""
    reacquire_s: list[float | None]
    """For each time the object came back into view, until it was found (see `measures`).

    None where it was not.
    """
    switches: int
    """How often the track moved onto another object (see `measures`)."""
    is_refused: bool
    """Whether its first prompt was; it then scores 0 in every frame."""
    first_j: float
    """Region similarity of the answer to its prompt, before any tracking."""


@dataclass(frozen=True)
class ClipScore:
    """Scores of all objects of a clip."""

    tracker: str
    """Name, such as tam_nano/fifo."""
    clip: str
    """Name of its folder."""
    prompt: PromptKind
    """Kind of the prompts, one of PROMPT_KINDS."""
    objects: list[ObjectScore]
    """Those with a frame that counts, in order of the ids."""
    ms_per_frame: float
    """Median over the steps."""
    dropped: int = 0
    """Frames that the tracker never saw."""
    streamed: 'ClipScore | None' = None
    """The same tracker against the clock; None if that was not measured."""


class FrameScore(NamedTuple):
    """One object in one frame."""

    j: float
    """Region similarity, in [0, 1]."""
    f: float
    """Boundary accuracy, in [0, 1]."""
    area: int
    """True pixels, 0 where the object is absent."""
    under: int
    """The object that its track is on, 0 if on none (see `measures`)."""
    confidence: Confidence | None
    """The tracker's own, None where it gave none."""


def score_clip(clip: TruthClip, tracked: Tracked) -> ClipScore:
    """Score what was tracked against the clip's truth."""
    first_frames = clip.first_frames()
    frames: dict[int, list[FrameScore]] = {object_id: [] for object_id in first_frames}
    for t in range(1, len(clip) - 1):
        truths = clip.masks(t)
        for object_id, first in first_frames.items():
            if first < t:
                frames[object_id].append(_score_frame(clip, truths, tracked, object_id, t))
    objects = [
        _score_object(
            object_id,
            first_frames[object_id] + 1,
            scores,
            tracked,
            clip.rate_hz,
            first_j=_score_first(clip, tracked, object_id, first_frames[object_id]),
        )
        for object_id, scores in frames.items()
        if scores
    ]
    # In the first step there is nothing to track yet.
    ms_per_frame = float(np.median(tracked.step_ms[1:] or tracked.step_ms))
    return ClipScore(
        tracked.tracker, clip.name, tracked.prompt, objects, ms_per_frame, tracked.dropped
    )


def _score_first(clip: TruthClip, tracked: Tracked, object_id: int, first: int) -> float:
    """Return the J of the answer to an object's prompt in its first frame, 0 if refused."""
    mask = tracked.masks[first].get(object_id)
    if mask is None or object_id in tracked.refused:
        return 0.0
    return region_similarity(mask & clip.counted(first), clip.masks(first)[object_id])


def _score_frame(
    clip: TruthClip, truths: Masks, tracked: Tracked, object_id: int, t: int
) -> FrameScore:
    empty = np.zeros(clip.truth.shape[1:], bool)
    mask = tracked.masks[t].get(object_id, empty) & clip.counted(t)
    truth = truths.get(object_id, empty)
    return FrameScore(
        region_similarity(mask, truth),
        boundary_accuracy(mask, truth),
        int(np.count_nonzero(truth)),  # which NumPy 2 returns as one of its own
        object_under(mask, truths, object_id),
        tracked.confidences[t].get(object_id),
    )


def _score_object(
    object_id: int,
    first_frame: int,
    scores: Sequence[FrameScore],
    tracked: Tracked,
    rate_hz: float,
    *,
    first_j: float,
) -> ObjectScore:
    is_refused = object_id in tracked.refused
    factor = 0.0 if is_refused else 1.0  # where the object is absent, no mask would score 1
    j, areas = [s.j * factor for s in scores], [s.area for s in scores]
    found = frames_to_reacquire(areas, j)
    return ObjectScore(
        object_id,
        first_frame,
        j,
        [s.f * factor for s in scores],
        areas,
        [s.confidence for s in scores],
        [None if frames is None else frames / rate_hz for frames in found],
        count_switches([s.under for s in scores], object_id),
        is_refused,
        first_j,
    )
