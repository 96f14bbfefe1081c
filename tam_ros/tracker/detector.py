"""Objects from a detector: which detections are known already, which are new, which are noise.

Every message belongs to a frame, and is judged by the masks that its boxes have there. An object
that a detector proposes is TENTATIVE until the detector sees it again. The live objects decide
what counts as double: detections are never compared with each other unless none knows them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from tam_ros.prompts import Prompt, PromptError, check_prompt
from tam_ros.tracker.session import Session
from tam_ros.tracker.track import Frame, Given, Track
from tam_ros.tracker.visibility import Sighting, see_mask

DETECTION_RANGES = {
    'min_score': (0.0, 1.0),
    'new_score': (0.0, 1.0),
    'match_iou': (0.05, 1.0),
    'known_iou': (0.0, 1.0),
    'double_iou': (0.05, 1.0),
    'confirm_hits': (0, 100),
    'drop_misses': (1, 100),
    'weak_score': (0.0, 1.0),
    'correct_s': (0.0, 3600.0),
    'max_boxes': (1, 1000),
    'max_new': (0, 255),
    'max_per_class': (0, 255),
}


@dataclass(frozen=True)
class Detection:
    """One detection. box_xyxy: float pixels, x1 and y1 exclusive. score: in [0, 1]."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    label: str = ''


@dataclass(frozen=True)
class DetectionOptions:
    """What is made of detections; raises ValueError for what is out of `DETECTION_RANGES`.

    min_score: detections below it are ignored. new_score: only those above it start objects.
    match_iou: IoU of masks from which a detection is a tracked object, seen again.
    known_iou: from which it is no new object. double_iou: from which two new ones, or a TENTATIVE
    object and an older one, are the same.
    confirm_hits: how often a TENTATIVE object must be detected again to be confirmed; 0 starts
    none. drop_misses: after how many messages in a row without it, it is dropped.
    weak_score: predicted IoU below which a tracked object is corrected by a detection that
    matches; correct_s: seconds before it may be corrected again.
    max_boxes: of a message, the best ones. max_new: objects that came from detections at a time.
    max_per_class: objects of one label; 0 for no limit.
    """

    min_score: float = 0.5
    new_score: float = 0.7
    match_iou: float = 0.5
    known_iou: float = 0.1
    double_iou: float = 0.7
    confirm_hits: int = 1
    drop_misses: int = 3
    weak_score: float = 0.5
    correct_s: float = 0.5
    max_boxes: int = 32
    max_new: int = 16
    max_per_class: int = 0

    def __post_init__(self):
        for name in (f.name for f in fields(self)):
            low, high = DETECTION_RANGES[name]
            if not low <= getattr(self, name) <= high:
                raise ValueError(f'{name} {getattr(self, name):g}: use {low:g} to {high:g}')


@dataclass
class Outcome:
    """What a message has led to: ids of objects, and why boxes could not be used."""

    matched: list[int] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    confirmed: list[int] = field(default_factory=list)
    corrected: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass
class Trial:
    """How a TENTATIVE object has fared since it was proposed."""

    hits: int = 0
    misses: int = 0


@dataclass(frozen=True)
class Found:
    """A detection and the answer to its box. mask: (m * m,) float32, 0 or 1."""

    detection: Detection
    given: Given
    mask: np.ndarray

    def sighting(self, stamp_ns: int) -> Sighting | None:
        """Return what the answer shows."""
        return see_mask(self.given.logits, self.given.score, self.given.iou, stamp_ns)


