"""Memories made anew in another window, from the images and masks that they were made from.

What an object remembers was encoded from a window, and is of use in that one only.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from tam_ros.engine.base import Array, Engine, MemoryStore
from tam_ros.preprocess import resize_video_frame
from tam_ros.tracker.memory import ObjectMemory
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.window import Window, logits_of_given


@dataclass(frozen=True)
class Seed:
    """An object in a frame, as its memory of that can be made from."""

    image_rgb: np.ndarray
    """(H, W, 3) uint8, which frames and objects share."""
    seen: Observation
    """What was seen of the object, or answered to a prompt."""
    mask: np.ndarray | None = None
    """(H, W) bool, where it was given or looked at closely: finer than the answer's logits."""

    def logits(self, window: Window) -> np.ndarray:
        """Return the object's (m, m) logits over a window."""
        if self.mask is None:
            return self.seen.over(window).logits
        return logits_of_given(self.mask, window, self.seen.logits.shape[0])

    def view(self, window: Window) -> Window:
        """Return a window, or one of the same size around the object where that is outside."""
        extent = self.seen.extent
        if extent is None or window.keeps(extent):
            return window
        return window.shifted_to(*extent.point(0.5, 0.5))


@dataclass
class Origins:
    """What the memories of an object can be made from again."""

    prompted: dict[int, Seed] = field(default_factory=dict)
    """By frame index; of prompted frames whose images were kept."""
    newest: Seed | None = None
    """Of the newest tracked frame in which the object was visible, if its image was kept."""

    def are_known(self, memory: ObjectMemory) -> bool:
        """Return whether all prompts have a seed, so that memories can be made anew."""
        entries = memory.prompted
        return bool(entries) and all(e.frame_index in self.prompted for e in entries)

    def note_prompt(self, memory: ObjectMemory, seed: Seed | None) -> None:
        """Keep what a prompt's memory is made from; seed: None where no image was kept.

        memory: with that. What it has forgotten is forgotten here, too.
        """
        if seed is not None:
            self.prompted[seed.seen.frame_index] = seed
        known = {entry.frame_index for entry in memory.prompted}
        self.prompted = {i: kept for i, kept in self.prompted.items() if i in known}
        self.newest = None


@dataclass(frozen=True)
class Place:
    """Where a memory goes."""

    row: int
    """Of the store."""
    slot: int
    """In the row."""
    window: Window
    """That it is encoded from."""
    from_prompt: bool
    """Whether it is that of a prompted frame."""


class Reseeding:
    """Makes the memories of one object after the other anew, for a window of one frame.

    Images are encoded once for all of them.
    """

    def __init__(self, engine: Engine, store: MemoryStore, window: Window):
        self._engine = engine
        self._store = store
        self._window = window
        self._encoded: dict[tuple[int, Window], Array] = {}

    def reseed(self, row: int, memory: ObjectMemory, origins: Origins, now: int) -> None:
        """Have memories of an object, those that frame now attends to, be of the window.

        Where tracked frames were encoded from others, only that of the newest mask is made anew,
        and the others are forgotten, but for their pointers, which are of no window.
        """
        for i, entry in enumerate(memory.prompted):
            seed = origins.prompted.get(entry.frame_index)
            if seed is not None and entry.window != (view := seed.view(self._window)):
                memory.prompted[i] = replace(entry, window=view)
                self._write(seed, Place(row, entry.slot, view, from_prompt=True))
        recalled = [e for recall in memory.tracked.recall(now) for e, _ in recall.memories]
        if any(entry.window != self._window for entry in recalled):
            self._reseed_tracked(row, memory, origins.newest)

    def _reseed_tracked(self, row: int, memory: ObjectMemory, newest: Seed | None) -> None:
        at = -1 if newest is None else newest.seen.frame_index
        memory.tracked, slots = memory.tracked.narrowed(at, self._window)
        if newest is not None:
            for slot in slots:
                self._write(newest, Place(row, slot, self._window, from_prompt=False))

    def _write(self, seed: Seed, place: Place) -> None:
        key = seed.seen.frame_index, place.window
        if key not in self._encoded:
            self._encoded[key] = encode(self._engine, seed.image_rgb, place.window)
        memory = self._engine.encode_memory(
            self._encoded[key],
            np.stack([seed.logits(place.window)]),
            from_prompt=place.from_prompt,
        )
        self._store.write([place.row], [place.slot], memory)


def encode(engine: Engine, image_rgb: np.ndarray, window: Window) -> Array:
    """Return the features of a window of a (H, W, 3) uint8 image."""
    spec = engine.spec
    part = np.ascontiguousarray(window.cut(image_rgb))
    return engine.encode_image(resize_video_frame(part, spec.image_size, spec.resampling))
