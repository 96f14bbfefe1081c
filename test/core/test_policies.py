"""What each memory policy keeps and selects, on hand-made histories."""

import numpy as np
import pytest

from tam_ros.tracker.memory import MemoryEntry, MemoryLimits, ObjectMemory
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.pathways import OWN_ANSWER, Branch
from tam_ros.tracker.policies import POLICIES, DamPolicy, QualityPolicy, make_policy

FRAME_NS = 40_000_000
GONE = {'presence_logit': -3.0, 'area': 0.0}


def entry_of(index: int, **values) -> MemoryEntry:
    """Return a frame of 25 a second in which the object was seen well, if values do not differ."""
    seen = {'presence_logit': 5.0, 'predicted_iou': 0.9, 'area': 0.1, 'stamp_ns': index * FRAME_NS}
    return MemoryEntry(index, **{**seen, **values})


def seen_in(index: int) -> Observation:
    return Observation(index, 0, np.ones((2, 2), np.float32), 5.0, 0.9)


def remembering(policy, frames=20, **differing) -> ObjectMemory:
    """Return the memory of an object prompted in frame 0; f7={...} is what differs in frame 7."""
    memory = ObjectMemory(MemoryLimits(prompted=4, recent=6), policy)
    memory.add_prompted(seen_in(0))
    for index in range(1, frames):
        add(memory, index, **differing.get(f'f{index}', {}))
    return memory


def add(memory: ObjectMemory, index: int, *, has_distractor=False, **values):
    """Add a frame as the session does."""
    entry = entry_of(index, **values)
    distinctive = memory.policy.is_distinctive(entry, memory.pathways[0], lambda: has_distractor)
    return memory.add_tracked(entry_of(index, is_distinctive=distinctive, **values))


def selected(memory: ObjectMemory, now: int) -> dict:
    return {e.frame_index: age for e, age in memory.selection(now)}


def newest_first(*frames) -> dict:
    return {0: None, **{frame: age for age, frame in enumerate(frames)}}


@pytest.mark.parametrize('name', POLICIES)
def test_policies_are_made_by_name(name):
    assert make_policy(name).name == name


def test_unknown_policy_is_named():
    with pytest.raises(ValueError, match="memory policy 'lru' is unknown: choose from fifo, qual"):
        make_policy('lru')


@pytest.mark.parametrize('name', POLICIES)
def test_memory_is_bounded_over_ten_thousand_frames(name):
    policy = make_policy(name)
    limits = MemoryLimits(prompted=4, recent=6, pathways=policy.pathways)
    memory = ObjectMemory(limits, policy)
    memory.add_prompted(seen_in(0))
    used, used_pointers = set(), set()
    for index in range(1, 10_000):
        if index % 997 == 0:
            memory.add_prompted(seen_in(index))
            continue
        memory.follow([Branch(i % len(memory.pathways), None) for i in range(policy.pathways)])
        values = GONE if index % 300 < 90 else {'predicted_iou': index % 7 / 7}
        for pathway in range(policy.pathways):
            entry = entry_of(index, is_distinctive=index % 40 == 1 and name == 'dam', **values)
            memory.add_tracked(entry, pathway=pathway)
            if index % 9:
                continue
            slots = [e.slot for e, _ in memory.selection(index + 1, pathway)]
            pointers = memory.pointer_slots(index + 1, pathway)
            assert len(set(slots)) == len(slots) <= limits.prompted + limits.recent
            assert len(set(pointers)) == len(pointers) <= limits.prompted + limits.recent_pointers
            used.update(slots)
            used_pointers.update(pointers)
    assert max(used) < limits.slots
    assert max(used_pointers) < limits.pointer_slots


# -- fifo -----------------------------------------------------------------------------------


def test_fifo_remembers_absent_frames_in_place_of_good_ones():
    memory = remembering(make_policy('fifo'), **{f'f{i}': GONE for i in range(10, 20)})
    assert selected(memory, 20) == newest_first(19, 18, 17, 16, 15, 14)


# -- quality --------------------------------------------------------------------------------


def test_quality_keeps_good_frames_through_a_long_absence():
    memory = remembering(make_policy('quality'), 500, **{f'f{i}': GONE for i in range(10, 500)})
    assert selected(memory, 500) == newest_first(499, 9, 8, 7, 6, 5)
    assert len(memory.pointer_slots(500)) == 1 + 1 + 9  # prompted, the last frame, good ones


def test_quality_is_presence_times_iou():
    policy = QualityPolicy(least_quality=0.3)
    weak = {
        'f17': {'presence_logit': 0.5, 'predicted_iou': 0.9},
        'f18': {'presence_logit': 9.0, 'predicted_iou': 0.29},
    }
    memory = remembering(policy, 20, **weak)
    assert selected(memory, 20) == newest_first(19, 16, 15, 14, 13, 12)


def test_quality_always_keeps_the_last_frame():
    memory = remembering(make_policy('quality'), 20, f19=GONE)
    assert selected(memory, 20)[19] == 0
    add(memory, 20)
    assert 19 not in selected(memory, 21)


