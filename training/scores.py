"""Scores of what a tracker answered to a clip, as DAVIS counts, and tables of them.

J and F are means over frames, then over objects. As in DAVIS the first and the last frame of a
clip do not count; nor do, for an object that appears later, the frames up to its prompt. A
refused prompt scores 0 in every frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import numpy as np

from tam_ros.measures import boundary_accuracy, count_switches, object_under, region_similarity
from training.calibration import Confidence, Record
from training.truth_clips import Masks, PromptKind, TruthClip


@dataclass(frozen=True)
class Tracked:
    """What a tracker answered to a clip, frame by frame, and how long each step took.

    masks lack objects that were not started. refused: ids of those whose prompt was refused.
    """

    tracker: str
    prompt: PromptKind
    masks: list[Masks] = field(default_factory=list)
    confidences: list[dict[int, Confidence]] = field(default_factory=list)
    step_ms: list[float] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class ObjectScore:
    """J and F of one object in each frame that counts, the first of which is first_frame."""

    object_id: int
    first_frame: int
    j: list[float]
    f: list[float]
    switches: int
    is_refused: bool


@dataclass(frozen=True)
class ClipScore:
    """Scores of all objects of a clip; ms_per_frame is the median over the steps."""

    tracker: str
    clip: str
    prompt: PromptKind
    objects: list[ObjectScore]
    records: list[Record]
    ms_per_frame: float


class FrameScore(NamedTuple):
    """One object in one frame; under is the object that its track is on (see `measures`)."""

    j: float
    f: float
    under: int
    is_present: bool


def score_clip(clip: TruthClip, tracked: Tracked) -> ClipScore:
    """Score what was tracked against the clip's truth."""
    objects, records = [], []
    for object_id, first in clip.first_frames().items():
        frames = range(first + 1, len(clip) - 1)
        if not frames:
            continue
        scores = list(_frame_scores(clip, tracked, object_id, frames))
        objects.append(_object_score(object_id, first + 1, scores, object_id in tracked.refused))
        for t, score in zip(frames, scores):
            if object_id in tracked.confidences[t]:
                confidence = tracked.confidences[t][object_id]
                records.append(Record(confidence, score.j, score.is_present))
    ms_per_frame = float(np.median(tracked.step_ms[1:]))  # nothing is tracked in the first
    return ClipScore(tracked.tracker, clip.name, tracked.prompt, objects, records, ms_per_frame)


def _frame_scores(
    clip: TruthClip, tracked: Tracked, object_id: int, frames: range
) -> Iterator[FrameScore]:
    empty = np.zeros(clip.truth.shape[1:], bool)
    for t in frames:
        truths, mask = clip.masks(t), tracked.masks[t].get(object_id, empty)
        truth = truths.get(object_id, empty)
        yield FrameScore(
            region_similarity(mask, truth),
            boundary_accuracy(mask, truth),
            object_under(mask, truths, object_id),
            object_id in truths,
        )


def _object_score(
    object_id: int, first_frame: int, scores: Sequence[FrameScore], is_refused: bool
) -> ObjectScore:
    factor = 0.0 if is_refused else 1.0  # where the object is absent, no mask would score 1
    return ObjectScore(
        object_id,
        first_frame,
        [s.j * factor for s in scores],
        [s.f * factor for s in scores],
        count_switches([s.under for s in scores], object_id),
        is_refused,
    )


# -- tables ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """The scores of one clip, or of several: means over all their objects, sums of counts."""

    tracker: str
    clip: str
    prompt: str
    objects: int
    j: float
    f: float
    j_and_f: float
    id_switches: int
    refused: int
    ms_per_frame: float


def summarize(scores: Sequence[ClipScore], name: str = '') -> Row:
    """Return the row of one or more clips, all of one tracker and kind of prompt.

    name: of the row; left out, that of the first clip.
    """
    objects = [o for score in scores for o in score.objects]
    j = float(np.mean([np.mean(o.j) for o in objects]))
    f = float(np.mean([np.mean(o.f) for o in objects]))
    return Row(
        scores[0].tracker,
        name or scores[0].clip,
        scores[0].prompt,
        len(objects),
        j,
        f,
        (j + f) / 2,
        sum(o.switches for o in objects),
        sum(o.is_refused for o in objects),
        float(np.mean([score.ms_per_frame for score in scores])),
    )


def mean_of_clips(scores: Sequence[ClipScore]) -> Row:
    """Return the row of several clips in which each clip counts the same."""
    rows = [summarize([score]) for score in scores]
    j, f = float(np.mean([r.j for r in rows])), float(np.mean([r.f for r in rows]))
    return replace(summarize(scores, 'mean of clips'), j=j, f=f, j_and_f=(j + f) / 2)


def group_scores(scores: Sequence[ClipScore]) -> dict[tuple[str, str], list[ClipScore]]:
    """Return the scores of each (tracker, prompt)."""
    groups: dict[tuple[str, str], list[ClipScore]] = {}
    for score in scores:
        groups.setdefault((score.tracker, score.prompt), []).append(score)
    return groups


def format_table(scores: Sequence[ClipScore]) -> str:
    """Return a table of all clips, each tracker and kind of prompt ending with its mean."""
    lines = [
        f'{"tracker":10} {"prompt":6} {"clip":16} {"objects":>7} {"J":>6} {"F":>6} {"J&F":>6} '
        f'{"id switches":>11} {"refused":>7} {"ms/frame":>8}'
    ]
    for group in group_scores(scores).values():
        lines += [_format_row(summarize([score])) for score in group]
        lines += [_format_row(summarize(group, 'mean of objects'))]
        lines += [_format_row(mean_of_clips(group)), '']
    return '\n'.join(lines)


def _format_row(row: Row) -> str:
    return (
        f'{row.tracker:10} {row.prompt:6} {row.clip:16} {row.objects:7} {row.j:6.3f} {row.f:6.3f} '
        f'{row.j_and_f:6.3f} {row.id_switches:11} {row.refused:7} {row.ms_per_frame:8.1f}'
    )


def scores_to_json(scores: Sequence[ClipScore]) -> dict:
    """Return rows of clips and means, and the values of every object and frame, for JSON."""
    groups = group_scores(scores)
    return {
        'clips': [asdict(summarize([score])) for score in scores],
        'means': [
            asdict(row)
            for group in groups.values()
            for row in (summarize(group, 'mean of objects'), mean_of_clips(group))
        ],
        'objects': [
            {'tracker': s.tracker, 'clip': s.clip, 'prompt': s.prompt, **asdict(o)}
            for s in scores
            for o in s.objects
        ],
    }
