"""Finds what can be tracked in a frame, a batch of prompts at a time.

Points on a coarse grid are asked first, those of a fine one only where no mask is certain yet
(TinySAM's hierarchical everything mode). Masks are judged as by SAM's automatic mask generator.
Between two batches the frames go on.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tam_ros.prompts import Box, Prompt, PromptError, check_label, check_prompt
from tam_ros.tracker.candidates import BestCandidates, Candidate, are_good, shared_parts
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.options import DiscoveryOptions
from tam_ros.tracker.results import FrameMasks, ObjectResult, ObjectState
from tam_ros.tracker.session import Session
from tam_ros.tracker.window import WHOLE

COVERED_PART = 0.5  # of a mask: one that shares more with what is tracked is known
SPARE = 2  # times as many are kept on the way, as some may be tracked by then
FIRST_BATCH = 2  # prompts, before it is known how long one takes
RECENT = 4  # frames and batches


@dataclass(frozen=True)
class DiscoveryRequest:
    """Where to look, and what to do with what is found."""

    region_xyxy: Box | None = None
    """x0, y0, x1, y1 in pixels; None for the whole image."""
    stamp_ns: int | None = None
    """Of the frame to look in, one that the session keeps; None for the newest."""
    start: bool = False
    """Whether objects are started, which are TENTATIVE then."""
    label: str = ''
    """Of these objects."""


class Pace:
    """How many prompts fit into the time that a frame takes, as far as it is known.

    Both times change with what else the machine does: the shortest of the last frames counts, and
    the slowest of the last batches.
    """

    def __init__(self, most: int):
        """most: prompts of a batch."""
        self._most = most
        self._frames_s: deque[float] = deque(maxlen=RECENT)
        self._prompts_s: deque[float] = deque(maxlen=RECENT)  # of one among each batch

    def batch(self, frame_s: float) -> int:
        """Return how many prompts to ask at a time, at least one; frame_s: of the last frame."""
        self._frames_s.append(frame_s)
        slowest_s = max(self._prompts_s, default=0.0)
        fitting = min(self._frames_s) / slowest_s if slowest_s else float(FIRST_BATCH)
        return int(min(max(fitting, 1), self._most))

    def note(self, count: int, seconds: float) -> None:
        """Take in how long a batch took."""
        self._prompts_s.append(seconds / count)


class Discovery:
    """A search of one frame; `go_on` until it is done.

    session: that of the frame. found: the best first: objects that were started, or proposals
    with id 0. complete: whether the time sufficed. refused: why some were not started.
    Raises PromptError for a frame, region or label that cannot be.
    """

    def __init__(
        self,
        session: Session,
        request: DiscoveryRequest | None = None,
        options: DiscoveryOptions | None = None,
    ):
        self.session = session
        self._request = request or DiscoveryRequest()
        self._options = options = options or DiscoveryOptions()
        check_label(self._request.label)
        self._on = session.prompted_frame(self._request.stamp_ns)
        self._region_xyxy = check_region(self._request.region_xyxy, self._on.frame.size_wh)
        self._resets = session.resets
        self._started = session.clock()
        self._most = session.batch_limit(options.batch)
        self._pace = Pace(self._most)
        self._candidates = BestCandidates(options.double_iou, SPARE * options.max_objects)
        self.found: list[ObjectResult] = []
        self.complete = True
        self.refused: list[str] = []
        self._is_alone = False  # with no frame that may wait
        self._steps = self._search()

    def go_on(self) -> bool:
        """Ask a batch, or start an object; return whether there is more to do.

        That takes no longer than a frame, if one prompt does not. Raises PromptError where the
        network answers with no numbers, or objects were all forgotten meanwhile.
        """
        if self.session.resets != self._resets:
            raise PromptError('the tracker was reset during the search: search again')
        return next(self._steps, False)

    def finish(self, between: Callable[[], None] = lambda: None) -> 'Discovery':
        """Do all of it at once, while no frame waits, and return itself.

        between: called after each step; what it raises ends the search.
        """
        self._is_alone = True
        while self.go_on():
            between()
        return self

    @property
    def frame_stamp_ns(self) -> int:
        """The stamp that came with the image that is searched."""
        return self._on.frame.image_stamp_ns

    @property
    def size_wh(self) -> tuple[int, int]:
        """The size of that image in pixels."""
        return self._on.frame.size_wh

    def _search(self) -> Iterator[bool]:
        """Give True after each step."""
        for side in (self._options.coarse_points, self._options.fine_points):
            yield from self._ask_points(_grid(side, self._region_xyxy))
        best = self._new(self._candidates.kept)[: self._options.max_objects]
        if self._request.start:
            yield from self._start(best)
        else:
            self.found = [self._proposal(candidate) for candidate in best]

    # -- asking -----------------------------------------------------------------------------

    def _ask_points(self, points_xy: np.ndarray) -> Iterator[bool]:
        """Ask (N, 2) points, in an order in which those left out are from all over the region."""
        rest = np.random.default_rng(0).permutation(points_xy)
        while len(rest := rest[~self._is_covered(rest)]):
            if self._elapsed_s > self._options.max_s:
                self.complete = False
                return
            count, before = self._batch(), self.session.clock()
            self._candidates.add(self._new(self._answer_points(rest[:count])))
            self._pace.note(min(count, len(rest)), self.session.clock() - before)
            rest = rest[count:]
            yield True

    def _answer_points(self, points_xy: np.ndarray) -> list[Candidate]:
        """Return the good ones of all masks that (B, 2) points are answered with."""
        frame = self._on.frame
        decoded = self._on.decoder.decode_points(frame, points_xy)
        logits = np.stack([decoded.candidate_logits[row] for row in range(len(points_xy))])
        ious, presence = decoded.candidate_ious, decoded.presence_logits
        good = are_good(logits, ious, self._options) & (presence[:, None] > 0)
        seen = {
            (row, k): Observation(
                frame.index,
                frame.stamp_ns,
                logits[row, k].copy(),
                float(presence[row]),
                float(ious[row, k]),
            )
            for row, k in np.argwhere(good)
        }
        return [Candidate(points_xy[row], observation) for (row, _), observation in seen.items()]

    def _batch(self) -> int:
        return self._most if self._is_alone else self._pace.batch(self.session.frame_s)

    @property
    def _elapsed_s(self) -> float:
        return self.session.clock() - self._started

    # -- what is known ----------------------------------------------------------------------

    def _new(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return those that are in the region, and not of what is tracked."""
        masks = [candidate.mask for candidate in candidates]
        known = shared_parts(masks, [self._live()])[:, 0] > COVERED_PART
        inside = shared_parts(masks, [self._region_cells()])[:, 0] > 0.5
        return [
            c for c, is_known, is_in in zip(candidates, known, inside) if is_in and not is_known
        ]

    def _is_covered(self, points_xy: np.ndarray) -> np.ndarray:
        """Return which of (N, 2) points are on what is tracked, or was found for certain."""
        sure = [
            c.mask
            for c in self._candidates.kept
            if c.observation.predicted_iou >= self._options.sure_score
        ]
        covered = np.logical_or.reduce([self._live(), *sure])
        cells = points_xy * covered.shape[::-1] / self._on.frame.size_wh
        columns, rows = cells.astype(int).T
        on: np.ndarray = covered[rows, columns]
        return on

    def _live(self) -> np.ndarray:
        """Return the (m, m) bool cells of what is tracked: in this frame, or since it was."""
        side = self._on.decoder.mask_side
        live = np.zeros((side, side), bool)
        for object_id, track in self._on.objects.items():
            seen = self._on.frame.observations.get(object_id, track.observation)
            if seen.visible:
                live |= seen.over(WHOLE).logits > 0
        return live

    def _region_cells(self) -> np.ndarray:
        side = self._on.decoder.mask_side
        middles = (np.arange(side) + 0.5) / side
        x0, y0, x1, y1 = self._region_xyxy
        width, height = self._on.frame.size_wh
        columns = (middles * width >= x0) & (middles * width < x1)
        rows = (middles * height >= y0) & (middles * height < y1)
        return rows[:, None] & columns

    # -- what comes of it -------------------------------------------------------------------

    def _proposal(self, candidate: Candidate) -> ObjectResult:
        frame, seen = self._on.frame, candidate.observation
        masks = FrameMasks({0: seen}, frame.size_wh, exclusive=False)
        return ObjectResult(
            0,
            self._request.label,
            ObjectState.TENTATIVE,
            seen,
            True,
            masks,
            stamp_ns=frame.image_stamp_ns,
        )

    def _start(self, candidates: Sequence[Candidate]) -> Iterator[bool]:
        """Start objects, each in a step of its own, as that may take long in an earlier frame."""
        for candidate in candidates:
            try:
                answer = self._on.decoder.answer_as_seen(
                    self._on.frame, candidate.point_xy, candidate.observation
                )
                started = self._on.start(answer, label=self._request.label, tentative=True)
            except PromptError as error:
                self.refused.append(str(error))
            else:
                self.found.append(started)
            yield True


def check_region(region_xyxy: Box | None, size_wh: tuple[int, int]) -> Box:
    """Return the part of a region that is in the image; raises PromptError."""
    if region_xyxy is None:
        return 0.0, 0.0, float(size_wh[0]), float(size_wh[1])
    try:
        checked = check_prompt(Prompt(box_xyxy=region_xyxy), size_wh, is_new=True)
    except PromptError as error:
        raise PromptError(f'region: {error}') from error
    assert checked.box_xyxy is not None
    return checked.box_xyxy


def _grid(side: int, region_xyxy: Box) -> np.ndarray:
    """Return the middles of side x side cells of a region, (side * side, 2) in pixels."""
    x0, y0, x1, y1 = region_xyxy
    middles = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(x0 + middles * (x1 - x0), y0 + middles * (y1 - y0))
    return np.stack([x.ravel(), y.ravel()], 1)


def discover(
    session: Session,
    request: DiscoveryRequest | None = None,
    options: DiscoveryOptions | None = None,
) -> Sequence[ObjectResult]:
    """Return what can be tracked in a frame of a session, searched at once; raises PromptError."""
    return Discovery(session, request, options).finish().found
