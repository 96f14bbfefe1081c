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
from tam_ros.prompts import Prompt, PromptError, check_prompt
from tam_ros.tracker.decoding import refusing_prompts
from tam_ros.tracker.forecast import Motion
from tam_ros.tracker.history import History
from tam_ros.tracker.late import LateTracks
from tam_ros.tracker.memory import MemoryLimits, MemoryPolicy, ObjectMemory
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import FifoPolicy
from tam_ros.tracker.prompting import PromptDecoder
from tam_ros.tracker.results import FrameMasks, FrameResult, ObjectResult, ObjectState
from tam_ros.tracker.track import Frame, Given, Track
from tam_ros.tracker.tracking import Tracking
from tam_ros.tracker.warm_up import warm_up

LARGEST_ID = 65535  # ids are pixels of a 16-bit label image


class Session:
    """Tracks prompted objects through a stream of frames.

    engine: runs the network. max_objects and max_prompted_frames bound the memory, which is
    allocated here once. policy chooses memories (see `policies`), and may bound the objects too.
    clock: seconds, by which late objects are carried on without delaying the others.
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
        self._limits = limits = MemoryLimits(
            max_prompted_frames, engine.spec.recent_memories, pathways=self._policy.pathways
        )
        self._store = engine.allocate_store(self._max_objects, limits.slots, limits.pointer_slots)
        self._clock = clock
        self._decoder = PromptDecoder(engine, self._store)
        self._tracking = Tracking(engine, self._store)
        self._late = LateTracks(self._tracking, clock)
        self._history = History()
        self._tracks: dict[int, Track] = {}  # those that are seen in, or missed from, every frame
        self._last_id = 0

    def warm_up(self) -> None:
        """Have the engine build what it needs, before the first frame; may take minutes.

        Raises NotFiniteError for a network that answers with no numbers.
        """
        warm_up(self._engine, self._store, self._limits, self._max_objects)

    # -- what a user calls ------------------------------------------------------------------

    def step(self, image_rgb: np.ndarray, stamp_ns: int) -> FrameResult:
        """Process a frame and return every object in it.

        image_rgb: (H, W, 3) uint8, not kept. stamp_ns: its time; a stamp before the last one, or
        another image size, resets the session first, as the result then says. Raises
        NotFiniteError where the network answers with no numbers; objects are then as they were.
        """
        check_image(image_rgb)
        started = self._clock()
        reset_reason = self._reason_to_reset((image_rgb.shape[1], image_rgb.shape[0]), stamp_ns)
        if reset_reason:
            self.reset()
            self._history.clear()
        self._remember_prompts()
        frame = self._encode(image_rgb, stamp_ns)
        if self._tracks:
            self._tracking.track(frame, list(self._tracks.values()), self.options)
        budget_s = self._clock() - started
        self._admit(self._late.carry(self._history, self.options, budget_s))
        self._history.trim(self.options)  # of what objects were seen to be as well
        return replace(self._follow_motion(self.latest()), reset_reason=reset_reason)

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
        prompt = check_prompt(prompt, frame.size_wh, is_new=track is None)
        given = self._decoder.decode(frame, prompt, track)
        if track is None:
            return self.start(frame, given, label=label, tentative=tentative)
        track.label = label or track.label
        track.tentative &= tentative
        return self.correct(frame, given, object_id)

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
        frame = self._history.newest
        visible = {t.object_id: t.logits for t in self._tracks.values() if t.visible}
        masks = FrameMasks(visible, frame.size_wh, exclusive=self.options.exclusive_masks)
        objects = tuple(
            ObjectResult(
                track.object_id,
                track.label,
                self._state(track),
                track.iou if track.visible else 0.0,
                track.logits,
                masks,
                track.motion_at(frame.stamp_ns),
                stamp_ns=frame.stamp_ns,
            )
            for track in self._tracks.values()
        )
        return FrameResult(frame.stamp_ns, frame.size_wh, objects)

    # -- what detections need beside it -------------------------------------------------------

    def frame_at(self, stamp_ns: int | None) -> Frame:
        """Return the frame of a stamp, or the newest; raises PromptError where there is none."""
        if not self.has_frame:
            raise PromptError('no frame has arrived yet: is the camera publishing?')
        return self._history.newest if stamp_ns is None else self._history.at(stamp_ns)

    def is_ahead(self, stamp_ns: int) -> bool:
        """Return whether a stamp belongs to a frame that is yet to come."""
        return self._history.is_ahead(stamp_ns)

    def has_caught_up(self, frame: Frame) -> bool:
        """Return whether all objects have been looked for in a frame, or started after it."""
        return self._late.have_reached(frame.index)

    @property
    def tracks(self) -> dict[int, Track]:
        """All objects by id, also those that have not caught up yet."""
        return self._tracks | self._late.tracks

    def answer_boxes(self, frame: Frame, prompts: Sequence[Prompt]) -> list[Given]:
        """Answer checked prompts that are boxes, at least one, as a batch; starts nothing."""
        return self._decoder.decode_boxes(frame, prompts)

    def start(
        self, frame: Frame, given: Given, *, label: str = '', tentative: bool = False
    ) -> ObjectResult:
        """Start an object with what its prompt was answered; raises PromptError without room."""
        self._check_room()
        track = Track(
            self._next_id(),
            label,
            self._free_row(),
            ObjectMemory(self._limits, self._policy),
            frame.index,
            given.logits,
            given.score,
            given.iou,
            visible_ns=frame.stamp_ns,
            tentative=tentative,
        )
        return self._answer(track, frame, given)

    def correct(self, frame: Frame, given: Given, object_id: int) -> ObjectResult:
        """Take a prompt's answer as that of an object; raises PromptError for an unknown id.

        In an earlier frame, it takes the place of all that was remembered since.
        """
        track = self._find(object_id)
        if track.owes_memory and given.frame_index != track.given.frame_index:
            self._remember_prompts()
        if track.object_id in self._late.tracks or frame is self._history.newest:
            return self._answer(track, frame, given)
        track.given = given
        self._tracking.remember_prompts(frame, [track])
        frame.note(object_id, given.logits, visible=True, iou=given.iou)
        track.motion = None
        if not track.memory.is_prompted(self._history.newest.index):
            track.visibility.start(given.sighting(frame.stamp_ns))
            with refusing_prompts():
                self._tracking.track(self._history.newest, [track], self.options)
        return self._result_on(frame, track)

    # -- frames -----------------------------------------------------------------------------

    def _reason_to_reset(self, size_wh: tuple[int, int], stamp_ns: int) -> str:
        frame = self._history.newest
        if frame is None:
            return ''
        if size_wh != frame.size_wh:
            old, new = ('x'.join(map(str, size)) for size in (frame.size_wh, size_wh))
            return f'image size changed from {old} to {new}'
        if stamp_ns < frame.stamp_ns:
            return f'time jumped back by {(frame.stamp_ns - stamp_ns) * 1e-9:.3f} s'
        return ''

    def _encode(self, image_rgb: np.ndarray, stamp_ns: int) -> Frame:
        """Encode a frame, the newest from now on."""
        newest, size_wh = self._history.newest, (image_rgb.shape[1], image_rgb.shape[0])
        spec = self._engine.spec
        features = self._engine.encode_image(
            resize_video_frame(image_rgb, spec.image_size, spec.resampling)
        )
        index = newest.index + 1 if newest else 0
        frame = Frame(index, stamp_ns, size_wh, features, self._engine.nbytes(features))
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

    def _state(self, track: Track) -> ObjectState:
        if track.tentative:
            return ObjectState.TENTATIVE
        if track.visible:
            return ObjectState.TRACKED
        unseen_s = (self._history.newest.stamp_ns - track.visible_ns) * 1e-9
        return ObjectState.LOST if unseen_s > self.options.lost_after_s else ObjectState.OCCLUDED

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

    def _answer(self, track: Track, frame: Frame, given: Given) -> ObjectResult:
        """Make a prompt's answer the object's newest, and let it go on from that frame."""
        track.given, track.logits = given, given.logits
        track.score, track.iou = given.score, given.iou
        track.visible, track.visible_ns = True, frame.stamp_ns
        track.visibility.start(given.sighting(frame.stamp_ns))
        track.motion = None  # what a prompt changes is no motion
        if track.frame_index != frame.index:
            track.frame_index, track.attended = frame.index, None
        frame.note(track.object_id, given.logits, visible=True, iou=given.iou)
        if frame is self._history.newest:
            self._late.tracks.pop(track.object_id, None)
            self._admit([track])
            return self._follow_motion(self.latest()).find(track.object_id)
        self._tracking.remember_prompts(frame, [track])
        self._late.tracks[track.object_id] = track
        return self._result_on(frame, track)

    def _result_on(self, frame: Frame, track: Track) -> ObjectResult:
        """Return the answer to an object's prompt on an earlier frame, among the others there."""
        known, given = self.tracks, track.given
        visible = {i: seen.logits for i, seen in frame.seen.items() if seen.visible and i in known}
        masks = FrameMasks(visible, frame.size_wh, exclusive=self.options.exclusive_masks)
        return ObjectResult(
            track.object_id,
            track.label,
            ObjectState.TENTATIVE if track.tentative else ObjectState.TRACKED,
            given.iou,
            given.logits,
            masks,
            stamp_ns=frame.stamp_ns,
        )

    def _find(self, object_id: int) -> Track:
        tracks = self.tracks
        if object_id not in tracks:
            known = ', '.join(map(str, sorted(tracks))) or 'none'
            raise PromptError(f'object id {object_id} is unknown: tracked are {known}')
        return tracks[object_id]