class DetectionFeed:
    """Applies a detector's messages to a session."""

    def __init__(self, session: Session):
        self._session = session
        self._trials: dict[int, Trial] = {}
        self._own: set[int] = set()  # objects that came from detections
        self._corrected_ns: dict[int, int] = {}

    def is_early(self, stamp_ns: int) -> bool:
        """Return whether a message must wait: for its frame, or for objects on their way there."""
        session = self._session
        if not session.has_frame or session.is_ahead(stamp_ns):
            return True
        try:
            return not session.has_caught_up(session.frame_at(stamp_ns))
        except PromptError:
            return False

    def apply(
        self, detections: Sequence[Detection], stamp_ns: int, options: DetectionOptions
    ) -> Outcome:
        """Apply the detections of one frame; raises PromptError where the frame is not kept."""
        frame = self._session.frame_at(stamp_ns)
        self._forget_removed()
        outcome = Outcome()
        found = self._find(frame, detections, options, outcome)
        seen = {i: s for i, s in frame.seen.items() if i in self._session.tracks}
        ids = list(seen)
        masks = np.stack([_flat(seen[i].logits) for i in ids]) if ids else None
        overlaps = _overlaps([f.mask for f in found], masks)
        matches = _match(overlaps, options.match_iou)
        for row, column in matches.items():
            self._see_again(frame, ids[column], found[row], options, outcome)
        self._end_trials(ids, masks, {ids[c] for c in matches.values()}, options, outcome)
        unknown = [
            f
            for row, f in enumerate(found)
            if row not in matches and not (overlaps[row] >= options.known_iou).any()
        ]
        self._start(frame, self._find_hidden(frame, unknown, outcome), options, outcome)
        return outcome

    # -- what a message shows ---------------------------------------------------------------

    def _find(
        self,
        frame: Frame,
        detections: Sequence[Detection],
        options: DetectionOptions,
        outcome: Outcome,
    ) -> list[Found]:
        """Return the detections that count and whose boxes hold something, best first."""
        counting = [d for d in detections if d.score >= options.min_score]
        counting = sorted(counting, key=lambda d: -d.score)[: options.max_boxes]
        prompts = [_box_prompt(d, frame.size_wh, outcome.refused) for d in counting]
        checked = [(d, p) for d, p in zip(counting, prompts) if p]
        if not checked:
            return []
        answers = self._session.answer_boxes(frame, [p for _, p in checked])
        found = [Found(d, a, _flat(a.logits)) for (d, _), a in zip(checked, answers)]
        return [f for f in found if f.given.score > 0 and f.mask.any()]

    def _see_again(
        self,
        frame: Frame,
        object_id: int,
        found: Found,
        options: DetectionOptions,
        outcome: Outcome,
    ) -> None:
        """Take a detection of a tracked object for what it is worth."""
        track = self._session.tracks[object_id]
        outcome.matched.append(object_id)
        track.label = track.label or found.detection.label
        if object_id in self._trials:
            trial = self._trials[object_id]
            trial.hits, trial.misses = trial.hits + 1, 0
            if trial.hits >= options.confirm_hits:
                self._confirm(object_id)
                outcome.confirmed.append(object_id)
        seen = frame.seen[object_id]
        if not seen.visible or seen.iou < options.weak_score:
            self._correct(frame, object_id, found, options, outcome)

    def _correct(
        self,
        frame: Frame,
        object_id: int,
        found: Found,
        options: DetectionOptions,
        outcome: Outcome,
    ) -> None:
        """Correct an object, if the detection is good and the last correction long enough ago."""
        last_ns = self._corrected_ns.get(object_id)
        is_due = last_ns is None or frame.stamp_ns - last_ns >= options.correct_s * 1e9
        if is_due and found.detection.score >= options.new_score:
            self._session.correct(frame, found.given, object_id)
            self._corrected_ns[object_id] = frame.stamp_ns
            outcome.corrected.append(object_id)

    # -- new objects ------------------------------------------------------------------------

    def _confirm(self, object_id: int) -> None:
        del self._trials[object_id]
        self._session.confirm(object_id)

    def _end_trials(
        self,
        ids: Sequence[int],
        masks: np.ndarray | None,
        matched: Collection[int],
        options: DetectionOptions,
        outcome: Outcome,
    ) -> None:
        """Drop TENTATIVE objects that were missed too often, or turned out to be older ones."""
        for i in [i for i in ids if i in self._trials]:
            trial = self._trials[i]
            trial.misses += i not in matched
            older = [row for row, other in enumerate(ids) if other < i]
            doubles = _overlaps([masks[ids.index(i)]], masks[older])[0]
            if trial.misses >= options.drop_misses or (doubles >= options.double_iou).any():
                self._session.remove(i)
                outcome.dropped.append(i)
        self._forget_removed()

    def _find_hidden(self, frame: Frame, unknown: Sequence[Found], outcome: Outcome):
        """Give detections to hidden objects of their class, near enough; return the others."""
        session, rest = self._session, []
        for found in unknown:
            sighting = found.sighting(frame.stamp_ns)
            hidden = [
                t
                for i, t in session.tracks.items()
                if i not in outcome.corrected and self._may_return(frame, t, found, sighting)
            ]
            if not hidden:
                rest.append(found)
                continue
            nearest = min(hidden, key=lambda t: t.visibility.moved(sighting))
            session.correct(frame, found.given, nearest.object_id)
            self._corrected_ns[nearest.object_id] = frame.stamp_ns
            outcome.corrected.append(nearest.object_id)
        return rest

    def _may_return(
        self, frame: Frame, track: Track, found: Found, sighting: Sighting | None
    ) -> bool:
        """Return whether a detection can be an object that was not in sight in the frame."""
        options = self._session.options
        unseen_s = (frame.stamp_ns - track.visible_ns) * 1e-9
        return (
            not track.visible
            and not track.tentative
            and track.label == found.detection.label
            and 0 <= unseen_s <= options.lost_after_s
            and track.visibility.is_in_reach(sighting, options)
        )

    def _start(
        self,
        frame: Frame,
        unknown: Sequence[Found],
        options: DetectionOptions,
        outcome: Outcome,
    ) -> None:
        """Propose new objects, unless they may be ones that were prompted later than the frame."""
        session = self._session
        if not options.confirm_hits or any(i not in frame.seen for i in session.tracks):
            return
        started: list[Found] = []
        for found in unknown:
            doubles = _overlaps([found.mask], np.array([f.mask for f in started]))[0]
            good = found.detection.score >= options.new_score
            if not good or (doubles >= options.double_iou).any():
                continue
            if not self._has_room(found.detection.label, options):
                continue
            try:
                result = session.start(
                    frame, found.given, label=found.detection.label, tentative=True
                )
            except PromptError as error:
                outcome.refused.append(str(error))
                return
            started.append(found)
            outcome.started.append(result.object_id)
            self._own.add(result.object_id)
            self._trials[result.object_id] = Trial()

    def _has_room(self, label: str, options: DetectionOptions) -> bool:
        alike = sum(track.label == label for track in self._session.tracks.values())
        within_class = not options.max_per_class or alike < options.max_per_class
        return within_class and len(self._own) < options.max_new

    def _forget_removed(self) -> None:
        """Forget what is known of objects that are gone, or whose trial a user has ended."""
        tracks = self._session.tracks
        self._own &= tracks.keys()
        self._corrected_ns = {i: ns for i, ns in self._corrected_ns.items() if i in tracks}
        self._trials = {
            i: t for i, t in self._trials.items() if i in tracks and tracks[i].tentative
        }


