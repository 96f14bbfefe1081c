"""What happens to objects in one frame: they are found in it, and it is remembered of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tam_ros.engine.base import Array, DecoderPrompts, Engine, MemoryPlan, MemoryStore
from tam_ros.masks import fill_small_holes
from tam_ros.tracker.choices import Choice, DecodedFrame
from tam_ros.tracker.decoding import decode_mask
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.planning import plan_memories
from tam_ros.tracker.reseeding import Reseeding, encode
from tam_ros.tracker.track import Conditioned, Frame, Track
from tam_ros.tracker.visibility import Verdict
from tam_ros.tracker.window import WHOLE

Chosen = tuple[Track, Sequence[Choice]]


class Tracking:
    """Runs an engine's stages on frames, for any of the objects whose memories are in a store."""

    def __init__(self, engine: Engine, store: MemoryStore):
        self._engine = engine
        self._store = store

    def track(self, frame: Frame, tracks: Sequence[Track], options: SessionOptions) -> None:
        """Find objects, at least one, in a frame, and remember them there."""
        reseeding = Reseeding(self._engine, self._store, frame.window)
        for track in tracks:
            reseeding.reseed(track.row, track.memory, track.origins, frame.index)
        plan = plan_memories([t.row for t in tracks], [t.memory for t in tracks], frame.index)
        attended = self._engine.attend_memory(frame.features, self._store, plan)
        decoded = self._decode(frame, attended, len(plan.rows))
        chosen = [_choose(track, decoded, plan) for track in tracks]
        believed = []
        for track, choices in zip(tracks, chosen):
            track.attended = Conditioned(attended, choices[0].row)
            verdict = self._see(track, choices[0].observation, options)
            if verdict is Verdict.VISIBLE:
                track.origins.newest = frame.seed(track.observation)
            frame.note(track.object_id, track.observation)
            # That an object is absent is remembered, too, if its policy likes.
            if verdict is not Verdict.WITHHELD:
                believed.append((track, choices))
        self._remember(frame, decoded, believed)

    def remember_prompts(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Remember what was answered to prompts on a frame, of tracks that owe it."""
        logits = np.stack([t.answer.observation.logits for t in tracks])
        memory = self._engine.encode_memory(frame.features, logits, from_prompt=True)
        slots = [t.memory.add_prompted(t.answer.observation) for t in tracks]
        self._store.write([t.row for t in tracks], slots, memory)
        for track, slot in zip(tracks, slots):
            self._store.write_pointers([track.row], [slot], track.answer.pointer)
            track.answer = replace(track.answer, pointer=None)
            seed = frame.seed(track.answer.observation)
            track.origins.note_prompt(track.memory, seed)

    def widen(self, frame: Frame, tracks: Sequence[Track]) -> None:
        """Have a frame be of the whole image, as prompts want it and objects on their way to it.

        tracks: all there are. What was seen of them in the frame stays.
        """
        if frame.window == WHOLE or frame.image_rgb is None:
            return
        frame.widen(encode(self._engine, frame.image_rgb, WHOLE))
        for track in tracks:
            if track.frame_index == frame.index:
                track.attended = None

    def _decode(self, frame: Frame, attended: Array, count: int) -> DecodedFrame:
        none = DecoderPrompts.none(count)
        decoded = decode_mask(self._engine, frame.features, attended, none)
        return DecodedFrame(frame.index, frame.stamp_ns, decoded, frame.window)

    def _see(self, track: Track, seen: Observation, options: SessionOptions) -> Verdict:
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

    def _remember(self, frame: Frame, decoded: DecodedFrame, believed: Sequence[Chosen]) -> None:
        """Remember objects as they were chosen, and write what is kept into the store."""
        kept = [
            (track.row, slots, choice)
            for track, choices in believed
            for slots, choice in zip(track.memory.tracked.remember(choices), choices)
        ]
        rows, slots, choices = _placed([(row, s.memory, choice) for row, s, choice in kept])
        if rows:
            masks = decoded.mask_logits(choices)
            memory = self._engine.encode_memory(frame.features, masks, from_prompt=False)
            self._store.write(rows, slots, memory)
        rows, slots, choices = _placed([(row, s.pointer, choice) for row, s, choice in kept])
        if rows:
            self._store.write_pointers(rows, slots, decoded.pointers(choices))


def _choose(track: Track, decoded: DecodedFrame, plan: MemoryPlan) -> Sequence[Choice]:
    """Return with which masks an object goes on, the published one first."""
    rows = np.flatnonzero(plan.rows == track.row)
    return track.memory.tracked.choose(decoded, rows.tolist())


def _placed(
    kept: Sequence[tuple[int, int | None, Choice]],
) -> tuple[list[int], list[int], list[Choice]]:
    """Return rows and slots of the store, and what goes there, of all that has a slot."""
    placed = [(row, slot, choice) for row, slot, choice in kept if slot is not None]
    return [r for r, _, _ in placed], [s for _, s, _ in placed], [c for _, _, c in placed]
