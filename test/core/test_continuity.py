"""Which frames go on with a stream, which are left out, and when it begins anew."""

import random

import pytest

from tam_ros.tracker.continuity import Arrival, Continuity, Step

MS, SECOND = 1_000_000, 1_000_000_000
PERIOD = 33 * MS
NOW = 1_700_000_000 * SECOND
SIZE, OTHER_SIZE = (320, 240), (320, 264)
LETTERS = {Step.GO_ON: '.', Step.LEAVE_OUT: 'x', Step.REWIND: '<', Step.RESET: 'R'}


class Stream:
    """A stream of frames 33 ms apart that began a second ago, and what was made of each."""

    def __init__(self, start_ns=NOW, frames=30):
        self.continuity = Continuity()
        self.start_ns = start_ns
        self.arrival_ns = 0
        self.remarks = []
        self.send(*range(frames))
        self.remarks.clear()

    def send(self, *frames, size_wh=SIZE, frame_id='', shift_ns=0) -> str:
        """Send frames by their numbers; return a letter for each."""
        return ''.join(
            self.judge(self.start_ns + round(t * PERIOD) + shift_ns, size_wh, frame_id)
            for t in frames
        )

    def judge(self, stamp_ns, size_wh=SIZE, frame_id='', after_ns=PERIOD) -> str:
        self.arrival_ns += after_ns
        self.verdict = self.continuity.judge(Arrival(stamp_ns, size_wh, frame_id, self.arrival_ns))
        if self.verdict.remark:
            self.remarks.append(self.verdict.remark)
        return LETTERS[self.verdict.step]


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.mark.parametrize(
    ('odd', 'kind', 'text'),
    [
        (lambda s: s.send(28.75), 'late frames', 'time jumped back by 0.008 s'),
        (lambda s: s.judge(0), 'zero stamps', 'time jumped back by 1700000000.957 s'),
        (lambda s: s.judge(7 * SECOND), 'late frames', 'time jumped back by'),
        (lambda s: s.send(30, size_wh=OTHER_SIZE), 'odd image sizes', 'from 320x240 to 320x264'),
        (lambda s: s.send(30, frame_id='other'), 'odd frame_ids', "from '' to 'other'"),
        (lambda s: s.send(30, shift_ns=3600 * SECOND), 'frames from the future', 'ahead by 3600.'),
    ],
)
@pytest.mark.parametrize('frames', [1, 2])
def test_an_odd_frame_is_left_out_and_the_stream_goes_on(stream, odd, kind, text, frames):
    for _ in range(frames):
        assert odd(stream) == 'x'
        assert stream.verdict.why.kind == kind
        assert text in stream.verdict.why.text
    assert stream.send(*range(31, 60)) == '.' * 29


def test_frames_that_come_in_disorder_are_left_out(stream):
    assert stream.send(30, 32, 31, 33, 35, 34, 36) == '..x..x.'


def test_a_looped_bag_resets_at_its_first_frame(stream):
    for _ in range(3):
        assert stream.send(*range(100, 150)) == '.' * 50
        assert stream.send(0, 1, 2) == 'R..'
        assert stream.verdict.why is None


def test_a_bag_shorter_than_a_large_jump_resets_once_frames_agree():
    stream = Stream(frames=25)
    for _ in range(3):
        assert stream.send(*range(25)) == 'xxR' + '.' * 22


def test_a_jump_to_yesterdays_recording_resets_once_frames_agree(stream):
    assert stream.send(*range(5), shift_ns=-30 * 86400 * SECOND) == 'xxR..'


def test_frames_of_another_size_reset_once_they_agree(stream):
    assert stream.send(*range(30, 36), size_wh=OTHER_SIZE) == 'xxR...'
    stream = Stream()
    assert stream.send(30, size_wh=OTHER_SIZE) + stream.send(31, size_wh=(64, 64)) == 'xx'
    assert stream.send(32, 33, 34, size_wh=OTHER_SIZE) == 'xxR'


def test_frames_after_a_long_silence_simply_go_on(stream):
    assert stream.judge(NOW + 3600 * SECOND, after_ns=3600 * SECOND) == '.'


def test_time_that_is_ahead_for_good_goes_on_without_a_reset(stream):
    assert stream.send(*range(30, 36), shift_ns=3600 * SECOND) == 'xx....'


