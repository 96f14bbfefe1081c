"""An engine without a network: objects are discs that stay where they were prompted."""

from types import SimpleNamespace

import numpy as np

from tam_ros.engine.base import Decoded, EngineSpec

SIDE = 64  # of the logits; the network input is four times that


class FakeStore:
    """Memories are the logits themselves."""

    def __init__(self, objects, slots, pointers):
        self.memories = np.full((objects, slots, SIDE, SIDE), np.nan, np.float32)
        self.pointers = np.full((objects, pointers), np.nan)

    def write(self, rows, slots, memories):
        self.memories[rows, slots] = memories

    def write_pointers(self, rows, slots, pointers):
        self.pointers[rows, slots] = pointers


class FakeEngine:
    """Answers prompts with a disc, and tracks an object as its newest memory.

    present says which scores tracked objects get, in order; calls collects what was asked.
    """

    def __init__(self, mode='benchmark'):
        self.spec = EngineSpec('fake', 4 * SIDE, SIDE, 6, mode, 'cpu')
        self.present = None
        self.radius = 8
        self.calls = []

    def encode_image(self, image):
        assert image.shape == (4 * SIDE, 4 * SIDE, 3)
        self.calls.append(SimpleNamespace(stage='encode_image'))
        return image

    def nbytes(self, features):
        return features.nbytes

    def attend_memory(self, features, store, plan):
        self.calls.append(SimpleNamespace(stage='attend_memory', plan=plan, store=store))
        attended = store.memories[plan.rows[:, None], plan.slots]
        assert not np.isnan(attended[plan.slots >= 0]).any(), 'an unwritten slot is attended to'
        return store.memories[plan.rows, plan.matched[:, 2]]

    def decode_mask(self, features, attended, prompts):
        self.calls.append(SimpleNamespace(stage='decode_mask', prompts=prompts, attended=attended))
        batch = len(prompts.labels)
        score = np.full(batch, 5.0)
        if prompts.labels.shape[1]:
            logits = np.stack(
                [
                    self._disc(p[labels > 0].mean(0))
                    for p, labels in zip(prompts.points_xy, prompts.labels)
                ]
            )
        elif prompts.masks is not None:
            logits = np.zeros((batch, SIDE, SIDE), np.float32)
        else:
            logits = attended
            for i, present in enumerate((self.present or [])[:batch]):
                score[i] = present
            logits = np.where(score[:, None, None] > 0, logits, -1024.0)
        return Decoded(
            logits,
            np.full(batch, 0.9),
            score,
            np.arange(batch) + 1.0,
            logits,
            logits[:, None],
            np.full((batch, 1), 0.9),
        )

    def encode_memory(self, features, mask_logits, *, from_prompt):
        self.calls.append(SimpleNamespace(stage='encode_memory', from_prompt=from_prompt))
        return np.asarray(mask_logits)

    def allocate_store(self, objects, slots, pointers):
        return FakeStore(objects, slots, pointers)

    def _disc(self, center_xy):
        y, x = np.mgrid[:SIDE, :SIDE]
        distance = np.hypot(x - center_xy[0] / 4, y - center_xy[1] / 4)
        return (self.radius - distance).astype(np.float32)

    def stages(self):
        """Return the names of the stages run since the last call."""
        names = [call.stage for call in self.calls]
        self.calls.clear()
        return names
