"""What becomes of detections: which are known, new or noise; rule by rule, then on real clips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros.engine.torch_engine import load_torch_engine
from tam_ros.evaluation.clips import read_clip
from tam_ros.evaluation.detections import Faults, follow_detections, simulate_detector
from tam_ros.evaluation.truth_engine import TruthEngine
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.association import Detection, DetectionAssociation
from tam_ros.tracker.options import DetectionOptions
from tam_ros.tracker.results import ObjectState
from tam_ros.tracker.session import Session
from tam_ros.weights import find_weights

IMAGE = np.zeros((240, 320, 3), np.uint8)
PERIOD_NS = 33_000_000
EVAL = Path(__file__).parents[3] / 'shared' / 'eval'
A, B = (60, 60), (200, 160)


def at(center, confidence=0.9, label='cup', size=60) -> Detection:
    x, y = center
    return Detection((x - size / 2, y - size / 2, x + size / 2, y + size / 2), confidence, label)


class Stream:
    """A session whose objects are discs, and what associates detections with them."""

    def __init__(self, options: DetectionOptions | None = None, **session):
        self.engine = FakeEngine()
        self.session = Session(self.engine, **session)
        self.association = DetectionAssociation(self.session)
        self.options = options or DetectionOptions()
        self.index = -1
        self.step()

    def step(self):
        self.index += 1
        return self.session.step(IMAGE, self.index * PERIOD_NS)

    def see(self, *detections: Detection, index: int | None = None):
        """Apply a message on the newest frame, or on another, then go on by a frame."""
        stamp_ns = (self.index if index is None else index) * PERIOD_NS
        outcome = self.association.apply(detections, stamp_ns, self.options)
        self.step()
        return outcome

    @property
    def states(self) -> dict[int, ObjectState]:
        return {o.object_id: o.state for o in self.session.objects}


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_unknown_detections_propose_objects(stream):
    outcome = stream.see(at(A, label='cup'), at(B, label='plate'))
    assert outcome.started == [1, 2]
    assert stream.states == {1: ObjectState.TENTATIVE, 2: ObjectState.TENTATIVE}
    assert [o.label for o in stream.session.objects] == ['cup', 'plate']
    assert stream.session.object_at(*A) == 1


def test_a_class_with_an_endless_name_is_refused_alone(stream):
    outcome = stream.see(at(A, label='long' * 1000), at(B, label='plate'))
    assert [o.label for o in stream.session.objects] == ['plate']
    assert outcome.refused == [
        "label 'longlonglonglonglong'... has 4000 characters: use at most 256"
    ]


def test_objects_seen_again_are_confirmed_and_not_prompted_again(stream):
    stream.see(at(A))
    stream.engine.stages()
    outcome = stream.see(at(A))
    assert (outcome.matched, outcome.confirmed, outcome.started) == ([1], [1], [])
    assert stream.states == {1: ObjectState.TRACKED}
    # The box was decoded; then came the next frame. No prompt was remembered.
    stages = ['decode_mask', 'encode_image', 'attend_memory', 'decode_mask', 'encode_memory']
    assert stream.engine.stages() == stages


def test_more_hits_can_be_asked_for():
    stream = Stream(DetectionOptions(confirm_hits=2))
    for state in (ObjectState.TENTATIVE, ObjectState.TENTATIVE, ObjectState.TRACKED):
        stream.see(at(A))
        assert stream.states == {1: state}


def test_all_boxes_are_one_batch(stream):
    stream.engine.stages()
    stream.see(at(A), at(B))
    decoded = next(c for c in stream.engine.calls if c.stage == 'decode_mask')
    assert decoded.prompts.labels.shape == (2, 2)


def test_objects_not_seen_again_are_dropped(stream):
    stream.see(at(A))
    assert [stream.see().dropped for _ in range(3)] == [[], [], [1]]
    assert stream.states == {}


def test_a_hit_forgives_misses():
    stream = Stream(DetectionOptions(confirm_hits=2))
    for seen in (True, False, False, True, False, False):
        stream.see(*([at(A)] if seen else []))
    assert stream.states == {1: ObjectState.TENTATIVE}


def test_confirmed_objects_outlive_the_detector(stream):
    stream.see(at(A))
    stream.see(at(A))
    for _ in range(10):
        stream.see()
    assert stream.states == {1: ObjectState.TRACKED}


def test_a_user_can_confirm_too(stream):
    stream.see(at(A))
    stream.session.add_prompt(Prompt([A]), object_id=1)
    for _ in range(5):
        stream.see()
    assert stream.states == {1: ObjectState.TRACKED}


def test_confidence_gates(stream):
    outcome = stream.see(at(A, confidence=0.49), at(B, confidence=0.69))
    assert outcome.started == []
    stream.session.add_prompt(Prompt([A]))
    assert stream.see(at(A, confidence=0.49)).matched == []
    assert stream.see(at(A, confidence=0.5)).matched == [1]


def test_detections_of_prompted_objects_start_nothing_and_name_them(stream):
    stream.session.add_prompt(Prompt([A]))
    stream.step()
    outcome = stream.see(at(A, label='cup'))
    assert (outcome.matched, outcome.started) == ([1], [])
    stream.see(at(A, label='plate'))
    assert [o.label for o in stream.session.objects] == ['cup']


def test_near_doubles_of_live_objects_are_never_new(stream):
    stream.session.add_prompt(Prompt([A]))
    stream.step()
    # 30 px beside it: IoU of the discs 0.36, too little to match.
    outcome = stream.see(at((A[0] + 30, A[1])))
    assert (outcome.matched, outcome.started) == ([], [])


def test_one_of_two_new_doubles_starts(stream):
    assert stream.see(at(A), at((A[0] + 3, A[1]), confidence=0.8)).started == [1]


def test_crowded_detections_of_different_objects_all_count(stream):
    near = (A[0] + 15, A[1])  # IoU of the discs 0.62
    for place in (A, near):
        stream.session.add_prompt(Prompt([place]))
    stream.step()
    assert sorted(stream.see(at(A), at(near)).matched) == [1, 2]


def test_the_best_sum_of_overlaps_decides(stream):
    stream.session.add_prompt(Prompt([A]))
    stream.session.add_prompt(Prompt([(A[0] + 20, A[1])]))
    stream.step()
    # The first detection lies between both, nearer to the second, which the other fits better.
    outcome = stream.see(at((A[0] + 11, A[1])), at((A[0] + 21, A[1])))
    assert sorted(outcome.matched) == [1, 2]


def test_caps():
    places = [(40 + 80 * i, 120) for i in range(3)]
    boxes = [at(place, confidence=0.9 - 0.01 * i) for i, place in enumerate(places)]
    assert Stream(DetectionOptions(max_boxes=2)).see(*boxes).started == [1, 2]
    assert Stream(DetectionOptions(max_new=1)).see(*boxes).started == [1]
    assert Stream(DetectionOptions(max_new=0)).see(*boxes).started == []
    limited = Stream(DetectionOptions(max_per_class=1))
    assert limited.see(*boxes, replace(boxes[2], label='plate')).started == [1, 2]
    assert [o.label for o in limited.session.objects] == ['cup', 'plate']
    full = Stream(max_objects=1)
    outcome = full.see(*boxes)
    assert outcome.started == [1]
    assert '1 objects are tracked already' in outcome.refused[0]


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        ((float('nan'), 0, 10, 10), 'not finite'),
        ((10, 10, 10, 20), 'is empty'),
        ((400, 10, 420, 20), 'outside the image of 320x240'),
    ],
)
def test_bad_boxes_are_named_and_the_others_count(stream, box, message):
    outcome = stream.see(Detection(box, 0.9), at(B))
    assert message in outcome.refused[0]
    assert outcome.started == [1]


def test_messages_are_for_their_own_frame(stream):
    for _ in range(8):
        stream.step()
    assert stream.see(at(A), index=3).started == [1]
    prompted = [e.frame_index for e in stream.session.tracked[1].memory.prompted]
    assert prompted == [3]
    with pytest.raises(PromptError, match='older than the frames kept'):
        stream.association.apply([at(A)], -(10**9), stream.options)


def test_messages_wait_for_their_frame_and_for_objects_on_the_way():
    stream = Stream(clock=iter(range(10**6)).__next__)  # no time for more than a frame
    for _ in range(9):
        stream.step()
    assert stream.association.is_early(20 * PERIOD_NS)
    assert not stream.association.is_early(9 * PERIOD_NS)
    stream.association.apply([at(A)], 2 * PERIOD_NS, stream.options)
    assert not stream.association.is_early(2 * PERIOD_NS)
    assert stream.association.is_early(5 * PERIOD_NS)
    while stream.association.is_early(5 * PERIOD_NS):
        stream.step()
    assert stream.see(at(A), index=5).confirmed == [1]


def test_objects_prompted_after_the_frame_are_not_proposed_again(stream):
    for _ in range(5):
        stream.step()
    stream.session.add_prompt(Prompt([A]))
    outcome = stream.see(at(A), index=2)
    assert outcome.started == []
    assert list(stream.states) == [1]


def weaken(stream, iou):
    """Let the newest frame's masks have a predicted IoU."""
    frame = stream.session.history.newest
    for i, seen in dict(frame.observations).items():
        frame.note(i, replace(seen, predicted_iou=iou))


