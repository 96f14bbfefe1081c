"""Prompts on earlier frames: where they apply, how their objects catch up, what is refused."""

import itertools

import numpy as np
import pytest
from fake_engine import FakeEngine

from tam_ros.engine.torch_engine import load_torch_engine
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.results import ObjectState
from tam_ros.tracker.session import Session
from tam_ros.weights import find_weights

IMAGE = np.zeros((240, 320, 3), np.uint8)
MS = 1_000_000
PERIOD_MS = 33
FRAME_BYTES = 256 * 256 * 3  # what the engine without a network keeps of a frame


class Clock:
    """A clock that every stage of the engine moves on, by what it is said to take."""

    def __init__(self, engine: FakeEngine, **stage_s: float):
        self._engine = engine
        self._stage_s = stage_s

    def __call__(self) -> float:
        return sum(self._stage_s.get(call.stage, 0.0) for call in self._engine.calls)


class Stream:
    """A session and its frames, one every 33 ms."""

    def __init__(self, options: SessionOptions | None = None, **stage_s: float):
        self.engine = FakeEngine()
        self.session = Session(self.engine, options, clock=Clock(self.engine, **stage_s))
        self.index = -1

    def step(self, frames: int = 1):
        """Process frames and return the newest result."""
        for _ in range(frames):
            self.index += 1
            result = self.session.step(IMAGE, stamp(self.index))
        return result

    def steps_until(self, object_id: int) -> int:
        """Return after how many steps an object is among the results."""
        for count in range(1, 100):
            if object_id in [o.object_id for o in self.step().objects]:
                return count
        raise AssertionError('it never came')

    def batches(self) -> list[int]:
        """Return how many objects each run of memory attention had since the last call."""
        sizes = [len(c.plan.rows) for c in self.engine.calls if c.stage == 'attend_memory']
        self.engine.calls.clear()
        return sizes


def stamp(index: int) -> int:
    return index * PERIOD_MS * MS


def click(x, y, index: int | None = None) -> Prompt:
    return Prompt([(x, y)], stamp_ns=None if index is None else stamp(index))


@pytest.fixture
def stream() -> Stream:
    stream = Stream()
    stream.step(10)
    return stream


def test_answer_is_that_of_its_own_frame(stream):
    result = stream.session.add_prompt(click(100, 60, index=4), label='cup')
    assert (result.object_id, result.label, result.stamp_ns) == (1, 'cup', stamp(4))
    assert result.state is ObjectState.TRACKED
    assert result.mask.contains(100, 60)


def test_an_object_is_published_once_it_has_caught_up(stream):
    stream.session.add_prompt(click(100, 60, index=4))
    assert stream.session.objects == ()
    assert [o.object_id for o in stream.step().objects] == [1]
    assert stream.session.object_at(100, 60) == 1


def test_every_frame_since_is_gone_through(stream):
    stream.session.add_prompt(click(100, 60, index=4))
    stream.batches()
    stream.step()
    assert stream.batches() == [1] * 6  # frames 5 to 9, and the new one
    memory = stream.session.tracked[1].memory
    assert [e.frame_index for e in memory.prompted] == [4]
    assert [e.frame_index for e in memory.tracked.kept.memories] == [5, 6, 7, 8, 9, 10]


def test_frames_are_found_by_the_nearest_stamp(stream):
    half = PERIOD_MS * MS // 2
    for offset, index in ((MS - half, 4), (0, 4), (half, 4), (half + MS, 5)):
        prompt = Prompt([(100, 60)], stamp_ns=stamp(4) + offset)
        assert stream.session.add_prompt(prompt).stamp_ns == stamp(index)
        stream.session.reset()


@pytest.mark.parametrize(
    ('at_ms', 'message'),
    [
        (-100, 'stamp -0.100 is 100 ms older than the frames kept: the history has frames from'),
        (1000, 'stamp 1.000 is 703 ms newer than the newest frame: the history has frames from'),
    ],
)
def test_stamps_without_a_frame_are_refused_with_the_span(stream, at_ms, message):
    with pytest.raises(PromptError, match=message) as refusal:
        stream.session.add_prompt(Prompt([(100, 60)], stamp_ns=at_ms * MS))
    assert '0.000 to 0.297 (297 ms)' in str(refusal.value)
    assert stream.session.objects == ()


def test_a_stamp_in_a_gap_is_refused():
    session = Session(FakeEngine())
    for at_ms in (0, 33, 66, 400, 433):
        session.step(IMAGE, at_ms * MS)
    with pytest.raises(PromptError, match='134 ms from the nearest frame, 0.066'):
        session.add_prompt(Prompt([(100, 60)], stamp_ns=200 * MS))


