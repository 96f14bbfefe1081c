"""States of tracked objects in a session: proposed, hidden, withheld, lost and found; labels."""

from dataclasses import replace

import numpy as np
import pytest
from fake_engine import SIDE, FakeEngine

from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.policies import DamPolicy, make_policy
from tam_ros.tracker.results import ObjectState
from tam_ros.tracker.session import Session

IMAGE = np.zeros((240, 320, 3), np.uint8)
FRAME_NS = 40_000_000
FLOOD = np.full((SIDE, SIDE), 3, np.float32)
CLICK = Prompt(points_xy=[[100, 60]])
OPTIONS = SessionOptions(lost_after_s=1.0, confirm_s=0.2, exit_ratio=0.3, entry_ratio=0.7)


class ScriptedEngine(FakeEngine):
    """A fake whose next answers to tracked objects can be set: fields of `Decoded`."""

    def __init__(self, mode='interactive'):
        super().__init__(mode)
        self.script = {}

    def decode_mask(self, features, attended, prompts):
        decoded = super().decode_mask(features, attended, prompts)
        if prompts.labels.shape[1]:
            return decoded
        changed = {key: np.stack([value] * len(attended)) for key, value in self.script.items()}
        decoded = replace(decoded, **changed)
        return replace(
            decoded,
            mask_logits=decoded.logits,
            candidate_logits=decoded.logits[:, None],
            candidate_ious=decoded.predicted_ious[:, None],
        )


class Stream:
    """A session with one object, and a camera of 25 frames a second."""

    def __init__(self, engine, policy='fifo', *, frames=25, tentative=False):
        self.engine = engine
        self.session = Session(engine, OPTIONS, policy=make_policy(policy))
        self.session.step(IMAGE, 0)
        self.session.add_prompt(CLICK, tentative=tentative)
        self.stamp_ns = 0
        self.show(frames)

    def show(self, frames=1, *, every=1, **script):
        """Show frames to which the network answers with the script; return the last result."""
        self.engine.script = script
        for _ in range(frames):
            self.stamp_ns += every * FRAME_NS
            result = self.session.step(IMAGE, self.stamp_ns).objects[0]
            self.engine.calls[:-1] = []
        return result

    def stored(self) -> np.ndarray:
        return np.nan_to_num(self.session._store.memories)


@pytest.fixture
def stream() -> Stream:
    return Stream(ScriptedEngine())


def test_a_flood_is_neither_published_nor_remembered(stream):
    before = stream.stored()
    result = stream.show(5, logits=FLOOD, predicted_ious=0.4)
    assert (result.state, result.mask, result.predicted_iou) == (ObjectState.OCCLUDED, None, 0)
    assert stream.session.object_at(310, 230) == 0
    np.testing.assert_array_equal(stream.stored(), before)
    result = stream.show()
    assert result.state == ObjectState.TRACKED
    assert result.mask.contains(100, 60)


def test_a_supported_flood_is_the_object(stream):
    assert stream.show(logits=FLOOD, predicted_ious=0.85).state == ObjectState.TRACKED


def test_a_benchmark_engine_withholds_nothing():
    stream = Stream(ScriptedEngine('benchmark'))
    assert stream.show(logits=FLOOD, predicted_ious=0.01).state == ObjectState.TRACKED


def test_doubt_hides_an_object_only_when_it_lasts(stream):
    assert stream.show(2, predicted_ious=0.1).state == ObjectState.TRACKED
    assert stream.show().state == ObjectState.TRACKED
    assert stream.show(5, predicted_ious=0.1).state == ObjectState.TRACKED
    assert stream.show(predicted_ious=0.1).state == ObjectState.OCCLUDED


