"""Associates detections with objects: which are known already, which are new, which are noise.

Every message belongs to a frame, and is judged by the masks that its boxes have there. An object
that a detector proposes is TENTATIVE until the detector sees it again. The live objects decide
what counts as double: detections are never compared with each other unless none knows them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tam_ros.prompts import Prompt, PromptError, check_label, check_prompt
from tam_ros.tracker.options import DetectionOptions, SessionOptions
from tam_ros.tracker.overlaps import best_pairs, mask_overlaps
from tam_ros.tracker.prompted import PromptedFrame
from tam_ros.tracker.session import Session
from tam_ros.tracker.track import Frame, PromptAnswer, Track
from tam_ros.tracker.visibility import Sighting
from tam_ros.tracker.window import WHOLE


@dataclass(frozen=True)
class Detection:
    """One detection."""

    box_xyxy: tuple[float, float, float, float]
    """Float pixels; x1 and y1 are exclusive."""
    confidence: float
    """The detector's, in [0, 1]."""
    label: str = ''
    """Its class; empty where the detector tells none."""


@dataclass
class Outcome:
    """What a message has led to: ids of objects, in the order in which it did."""

    matched: list[int] = field(default_factory=list)
    """Seen again."""
    started: list[int] = field(default_factory=list)
    """New, and TENTATIVE."""
    confirmed: list[int] = field(default_factory=list)
    """Seen again often enough to be no longer TENTATIVE."""
    corrected: list[int] = field(default_factory=list)
    """Weak or hidden, and prompted with the detection's box."""
    dropped: list[int] = field(default_factory=list)
    """TENTATIVE ones, missed too often or found to be older ones."""
    refused: list[str] = field(default_factory=list)
    """Why boxes could not be used."""


@dataclass
class Trial:
    """How a TENTATIVE object has fared since it was proposed."""

    hits: int = 0
    """Messages that it was detected in again."""
    misses: int = 0
    """Messages in a row that it was not detected in."""


@dataclass(frozen=True)
class Found:
    """A detection and the answer to its box."""

    detection: Detection
    """One whose box holds something."""
    answer: PromptAnswer
    """To the box, taken for the prompt of a new object, at a first look."""
    mask: np.ndarray
    """Of the answer, (m * m,) float32, 0 or 1."""


@dataclass(frozen=True)
class Message:
    """A message while it is applied."""

    on: PromptedFrame
    """The frame that it belongs to."""
    options: DetectionOptions
    """As they are when the message is applied."""
    shown: Mapping[int, np.ndarray]
    """Masks of the objects in the frame before the message, by id; each as of a `Found`."""
    outcome: Outcome = field(default_factory=Outcome)
    """What has come of it so far."""

    @property
    def frame(self) -> Frame:
        """The frame itself."""
        return self.on.frame


