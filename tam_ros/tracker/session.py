"""The streaming session: frames and prompts in, masks of every object out.

One verb, `step`, processes a frame; prompts, removals and resets take effect between steps, on
the newest frame. Nothing grows with the number of frames. Not thread-safe: one owner calls it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tam_ros.engine.base import Decoded, DecoderPrompts, Engine
from tam_ros.masks import fill_small_holes
from tam_ros.preprocess import check_image, logits_of_mask, network_mask, resize_video_frame
from tam_ros.prompts import Prompt, PromptError, check_prompt, merge_prompts, network_points
from tam_ros.tracker.answers import (
    Answer,
    answers_of,
    branch_memory,
    mask_logits_of,
    remember,
)
from tam_ros.tracker.forecast import Motion
from tam_ros.tracker.memory import (
    MemoryEntry,
    MemoryLimits,
    MemoryPolicy,
    ObjectMemory,
    Slots,
    plan_memories,
)
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import FifoPolicy
from tam_ros.tracker.results import FrameMasks, FrameResult, ObjectResult, ObjectState
from tam_ros.tracker.track import Frame, Track
from tam_ros.tracker.visibility import Verdict, see_mask
from tam_ros.tracker.warm_up import warm_up

LARGEST_ID = 65535  # ids are pixels of a 16-bit label image
PRIOR_LOGIT_LIMIT = 32.0  # an answer that is fed back as a prompt is clamped to this


class Session:
    """Tracks prompted objects through a stream of frames.

    engine: runs the network. max_objects and max_prompted_frames bound the memory, which is
    allocated here once. policy chooses memories (see `policies`), and may bound the objects too.
    """

    def __init__(
        self,
        engine: Engine,
        options: SessionOptions | None = None,
        *,
        max_objects: int = 16,
        max_prompted_frames: int = 4,
        policy: MemoryPolicy | None = None,
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
        self._tracks: dict[int, Track] = {}
        self._frame: Frame | None = None
        self._last_id = 0

    def warm_up(self) -> None:
        """Have the engine build what it needs, before the first frame; may take minutes."""
        warm_up(self._engine, self._store, self._limits, self._max_objects)

    # -- what a user calls ------------------------------------------------------------------

    def step(self, image_rgb: np.ndarray, stamp_ns: int) -> FrameResult:
        """Process a frame and return every object in it.

        image_rgb: (H, W, 3) uint8, not kept. stamp_ns: its time; a stamp before the last one, or
        another image size, resets the session first, as the result then says.
        """
        check_image(image_rgb)
        size_wh = (image_rgb.shape[1], image_rgb.shape[0])
        reset_reason = self._reason_to_reset(size_wh, stamp_ns)
        if reset_reason:
            self.reset()
        self._remember_prompts()
        image = resize_video_frame(image_rgb, self._engine.spec.image_size)
        index = self._frame.index + 1 if self._frame else 0
        self._frame = Frame(index, stamp_ns, size_wh, self._engine.encode_image(image))
        if self._tracks:
            self._track()
        return replace(self._follow_motion(self.latest()), reset_reason=reset_reason)

    def add_prompt(
        self, prompt: Prompt, *, object_id: int = 0, label: str = '', tentative: bool = False
    ) -> ObjectResult:
        """Start an object, or refine the one with object_id, on the newest frame.

        tentative: the object is only proposed, and TENTATIVE until `confirm`, or until a prompt
        that is not tentative refines it. Returns its answer on that frame. Raises PromptError if
        the prompt cannot be applied; every object is then as it was.
        """
        frame = self._frame_of(prompt)
        track = self._find(object_id) if object_id else None
        if track is None:
            self._check_room()
        prompt = check_prompt(prompt, frame.size_wh, is_new=track is None)
        if track is not None:
            prompt = merge_prompts(track.prompt, prompt)
        logits, decoded = self._decode_prompt(frame, prompt, track)
        if decoded.score[0] <= 0:
            raise PromptError(
                f'no object found at the prompt (presence score {decoded.score[0]:.2f}, needs > 0)'
            )
        track = track or self._new_track(label)
        self._answer(track, prompt, logits, decoded)
        track.label = label or track.label
        track.motion = None  # what a prompt changes is no motion
        track.tentative = tentative and (track.tentative or not object_id)
        return self._follow_motion(self.latest()).find(track.object_id)

    def confirm(self, object_id: int) -> None:
        """Make a TENTATIVE object an ordinary one; raises PromptError for an unknown id."""
        self._find(object_id).tentative = False

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError for an unknown id."""
        del self._tracks[self._find(object_id).object_id]

    def reset(self) -> None:
        """Forget all objects. Their ids are not used again."""
        self._tracks.clear()

    def object_at(self, x: float, y: float) -> int:
        """Return the id of the object whose mask holds a pixel of the newest frame, 0 for none."""
        for result in self.objects:
            if result.mask is not None and result.mask.contains(x, y):
                return result.object_id
        return 0

    @property
    def has_frame(self) -> bool:
        """Whether a frame has arrived, so that prompts can be applied."""
        return self._frame is not None

    @property
    def objects(self) -> Sequence[ObjectResult]:
        """All objects on the newest frame, in order of their ids."""
        return self.latest().objects if self._frame else ()

    def latest(self) -> FrameResult:
        """Return the newest frame with all that prompts changed since; needs a frame."""
        frame = self._frame
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
            )
            for track in self._tracks.values()
        )
        return FrameResult(frame.stamp_ns, frame.size_wh, objects)

    # -- tracking ---------------------------------------------------------------------------

    def _reason_to_reset(self, size_wh: tuple[int, int], stamp_ns: int) -> str:
        frame = self._frame
        if frame is None:
            return ''
        if size_wh != frame.size_wh:
            old, new = ('x'.join(map(str, size)) for size in (frame.size_wh, size_wh))
            return f'image size changed from {old} to {new}'
        if stamp_ns < frame.stamp_ns:
            return f'time jumped back by {(frame.stamp_ns - stamp_ns) * 1e-9:.3f} s'
        return ''

    def _track(self) -> None:
        """Find all objects in the newest frame, and remember them there."""
        frame, tracks = self._frame, list(self._tracks.values())
        plan = plan_memories([t.row for t in tracks], [t.memory for t in tracks], frame.index)
        frame.attended = self._engine.attend_memory(frame.features, self._store, plan)
        decoded = self._engine.decode_mask(
            frame.features, frame.attended, DecoderPrompts.none(len(plan.rows))
        )
        first_row, kept = 0, []
        for track in tracks:
            branches = branch_memory(track.memory, decoded, first_row)
            answers = answers_of(branches, decoded, first_row, frame.stamp_ns)
            first_row += len(track.memory.pathways)
            if self._update(track, answers[0]) is not Verdict.WITHHELD:
                entry = MemoryEntry(frame.index, stamp_ns=frame.stamp_ns)
                slots = remember(track.memory, branches, answers, decoded, entry)
                kept += [(track.row, *pair) for pair in zip(slots, answers)]
        self._remember_answers(kept, decoded)

    def _update(self, track: Track, answer: Answer) -> Verdict:
        """Take over an answer, if it is believed."""
        track.score, track.iou, track.attended = answer.score, answer.iou, answer.row
        verdict = track.visibility.judge(answer.sighting, self._rules)
        track.visible = verdict is Verdict.VISIBLE
        track.logits = answer.logits
        if track.visible:
            track.visible_ns = self._frame.stamp_ns
            if self._engine.spec.mode == 'interactive':
                track.logits = fill_small_holes(track.logits)
        return verdict

    @property
    def _rules(self) -> SessionOptions:
        """The options by which masks are judged: published evaluations withhold none."""
        if self._engine.spec.mode == 'benchmark':
            return replace(self.options, exit_ratio=0.0, entry_ratio=0.0)
        return self.options

    def _remember_answers(
        self, kept: Sequence[tuple[int, Slots, Answer]], decoded: Decoded
    ) -> None:
        """Write what is kept of a frame into rows and slots of the store."""
        memories = [(row, s.memory, a) for row, s, a in kept if s.memory is not None]
        if memories:
            rows, slots, answers = map(list, zip(*memories))
            masks = mask_logits_of(answers, decoded)
            memory = self._engine.encode_memory(self._frame.features, masks, from_prompt=False)
            self._store.write(rows, slots, memory)
        pointers = [(row, s.pointer, a.row) for row, s, a in kept if s.pointer is not None]
        if pointers:
            rows, slots, answer_rows = map(list, zip(*pointers))
            self._store.write_pointers(rows, slots, decoded.pointers[answer_rows])

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
        motion = self._tracks[found.object_id].motion_at(self._frame.stamp_ns)
        return replace(found, motion=motion)

    def _state(self, track: Track) -> ObjectState:
        if track.tentative:
            return ObjectState.TENTATIVE
        if track.visible:
            return ObjectState.TRACKED
        unseen_s = (self._frame.stamp_ns - track.visible_ns) * 1e-9
        return ObjectState.LOST if unseen_s > self.options.lost_after_s else ObjectState.OCCLUDED

    # -- prompts ----------------------------------------------------------------------------

    def _frame_of(self, prompt: Prompt) -> Frame:
        """Return the frame that a prompt was made on."""
        if self._frame is None:
            raise PromptError('no frame has arrived yet: is the camera publishing?')
        if prompt.stamp_ns not in (None, self._frame.stamp_ns):
            raise PromptError(
                f'stamp {prompt.stamp_ns * 1e-9:.9f} is not that of the newest frame, '
                f'{self._frame.stamp_ns * 1e-9:.9f}: give that, or none for the newest frame'
            )
        return self._frame

    def _decode_prompt(
        self, frame: Frame, prompt: Prompt, track: Track | None
    ) -> tuple[np.ndarray, Decoded]:
        """Return ((m, m) logits, decoding) of a prompt, without changing anything."""
        if prompt.mask is not None:
            return self._decode_given_mask(frame, prompt.mask)
        spec = self._engine.spec
        points, labels = network_points(prompt, frame.size_wh, spec.image_size)
        prior = None
        if track is not None and track.visible:  # the answer to be refined
            prior = np.clip(track.logits, -PRIOR_LOGIT_LIMIT, PRIOR_LOGIT_LIMIT)[None]
        attended = None
        if track is not None and track.attended is not None:
            attended = frame.attended[[track.attended]]
        prompts = DecoderPrompts(points[None], labels[None], prior)
        decoded = self._engine.decode_mask(frame.features, attended, prompts)
        logits = decoded.logits[0]
        return fill_small_holes(logits) if spec.mode == 'interactive' else logits, decoded

    def _decode_given_mask(self, frame: Frame, mask: np.ndarray) -> tuple[np.ndarray, Decoded]:
        """A given mask is its own answer: certain, and only its pointer is decoded."""
        spec = self._engine.spec
        resized = network_mask(mask, spec.image_size)
        prompts = replace(DecoderPrompts.none(1), masks=resized[None])
        decoded = self._engine.decode_mask(frame.features, None, prompts)
        certain = replace(decoded, iou=np.ones(1), score=np.full(1, 10.0))
        return logits_of_mask(resized, spec.mask_side), certain

    def _check_room(self) -> None:
        if len(self._tracks) < self._max_objects:
            return
        if self._max_objects == self._policy.max_objects:
            raise PromptError(
                f'memory policy {self._policy.name} tracks at most {self._max_objects} objects: '
                'remove one, or take another policy'
            )
        raise PromptError(
            f'{self._max_objects} objects are tracked already: remove one or raise max_objects'
        )

    def _new_track(self, label: str) -> Track:
        used = {t.row for t in self._tracks.values()}
        row = next(r for r in range(self._max_objects) if r not in used)
        track = Track(
            object_id=self._next_id(),
            label=label,
            row=row,
            memory=ObjectMemory(self._limits, self._policy),
            logits=np.zeros((0, 0), np.float32),
            score=0.0,
            iou=0.0,
            visible_ns=self._frame.stamp_ns,
        )
        self._tracks[track.object_id] = track
        self._tracks = dict(sorted(self._tracks.items()))
        return track

    def _next_id(self) -> int:
        """Return an id that no object has; once all were used, the smallest free one."""
        if self._last_id < LARGEST_ID:
            self._last_id += 1
            return self._last_id
        return next(i for i in range(1, LARGEST_ID + 1) if i not in self._tracks)

    def _answer(self, track: Track, prompt: Prompt, logits: np.ndarray, decoded: Decoded) -> None:
        """Make a prompt's answer the object's answer on this frame."""
        track.score, track.iou = float(decoded.score[0]), float(decoded.iou[0])
        track.logits = logits
        track.visible, track.visible_ns = True, self._frame.stamp_ns
        track.visibility.start(see_mask(logits, track.score, track.iou, track.visible_ns))
        track.prompt, track.pointer = prompt, decoded.pointers

    def _remember_prompts(self) -> None:
        """Encode the memories of the frame's prompts, once it is sure that no more will come."""
        tracks = [t for t in self._tracks.values() if t.prompt is not None]
        if tracks:
            logits = np.stack([t.logits for t in tracks])
            frame = self._frame
            memory = self._engine.encode_memory(frame.features, logits, from_prompt=True)
            slots = [t.memory.add_prompted(frame.index, t.score, t.iou) for t in tracks]
            self._store.write([t.row for t in tracks], slots, memory)
            for track, slot in zip(tracks, slots):
                self._store.write_pointers([track.row], [slot], track.pointer)
        for track in self._tracks.values():
            track.prompt = track.pointer = track.attended = None

    def _find(self, object_id: int) -> Track:
        if object_id not in self._tracks:
            known = ', '.join(map(str, self._tracks)) or 'none'
            raise PromptError(f'object id {object_id} is unknown: tracked are {known}')
        return self._tracks[object_id]