def test_states_follow_stamps_whatever_frames_are_dropped():
    for every in (1, 5):
        stream = Stream(ScriptedEngine())
        assert (
            stream.show(25 // every, every=every, presence_logits=-2.0).state
            == ObjectState.OCCLUDED
        )
        assert stream.show(every=every, presence_logits=-2.0).state == ObjectState.LOST
        assert stream.show(5 // every, every=every, predicted_ious=0.5).state == ObjectState.LOST
        assert stream.show(every=every, predicted_ious=0.5).state == ObjectState.TRACKED


@pytest.mark.parametrize('policy', ['fifo', 'quality', 'dam', 'tree'])
def test_an_object_keeps_its_id_through_a_long_loss(policy):
    stream = Stream(ScriptedEngine(), policy)
    stream.session.add_prompt(Prompt([[200, 200]]))
    assert stream.show(120, presence_logits=-2.0).state == ObjectState.LOST
    result = stream.show()
    assert (result.object_id, result.state) == (1, ObjectState.TRACKED)
    assert result.mask.contains(100, 60)


def recalled(stream) -> set[int]:
    """Return the frames that the next one attends to, on the published pathway."""
    recall, *_ = stream.session.tracked[1].memory.recall(1 << 20)
    return {entry.frame_index for entry, _ in recall.memories}


@pytest.mark.parametrize('policy', ['quality', 'dam', 'tree'])
def test_good_memories_outlast_an_absence(policy):
    stream = Stream(ScriptedEngine(), policy)
    seen = recalled(stream)
    stream.show(100, presence_logits=-2.0)
    assert len(recalled(stream) & seen) >= 6  # the prompted frame is among them


def test_an_absent_object_takes_no_memory_with_dam():
    stream = Stream(ScriptedEngine(), 'dam')
    stream.show(presence_logits=-2.0)
    assert stream.engine.calls[-1].stage == 'decode_mask'  # no memory is encoded


def test_a_proposed_object_is_tentative_until_confirmed():
    stream = Stream(ScriptedEngine(), tentative=True)
    result = stream.show()
    assert (result.state, result.mask.contains(100, 60)) == (ObjectState.TENTATIVE, True)
    assert stream.show(50, presence_logits=-2.0).state == ObjectState.TENTATIVE
    stream.session.add_prompt(CLICK, object_id=1, tentative=True)
    assert stream.show().state == ObjectState.TENTATIVE
    stream.session.confirm(1)
    assert stream.show().state == ObjectState.TRACKED


def test_a_users_prompt_confirms_and_a_proposal_does_not_undo_it():
    stream = Stream(ScriptedEngine(), tentative=True)
    assert stream.session.add_prompt(CLICK, object_id=1).state == ObjectState.TRACKED
    again = stream.session.add_prompt(CLICK, object_id=1, tentative=True)
    assert again.state == ObjectState.TRACKED


def test_a_proposed_object_can_be_removed_and_an_unknown_one_not_confirmed():
    stream = Stream(ScriptedEngine(), tentative=True)
    stream.session.remove(1)
    assert stream.session.objects == ()
    with pytest.raises(PromptError, match='object id 1 is unknown: tracked are none'):
        stream.session.confirm(1)


def test_tree_refuses_a_third_object():
    stream = Stream(ScriptedEngine(), 'tree')
    stream.session.add_prompt(Prompt([[200, 200]]))
    with pytest.raises(PromptError, match='memory policy tree tracks at most 2 objects: remove'):
        stream.session.add_prompt(Prompt([[300, 200]]))
    assert len(stream.session.objects) == 2


def test_tree_follows_the_mask_that_proves_right():
    engine = ScriptedEngine()
    stream = Stream(engine, 'tree', frames=1)
    disc = stream.session.objects[0].logits
    elsewhere = np.roll(disc, 20, axis=1)
    decode = engine.decode_mask

    def hesitate(features, attended, prompts):
        """Offer a second place, which then is the better one for those who took it."""
        decoded = decode(features, attended, prompts)
        if prompts.labels.shape[1]:
            return decoded
        is_there = np.array([a[:, SIDE // 2 :].max() > 0 for a in attended])
        ious = np.where(is_there[:, None], [[0.95, 0.1]], [[0.6, 0.5]])
        own = np.where(is_there[:, None, None], elsewhere, disc)
        other = np.where(is_there[:, None, None], disc, elsewhere)
        return replace(
            decoded,
            logits=own,
            mask_logits=own,
            predicted_ious=ious[:, 0],
            candidate_logits=np.stack([own, other], axis=1),
            candidate_ious=ious,
        )

    engine.decode_mask = hesitate
    places = [stream.show().box_xyxy[0] for _ in range(4)]
    assert places[0] < 120
    assert places[-1] > 150


def test_dam_sees_the_distractor_that_the_network_hesitated_over():
    engine = ScriptedEngine()
    stream = Stream(engine, 'dam')
    twin = np.maximum(stream.session.objects[0].logits, np.roll(engine._disc((80, 64)), 30, 1))
    decode = engine.decode_mask
    engine.decode_mask = lambda *a: replace(decode(*a), candidate_logits=np.stack([twin[None]]))
    stream.show(20)
    tracked = stream.session.tracked[1].memory.tracked
    assert isinstance(tracked.policy, DamPolicy)
    assert sum(e.is_distinctive for e in tracked.kept.memories) == 3


def labelled_session() -> Session:
    """Return a session with an object that is called cup."""
    session = Session(FakeEngine())
    session.step(IMAGE, 0)
    session.add_prompt(CLICK, label='cup')
    return session


def test_object_gets_another_label_which_results_have_from_then_on():
    session = labelled_session()
    session.rename(1, 'mug')
    assert session.latest().find(1).label == 'mug'
    assert session.step(IMAGE, FRAME_NS).find(1).label == 'mug'
    session.rename(1, '')
    assert session.latest().find(1).label == ''


@pytest.mark.parametrize(
    ('object_id', 'label', 'refusal'),
    [
        (2, 'mug', 'object id 2 is unknown: tracked are 1'),
        (1, 'x' * 257, 'has 257 characters: use at most 256'),
    ],
)
def test_label_that_cannot_be_is_refused(object_id, label, refusal):
    session = labelled_session()
    with pytest.raises(PromptError, match=refusal):
        session.rename(object_id, label)
    assert session.latest().find(1).label == 'cup'
