"""Which accounts of an object go on after a frame: SAM2Long's beam search (arXiv 2410.16268).

Pure functions on scores; masks and memories are elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMALLEST_IOU = 1e-5


@dataclass(frozen=True)
class Branch:
    """How a pathway goes on: from a parent, with one of the decoder's candidates.

    candidate: None for the decoder's own answer. log_score: sum of the logarithms of predicted
    IoUs, of which the best pathway's is taken off.
    """

    parent: int
    candidate: int | None
    log_score: float = 0.0
    predicted_iou: float = 0.0


OWN_ANSWER = Branch(0, None)


@dataclass(frozen=True)
class BranchRules:
    """Which pathways survive, and which is published.

    uncertain_below: presence logit, of the surest pathway; below it masks shall differ, and come
    from different parents. switch_margin: by how much another pathway's log score must be better
    to be published in place of the heir of the one that was.
    """

    uncertain_below: float = 2.0
    switch_margin: float = 0.5


def choose_branches(
    log_scores: Sequence[float],
    ious: np.ndarray,
    presence_logits: np.ndarray,
    count: int,
    rules: BranchRules,
) -> list[Branch]:
    """Return at most count branches of P pathways with K candidates each, the published first.

    log_scores: of the pathways, the published first. ious: (P, K) predicted.
    presence_logits: (P,); an absent object has one answer only.
    """
    ranked = sorted(_candidates(log_scores, ious, presence_logits), key=lambda b: -b.log_score)
    heir = next(b for b in ranked if b.parent == 0)
    is_certain = presence_logits.max() > rules.uncertain_below
    best = ranked[0]
    survivors = ranked[:count] if is_certain else _distinct(ranked, presence_logits, count)
    published = heir if best.log_score - heir.log_score <= rules.switch_margin else best
    others = [b for b in survivors if b is not published][: count - 1]
    return [
        Branch(b.parent, b.candidate, b.log_score - best.log_score, b.predicted_iou)
        for b in (published, *others)
    ]


def _candidates(
    log_scores: Sequence[float], ious: np.ndarray, presence_logits: np.ndarray
) -> list[Branch]:
    branches = []
    for parent, (log_score, row, presence_logit) in enumerate(
        zip(log_scores, ious, presence_logits)
    ):
        own = int(row.argmax())  # what the decoder chose itself
        for k in range(len(row)) if presence_logit > 0 else [own]:
            iou = float(row[k])
            total = log_score + float(np.log(iou + SMALLEST_IOU))
            branches.append(Branch(parent, None if k == own else k, total, iou))
    return branches


def _distinct(ranked: Sequence[Branch], presence_logits: np.ndarray, count: int) -> list[Branch]:
    """Return the best branches that differ: of new parents first, none with an equal IoU."""
    distinct: dict[tuple[float, bool], Branch] = {}
    for branch in ranked:
        distinct.setdefault(
            (round(branch.predicted_iou, 2), bool(presence_logits[branch.parent] > 0)), branch
        )
    candidates = list(distinct.values())
    firsts = {b.parent: b for b in reversed(candidates)}.values()
    rest = [b for b in candidates if b not in firsts]
    return sorted([*firsts, *rest][:count], key=lambda b: -b.log_score)
