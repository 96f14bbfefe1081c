"""What a decoded frame says of an object, on each of its pathways."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tam_ros.engine.base import Array, Decoded
from tam_ros.tracker.distractors import has_distractor
from tam_ros.tracker.memory import MemoryEntry, ObjectMemory, Slots
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.pathways import Branch
from tam_ros.tracker.track import Frame


@dataclass(frozen=True)
class Answer:
    """The mask of one pathway.

    row: of the pathway that it goes on from, in the decoded batch. is_own: whether it is the
    decoder's own choice, to which its pointer belongs.
    """

    row: int
    is_own: bool
    observation: Observation


def branch_memory(memory: ObjectMemory, decoded: Decoded, first_row: int) -> list[Branch]:
    """Return how an object's pathways go on, whose answers begin at a row of the batch."""
    rows = slice(first_row, first_row + len(memory.pathways))
    log_scores = [pathway.log_score for pathway in memory.pathways]
    return list(
        memory.policy.branch(
            log_scores, decoded.candidate_ious[rows], decoded.presence_logits[rows]
        )
    )


def answers_of(
    branches: Sequence[Branch], decoded: Decoded, first_row: int, frame: Frame
) -> list[Answer]:
    """Return the answer of each branch."""
    return [_answer(branch, decoded, first_row + branch.parent, frame) for branch in branches]


def _answer(branch: Branch, decoded: Decoded, row: int, frame: Frame) -> Answer:
    is_own = branch.candidate is None
    logits, predicted_iou = decoded.logits[row], float(decoded.predicted_ious[row])
    if not is_own:
        logits = decoded.candidate_logits[row][branch.candidate]
        predicted_iou = branch.predicted_iou
    presence_logit = float(decoded.presence_logits[row])
    seen = Observation(frame.index, frame.stamp_ns, logits, presence_logit, predicted_iou)
    return Answer(row, is_own, seen)


def mask_logits_of(answers: Sequence[Answer], decoded: Decoded) -> Array:
    """Return the (B, m, m) mask logits of some answers, as `encode_memory` takes them."""
    if not all(answer.is_own for answer in answers):
        return np.stack([answer.observation.logits for answer in answers])
    rows = [answer.row for answer in answers]
    is_all = rows == list(range(len(decoded.presence_logits)))
    return decoded.mask_logits if is_all else decoded.mask_logits[rows]


def remember(
    memory: ObjectMemory,
    branches: Sequence[Branch],
    answers: Sequence[Answer],
    decoded: Decoded,
) -> list[Slots]:
    """Add a frame to what an object remembers, on every branch; return the slots of each."""
    memory.follow(branches)
    return [
        memory.add_tracked(
            _entry(answer, memory, i, decoded), pathway=i, has_pointer=answer.is_own
        )
        for i, answer in enumerate(answers)
    ]


def _entry(answer: Answer, memory: ObjectMemory, pathway: int, decoded: Decoded) -> MemoryEntry:
    entry = MemoryEntry.of(answer.observation)

    def hesitated() -> bool:
        candidates = decoded.candidate_logits[answer.row]
        return has_distractor(answer.observation.logits > 0, candidates > 0)

    is_distinctive = memory.policy.is_distinctive(entry, memory.pathways[pathway], hesitated)
    return replace(entry, is_distinctive=is_distinctive)