def test_the_nearest_frame_stands_in_for_one_that_was_dropped():
    session = Session(FakeEngine())
    for index in (0, 1, 2, 4, 5, 8, 9, 10):
        session.step(IMAGE, stamp(index))
    near = PERIOD_MS * MS // 4
    assert session.history.at(stamp(3) + near).stamp_ns == stamp(4)
    assert session.history.at(stamp(6)).stamp_ns == stamp(5)
    assert session.history.at(stamp(7)).stamp_ns == stamp(8)


def test_one_frame_takes_its_own_stamp_only():
    stream = Stream()
    stream.step()
    with pytest.raises(PromptError, match='5 ms newer than the newest frame'):
        stream.session.add_prompt(Prompt([(100, 60)], stamp_ns=5 * MS))
    assert stream.session.add_prompt(Prompt([(100, 60)], stamp_ns=0)).object_id == 1


@pytest.mark.parametrize(
    ('options', 'oldest'),
    [
        (SessionOptions(history_s=0.2), 34),  # 6 * 33 ms are within 200 ms
        (SessionOptions(history_frames=4), 37),
        (SessionOptions(history_mb=5.5 * FRAME_BYTES / 2**20), 36),
        (SessionOptions(history_s=0.0), 40),
        (SessionOptions(history_mb=0.0), 40),
        (SessionOptions(), 10),  # 30 * 33 ms are within the second
    ],
)
def test_history_is_bounded(options, oldest):
    stream = Stream(options)
    stream.step(41)
    assert stream.session.history.at(stamp(oldest)).index == oldest
    with pytest.raises(PromptError, match='older than the frames kept'):
        stream.session.history.at(stamp(oldest - 1))


def test_what_objects_were_counts_as_well():
    stream = Stream(SessionOptions(history_mb=5.5 * FRAME_BYTES / 2**20))
    stream.step()
    for x in range(20, 300, 20):
        stream.session.add_prompt(click(x, 60))
    stream.step(20)
    assert stream.session.history.nbytes <= 5.5 * FRAME_BYTES
    assert len(stream.session.history) == 2


def test_objects_already_tracked_are_in_every_result(stream):
    stream.session.add_prompt(click(40, 40))
    stream.step()
    stream.session.add_prompt(click(200, 100, index=2))
    assert 1 in [o.object_id for o in stream.step().objects]


def test_a_step_takes_no_more_than_twice_its_time():
    stream = Stream(encode_image=0.030, attend_memory=0.010, decode_mask=0.005)
    stream.step(20)
    stream.session.add_prompt(click(40, 40))
    stream.step()
    stream.session.add_prompt(click(200, 100, index=5))
    stream.batches()
    # A frame takes 45 ms with the one object; three times 15 ms are as much.
    stream.step()
    assert stream.batches() == [1, 1, 1, 1]


@pytest.mark.parametrize(('attend_s', 'most'), [(0.001, 1), (0.009, 7), (0.200, 15)])
def test_late_objects_arrive_however_slow_the_network(attend_s, most):
    stream = Stream(encode_image=0.030, attend_memory=attend_s)
    stream.step(20)
    stream.session.add_prompt(click(200, 100, index=5))
    assert stream.steps_until(1) <= most


def test_frames_are_left_out_only_where_time_is_short():
    stream = Stream(encode_image=0.030, attend_memory=0.200)
    stream.step(10)
    stream.session.add_prompt(click(200, 100, index=5))
    stream.steps_until(1)
    remembered = [e.frame_index for e in stream.session.tracked[1].memory.tracked.kept.memories]
    assert remembered[:3] == [6, 8, 10]


def test_late_objects_on_the_same_frame_are_one_batch():
    stream = Stream(encode_image=0.030, attend_memory=0.015)
    stream.step(20)
    stream.session.add_prompt(click(40, 40, index=8))
    stream.session.add_prompt(click(200, 100, index=10))
    stream.batches()
    stream.step()  # the first goes to frames 9 and 10
    assert stream.batches() == [1, 1]
    stream.step()
    assert stream.batches() == [2, 2]


def test_late_objects_go_on_though_their_frames_are_forgotten():
    stream = Stream(SessionOptions(history_frames=5), encode_image=0.030, attend_memory=0.2)
    stream.step(10)
    stream.session.add_prompt(click(200, 100, index=5))
    assert stream.steps_until(1) < 10