class DetectionAssociation:
    """Applies a detector's messages to the objects of a session."""

    def __init__(self, session: Session):
        self._session = session
        self._objects = session.tracked
        self._trials: dict[int, Trial] = {}  # of TENTATIVE objects
        self._own: set[int] = set()  # objects that came from detections
        self._corrected_ns: dict[int, int] = {}  # time of the last frame of a correction

    def is_early(self, stamp_ns: int) -> bool:
        """Return whether a message must wait: for its frame, or for objects on their way there."""
        history = self._session.history
        if history.is_ahead(stamp_ns):
            return True
        try:
            return not self._objects.have_reached(history.at(stamp_ns).index)
        except PromptError:
            return False

    def apply(
        self, detections: Sequence[Detection], stamp_ns: int, options: DetectionOptions
    ) -> Outcome:
        """Apply the detections of one frame; raises PromptError where the frame is not kept."""
        self._forget_removed()
        on = self._session.prompted_frame(stamp_ns)
        seen = {i: seen for i, seen in on.frame.observations.items() if i in self._objects}
        message = Message(
            on, options, {i: _flat(seen.over(WHOLE).logits) for i, seen in seen.items()}
        )
        found = self._find(message, detections)
        unknown = self._match(message, found)
        self._judge_trials(message)
        good = [f for f in unknown if f.detection.confidence >= options.new_score]
        self._start(message, self._find_hidden(message, good))
        return message.outcome

    def _find(self, message: Message, detections: Sequence[Detection]) -> list[Found]:
        """Return the detections that count and whose boxes hold something, best first."""
        frame, options, outcome = message.frame, message.options, message.outcome
        counting = [d for d in detections if d.confidence >= options.min_score]
        counting = sorted(counting, key=lambda d: -d.confidence)[: options.max_boxes]
        prompts = [_box_prompt(d, frame.size_wh, outcome.refused) for d in counting]
        checked = [(d, p) for d, p in zip(counting, prompts) if p]
        if not checked:
            return []
        answers = message.on.answer_boxes([p for _, p in checked])
        found = [Found(d, a, _flat(a.observation.logits)) for (d, _), a in zip(checked, answers)]
        return [f for f in found if f.answer.observation.presence_logit > 0 and f.mask.any()]

    # -- objects that are tracked -----------------------------------------------------------

    def _match(self, message: Message, found: Sequence[Found]) -> list[Found]:
        """Give detections to the objects that they show; return those like no object."""
        options, shown = message.options, message.shown
        overlaps = mask_overlaps([f.mask for f in found], list(shown.values()))
        matches = best_pairs(overlaps, options.match_iou)
        for row, column in matches.items():
            self._see_again(message, list(shown)[column], found[row])
        is_known = [(row >= options.known_iou).any() for row in overlaps]
        return [f for row, f in enumerate(found) if row not in matches and not is_known[row]]

    def _see_again(self, message: Message, object_id: int, found: Found) -> None:
        """Take a detection of a tracked object for what it is worth."""
        track = self._objects[object_id]
        message.outcome.matched.append(object_id)
        track.label = track.label or found.detection.label
        self._count_hit(message, track)
        if self._needs(message, object_id, found):
            self._correct(message, object_id, found)

    def _count_hit(self, message: Message, track: Track) -> None:
        trial = self._trials.get(track.object_id)
        if trial is None:
            return
        trial.hits, trial.misses = trial.hits + 1, 0
        if trial.hits >= message.options.confirm_hits:
            del self._trials[track.object_id]
            track.tentative = False
            message.outcome.confirmed.append(track.object_id)

    def _needs(self, message: Message, object_id: int, found: Found) -> bool:
        """Return whether an object is weak, so that a good detection corrects it now and then."""
        options, seen = message.options, message.frame.observations[object_id]
        is_weak = not seen.visible or seen.predicted_iou < options.weak_iou
        last_ns = self._corrected_ns.get(object_id, -math.inf)
        is_due = message.frame.stamp_ns - last_ns >= options.correct_s * 1e9
        return is_weak and is_due and found.detection.confidence >= options.new_score

    def _correct(self, message: Message, object_id: int, found: Found) -> None:
        try:
            answer = message.on.look_closely(found.answer)
            message.on.correct(self._objects[object_id], answer)
        except PromptError as error:  # others have all its pixels
            message.outcome.refused.append(str(error))
            return
        self._corrected_ns[object_id] = message.frame.stamp_ns
        message.outcome.corrected.append(object_id)

    def _find_hidden(self, message: Message, unknown: Sequence[Found]) -> list[Found]:
        """Give detections to hidden objects of their class, near enough; return the others."""
        rest = []
        for found in unknown:
            hidden = self._nearest_hidden(message, found)
            if hidden is None:
                rest.append(found)
            else:
                self._correct(message, hidden.object_id, found)
        return rest

    def _nearest_hidden(self, message: Message, found: Found) -> Track | None:
        sighting = found.answer.observation.sighting
        if sighting is None:
            return None
        hidden = [
            track
            for i, track in self._objects.items()
            if i not in message.outcome.corrected
            and _may_return(track, found.detection.label, sighting, message.on.options)
        ]
        return min(hidden, key=lambda track: track.visibility.moved(sighting), default=None)

    # -- objects that are proposed ----------------------------------------------------------

    def _judge_trials(self, message: Message) -> None:
        """Drop TENTATIVE objects that were missed too often, or turned out to be older ones."""
        options, shown = message.options, message.shown
        for i in shown.keys() & self._trials.keys():
            self._trials[i].misses += i not in message.outcome.matched
            older = [mask for other, mask in shown.items() if other < i]
            is_double = (mask_overlaps([shown[i]], older) >= options.double_iou).any()
            if is_double or self._trials[i].misses >= options.drop_misses:
                self._objects.remove(i)
                message.outcome.dropped.append(i)
        self._forget_removed()

    def _start(self, message: Message, unknown: Sequence[Found]) -> None:
        """Propose new objects, unless they may be ones that were prompted later than the frame."""
        frame, options, outcome = message.frame, message.options, message.outcome
        if not options.confirm_hits or any(i not in frame.observations for i in self._objects):
            return
        started: list[np.ndarray] = []
        for found in unknown:
            label = found.detection.label
            is_double = (mask_overlaps([found.mask], started) >= options.double_iou).any()
            if is_double or not self._has_room(label, options):
                continue
            try:
                answer = message.on.look_closely(found.answer)
                result = message.on.start(answer, label=label, tentative=True)
            except PromptError as error:
                outcome.refused.append(str(error))
                continue
            started.append(found.mask)
            outcome.started.append(result.object_id)
            self._own.add(result.object_id)
            self._trials[result.object_id] = Trial()

    def _has_room(self, label: str, options: DetectionOptions) -> bool:
        alike = sum(track.label == label for track in self._objects.values())
        within_class = not options.max_per_class or alike < options.max_per_class
        return within_class and len(self._own) < options.max_new

    def _forget_removed(self) -> None:
        """Forget what is known of objects that are gone, or whose trial a user has ended."""
        tracks = self._objects
        self._own &= tracks.keys()
        self._corrected_ns = {i: ns for i, ns in self._corrected_ns.items() if i in tracks}
        self._trials = {
            i: t for i, t in self._trials.items() if i in tracks and tracks[i].tentative
        }


def _may_return(track: Track, label: str, sighting: Sighting, options: SessionOptions) -> bool:
    """Return whether what a detection shows can be an object that is not in sight."""
    unseen_s = (sighting.stamp_ns - track.visible_ns) * 1e-9
    return (
        not track.observation.visible
        and not track.tentative
        and track.label == label
        and 0 <= unseen_s <= options.lost_after_s
        and track.visibility.is_in_reach(sighting, options)
    )


def _box_prompt(
    detection: Detection, size_wh: tuple[int, int], refused: list[str]
) -> Prompt | None:
    """Return the prompt of a detection's box; None, saying why in refused, where it is none."""
    try:
        check_label(detection.label)
        return check_prompt(Prompt(box_xyxy=detection.box_xyxy), size_wh, is_new=True)
    except PromptError as error:
        refused.append(str(error))
        return None


def _flat(logits: np.ndarray) -> np.ndarray:
    return (logits > 0).astype(np.float32).ravel()
