"""What an object remembers."""

import numpy as np
import pytest

from tam_ros.tracker.memory import MemoryEntry, MemoryLimits, ObjectMemory, plan_memories
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.policies import FifoPolicy

LIMITS = MemoryLimits(prompted=4, recent=6)


def entry_of(index: int, **values) -> MemoryEntry:
    seen = {
        'presence_logit': 5.0,
        'predicted_iou': 0.9,
        'area': 0.1,
        'stamp_ns': index * 40_000_000,
    }
    return MemoryEntry(index, **{**seen, **values})


def seen_in(index: int) -> Observation:
    return Observation(index, 0, np.ones((2, 2), np.float32), 5.0, 0.9)


def tracked(frames: int, prompts=(0,), limits=LIMITS) -> ObjectMemory:
    """Return the memory of an object after that many frames."""
    memory = ObjectMemory(limits, FifoPolicy())
    for index in range(frames):
        if index in prompts:
            memory.add_prompted(seen_in(index))
        else:
            memory.add_tracked(entry_of(index))
    return memory


def selected(memory: ObjectMemory, frame_index: int):
    return [(e.frame_index, age) for e, age in memory.selection(frame_index)]


def test_first_tracked_frame_sees_the_prompted_one_only():
    assert selected(tracked(1), 1) == [(0, None)]


def test_six_newest_frames_are_seen_by_age():
    assert selected(tracked(20), 20) == [(0, None)] + [(19 - age, age) for age in range(6)]


def test_a_prompted_frame_among_the_recent_is_seen_once():
    ages = [(0, None), (7, None), (9, 0), (8, 1), (6, 3), (5, 4), (4, 5)]
    assert selected(tracked(10, prompts=(0, 7)), 10) == ages


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
    assert [f for f, _ in selected(memory, 8)] == [0, 7, 6, 5, 4, 3, 2]


def test_pointers_are_sixteen_with_one_prompt():
    assert len(tracked(100).pointer_slots(100)) == 16


@pytest.mark.parametrize('prompts', [(0,), (0, 3, 50, 51, 52, 97)])
def test_live_entries_never_share_a_slot(prompts):
    memory = ObjectMemory(LIMITS, FifoPolicy())
    for index in range(100):
        if index in prompts:
            memory.add_prompted(seen_in(index))
        else:
            memory.add_tracked(entry_of(index))
        slots = [e.slot for e, _ in memory.selection(index + 1)]
        pointers = memory.pointer_slots(index + 1)
        assert len(set(slots)) == len(slots) <= LIMITS.slots
        assert len(set(pointers)) == len(pointers) <= LIMITS.pointer_slots
        assert max(slots) < LIMITS.slots
        assert max(pointers) < LIMITS.pointer_slots


def test_objects_of_different_age_share_a_plan():
    young, old = tracked(1), tracked(9)
    young.prompted[0] = MemoryEntry(8, slot=0)
    plan = plan_memories([3, 1], [young, old], 9)
    np.testing.assert_array_equal(plan.rows, [3, 1])
    np.testing.assert_array_equal(plan.slots[0], [0, -1, -1, -1, -1, -1, -1])
    np.testing.assert_array_equal(plan.ages, [[6] + [-1] * 6, [6, 0, 1, 2, 3, 4, 5]])
    assert (plan.pointer_slots[0] >= 0).sum() == 1
    assert (plan.pointer_slots[1] >= 0).sum() == 9
