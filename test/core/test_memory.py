"""What an object remembers."""

import numpy as np
import pytest
from decoded import GONE, ages, decoded, pointer_slots, seen_in, track

from tam_ros.tracker.memory import MemoryLimits, ObjectMemory
from tam_ros.tracker.planning import plan_memories
from tam_ros.tracker.policies import FifoPolicy, QualityPolicy

LIMITS = MemoryLimits(prompted=4, recent=6)


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
    assert plan_memories([0], [memory], 1).matched_frames.tolist() == [[0, 0]]
    track(memory, 1)
    track(memory, 2, **unfit)
    assert plan_memories([0], [memory], 3).matched_frames.tolist() == [[0, 1]]
    memory.add_prompted(seen_in(3))
    assert plan_memories([0], [memory], 4).matched_frames.tolist() == [[3, 3]]
