"""What each memory policy keeps and selects, on hand-made histories."""

from dataclasses import replace

import numpy as np
import pytest
from decoded import FRAME_NS, GONE, ages, decoded, pointer_slots, seen_in, track

from tam_ros.tracker.choices import Choice
from tam_ros.tracker.memory import MemoryEntry, MemoryLimits, ObjectMemory, Slots
from tam_ros.tracker.pathways import PathwayChoice, Pathways
from tam_ros.tracker.planning import plan_memories
from tam_ros.tracker.policies import POLICIES, DamPolicy, QualityPolicy, make_policy

LIMITS = MemoryLimits(prompted=4, recent=6)


def prompted(policy) -> ObjectMemory:
    """Return the memory of an object prompted in frame 0."""
    memory = policy.make_memory(LIMITS)
    memory.add_prompted(seen_in(0))
    return memory


def remembering(policy, frames=20, **differing) -> ObjectMemory:
    """Return the memory of an object prompted in frame 0; f7={...} is what differs in frame 7."""
    memory = prompted(policy)
    for index in range(1, frames):
        track(memory, index, **differing.get(f'f{index}', {}))
    return memory


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
    memory, size = prompted(policy), policy.store_size(LIMITS)
    used, used_pointers = set(), set()
    for index in range(1, 10_000):
        if index % 997 == 0:
            memory.add_prompted(seen_in(index))
            continue
        values = GONE if index % 300 < 90 else {'predicted_iou': index % 7 / 7}
        track(memory, index, has_distractor=index % 40 == 1, **values)
        for recall in memory.recall(index + 1) if index % 9 == 0 else ():
            slots = [e.slot for e, _ in recall.memories]
            pointers = [e.slot for e in recall.pointers]
            assert len(set(slots)) == len(slots) <= LIMITS.store_size.memories
            assert len(set(pointers)) == len(pointers) <= LIMITS.store_size.pointers
            used.update(slots)
            used_pointers.update(pointers)
    assert max(used) < size.memories
    assert max(used_pointers) < size.pointers


# -- fifo -----------------------------------------------------------------------------------


def test_fifo_remembers_absent_frames_in_place_of_good_ones():
    memory = remembering(make_policy('fifo'), **{f'f{i}': GONE for i in range(10, 20)})
    assert ages(memory, 20) == newest_first(19, 18, 17, 16, 15, 14)


# -- quality --------------------------------------------------------------------------------


def test_quality_keeps_good_frames_through_a_long_absence():
    memory = remembering(make_policy('quality'), 500, **{f'f{i}': GONE for i in range(10, 500)})
    assert ages(memory, 500) == newest_first(499, 9, 8, 7, 6, 5)
    assert len(pointer_slots(memory, 500)) == 1 + 1 + 9  # prompted, the last frame, good ones


def test_quality_is_presence_times_iou():
    policy = QualityPolicy(least_quality=0.3)
    weak = {
        'f17': {'presence_logit': 0.5, 'predicted_iou': 0.9},
        'f18': {'presence_logit': 9.0, 'predicted_iou': 0.29},
    }
    memory = remembering(policy, 20, **weak)
    assert ages(memory, 20) == newest_first(19, 16, 15, 14, 13, 12)


def test_quality_always_keeps_the_last_frame():
    memory = remembering(make_policy('quality'), 20, f19=GONE)
    assert ages(memory, 20)[19] == 0
    track(memory, 20)
    assert 19 not in ages(memory, 21)


# -- dam ------------------------------------------------------------------------------------


def test_dam_keeps_the_last_frame_and_one_in_every_stride():
    memory = remembering(DamPolicy(stride_s=0.2), 41)  # 5 frames
    assert ages(memory, 41) == newest_first(40, 36, 31, 26, 21, 16)


def test_dam_strides_in_seconds_whatever_frames_are_dropped():
    memory = prompted(DamPolicy(stride_s=0.2))
    for index in range(1, 21):
        track(memory, index, stamp_ns=index * 5 * FRAME_NS)  # one frame in five
    assert ages(memory, 21) == newest_first(20, 19, 18, 17, 16, 15)


def test_dam_remembers_nothing_of_an_absent_object():
    memory = remembering(DamPolicy(), 20)
    before, pointers = ages(memory, 20), pointer_slots(memory, 20)
    for index in range(20, 400):
        assert track(memory, index, **GONE) == [Slots(None, None)]
    assert ages(memory, 400) == before
    assert pointer_slots(memory, 400) == pointers


def distinct(memory, now) -> list[int]:
    return [frame for frame, age in ages(memory, now).items() if age is None and frame]


