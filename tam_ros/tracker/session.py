"""The streaming session: frames and prompts in, masks of every object out.

One verb, `step`, processes a frame; prompts, removals and resets take effect between steps, on
the newest frame or on one of those before it that are kept. Nothing grows with the number of
frames. Not thread-safe: one owner calls it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tam_ros.engine.base import Engine
from tam_ros.preprocess import check_image, resize_video_frame
from tam_ros.prompts import (
    Prompt,
    PromptError,
    check_label,
    check_point_count,
    check_prompt,
    check_stamp,
)
from tam_ros.tracker.continuity import Arrival, Continuity, Step, Verdict
from tam_ros.tracker.decoding import refusing_prompts
from tam_ros.tracker.forecast import Motion
from tam_ros.tracker.history import History
from tam_ros.tracker.late import LateTracks
from tam_ros.tracker.memory import MemoryLimits, MemoryPolicy
from tam_ros.tracker.objects import TrackedObjects
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import FifoPolicy
from tam_ros.tracker.prompting import PromptDecoder
from tam_ros.tracker.results import FrameResult, ObjectResult
from tam_ros.tracker.showing import check_pixels, show_newest, show_prompted
from tam_ros.tracker.track import Frame, PromptAnswer, Track
from tam_ros.tracker.tracking import Tracking
from tam_ros.tracker.warm_up import warm_up


class Session:
    """Tracks prompted objects through a stream of frames.

    engine: runs the network. max_objects and max_prompted_frames bound the memory, which is
    allocated here once. policy chooses memories (see `policies`), and may bound the objects too.
    clock: seconds, by which late objects are carried on without delaying the others, and time goes
    where stamps stand still.
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
        self._limits = limits = MemoryLimits(
            max_prompted_frames, engine.spec.recent_memories, pathways=policy.pathways
        )
        self.tracked = TrackedObjects(max_objects, limits, policy)
        self._store = engine.allocate_store(
            self.tracked.capacity, limits.slots, limits.pointer_slots
        )
        self._clock = clock
        self._decoder = PromptDecoder(engine, self._store)
        self._tracking = Tracking(engine, self._store)
        self._late = LateTracks(self.tracked, self._tracking, clock)
        self._history = History()
        self._continuity = Continuity()
        self._frame_count = 0

    def warm_up(self) -> None:
        """Have the engine build what it needs, before the first frame; may take minutes.

        Raises NotFiniteError for a network that answers with no numbers.
        """
        warm_up(self._engine, self._store, self._limits, self.tracked.capacity)

    # -- what a user calls ------------------------------------------------------------------

    def step(self, image_rgb: np.ndarray, stamp_ns: int, *, frame_id: str = '') -> FrameResult:
        """Process a frame and return every object in it.

        image_rgb: (H, W, 3) uint8, not kept. stamp_ns: its time. frame_id: its camera. A frame
        that does not fit those before it is left out, or resets the session first, as the result
        then says (see `continuity`). Raises ValueError for another image or stamp, and
        NotFiniteError where the network answers with no numbers; objects are then as they were.
        """
        image_rgb, stamp_ns = check_image(image_rgb), check_stamp(stamp_ns)
        started = self._clock()
        size_wh = (image_rgb.shape[1], image_rgb.shape[0])
        arrival = Arrival(stamp_ns, size_wh, frame_id, round(started * 1e9))
        verdict = self._continuity.judge(arrival)
        if verdict.step is Step.LEAVE_OUT:
            return FrameResult(stamp_ns, size_wh, (), left_out=verdict.why, remark=verdict.remark)
        reset_reason = self._follow_time(verdict)
        self._remember_prompts()
        frame = self._encode(image_rgb, verdict.time_ns, stamp_ns)
        on_time = self.tracked.on_time
        if on_time:
            self._tracking.track(frame, on_time, self.options)
        self._late.carry(self._history, self.options, budget_s=self._clock() - started)
        self._history.trim(self.options)  # of what objects were seen to be as well
        result = self._note_shown(self._follow_motion(self.latest()))
        return replace(result, reset_reason=reset_reason, remark=verdict.remark)

    def add_prompt(
        self, prompt: Prompt, *, object_id: int = 0, label: str = '', tentative: bool = False
    ) -> ObjectResult:
        """Start an object, or refine the one with object_id, on the prompt's frame.

        tentative: the object is only proposed, and TENTATIVE until `confirm`, or until a prompt
        that is not tentative refines it. Returns its answer on that frame. An object that starts
        on an earlier frame than the newest is among the results once it has caught up. Raises
        PromptError if the prompt cannot be applied; every object is then as it was.
        """
        frame = self.frame_at(prompt.stamp_ns)
        track = self.tracked.find(object_id) if object_id else None
        if track is None:
            self.tracked.check_room()
        max_points = self.options.max_prompt_points
        check_label(label)
        check_point_count(len(prompt.points_xy), max_points)  # before any of them is looked at
        prompt = check_prompt(prompt, frame.size_wh, is_new=track is None)
        answer = self._decoder.decode(frame, prompt, track, max_points=max_points)
        if track is None:
            return self.start(frame, answer, label=label, tentative=tentative)
        return self.correct(frame, answer, object_id, label=label, tentative=tentative)

    def confirm(self, object_id: int) -> None:
        """Make a TENTATIVE object an ordinary one; raises PromptError for an unknown id."""
        self.tracked.find(object_id).tentative = False

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError for an unknown id."""
        self.tracked.remove(object_id)

    def reset(self) -> None:
        """Forget all objects. Their ids are not used again."""
        self.tracked.clear()

    def object_at(self, x: float, y: float) -> int:
        """Return the id of the object whose mask holds a pixel of the newest frame, 0 for none."""
        for result in self.objects:
            if result.mask is not None and result.mask.contains(x, y):
                return result.object_id
        return 0

    @property
    def has_frame(self) -> bool:
        """Whether a frame has arrived, so that prompts can be applied."""
        return self._history.newest is not None

    @property
    def objects(self) -> Sequence[ObjectResult]:
        """All objects on the newest frame, in order of their ids."""
        return self.latest().objects if self.has_frame else ()

    def latest(self) -> FrameResult:
        """Return the newest frame with all that prompts changed since; needs a frame."""
        return show_newest(self._history.newest, self.tracked.on_time, self.options)

    # -- what detections need beside it -------------------------------------------------------

    def frame_at(self, stamp_ns: int | None) -> Frame:
        """Return the frame of a stamp, or the newest; raises PromptError where there is none."""
        if not self.has_frame:
            raise PromptError('no frame has arrived yet: is the camera publishing?')
        if stamp_ns is None or self._continuity.stands_at(stamp_ns):
            return self._history.newest
        return self._history.at(stamp_ns)

    def is_ahead(self, stamp_ns: int) -> bool:
        """Return whether a stamp belongs to a frame that is yet to come."""
        return self._history.is_ahead(stamp_ns)

    def ahead_s(self, stamp_ns: int) -> float:
        """Return how many seconds a stamp is ahead of the newest frame; 0 before the first."""
        newest = self._history.newest
        return (stamp_ns - newest.stamp_ns) * 1e-9 if newest else 0.0

    def has_caught_up(self, frame: Frame) -> bool:
        """Return whether all objects have been looked for in a frame, or started after it."""
        return self.tracked.have_reached(frame.index)

    def answer_boxes(self, frame: Frame, prompts: Sequence[Prompt]) -> list[PromptAnswer]:
        """Answer checked prompts that are boxes, at least one, as a batch; starts nothing."""
        return self._decoder.decode_boxes(frame, prompts)

    def start(
        self, frame: Frame, answer: PromptAnswer, *, label: str = '', tentative: bool = False
    ) -> ObjectResult:
        """Start an object with what its prompt was answered.

        Raises PromptError without room, or where no pixel of the frame would be the object's.
        """
        self.tracked.check_room()
        check_pixels(frame, answer, self.tracked, self.options)
        track = self.tracked.new_track(answer, label=label, tentative=tentative)
        return self._follow_answer(track, frame)

    def correct(
        self,
        frame: Frame,
        answer: PromptAnswer,
        object_id: int,
        *,
        label: str = '',
        tentative: bool = True,
    ) -> ObjectResult:
        """Take a prompt's answer as that of an object.

        In an earlier frame, it takes the place of all that was remembered since. Raises
        PromptError for an unknown id, or where no pixel of the frame would be the object's.
        """
        track = self.tracked.find(object_id)
        check_pixels(frame, answer, self.tracked, self.options, object_id=object_id)
        track.label = label or track.label
        track.tentative &= tentative
        if track.owes_memory and frame.index != track.answer.observation.frame_index:
            self._remember_prompts()
        if self.tracked.is_late(object_id) or frame is self._history.newest:
            track.go_on_from(answer)
            return self._follow_answer(track, frame)
        track.answer = answer
        self._tracking.remember_prompts(frame, [track])
        frame.note(object_id, answer.observation)
        track.motion = None
        if not track.memory.is_prompted(self._history.newest.index):
            track.visibility.start(answer.observation.sighting)
            with refusing_prompts():
                self._tracking.track(self._history.newest, [track], self.options)
        return show_prompted(frame, track, self.tracked, self.options)

    # -- frames -----------------------------------------------------------------------------

    def _follow_time(self, verdict: Verdict) -> str:
        """Forget what a frame does not go on from; return why all objects are forgotten, if so."""
        if verdict.step is Step.RESET:
            self.reset()
            self._history.clear()
            return verdict.why.text
        if verdict.step is Step.REWIND:
            self._remember_prompts()
            self._history.clear()
            for track in self.tracked.values():
                track.turn_back(verdict.time_ns)
        return ''

    def _encode(self, image_rgb: np.ndarray, stamp_ns: int, image_stamp_ns: int) -> Frame:
        """Encode a frame, the newest from now on."""
        size_wh = (image_rgb.shape[1], image_rgb.shape[0])
        spec = self._engine.spec
        features = self._engine.encode_image(
            resize_video_frame(image_rgb, spec.image_size, spec.resampling)
        )
        index, self._frame_count = self._frame_count, self._frame_count + 1
        nbytes = self._engine.nbytes(features)
        frame = Frame(index, stamp_ns, image_stamp_ns, size_wh, features, nbytes)
        self._history.add(frame)
        self._history.trim(self.options)
        return frame

    def _remember_prompts(self) -> None:
        """Encode the memories of the newest frame's prompts, now that no more will come."""
        tracks = [t for t in self.tracked.on_time if t.owes_memory]
        if tracks:
            self._tracking.remember_prompts(self._history.newest, tracks)

    def _follow_motion(self, result: FrameResult) -> FrameResult:
        """Let motions follow the newest frame's visible masks; return its result with them."""
        if self.options.forecast == 'none':
            return result
        for found in result.objects:
            track = self.tracked[found.object_id]
            if found.mask is None or track.motion_at(result.stamp_ns):
                continue
            if track.motion is None:
                track.motion = Motion.start(found.mask, result.stamp_ns)
            else:
                track.motion = track.motion.follow(found.mask, result.stamp_ns)
        return replace(result, objects=tuple(self._with_motion(o) for o in result.objects))

    def _with_motion(self, found: ObjectResult) -> ObjectResult:
        motion = self.tracked[found.object_id].motion_at(self._history.newest.stamp_ns)
        return replace(found, motion=motion)

    def _note_shown(self, result: FrameResult) -> FrameResult:
        """Note which objects have a pixel in the newest frame; return its result."""
        for found in result.objects:
            if found.is_shown:
                self.tracked[found.object_id].shown_ns = result.stamp_ns
        return result

    # -- prompts ----------------------------------------------------------------------------

    def _follow_answer(self, track: Track, frame: Frame) -> ObjectResult:
        """Let an object go on from the frame of its prompt."""
        frame.note(track.object_id, track.observation)
        if frame is self._history.newest:
            self.tracked.add(track, is_late=False)
            return self._follow_motion(self.latest()).find(track.object_id)
        self._tracking.remember_prompts(frame, [track])
        self.tracked.add(track, is_late=True)
        return show_prompted(frame, track, self.tracked, self.options)
