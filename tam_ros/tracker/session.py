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
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import FifoPolicy
from tam_ros.tracker.prompting import PromptDecoder
from tam_ros.tracker.results import FrameResult, ObjectResult
from tam_ros.tracker.showing import LARGEST_ID, check_pixels, show_newest, show_prompted
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
        if not 1 <= max_objects <= LARGEST_ID:
            raise ValueError(f'max_objects {max_objects}: use 1 to {LARGEST_ID}')
        if max_prompted_frames < 1:
            raise ValueError(f'max_prompted_frames {max_prompted_frames}: use at least 1')
        self.options = options or SessionOptions()
        self._engine = engine
        self._policy = policy or FifoPolicy()
        self._max_objects = max_objects
        if self._policy.max_objects is not None:
            self._max_objects = min(max_objects, self._policy.max_objects)
        self._limits = MemoryLimits(max_prompted_frames, engine.spec.recent_memories)
        self._store = engine.allocate_store(
            self._max_objects, *self._policy.store_size(self._limits)
        )
        self._clock = clock
        self._decoder = PromptDecoder(engine, self._store)
        self._tracking = Tracking(engine, self._store)
        self._late = LateTracks(self._tracking, clock)
        self._history = History()
        self._continuity = Continuity()
        self._frame_count = 0
        self._tracks: dict[int, Track] = {}  # those that are seen in, or missed from, every frame
        self._last_id = 0

    def warm_up(self) -> None:
        """Have the engine build what it needs, before the first frame; may take minutes.

        Raises NotFiniteError for a network that answers with no numbers.
        """
        memory = self._policy.make_memory(self._limits)
        warm_up(self._engine, self._store, memory, self._max_objects)

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
        if self._tracks:
            self._tracking.track(frame, list(self._tracks.values()), self.options)
        budget_s = self._clock() - started
        self._admit(self._late.carry(self._history, self.options, budget_s))
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
        track = self._find(object_id) if object_id else None
        if track is None:
            self._check_room()
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
        self._find(object_id).tentative = False

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError for an unknown id."""
        self._find(object_id)
        self._tracks.pop(object_id, None)
        self._late.tracks.pop(object_id, None)

    def reset(self) -> None:
        """Forget all objects. Their ids are not used again."""
        self._tracks.clear()
        self._late.tracks.clear()

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
        return show_newest(self._history.newest, self._tracks.values(), self.options)

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
        return self._late.have_reached(frame.index)

    @property
    def tracks(self) -> dict[int, Track]:
        """All objects by id, also those that have not caught up yet."""
        return self._tracks | self._late.tracks

    def answer_boxes(self, frame: Frame, prompts: Sequence[Prompt]) -> list[PromptAnswer]:
        """Answer checked prompts that are boxes, at least one, as a batch; starts nothing."""
        return self._decoder.decode_boxes(frame, prompts)

    def start(
        self, frame: Frame, answer: PromptAnswer, *, label: str = '', tentative: bool = False
    ) -> ObjectResult:
        """Start an object with what its prompt was answered.

        Raises PromptError without room, or where no pixel of the frame would be the object's.
        """
        self._check_room()
        check_pixels(frame, answer, self.tracks, self.options)
        track = Track(
            self._next_id(),
            label,
            self._free_row(),
            self._policy.make_memory(self._limits),
            answer,
            tentative,
        )
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
        track = self._find(object_id)
        check_pixels(frame, answer, self.tracks, self.options, object_id=object_id)
        track.label = label or track.label
        track.tentative &= tentative
        if track.owes_memory and frame.index != track.answer.observation.frame_index:
            self._remember_prompts()
        if track.object_id in self._late.tracks or frame is self._history.newest:
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
        return show_prompted(frame, track, self.tracks, self.options)

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
            for track in self.tracks.values():
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
        tracks = [t for t in self._tracks.values() if t.owes_memory]
        if tracks:
            self._tracking.remember_prompts(self._history.newest, tracks)

    def _admit(self, tracks: Sequence[Track]) -> None:
        """Follow objects from the newest frame on, in order of their ids."""
        self._tracks |= {track.object_id: track for track in tracks}
        self._tracks = dict(sorted(self._tracks.items()))

    def _follow_motion(self, result: FrameResult) -> FrameResult:
        """Let motions follow the newest frame's visible masks; return its result with them."""
        if self.options.forecast == 'none':
            return result
        for found in result.objects:
            track = self._tracks[found.object_id]
            if found.mask is None or track.motion_at(result.stamp_ns):
                continue
            if track.motion is None:
                track.motion = Motion.start(found.mask, result.stamp_ns)
            else:
                track.motion = track.motion.follow(found.mask, result.stamp_ns)
        return replace(result, objects=tuple(self._with_motion(o) for o in result.objects))

    def _with_motion(self, found: ObjectResult) -> ObjectResult:
        motion = self._tracks[found.object_id].motion_at(self._history.newest.stamp_ns)
        return replace(found, motion=motion)

    def _note_shown(self, result: FrameResult) -> FrameResult:
        """Note which objects have a pixel in the newest frame; return its result."""
        for found in result.objects:
            if found.is_shown:
                self._tracks[found.object_id].shown_ns = result.stamp_ns
        return result

    # -- prompts ----------------------------------------------------------------------------

    def _check_room(self) -> None:
        if len(self.tracks) < self._max_objects:
            return
        if self._max_objects == self._policy.max_objects:
            raise PromptError(
                f'memory policy {self._policy.name} tracks at most {self._max_objects} objects: '
                'remove one, or take another policy'
            )
        raise PromptError(
            f'{self._max_objects} objects are tracked already: remove one or raise max_objects'
        )

    def _free_row(self) -> int:
        used = {t.row for t in self.tracks.values()}
        return next(r for r in range(self._max_objects) if r not in used)

    def _next_id(self) -> int:
        """Return an id that no object has; once all were used, the smallest free one."""
        if self._last_id < LARGEST_ID:
            self._last_id += 1
            return self._last_id
        return next(i for i in range(1, LARGEST_ID + 1) if i not in self.tracks)

    def _follow_answer(self, track: Track, frame: Frame) -> ObjectResult:
        """Let an object go on from the frame of its prompt."""
        frame.note(track.object_id, track.observation)
        if frame is self._history.newest:
            self._late.tracks.pop(track.object_id, None)
            self._admit([track])
            return self._follow_motion(self.latest()).find(track.object_id)
        self._tracking.remember_prompts(frame, [track])
        self._late.tracks[track.object_id] = track
        return show_prompted(frame, track, self.tracks, self.options)

    def _find(self, object_id: int) -> Track:
        tracks = self.tracks
        if object_id not in tracks:
            known = ', '.join(map(str, sorted(tracks))) or 'none'
            raise PromptError(f'object id {object_id} is unknown: tracked are {known}')
        return tracks[object_id]
