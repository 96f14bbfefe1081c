"""Whether a mask is believed: hysteresis in seconds, and masks that jump without support."""

import numpy as np
import pytest

from tam_ros.tracker.observation import Observation
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.visibility import Sighting, Verdict, Visibility, mask_quality

OPTIONS = SessionOptions(confirm_s=0.2, exit_ratio=0.3, entry_ratio=0.7, max_growth=6)
GOOD, FAIR, DOUBTFUL = 0.8, 0.4, 0.1


def sighting(ms, quality=GOOD, *, area=0.04, x=0.5) -> Sighting:
    return Sighting(ms * 1_000_000, quality, area, (x, 0.5))


def watched(until_ms=1000, every_ms=40) -> Visibility:
    """Return an object that was seen well for a second."""
    visibility = Visibility()
    visibility.start(sighting(0))
    for ms in range(every_ms, until_ms + 1, every_ms):
        assert visibility.judge(sighting(ms), OPTIONS) is Verdict.VISIBLE
    return visibility


def verdicts(visibility, sightings) -> list[str]:
    return [visibility.judge(s, OPTIONS).name for s in sightings]


def test_no_mask_is_absent_at_once_and_a_good_one_is_visible_at_once():
    visibility = watched()
    seen = verdicts(visibility, [None, sighting(1080), None, None, sighting(9000)])
    assert seen == ['ABSENT', 'VISIBLE', 'ABSENT', 'ABSENT', 'VISIBLE']


def test_fair_masks_after_an_absence_must_last():
    visibility = watched()
    visibility.judge(None, OPTIONS)
    times = (1080, 1120, 1160, 1200, 1240, 1280, 1320)
    seen = verdicts(visibility, [sighting(ms, FAIR) for ms in times])
    assert seen == ['WITHHELD'] * 5 + ['VISIBLE'] * 2


def test_a_doubtful_mask_interrupts_fair_ones():
    visibility = watched()
    visibility.judge(None, OPTIONS)
    qualities = {1080: FAIR, 1160: FAIR, 1240: DOUBTFUL, 1320: FAIR, 1440: FAIR, 1520: FAIR}
    seen = verdicts(visibility, [sighting(*item) for item in qualities.items()])
    assert seen == ['WITHHELD'] * 5 + ['VISIBLE']


def test_doubt_must_last_to_hide():
    visibility = watched()
    flicker = [sighting(1040, DOUBTFUL), sighting(1080, DOUBTFUL), sighting(1120)]
    assert verdicts(visibility, flicker) == ['VISIBLE'] * 3
    lasting = [sighting(ms, DOUBTFUL) for ms in range(1160, 1481, 40)]
    assert verdicts(visibility, lasting) == ['VISIBLE'] * 5 + ['WITHHELD'] * 4
    assert verdicts(visibility, [sighting(1520)]) == ['VISIBLE']


@pytest.mark.parametrize('every_ms', [10, 40, 70, 200])
def test_dropped_frames_change_no_moment(every_ms):
    visibility = watched()
    times = range(1000 + every_ms, 2001, every_ms)
    hidden = [ms for ms in times if verdicts(visibility, [sighting(ms, DOUBTFUL)])[0] != 'VISIBLE']
    assert 0 <= hidden[0] - (times[0] + 200) < every_ms
    times = range(2000 + every_ms, 3001, every_ms)
    seen = [ms for ms in times if verdicts(visibility, [sighting(ms, FAIR)])[0] == 'VISIBLE']
    assert 0 <= seen[0] - (times[0] + 200) < every_ms


@pytest.mark.parametrize('jump', [{'area': 0.3}, {'area': 0.005}, {'x': 0.9}])
def test_a_jump_without_support_is_withheld(jump):
    visibility = watched()
    assert verdicts(visibility, [sighting(1040, FAIR, **jump)]) == ['WITHHELD']
    assert verdicts(visibility, [sighting(1080, FAIR)]) == ['WITHHELD']  # now this must last
    assert verdicts(visibility, [sighting(1120, GOOD)]) == ['VISIBLE']


@pytest.mark.parametrize('jump', [{'area': 0.3}, {'area': 0.005}, {'x': 0.9}])
def test_a_good_mask_may_jump(jump):
    assert verdicts(watched(), [sighting(1040, GOOD, **jump)]) == ['VISIBLE']


def test_a_flood_stays_withheld_while_a_near_mask_comes_back():
    visibility = watched()
    flood = [sighting(ms, FAIR, area=0.9) for ms in range(1040, 1800, 40)]
    assert set(verdicts(visibility, flood)) == {'WITHHELD'}
    near = [sighting(ms, FAIR) for ms in range(1800, 2100, 40)]
    assert verdicts(visibility, near)[-1] == 'VISIBLE'


def test_fast_motion_at_a_low_frame_rate_is_no_jump():
    visibility = watched()
    assert verdicts(visibility, [sighting(1500, FAIR, x=0.8)]) == ['VISIBLE']  # 1.5 sizes in 0.5 s


def test_a_prompt_is_believed_and_sets_what_is_usual():
    visibility = watched()
    visibility.judge(None, OPTIONS)
    visibility.start(sighting(2000, FAIR, area=0.5, x=0.1))
    assert verdicts(visibility, [sighting(2040, FAIR, area=0.5, x=0.1)]) == ['VISIBLE']


def test_a_given_mask_does_not_say_how_well_the_object_is_seen():
    visibility = Visibility()
    visibility.start(sighting(0, 1.0))
    assert set(verdicts(visibility, [sighting(ms, 0.2) for ms in range(40, 2000, 40)])) == {
        'VISIBLE'
    }


def test_ratios_of_zero_withhold_nothing():
    visibility, everything = watched(), SessionOptions(exit_ratio=0, entry_ratio=0)
    visibility.judge(None, everything)
    assert visibility.judge(sighting(1080, 0.001, area=0.9), everything) is Verdict.VISIBLE


def test_a_mask_is_seen_by_area_center_and_quality():
    logits = np.full((10, 20), -1.0, np.float32)
    logits[2:4, 4:8] = 1
    seen = Observation(0, 7, logits, 2.0, 0.5).sighting
    assert (seen.stamp_ns, seen.area) == (7, 8 / 200)
    assert seen.center_xy == (0.3, 0.3)
    assert seen.quality == pytest.approx((2 / (1 + np.exp(-2)) - 1) * 0.5)


def test_no_presence_or_no_pixel_is_not_seen():
    assert Observation(0, 0, np.ones((4, 4), np.float32), 0.0, 0.9).sighting is None
    assert Observation(0, 0, np.full((4, 4), -1, np.float32), 5.0, 0.9).sighting is None
    assert mask_quality(-1.0, 0.9) == 0
