"""What an object remembers."""

from dataclasses import replace

import numpy as np
import pytest
from decoded import GONE, ages, decoded, pointer_slots, seen_in, track
from fake_engine import FakeEngine

from tam_ros.prompts import Prompt
from tam_ros.tracker.memory import MemoryLimits, ObjectMemory
from tam_ros.tracker.planning import plan_memories
from tam_ros.tracker.policies import POLICIES, FifoPolicy, QualityPolicy, make_policy
from tam_ros.tracker.session import Session

LIMITS = MemoryLimits(prompted=4, recent=6)
MATCHED = MemoryLimits(prompted=4, recent=6, landmarks=2)
HALF_S = 13  # frames, of 25 a second: landmarks are 13 or 12 apart


def tracked(frames: int, prompts=(0,), limits=LIMITS) -> ObjectMemory:
    """Return the memory of an object after that many frames."""
    memory = FifoPolicy().make_memory(limits)
    for index in range(frames):
        if index in prompts:
            memory.add_prompted(seen_in(index))
        else:
            track(memory, index)
    return memory


def in_order(memory: ObjectMemory, now: int) -> list[tuple[int, int | None]]:
    return list(ages(memory, now).items())


def test_first_tracked_frame_sees_the_prompted_one_only():
    assert in_order(tracked(1), 1) == [(0, None)]


def test_six_newest_frames_are_seen_by_age():
    assert in_order(tracked(20), 20) == [(0, None)] + [(19 - age, age) for age in range(6)]


def test_a_prompted_frame_among_the_recent_is_seen_once():
    memory = tracked(10, prompts=(0, 7))
    expected = [(0, None), (7, None), (9, 0), (8, 1), (6, 3), (5, 4), (4, 5)]
    assert [(e.frame_index, age) for e, age in memory.recall(10)[0].memories] == expected


def test_prompt_is_never_forgotten():
    memory = tracked(500, prompts=(0, *range(5, 500, 7)))
    assert [e.frame_index for e in memory.prompted] == [0, 481, 488, 495]


def test_single_prompted_slot_keeps_the_newest_prompt():
    memory = tracked(20, prompts=(0, 9), limits=MemoryLimits(prompted=1, recent=6))
    assert [e.frame_index for e in memory.prompted] == [9]


def test_prompting_a_frame_again_keeps_its_slot():
    memory = tracked(5)
    first = memory.add_prompted(seen_in(7))
    assert memory.add_prompted(seen_in(7)) == first
    assert len(memory.prompted) == 2


def test_correcting_a_tracked_frame_replaces_its_entry():
    memory = tracked(8)
    memory.add_prompted(seen_in(7))
    assert [f for f, _ in in_order(memory, 8)] == [0, 7, 6, 5, 4, 3, 2]


def test_pointers_are_sixteen_with_one_prompt():
    assert len(pointer_slots(tracked(100), 100)) == 16


@pytest.mark.parametrize('prompts', [(0,), (0, 3, 50, 51, 52, 97)])
def test_live_entries_never_share_a_slot(prompts):
    memory, size = FifoPolicy().make_memory(LIMITS), LIMITS.store_size
    for index in range(100):
        if index in prompts:
            memory.add_prompted(seen_in(index))
        else:
            track(memory, index)
        slots = [e.slot for e, _ in memory.recall(index + 1)[0].memories]
        pointers = pointer_slots(memory, index + 1)
        assert len(set(slots)) == len(slots) <= size.memories
        assert len(set(pointers)) == len(pointers) <= size.pointers
        assert max(slots) < size.memories
        assert max(pointers) < size.pointers


def test_what_is_beside_a_frame_leaves_the_memory_as_it_is():
    memory = tracked(8, prompts=(0, 5))
    before = in_order(memory, 8)
    assert in_order(memory.beside(5), 5) == [(0, None), (4, 0), (3, 1), (2, 2), (1, 3)]
    assert in_order(memory, 8) == before


def test_choosing_remembers_nothing():
    memory = tracked(5)
    before = in_order(memory, 6)
    memory.tracked.choose(decoded(5), [0])
    assert in_order(memory, 6) == before


def test_objects_of_different_age_share_a_plan():
    young, old = FifoPolicy().make_memory(LIMITS), tracked(9)
    young.add_prompted(seen_in(8))
    plan = plan_memories([3, 1], [young, old], 9)
    np.testing.assert_array_equal(plan.rows, [3, 1])
    np.testing.assert_array_equal(plan.slots[0], [0, -1, -1, -1, -1, -1, -1])
    np.testing.assert_array_equal(plan.ages, [[6] + [-1] * 6, [6, 0, 1, 2, 3, 4, 5]])
    assert (plan.pointer_slots[0] >= 0).sum() == 1
    assert (plan.pointer_slots[1] >= 0).sum() == 9


