"""What is made of a decoded batch."""

import numpy as np
import pytest
from decoded import decoded, logits_of

from tam_ros.tracker.choices import Choice


def test_the_decoders_own_masks_stay_where_they_are():
    frame = decoded(0, rows=3)
    own = [Choice(frame, row, None) for row in range(3)]
    assert frame.mask_logits(own) is frame.batch.mask_logits
    assert frame.mask_logits(own[1:]).shape == (2, 20, 20)
    np.testing.assert_array_equal(frame.pointers([own[2], own[0]]), [2, 0])


def test_a_candidate_is_seen_as_such():
    frame = decoded(7, rows=2, has_distractor=True)
    own, other = Choice(frame, 0, None), Choice(frame, 1, 1)
    seen = other.observation
    assert (seen.frame_index, seen.stamp_ns, seen.presence_logit) == (7, 280_000_000, 5.0)
    assert seen.predicted_iou == pytest.approx(0.81)
    assert own.observation.predicted_iou == 0.9
    expected = np.stack([logits_of(0.1), logits_of(0.1, beside=True)])
    np.testing.assert_array_equal(frame.mask_logits([own, other]), expected)
    assert (own.is_own, other.is_own) == (True, False)


@pytest.mark.parametrize('values', [{'has_distractor': True}, {}])
def test_candidates_show_a_distractor(values):
    assert Choice(decoded(0, **values), 0, None).has_distractor() is bool(values)