def test_prompts_on_the_way_refine_and_start_anew_from_their_frame():
    stream = Stream(encode_image=0.030, attend_memory=0.2)
    stream.step(10)
    stream.session.add_prompt(click(100, 60, index=3))
    stream.session.add_prompt(Prompt([(120, 60)], [0], stamp_ns=stamp(3)), object_id=1)
    call = stream.engine.calls[-2]  # the last one remembers it
    np.testing.assert_array_equal(call.prompts.labels, [[1, 0]])
    assert call.attended is None
    assert call.prompts.former_logits is not None
    stream.step()
    stream.session.add_prompt(click(110, 60, index=7), object_id=1)
    assert stream.engine.calls[-2].attended is not None
    memory = stream.session.tracked[1].memory
    assert [e.frame_index for e in memory.prompted] == [3, 7]
    stream.session.add_prompt(click(110, 60), object_id=1)  # in the newest: nothing to catch up
    assert [o.object_id for o in stream.session.objects] == [1]
    stream.step(2)


def test_objects_on_the_way_can_be_removed_and_take_room():
    stream = Stream(encode_image=0.030, attend_memory=0.2)
    stream.session = Session(stream.engine, max_objects=1)
    stream.step(10)
    stream.session.add_prompt(click(100, 60, index=3))
    with pytest.raises(PromptError, match='1 objects are tracked already'):
        stream.session.add_prompt(click(10, 60))
    stream.session.remove(1)
    stream.session.add_prompt(click(100, 60, index=3))
    stream.session.reset()
    assert stream.step().objects == ()
    assert stream.session.add_prompt(click(10, 60)).object_id == 3


def test_a_loop_of_the_clip_forgets_its_frames(stream):
    stream.session.add_prompt(click(100, 60, index=3))
    results = [stream.session.step(IMAGE, stamp(i)) for i in range(3)]
    assert [bool(r.reset_reason) for r in results] == [False, False, True]
    with pytest.raises(PromptError, match='newer than the newest frame'):
        stream.session.add_prompt(click(100, 60, index=3))


def test_late_corrections_take_the_place_of_what_was_remembered_since(stream):
    stream.session.add_prompt(click(100, 60))
    stream.step(8)
    result = stream.session.add_prompt(click(180, 60, index=13), object_id=1)
    assert result.stamp_ns == stamp(13)
    assert result.mask.contains(180, 60)
    memory = stream.session.tracked[1].memory
    assert [e.frame_index for e in memory.prompted] == [9, 13]
    assert [e.frame_index for e in memory.tracked.kept.memories] == [12, 17]
    # It was never gone, and is corrected in the newest frame too.
    assert stream.session.object_at(180, 60) == 1
    assert stream.session.object_at(93, 60) == 0
    assert stream.step().find(1).mask.contains(180, 60)


def test_clicks_on_one_earlier_frame_add_up(stream):
    stream.session.add_prompt(click(100, 60))
    stream.step(8)
    for x in (130, 140):
        stream.session.add_prompt(click(x, 60, index=13), object_id=1)
    call = [c for c in stream.engine.calls if c.stage == 'decode_mask'][-2]
    np.testing.assert_array_equal(call.prompts.points_xy[0, :, 0], np.array([130, 140]) * 0.8)


def test_a_prompt_on_the_newest_frame_outlives_a_late_correction(stream):
    stream.session.add_prompt(click(100, 60))
    stream.step(4)
    stream.session.add_prompt(click(160, 60), object_id=1)
    stream.session.add_prompt(click(130, 60, index=11), object_id=1)
    assert stream.session.object_at(160, 60) == 1
    stream.step()
    memory = stream.session.tracked[1].memory
    assert [e.frame_index for e in memory.prompted] == [9, 11, 13]


def test_a_late_prompt_gives_the_same_mask_as_one_in_time(frames):
    """Through the trained network, from 300 ms ago."""
    images = [frames[min(i, 9)] for i in range(13)]
    box = Prompt(box_xyxy=(60, 80, 120, 140), stamp_ns=0)
    engine = load_torch_engine('tam_nano', find_weights('tam_nano', ''), image_size=256)
    in_time, late = Session(engine), Session(engine)
    for i, image in enumerate(images):
        in_time.step(image, stamp(i))
        late.step(image, stamp(i))
        if i == 0:
            in_time.add_prompt(box)
        if i == 9:
            late.add_prompt(box)
    for _ in itertools.takewhile(lambda _: not late.objects, range(10)):
        i += 1
        in_time.step(images[-1], stamp(i))
        late.step(images[-1], stamp(i))
    a, b = (session.latest().label_image() > 0 for session in (in_time, late))
    assert a.sum() > 2000
    assert (a & b).sum() >= 0.98 * (a | b).sum()
