"""The streaming session: frames and prompts in, masks of every object out.

One verb, `step`, processes a frame; prompts, removals and resets take effect between steps, on
the newest frame or on one of those before it that are kept. Nothing grows with the number of
frames. Not thread-safe: one owner calls it.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from tam_ros.engine.base import Engine
from tam_ros.preprocess import check_image
from tam_ros.prompts import (
    Prompt,
    check_label,
    check_point_count,
    check_prompt,
    check_stamp,
)
from tam_ros.tracker.continuity import Arrival, Continuity, Decision, Step
from tam_ros.tracker.history import History
from tam_ros.tracker.late import LateTracks
from tam_ros.tracker.memory import LANDMARKS, MemoryLimits, MemoryPolicy
from tam_ros.tracker.objects import TrackedObjects
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import FifoPolicy
from tam_ros.tracker.prompted import PromptedFrame, settle_prompts
from tam_ros.tracker.prompting import PromptDecoder
from tam_ros.tracker.region import region_of
from tam_ros.tracker.reseeding import encode
from tam_ros.tracker.results import FrameResult, ObjectResult
from tam_ros.tracker.showing import NewestView
from tam_ros.tracker.track import Frame
from tam_ros.tracker.tracking import Tracking
from tam_ros.tracker.warm_up import warm_up
from tam_ros.tracker.window import WHOLE, Window


class Session:
    """Tracks prompted objects through a stream of frames.

    engine: runs the network. max_objects and max_prompted_frames bound the memory, which is
    allocated here once. policy chooses memories (see `policies`), and may bound the objects too.
    clock: seconds, by which late objects are carried on without delaying the others, and time goes
    where stamps stand still. tracked, history: what it holds of objects and of the newest frames.
    frame_s: how long the last frame took. resets: how often all objects were forgotten, or turned
    back with time.
    """

    def __init__(
        self,
        engine: Engine,
        options: SessionOptions | None = None,
        *,
        max_objects: int = 16,
        max_prompted_frames: int = 4,
        policy: MemoryPolicy | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        if max_prompted_frames < 1:
            raise ValueError(f'max_prompted_frames {max_prompted_frames}: use at least 1')
        self.options = options or SessionOptions()
        self._engine = engine
        policy = policy or FifoPolicy()
        spec = engine.spec
        landmarks = LANDMARKS if spec.matches else 0
        limits = MemoryLimits(max_prompted_frames, spec.recent_memories, landmarks=landmarks)
        self.tracked = TrackedObjects(max_objects, limits, policy)
        self._store = engine.allocate_store(self.tracked.capacity, *policy.store_size(limits))
        self.clock = clock
        self._decoder = PromptDecoder(engine, self._store)
        self._tracking = Tracking(engine, self._store)
        self._late = LateTracks(self.tracked, self._tracking, clock)
        self.history = History()
        self._continuity = Continuity()
        self._frame_count = 0
        self.frame_s = 0.0
        self.resets = 0

    def warm_up(self) -> None:
        """Have the engine build what it needs, before the first frame; may take minutes.

        Raises NotFiniteError for a network that answers with no numbers.
        """
        memory = self.tracked.new_memory()
        warm_up(self._engine, self._store, memory, self.tracked.capacity)

    # -- what a user calls ------------------------------------------------------------------

    def step(self, image_rgb: np.ndarray, stamp_ns: int, *, frame_id: str = '') -> FrameResult:
        """Process a frame and return every object in it.

        image_rgb: (H, W, 3) uint8, copied where it is kept. stamp_ns: its time. frame_id: its
        camera. A frame that does not fit those before it is left out, or resets the session
        first, as the result then says (see `continuity`). Raises ValueError for another image or
        stamp, and NotFiniteError where the network answers with no numbers; objects are then as
        they were.
        """
        image_rgb, stamp_ns = check_image(image_rgb), check_stamp(stamp_ns)
        started, size_wh = self.clock(), _size_wh(image_rgb)
        arrival = Arrival(stamp_ns, size_wh, frame_id, round(started * 1e9))
        decision = self._continuity.judge(arrival)
        if decision.step is Step.LEAVE_OUT:
            return FrameResult(
                stamp_ns, size_wh, (), left_out=decision.why, remark=decision.remark
            )
        reset_reason = self._follow_time(decision)
        self._settle_prompts()  # no click will refine them any more
        frame = self._encode(image_rgb, stamp_ns, decision)
        self._track(frame, started)
        self.history.trim(self.options)  # of what objects were seen to be as well
        view = self._view()
        view.follow_motions()
        view.note_shown()
        self.frame_s = self.clock() - started
        return view.result(reset_reason=reset_reason, remark=decision.remark)

    def add_prompt(
        self, prompt: Prompt, *, object_id: int = 0, label: str = '', tentative: bool = False
    ) -> ObjectResult:
        """Start an object, or refine the one with object_id, on the prompt's frame.

        tentative: the object is only proposed, and TENTATIVE until `confirm`, or until a prompt
        that is not tentative refines it. Returns its answer on that frame. An object that starts
        on an earlier frame than the newest is among the results once it has caught up. Raises
        PromptError if the prompt cannot be applied; every object is then as it was.
        """
        on = self.prompted_frame(prompt.stamp_ns)
        track = self.tracked.find(object_id) if object_id else None
        if track is None:
            self.tracked.check_room()
        check_label(label)
        max_points = self.options.max_prompt_points
        check_point_count(len(prompt.points_xy), max_points)  # before any of them is looked at
        prompt = check_prompt(prompt, on.frame.size_wh, is_new=track is None)
        answer = on.answer(prompt, track)
        if track is None:
            return on.start(answer, label=label, tentative=tentative)
        return on.correct(track, answer, label=label, tentative=tentative)

    def confirm(self, object_id: int) -> None:
        """Make a TENTATIVE object an ordinary one; raises PromptError for an unknown id."""
        self.tracked.find(object_id).tentative = False

    def rename(self, object_id: int, label: str) -> None:
        """Give an object a label; raises PromptError for an unknown id, or too long a label."""
        self.tracked.find(object_id).label = check_label(label)

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError for an unknown id."""
        self.tracked.remove(object_id)

    def reset(self) -> None:
        """Forget all objects. Their ids are not used again."""
        self.tracked.clear()
        self.resets += 1

    def object_at(self, x: float, y: float) -> int:
        """Return the id of the object whose mask holds a pixel of the newest frame, 0 for none."""
        for result in self.objects:
            if result.mask is not None and result.mask.contains(x, y):
                return result.object_id
        return 0

    @property
    def has_frame(self) -> bool:
        """Whether a frame has arrived, so that prompts can be applied."""
        return len(self.history) > 0

    @property
    def objects(self) -> Sequence[ObjectResult]:
        """All objects on the newest frame, in order of their ids."""
        return self.latest().objects if self.has_frame else ()

    def latest(self) -> FrameResult:
        """Return the newest frame with all that prompts changed since; needs a frame."""
        return self._view().result()

    def prompted_frame(self, stamp_ns: int | None) -> PromptedFrame:
        """Return the frame of a stamp, or the newest, for prompts that are made on it now.

        Raises PromptError where there is no frame.
        """
        frame = self.history.at(stamp_ns)
        self._tracking.widen(frame, list(self.tracked.values()))
        return PromptedFrame(
            frame,
            self.options,
            self.tracked,
            self.history,
            self._decoder,
            self._tracking,
        )

    def batch_limit(self, most: int) -> int:
        """Return how many prompts a batch may have; most: as many as are wanted."""
        return min(most, self.tracked.capacity) if self._engine.spec.static_shapes else most

    # -- frames -----------------------------------------------------------------------------

    def _follow_time(self, decision: Decision) -> str:
        """Forget what a frame does not go on from; return why all objects are forgotten, if so."""
        if decision.step is Step.RESET:
            self.reset()
            self.history.clear()
            return decision.why.text if decision.why else ''
        if decision.step is Step.REWIND:
            self._settle_prompts()  # while there is their frame
            self.resets += 1
            self.history.clear()
            for track in self.tracked.values():
                track.turn_back(decision.time_ns)
        return ''

    def _encode(self, image_rgb: np.ndarray, stamp_ns: int, decision: Decision) -> Frame:
        """Encode a frame, the newest from now on."""
        window = self._window(decision.time_ns)
        features = encode(self._engine, image_rgb, window)
        has_windows = self.options.roi == 'auto'
        # Whoever gave the array may write the next image into it.
        is_kept = has_windows or self._engine.spec.mode == 'interactive'
        kept = image_rgb.copy() if is_kept else None
        frame = Frame(
            index=self._frame_count,
            stamp_ns=decision.time_ns,
            image_stamp_ns=stamp_ns,
            size_wh=_size_wh(image_rgb),
            features=features,
            nbytes=self._engine.nbytes(features) + (0 if kept is None else kept.nbytes),
            is_standing=decision.is_standing,
            window=window,
            image_rgb=kept,
            is_seed=has_windows,
        )
        self._frame_count += 1
        self.history.add(frame)
        self.history.trim(self.options)
        return frame

    def _window(self, now_ns: int) -> Window:
        """Return which part of the next frame to encode."""
        if self.options.roi == 'off' or self.tracked.late or not self.has_frame:
            return WHOLE
        size_wh, side = self.history.newest.size_wh, self._engine.spec.mask_side
        return region_of(self.tracked.on_time, size_wh, now_ns, least_px=side)

    def _track(self, frame: Frame, started: float) -> None:
        """Find all objects in the newest frame, whose work started at a time of the clock."""
        on_time = self.tracked.on_time
        if on_time:
            self._tracking.track(frame, on_time, self.options)
        self._late.carry(self.history, self.options, budget_s=self.clock() - started)

    def _settle_prompts(self) -> None:
        settle_prompts(self.history, self.tracked, self._tracking)

    def _view(self) -> NewestView:
        return NewestView(self.history.newest, self.tracked.on_time, self.options)


def _size_wh(image_rgb: np.ndarray) -> tuple[int, int]:
    return image_rgb.shape[1], image_rgb.shape[0]
