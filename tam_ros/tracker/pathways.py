"""Several pathways of an object at a time: SAM2Long's beam search (arXiv 2410.16268).

A pathway is one of several accounts of where an object was. After each frame every pathway goes
on with each of the decoder's candidates, and the most probable of all these survive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from tam_ros.tracker.choices import Choice, DecodedFrame
from tam_ros.tracker.memory import (
    Kept,
    MemoryEntry,
    MemoryLimits,
    MemoryPolicy,
    Recall,
    Slots,
    StoreSize,
    place,
    recall_kept,
)
from tam_ros.tracker.window import Window

SMALLEST_IOU = 1e-5


@dataclass(frozen=True)
class BranchRules:
    """Which pathways survive, and which is published."""

    most: int = 3
    """Pathways of an object."""
    uncertain_below: float = 2.0
    """Presence logit, of the surest pathway; below it masks shall differ, and come from different
    parents."""
    switch_margin: float = 0.5
    """By how much another pathway's log score must be better to be published in place of the heir
    of the one that was."""

    def store_size(self, limits: MemoryLimits) -> StoreSize:
        """Return what the store must hold of each object: of tracked frames, so many times."""
        memories, pointers = limits.recent + limits.landmarks, limits.recent_pointers
        return StoreSize(
            limits.prompted + self.most * memories, limits.prompted + self.most * pointers
        )


@dataclass(frozen=True)
class Branch:
    """How a pathway goes on: from a parent, with one of the decoder's candidates."""

    parent: int
    """Number of the pathway that it goes on from."""
    candidate: int | None
    """None for the decoder's own answer."""
    log_score: float
    """Sum of the logarithms of predicted IoUs, of which the best pathway's is taken off."""
    predicted_iou: float
    """Of the candidate, in [0, 1]."""


@dataclass(frozen=True)
class Pathway:
    """One account of where an object was."""

    kept: Kept = Kept()
    """What is remembered of tracked frames."""
    log_score: float = 0.0
    """How probable it is, as in `Branch`."""


@dataclass(frozen=True)
class PathwayChoice(Choice):
    """A mask with which a pathway goes on."""

    pathway: Pathway
    """As it was before the frame, but with its log score after it."""


@dataclass
class Pathways:
    """Remembers tracked frames on several pathways, the first of which is the published one.

    All share one row of the store, so following another one copies nothing.
    """

    policy: MemoryPolicy
    """Says of each pathway what is kept, and what of it a frame attends to."""
    limits: MemoryLimits
    """Of each pathway."""
    rules: BranchRules
    """By which pathways survive."""
    pathways: list[Pathway] = field(default_factory=lambda: [Pathway()])
    """The published one first; 1 to `most` of the rules."""

    def recall(self, now: int) -> Sequence[Recall]:
        """Return what frame now attends to on each pathway."""
        return [recall_kept(self.policy, p.kept, now, self.limits) for p in self.pathways]

    def choose(self, frame: DecodedFrame, rows: Sequence[int]) -> Sequence[PathwayChoice]:
        """Return how the object goes on, by the best of all candidates; rows: of the pathways."""
        branches = choose_branches(
            [pathway.log_score for pathway in self.pathways],
            frame.batch.candidate_ious[rows],
            frame.batch.presence_logits[rows],
            self.rules,
        )
        return [
            PathwayChoice(
                frame,
                rows[branch.parent],
                branch.candidate,
                replace(self.pathways[branch.parent], log_score=branch.log_score),
            )
            for branch in branches
        ]

    def remember(self, choices: Sequence[Choice]) -> Sequence[Slots]:
        """Go on with the chosen pathways, and have the policy keep what it wants on each."""
        chosen = cast(Sequence[PathwayChoice], choices)  # by this memory's own `choose`
        self.pathways = [choice.pathway for choice in chosen]
        return [self._remember(choice, i) for i, choice in enumerate(chosen)]

    def before(self, frame_index: int) -> 'Pathways':
        """Return what the published pathway remembers of frames before one."""
        published = Pathway(self.pathways[0].kept.before(frame_index))
        return replace(self, pathways=[published])

    def narrowed(self, frame_index: int, window: Window) -> tuple['Pathways', list[int]]:
        """Return the published pathway with the memory of one frame alone, and its slot."""
        kept, slots = self.pathways[0].kept.narrowed(frame_index, window)
        return replace(self, pathways=[Pathway(kept)]), slots

    def _remember(self, choice: PathwayChoice, index: int) -> Slots:
        """Remember a frame on a pathway; its pointer belongs to the decoder's own answer only."""
        old = choice.pathway.kept
        entry = MemoryEntry.of(choice.observation)
        kept = self.policy.keep(old, entry, self.limits, choice.has_distractor)
        kept = replace(kept, landmarks=old.landmarks)
        if not choice.is_own:
            kept = replace(kept, pointers=old.pointers)
        beside = [p.kept for i, p in enumerate(self.pathways) if i != index]
        kept, slots = place(kept, self.limits, beside)
        self.pathways[index] = replace(choice.pathway, kept=kept)
        return slots


def choose_branches(
    log_scores: Sequence[float],
    ious: np.ndarray,
    presence_logits: np.ndarray,
    rules: BranchRules,
) -> list[Branch]:
    """Return the branches of P pathways with K candidates each that survive, the published first.

    log_scores: of the pathways, the published first. ious: (P, K) predicted.
    presence_logits: (P,); an absent object has one answer only.
    """
    ranked = sorted(_candidates(log_scores, ious, presence_logits), key=lambda b: -b.log_score)
    heir = next(b for b in ranked if b.parent == 0)
    is_certain = presence_logits.max() > rules.uncertain_below
    best = ranked[0]
    most = rules.most
    survivors = ranked[:most] if is_certain else _distinct(ranked, presence_logits, most)
    published = heir if best.log_score - heir.log_score <= rules.switch_margin else best
    others = [b for b in survivors if b is not published][: most - 1]
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


def _distinct(ranked: Sequence[Branch], presence_logits: np.ndarray, most: int) -> list[Branch]:
    """Return the best branches that differ: of new parents first, none with an equal IoU."""
    distinct: dict[tuple[float, bool], Branch] = {}
    for branch in ranked:
        distinct.setdefault(
            (round(branch.predicted_iou, 2), bool(presence_logits[branch.parent] > 0)), branch
        )
    candidates = list(distinct.values())
    firsts = {b.parent: b for b in reversed(candidates)}.values()
    rest = [b for b in candidates if b not in firsts]
    return sorted([*firsts, *rest][:most], key=lambda b: -b.log_score)