@pytest.mark.parametrize(
    ('policy', 'unfit'),
    [(FifoPolicy(), GONE), (QualityPolicy(), GONE), (QualityPolicy(), {'predicted_iou': 0.3})],
)
def test_masks_are_carried_from_the_newest_frame_that_is_good(policy, unfit):
    memory = policy.make_memory(LIMITS)
    memory.add_prompted(seen_in(0))
    assert plan_memories([0], [memory], 1).matched_frames.tolist() == [[0, 0, 0]]
    track(memory, 1)
    track(memory, 2, **unfit)
    assert plan_memories([0], [memory], 3).matched_frames.tolist() == [[0, 0, 1]]
    memory.add_prompted(seen_in(3))
    assert plan_memories([0], [memory], 4).matched_frames.tolist() == [[3, 3, 3]]


# -- landmarks --------------------------------------------------------------------------------


def matched(memory: ObjectMemory, now: int) -> list[int]:
    """Return the numbers of the frames that frame now is matched with."""
    return plan_memories([0], [memory], now).matched_frames[0].tolist()


def test_a_frame_of_half_a_second_ago_is_matched_beside_the_prompted_one():
    memory = tracked(1, limits=MATCHED)
    for index in range(1, 200):
        prompted, landmark, newest = matched(memory, index)
        assert (prompted, newest) == (0, index - 1)
        if index > HALF_S:
            assert HALF_S - 1 <= index - landmark <= 2 * HALF_S
        else:
            assert landmark == 0
        track(memory, index)


def test_no_frame_is_matched_for_longer_where_networks_match_none():
    assert [matched(tracked(now), now)[1] for now in range(1, 60)] == [0] * 59


def test_objects_have_the_same_landmarks_whenever_they_were_prompted():
    young, old = FifoPolicy().make_memory(MATCHED), tracked(60, limits=MATCHED)
    young.add_prompted(seen_in(4))
    for index in range(5, 60):
        track(young, index)
    assert matched(young, 61)[1] == matched(old, 61)[1] > 4


def test_frames_without_the_object_are_no_landmarks():
    memory = tracked(40, limits=MATCHED)
    before = matched(memory, 41)
    for index in range(40, 200):
        track(memory, index, **GONE)
    assert matched(memory, 201)[1] == before[1] > 0


def test_a_prompt_takes_the_place_of_landmarks_before_it():
    memory = tracked(50, limits=MATCHED)
    memory.add_prompted(seen_in(50))
    for index in range(51, 51 + HALF_S):
        assert matched(memory, index)[1] == 50
        track(memory, index)
    for index in range(51 + HALF_S, 53 + 3 * HALF_S):
        track(memory, index)
    assert matched(memory, index + 1)[1] > 50


def test_a_prompt_on_an_earlier_frame_drops_landmarks_since():
    memory = tracked(60, limits=MATCHED)
    assert matched(memory, 61)[1] == 38
    memory.add_prompted(seen_in(20))
    for index in range(21, 60):
        assert matched(memory, index)[1] >= 20
        track(memory, index)


@pytest.mark.parametrize('name', POLICIES)
def test_landmarks_are_never_overwritten(name):
    policy = make_policy(name)
    memory, size = policy.make_memory(MATCHED), policy.store_size(MATCHED)
    memory.add_prompted(seen_in(0))
    written = {0: 0}  # frame by slot
    for index in range(1, 300):
        for slots in track(memory, index, has_distractor=index % 40 == 1):
            if slots.memory is not None:
                written[slots.memory] = index
        plan = plan_memories([0], [memory], index + 1)
        for slots, frames in zip(plan.matched, plan.matched_frames):
            assert [written[slot] for slot in slots] == frames.tolist()
    assert max(written) < size.memories
    assert plan_memories([0], [memory], 301).matched_frames[0, 1] > 260


def matched_at_half_a_minute(engine) -> list[list[int]]:
    """Return the frames that each of two objects is matched with, of 10 a second, in the last."""
    session, image = Session(engine), np.zeros((240, 320, 3), np.uint8)
    for t in range(300):
        session.step(image, t * 100_000_000)
        if t in (0, 7):
            session.add_prompt(Prompt(points_xy=[[40 + 20 * t, 40]]))
    plans = [call.plan for call in engine.calls if call.stage == 'attend_memory']
    return plans[-1].matched_frames.tolist()


def test_networks_that_match_frames_see_one_of_half_a_second_ago():
    engine = FakeEngine()
    engine.spec = replace(engine.spec, matches=True)
    assert matched_at_half_a_minute(engine) == [[0, 290, 298], [7, 290, 298]]


def test_other_networks_are_shown_the_prompted_frame():
    assert matched_at_half_a_minute(FakeEngine()) == [[0, 0, 298], [7, 7, 298]]