def test_weak_objects_are_corrected_at_most_once_a_period(stream):
    stream.session.add_prompt(Prompt([A]))
    stream.step()
    shifted = at((A[0] + 8, A[1]))
    corrected = []
    for _ in range(20):
        weaken(stream, 0.3)
        corrected.append(bool(stream.see(shifted).corrected))
    # Every 0.5 s is every 16th frame.
    assert np.flatnonzero(corrected).tolist() == [0, 16]
    memory = stream.session.tracked[1].memory
    assert [e.frame_index for e in memory.prompted] == [0, 1, 17]


def test_good_objects_and_poor_detections_correct_nothing(stream):
    stream.session.add_prompt(Prompt([A]))
    stream.step()
    assert stream.see(at(A)).corrected == []
    weaken(stream, 0.3)
    assert stream.see(at(A, confidence=0.6)).corrected == []


def test_hidden_objects_come_back_with_a_detection_near_by():
    stream = Stream()
    stream.session.add_prompt(Prompt([A]), label='cup')
    stream.session.add_prompt(Prompt([B]), label='plate')
    stream.step()
    stream.engine.present = [-5.0, 5.0]
    stream.step()
    assert stream.states[1] is ObjectState.OCCLUDED
    near = (A[0] + 20, A[1])
    assert stream.see(at((A[0], 200))).started == [3]  # too far
    stream.session.remove(3)
    assert stream.see(at(near, label='plate')).corrected == []  # of another class
    stream.session.remove(4)
    outcome = stream.see(at(near))
    assert (outcome.corrected, outcome.started) == ([1], [])
    stream.engine.present = None
    stream.step()
    assert stream.states[1] is ObjectState.TRACKED


