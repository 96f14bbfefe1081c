"""Run a tracker over a clip: frame after frame, or against the clock of a camera.

Prompts are drawn from the truth of the frame in which an object is first seen; then the tracker
is on its own. Does not know how answers are scored.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from tam_ros.evaluation.clips import Masks, TruthClip
from tam_ros.evaluation.trackers import Confidence, Tracker
from tam_ros.evaluation.truth_prompts import (
    CORRECTIONS,
    PromptKind,
    draw_correction,
    draw_prompt,
)


@dataclass
class Tracked:
    """What a tracker answered to a clip, frame by frame."""

    tracker: str
    """Name, such as tam_nano/fifo."""
    prompt: PromptKind
    """Kind of the prompts that it was given, one of PROMPT_KINDS."""
    masks: list[Masks] = field(default_factory=list)
    """What a user has at the time of each frame; without objects that are not started."""
    confidences: list[dict[int, Confidence]] = field(default_factory=list)
    """By object of the truth in each frame; empty against the clock."""
    step_ms: list[float] = field(default_factory=list)
    """Time of each step."""
    refused: set[int] = field(default_factory=set)
    """Objects of the truth whose first prompt was refused."""
    dropped: int = 0
    """Frames that the tracker never saw."""


@dataclass(frozen=True)
class Clock:
    """How time passes for a streamed tracker."""

    latency_ms: float | None = None
    """How long each frame keeps it busy; None for as long as it takes here."""
    delay_ms: float = 0.0
    """What comes on top until a user has the answer: camera and transport.

    It does not keep the tracker busy.
    """
    keep_newest: bool = False
    """Whether the newest of the frames that come while the tracker is busy waits for its turn.

    That is how the ROS node does it; otherwise it is dropped like the others.
    """


@dataclass(frozen=True)
class Output:
    """Masks, and when a user has them."""

    ready_ns: int
    """On the clock of the frames."""
    masks: Masks
    """Of all started objects, at that time where the tracker forecasts."""


def track_clip(tracker: Tracker, clip: TruthClip, kind: PromptKind) -> Tracked:
    """Give a tracker every frame, however long it takes, and start objects as they appear."""
    prompter = _Prompter(tracker, clip, kind)
    tracked = Tracked(tracker.name, kind, refused=prompter.refused)
    for t in tqdm(range(len(clip)), f'{clip.name} {kind} {tracker.name}', disable=None):
        image = clip.image_rgb(t)
        started_s = time.perf_counter()
        tracker.step(image, clip.stamp_ns(t))
        masks = tracker.masks()
        tracked.step_ms.append((time.perf_counter() - started_s) * 1e3)
        tracked.confidences.append(tracker.confidences())
        tracked.masks.append(tracker.masks() if prompter.prompt(image, t) else masks)
    return tracked


def stream_clip(tracker: Tracker, clip: TruthClip, kind: PromptKind, clock: Clock) -> Tracked:
    """Give a tracker those frames that come while it is free; answer each time with the newest.

    Time is simulated: nothing waits. The masks of frame i are the newest that were ready at its
    time, none before the first were; streaming perception (sAP, Li et al., ECCV 2020, section 3).
    """
    prompter = _Prompter(tracker, clip, kind)
    tracked = Tracked(tracker.name, kind, refused=prompter.refused)
    outputs, t, free_ns = [], 0, 0
    bar = tqdm(total=len(clip), desc=f'{clip.name} {kind} {tracker.name} live', disable=None)
    while t < len(clip):
        start_ns = max(free_ns, clip.stamp_ns(t))
        busy_ns = _work(tracker, prompter, clip, t)
        if clock.latency_ms is not None:
            busy_ns = round(clock.latency_ms * 1e6)
        free_ns = start_ns + busy_ns
        ready_ns = free_ns + round(clock.delay_ms * 1e6)
        outputs.append(Output(ready_ns, tracker.shown(ready_ns)))
        tracked.step_ms.append(busy_ns * 1e-6)
        following = next_frame(clip, t, free_ns, keep_newest=clock.keep_newest)
        tracked.dropped += following - t - 1
        bar.update(following - t)
        t = following
    bar.close()
    tracked.masks = [newest_ready(outputs, clip.stamp_ns(t)) for t in range(len(clip))]
    tracked.confidences = [{} for _ in tracked.masks]
    return tracked


def next_frame(clip: TruthClip, t: int, free_ns: int, *, keep_newest: bool) -> int:
    """Return the frame that a tracker takes up after frame t, len(clip) where none is left.

    That is the first to come from free_ns on; with keep_newest the last that came by then, if any.
    """
    later = range(t + 1, len(clip))
    waiting = [i for i in later if clip.stamp_ns(i) <= free_ns]
    if keep_newest and waiting:
        return waiting[-1]
    return next((i for i in later if clip.stamp_ns(i) >= free_ns), len(clip))


def newest_ready(outputs: Sequence[Output], now_ns: int) -> Masks:
    """Return the masks of the last of the outputs that were ready by now; none if none was."""
    ready = [output.masks for output in outputs if output.ready_ns <= now_ns]
    return ready[-1] if ready else {}


def _work(tracker: Tracker, prompter: '_Prompter', clip: TruthClip, t: int) -> int:
    """Track and prompt in a frame; return how many nanoseconds that took."""
    image = clip.image_rgb(t)
    started_ns = time.perf_counter_ns()
    tracker.step(image, clip.stamp_ns(t))
    prompter.prompt(image, t)
    tracker.masks()
    return time.perf_counter_ns() - started_ns


class _Prompter:
    """Prompts each object of a clip in the first frame that shows it to the tracker."""

    def __init__(self, tracker: Tracker, clip: TruthClip, kind: PromptKind):
        self._tracker, self._clip, self._kind = tracker, clip, kind
        self._known: set[int] = set()
        self.refused: set[int] = set()

    def prompt(self, image_rgb: np.ndarray, t: int) -> bool:
        """Prompt the objects that are new in frame t; return whether there were any."""
        truth = self._clip.masks(t)
        new = truth.keys() - self._known
        if not new:
            return False
        self._known |= new
        prompts = {n: draw_prompt(truth[n], self._kind) for n in sorted(new)}
        self.refused |= self._tracker.prompt(image_rgb, prompts)
        for _ in range(CORRECTIONS.get(self._kind, 0)):
            self._correct(image_rgb, {n: truth[n] for n in sorted(new - self.refused)})
        return True

    def _correct(self, image_rgb: np.ndarray, truth: Masks) -> None:
        """Click once for each object, where its mask is wrong; it may refuse and stay as it is."""
        answers = self._tracker.masks()
        clicks = {n: draw_correction(answers[n], truth[n]) for n in truth}
        self._tracker.prompt(image_rgb, {n: p for n, p in clicks.items() if p is not None})