def test_dam_keeps_three_distinctive_frames_timelessly():
    beside = {f'f{i}': {'has_distractor': True} for i in (3, 12, 20, 30)}
    memory = remembering(DamPolicy(), 60, **beside)
    assert distinct(memory, 60) == [12, 20, 30]
    recent = [age for frame, age in ages(memory, 60).items() if age is not None]
    assert recent == [0, 1, 2]


def test_dam_takes_a_distinctive_frame_as_the_newest_first():
    memory = remembering(DamPolicy(), 13, f12={'has_distractor': True})
    assert ages(memory, 13)[12] == 0
    track(memory, 13)
    assert ages(memory, 14)[12] is None


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


@pytest.mark.parametrize('unfit', [{'predicted_iou': 0.5}, {'area': 0.2}, GONE])
def test_dam_looks_at_masks_only_if_all_else_holds(unfit):
    memory = remembering(DamPolicy())
    kept, looked = memory.tracked.kept, []

    def look() -> bool:
        looked.append(True)
        return True

    for values in (unfit, {}):
        seen = Choice(decoded(20, **values), 0, None).observation
        memory.tracked.policy.keep(kept, MemoryEntry.of(seen), LIMITS, look)
        assert looked == ([] if values else [True])


# -- tree -----------------------------------------------------------------------------------


def go_on(tracked: Pathways, frame, *branches) -> list[Slots]:
    """Go on with branches: parent, candidate and log score."""
    return tracked.remember(
        [
            PathwayChoice(
                frame, parent, candidate, replace(tracked.pathways[parent], log_score=log_score)
            )
            for parent, candidate, log_score in branches
        ]
    )


def test_tree_remembers_what_each_pathway_saw_well():
    memory = prompted(make_policy('tree'))
    memory.tracked.pathways *= 3
    own = [(0, None, 0.0), (1, None, 0.0), (2, None, 0.0)]
    for index in range(1, 9):
        ious = [0.9, 0.1 if index < 8 else 0.9, 0.9]
        frame = decoded(index, predicted_iou=ious, presence_logit=[5.0, 5.0, -3.0], rows=3)
        go_on(memory.tracked, frame, *own)
    seen = [[e.frame_index for e, _ in recall.memories] for recall in memory.recall(9)]
    assert seen == [[0, 8, 7, 6, 5, 4, 3], [0, 8], [0, 8]]


def test_tree_keeps_a_parents_memories_for_all_its_heirs():
    memory = prompted(make_policy('tree'))
    ((first, _),) = go_on(memory.tracked, decoded(1), (0, None, 0.0))
    slots = [s.memory for s in track(memory, 2)]
    assert len({first, *slots}) == 4
    for recall, slot in zip(memory.recall(3), slots):
        assert [e.slot for e, _ in recall.memories] == [0, slot, first]


def test_tree_keeps_the_pointer_of_the_decoders_own_answer_only():
    memory = prompted(make_policy('tree'))
    pointers = [slots.pointer for slots in track(memory, 1)]
    assert pointers == [LIMITS.prompted, None, None]
    frames = [[e.frame_index for e in recall.pointers] for recall in memory.recall(2)]
    assert frames == [[0, 1], [0], [0]]


def test_tree_attends_to_each_pathway_in_a_row_of_the_batch():
    memories = [prompted(make_policy('tree')) for _ in range(2)]
    track(memories[1], 1)
    plan = plan_memories([1, 0], memories, 2)
    assert plan.rows.tolist() == [1, 0, 0, 0]
    assert plan.ages.tolist() == [[6, -1], [6, 0], [6, 0], [6, 0]]
    assert len({*plan.slots[1:, 1]}) == 3


def test_tree_adds_up_how_probable_each_pathway_is():
    memory = prompted(make_policy('tree'))
    track(memory, 1)
    track(memory, 2, predicted_iou=[0.9, 0.8, 0.7], **GONE)  # one answer on each pathway
    probabilities = np.exp([pathway.log_score for pathway in memory.tracked.pathways])
    expected = np.array([1 * 0.9, 0.9 * 0.8, 0.8 * 0.7]) / 0.9
    np.testing.assert_allclose(probabilities, expected, rtol=1e-3)


def test_a_prompt_ends_all_pathways_but_the_published_one():
    memory = prompted(make_policy('tree'))
    go_on(memory.tracked, decoded(1), (0, None, -0.3), (0, 2, 0.0))
    frame = decoded(2, predicted_iou=[0.9, 0.1], rows=2)
    go_on(memory.tracked, frame, (0, None, -0.3), (1, None, 0.0))
    go_on(memory.tracked, decoded(3, rows=2), (0, None, -0.3), (1, None, 0.0))
    memory.add_prompted(seen_in(4))
    assert len(memory.recall(5)) == 1
    assert ages(memory, 5) == {0: None, 4: None, 3: 0, 2: 1, 1: 2}
    assert [pathway.log_score for pathway in memory.tracked.pathways] == [0.0]