# -- dam ------------------------------------------------------------------------------------


def test_dam_keeps_the_last_frame_and_one_in_every_stride():
    memory = remembering(DamPolicy(stride_s=0.2), 41)  # 5 frames
    assert selected(memory, 41) == newest_first(40, 36, 31, 26, 21, 16)


def test_dam_strides_in_seconds_whatever_frames_are_dropped():
    memory = ObjectMemory(MemoryLimits(prompted=4, recent=6), DamPolicy(stride_s=0.2))
    memory.add_prompted(seen_in(0))
    for index in range(1, 21):
        add(memory, index, stamp_ns=index * 5 * FRAME_NS)  # one frame in five
    assert selected(memory, 21) == newest_first(20, 19, 18, 17, 16, 15)


def test_dam_remembers_nothing_of_an_absent_object():
    memory = remembering(DamPolicy(), 20)
    before, pointers = selected(memory, 20), memory.pointer_slots(20)
    for index in range(20, 400):
        assert add(memory, index, **GONE) == (None, None)
    assert selected(memory, 400) == before
    assert memory.pointer_slots(400) == pointers


def distinct(memory, now) -> list[int]:
    return [frame for frame, age in selected(memory, now).items() if age is None and frame]


def test_dam_keeps_three_distinctive_frames_timelessly():
    beside = {f'f{i}': {'has_distractor': True} for i in (3, 12, 20, 30)}
    memory = remembering(DamPolicy(), 60, **beside)
    assert distinct(memory, 60) == [12, 20, 30]
    recent = [age for frame, age in selected(memory, 60).items() if age is not None]
    assert recent == [0, 1, 2]


def test_dam_takes_a_distinctive_frame_as_the_newest_first():
    memory = remembering(DamPolicy(), 13, f12={'has_distractor': True})
    assert selected(memory, 13)[12] == 0
    add(memory, 13)
    assert selected(memory, 14)[12] is None


@pytest.mark.parametrize(
    'unfit',
    [{'predicted_iou': 0.79}, {'area': 0.13}, {'area': 0.07}, {'has_distractor': False}, GONE],
)
def test_dam_takes_only_sure_frames_as_distinctive(unfit):
    memory = remembering(DamPolicy(least_iou=0.8), 30, f20={'has_distractor': True, **unfit})
    assert distinct(memory, 30) == []


def test_dam_spaces_distinctive_frames_in_seconds():
    beside = {f'f{i}': {'has_distractor': True} for i in range(10, 30)}
    memory = remembering(DamPolicy(distinctive_gap_s=0.3), 31, **beside)
    assert distinct(memory, 31) == [10, 18, 26]


def test_dam_looks_at_masks_only_if_all_else_holds():
    memory = remembering(DamPolicy(), 20)
    looked = []
    for entry in (entry_of(20, predicted_iou=0.5), entry_of(20, area=0.2), entry_of(20, **GONE)):
        memory.policy.is_distinctive(entry, memory.pathways[0], lambda: looked.append(1))
    assert looked == []


# -- tree -----------------------------------------------------------------------------------


def test_tree_remembers_what_each_pathway_saw_well():
    policy = make_policy('tree')
    memory = ObjectMemory(MemoryLimits(prompted=4, recent=6, pathways=3), policy)
    memory.add_prompted(seen_in(0))
    memory.follow([OWN_ANSWER, OWN_ANSWER, OWN_ANSWER])
    for index in range(1, 9):
        memory.add_tracked(entry_of(index), pathway=0)
        memory.add_tracked(entry_of(index, predicted_iou=0.1 if index < 8 else 0.9), pathway=1)
        memory.add_tracked(entry_of(index, **GONE), pathway=2)
    seen = [[e.frame_index for e, age in memory.selection(9, i) if age == age] for i in range(3)]
    assert seen == [[0, 8, 7, 6, 5, 4, 3], [0, 8], [0, 8]]


def test_tree_keeps_a_parents_memories_for_all_its_heirs():
    memory = ObjectMemory(MemoryLimits(prompted=4, recent=6, pathways=3), make_policy('tree'))
    memory.add_prompted(seen_in(0))
    first = memory.add_tracked(entry_of(1)).memory
    memory.follow([OWN_ANSWER, Branch(0, 1), Branch(0, 2)])
    slots = [memory.add_tracked(entry_of(2), pathway=i).memory for i in range(3)]
    assert len({first, *slots}) == 4
    assert all(first in [e.slot for e, _ in memory.selection(3, i)] for i in range(3))


def test_a_prompt_ends_all_pathways_but_the_published_one():
    memory = ObjectMemory(MemoryLimits(prompted=4, recent=6, pathways=3), make_policy('tree'))
    memory.add_prompted(seen_in(0))
    memory.follow([Branch(0, None, -0.3), Branch(0, 1, 0.0)])
    memory.add_tracked(entry_of(1))
    memory.add_prompted(seen_in(2))
    assert len(memory.pathways) == 1
    assert selected(memory, 3) == {0: None, 2: None, 1: 0}
    assert memory.pathways[0].log_score == 0
