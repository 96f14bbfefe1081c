"""What a decoded frame says of an object, on each of its pathways."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tam_ros.engine.base import Array, Decoded
from tam_ros.tracker.distractors import has_distractor
from tam_ros.tracker.memory import MemoryEntry, ObjectMemory, Slots
from tam_ros.tracker.pathways import Branch
from tam_ros.tracker.visibility import Sighting, see_mask


@dataclass(frozen=True)
class Answer:
    """The mask of one pathway.

    row: of the pathway that it goes on from, in the decoded batch. logits: (m, m) float32.
    is_own: whether it is the decoder's own choice, to which its pointer belongs.
    """

    row: int
    logits: np.ndarray
    score: float
    iou: float
    is_own: bool
    sighting: Sighting | None


def branch_memory(memory: ObjectMemory, decoded: Decoded, first_row: int) -> list[Branch]:
    """Return how an object's pathways go on, whose answers begin at a row of the batch."""
    rows = slice(first_row, first_row + len(memory.pathways))
    log_scores = [pathway.log_score for pathway in memory.pathways]
    return list(
        memory.policy.branch(log_scores, decoded.candidate_ious[rows], decoded.score[rows])
    )


def answers_of(
    branches: Sequence[Branch], decoded: Decoded, first_row: int, stamp_ns: int
) -> list[Answer]:
    """Return the answer of each branch."""
    return [_answer(branch, decoded, first_row + branch.parent, stamp_ns) for branch in branches]


def _answer(branch: Branch, decoded: Decoded, row: int, stamp_ns: int) -> Answer:
    is_own = branch.candidate is None
    logits, iou = decoded.logits[row], float(decoded.iou[row])
    if not is_own:
        logits = decoded.candidate_logits[row][branch.candidate]
        iou = branch.iou
    score = float(decoded.score[row])
    return Answer(row, logits, score, iou, is_own, see_mask(logits, score, iou, stamp_ns))


def mask_logits_of(answers: Sequence[Answer], decoded: Decoded) -> Array:
    """Return the (B, m, m) mask logits of some answers, as `encode_memory` takes them."""
    if not all(answer.is_own for answer in answers):
        return np.stack([answer.logits for answer in answers])
    rows = [answer.row for answer in answers]
    is_all = rows == list(range(len(decoded.score)))
    return decoded.mask_logits if is_all else decoded.mask_logits[rows]


def remember(
    memory: ObjectMemory,
    branches: Sequence[Branch],
    answers: Sequence[Answer],
    decoded: Decoded,
    entry: MemoryEntry,
) -> list[Slots]:
    """Add a frame to what an object remembers, on every branch; return the slots of each.

    entry: says which frame it is.
    """
    memory.follow(branches)
    return [
        memory.add_tracked(
            _entry(entry, answer, memory, i, decoded), pathway=i, has_pointer=answer.is_own
        )
        for i, answer in enumerate(answers)
    ]


def _entry(
    entry: MemoryEntry, answer: Answer, memory: ObjectMemory, pathway: int, decoded: Decoded
) -> MemoryEntry:
    area = answer.sighting.area if answer.sighting else 0.0
    entry = replace(entry, score=answer.score, iou=answer.iou, area=area)

    def hesitated() -> bool:
        candidates = decoded.candidate_logits[answer.row]
        return has_distractor(answer.logits > 0, candidates > 0)

    is_distinctive = memory.policy.is_distinctive(entry, memory.pathways[pathway], hesitated)
    return replace(entry, is_distinctive=is_distinctive)