def test_frames_that_are_far_apart_in_a_file_are_read_once_that_is_known():
    stream = Stream(frames=1)
    minutes = [stream.judge(NOW + i * 60 * SECOND, after_ns=MS) for i in range(1, 10)]
    assert ''.join(minutes) == 'xx.......'


@pytest.mark.parametrize('ahead_s', [0.2, 0.9, 5])
def test_a_frame_that_was_ahead_costs_no_object(stream, ahead_s):
    assert stream.send(30, shift_ns=round(ahead_s * SECOND)) == '.'
    assert stream.send(*range(31, 60)) == 'xx<' + '.' * 26


@pytest.mark.parametrize('seed', [None, 0, 1])
@pytest.mark.parametrize(
    'other',
    [
        {'size_wh': OTHER_SIZE},
        {'frame_id': 'left'},
        {'shift_ns': -8 * MS - PERIOD},
        {'shift_ns': -5 * SECOND},
        {'shift_ns': -3600 * SECOND},
        {'size_wh': OTHER_SIZE, 'shift_ns': -5 * SECOND},
    ],
    ids=str,
)
def test_two_cameras_are_said_once_and_reset_not_for_ever(stream, other, seed):
    """seed: of which camera's frame comes next; None for each in turn."""
    letters, rng = '', seed is not None and random.Random(seed)
    for t in range(30, 1030):
        is_other = rng.random() < 0.5 if rng else t % 2
        letters += stream.send(t, **(other if is_other else {}))
    assert letters.count('R') + letters.count('<') <= 3
    assert 'R' not in letters[100:]
    assert letters.count('.') > 400
    assert [r.kind for r in stream.remarks] == ['two cameras']
    assert 'do two cameras publish on one topic?' in stream.remarks[0].text


def test_blocks_of_frames_of_two_clocks_reset_not_for_ever(stream):
    letters = ''
    for t in range(30, 1030):
        letters += stream.send(t, shift_ns=-5 * SECOND * (t // 3 % 2))
    assert letters.count('R') <= 3
    assert 'R' not in letters[100:]


def test_occasional_late_frames_are_not_said_to_be_two_cameras(stream):
    for t in range(30, 600):
        stream.send(t)
        if t % 10 == 0:
            assert stream.send(t - 0.5) == 'x'
    assert stream.remarks == []


def test_nothing_is_left_out_for_ever():
    rng = random.Random(2)
    stream = Stream()
    letters = ''.join(
        stream.judge(NOW - rng.randrange(10**6) * SECOND, (rng.randrange(9), 9))
        for _ in range(1000)
    )
    assert max(map(len, letters.replace('R', '.').split('.'))) < 20


@pytest.mark.parametrize('stamp_ns', [0, NOW])
def test_time_goes_by_the_clock_of_arrival_while_stamps_stand_still(stamp_ns):
    stream = Stream(stamp_ns, frames=1)
    for _ in range(60):
        assert stream.judge(stamp_ns) == '.'
    assert [r.kind for r in stream.remarks] == ['standing stamps']
    assert f'the stamp {stamp_ns / SECOND:.3f}: time goes by' in stream.remarks[0].text
    assert stream.verdict.time_ns - stamp_ns > 50 * PERIOD
    assert stream.verdict.is_standing
    assert stream.judge(stamp_ns + 4 * SECOND) == '.'
    assert stream.verdict.time_ns == stamp_ns + 4 * SECOND
    assert not stream.verdict.is_standing


def test_stamps_in_whole_seconds_never_go_back():
    stream = Stream(frames=1)
    times = []
    for t in range(300):
        assert stream.judge(NOW + t * PERIOD // SECOND * SECOND) == '.'
        times.append(stream.verdict.time_ns)
    assert times == sorted(times)
    assert abs(times[-1] - NOW - 300 * PERIOD) < 1.5 * SECOND


def test_a_held_frame_keeps_its_stamp_however_long():
    stream = Stream(frames=1)
    for _ in range(60):
        assert stream.judge(NOW, after_ns=2 * SECOND) == '.'
        assert stream.verdict.time_ns == NOW
    assert stream.judge(NOW + 121 * SECOND) == '.'
    assert stream.remarks == []