def test_lost_objects_do_not_take_detections(stream):
    stream.session.add_prompt(Prompt([A]), label='cup')
    stream.engine.present = [-5.0]
    for _ in range(70):
        stream.step()
    assert stream.states == {1: ObjectState.LOST}
    assert stream.see(at(A)).started == [2]


def test_proposed_objects_that_turn_out_to_be_older_ones_are_dropped(stream):
    stream.session.add_prompt(Prompt([A]))
    stream.session.add_prompt(Prompt([B]))
    stream.step()
    stream.session.remove(2)
    assert stream.see(at(B)).started == [3]
    frame = stream.session.history.newest
    frame.note(3, frame.observations[1])  # both have the same mask now
    assert stream.see().dropped == [3]


def test_removed_objects_are_forgotten(stream):
    stream.see(at(A))
    stream.session.reset()
    assert stream.see(at(A)).started == [2]
    assert stream.see(at(A)).confirmed == [2]


@pytest.fixture(scope='module')
def trained():
    return load_torch_engine('tam_nano', find_weights('tam_nano', ''))


needs_clips = pytest.mark.skipif(not EVAL.is_dir(), reason=f'no evaluation clips at {EVAL}')


@needs_clips
@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('name', ['dogs_jump', 'schoolgirls'])
def test_crowds_have_one_track_per_object(name, seed):
    """With true masks, whatever goes wrong is the association's fault."""
    clip = read_clip(EVAL / name)
    faults = Faults(false_alarms=0.5, seed=seed)
    messages = simulate_detector(clip, faults)
    assert all(m.arrived_ns - m.stamp_ns >= 100e6 for m in messages)
    session = Session(TruthEngine(clip))
    follow = follow_detections(clip, session, DetectionOptions(), messages)
    assert follow.tracks_per_object == 1
    assert len(follow.true_ids) == len(follow.owners) > 2
    assert follow.switches == 0
    assert follow.false_confirmed == set()
    assert all(
        follow.lives[i][-1] is ObjectState.TENTATIVE for i in follow.false_alive
    )  # the newest ones
    assert len(follow.lives) > len(follow.true_ids)  # there were false ones
    assert follow.covered > 0.95


@needs_clips
@pytest.mark.parametrize('name', ['bear', 'tennis'])
def test_the_trained_network_follows_what_is_detected(trained, name):
    clip = read_clip(EVAL / name, max_frames=60)
    messages = simulate_detector(clip, Faults())
    follow = follow_detections(clip, Session(trained), DetectionOptions(), messages)
    assert follow.tracks_per_object == 1
    assert follow.switches == 0
    assert follow.false_confirmed == set()
    assert follow.covered > 0.9