def _box_prompt(
    detection: Detection, size_wh: tuple[int, int], refused: list[str]
) -> Prompt | None:
    """Return the prompt of a detection's box; None, saying why in refused, where it is none."""
    try:
        return check_prompt(Prompt(box_xyxy=detection.box_xyxy), size_wh, is_new=True)
    except PromptError as error:
        refused.append(str(error))
        return None


def _flat(logits: np.ndarray) -> np.ndarray:
    return (logits > 0).astype(np.float32).ravel()


def _overlaps(masks: Sequence[np.ndarray], others: np.ndarray | None) -> np.ndarray:
    """Return the (A, B) IoU of masks (A, m * m) with others (B, m * m)."""
    if not len(masks) or others is None or not len(others):
        return np.zeros((len(masks), 0))
    masks = np.stack(masks)
    both = masks @ others.T
    either = masks.sum(1)[:, None] + others.sum(1)[None] - both
    return both / np.maximum(either, 1)


def _match(overlaps: np.ndarray, least: float) -> dict[int, int]:
    """Return the pairs, each of least overlap or more, whose overlaps have the largest sum."""
    enough = overlaps >= least
    rows, columns = linear_sum_assignment(overlaps * enough, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist())
    return {row: column for row, column in pairs if enough[row, column]}
