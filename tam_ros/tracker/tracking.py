"""What happens to objects in one frame: they are found in it, and it is remembered of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tam_ros.engine.base import Decoded, DecoderPrompts, Engine, MemoryStore
from tam_ros.masks import fill_small_holes
from tam_ros.tracker.answers import Answer, answers_of, branch_memory, mask_logits_of, remember
from tam_ros.tracker.decoding import decode_mask
from tam_ros.tracker.memory import Slots, plan_memories
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.track import Conditioned, Frame, Track
from tam_ros.tracker.visibility import Verdict


class Tracking:
    """Runs an engine's stages on frames, for any of the objects whose memories are in a store."""

    def __init__(self, engine: Engine, store: MemoryStore):
        self._engine = engine
        self._store = store

    def track(self, frame: Frame, tracks: Sequence[Track], options: SessionOptions) -> None:
        """Find objects, at least one, in a frame, and remember them there."""
        plan = plan_memories([t.row for t in tracks], [t.memory for t in tracks], frame.index)
        attended = self._engine.attend_memory(frame.features, self._store, plan)
        decoded = decode_mask(
            self._engine, frame.features, attended, DecoderPrompts.none(len(plan.rows))
        )
        first_row, kept = 0, []
        for track in tracks:
            branches = branch_memory(track.memory, decoded, first_row)
            answers = answers_of(branches, decoded, first_row, frame)
            first_row += len(track.memory.pathways)
            track.attended = Conditioned(attended, answers[0].row)
            if self._update(track, answers[0].observation, options) is not Verdict.WITHHELD:
                slots = remember(track.memory, branches, answers, decoded)
                kept += [(track.row, *pair) for pair in zip(slots, answers)]
            frame.note(track.object_id, track.observation)
        self._remember_answers(frame, kept, decoded)

    def remember_prompts(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Remember what was answered to prompts on a frame, of tracks that owe it."""
        logits = np.stack([t.answer.observation.logits for t in tracks])
        memory = self._engine.encode_memory(frame.features, logits, from_prompt=True)
        slots = [t.memory.add_prompted(t.answer.observation) for t in tracks]
        self._store.write([t.row for t in tracks], slots, memory)
        for track, slot in zip(tracks, slots):
            self._store.write_pointers([track.row], [slot], track.answer.pointer)
            track.answer = replace(track.answer, pointer=None)

    def _update(self, track: Track, seen: Observation, options: SessionOptions) -> Verdict:
        """Take over what was seen in a frame, visible if it is believed."""
        verdict = track.visibility.judge(seen.sighting, self._rules(options))
        if verdict is Verdict.VISIBLE:
            track.visible_ns = seen.stamp_ns
            if self._engine.spec.mode == 'interactive':
                seen = replace(seen, logits=fill_small_holes(seen.logits))
        track.observation = replace(seen, visible=verdict is Verdict.VISIBLE)
        return verdict

    def _rules(self, options: SessionOptions) -> SessionOptions:
        """Return the options by which masks are judged: published evaluations withhold none."""
        if self._engine.spec.mode == 'benchmark':
            return replace(options, exit_ratio=0.0, entry_ratio=0.0)
        return options

    def _remember_answers(
        self, frame: Frame, kept: Sequence[tuple[int, Slots, Answer]], decoded: Decoded
    ) -> None:
        """Write what is kept of a frame into rows and slots of the store."""
        memories = [(row, s.memory, a) for row, s, a in kept if s.memory is not None]
        if memories:
            rows, slots, answers = map(list, zip(*memories))
            masks = mask_logits_of(answers, decoded)
            memory = self._engine.encode_memory(frame.features, masks, from_prompt=False)
            self._store.write(rows, slots, memory)
        pointers = [(row, s.pointer, a.row) for row, s, a in kept if s.pointer is not None]
        if pointers:
            rows, slots, answer_rows = map(list, zip(*pointers))
            self._store.write_pointers(rows, slots, decoded.pointers[answer_rows])
