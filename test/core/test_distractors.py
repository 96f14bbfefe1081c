"""Whether a candidate mask shows something large beside the object."""

import numpy as np
import pytest

from tam_ros.tracker.distractors import has_distractor


def mask_of(*boxes) -> np.ndarray:
    mask = np.zeros((64, 64), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


OBJECT = (10, 10, 20, 20)


@pytest.mark.parametrize(
    ('boxes', 'expected'),
    [
        ([], False),
        ([OBJECT], False),
        ([OBJECT, (20, 10, 22, 20)], False),  # a little more of the object: 100 of 120
        ([OBJECT, (40, 10, 50, 20)], True),
        ([(40, 10, 50, 20)], True),  # the look-alike alone
        ([(9, 9, 21, 21)], False),  # a rim around it: 100 of 144 would be little, but for the box
        ([(10, 10, 20, 24)], False),  # 100 of 140
    ],
)
def test_distractor_by_boxes(boxes, expected):
    limit = 0.69
    assert has_distractor(mask_of(OBJECT), np.array([mask_of(*boxes)]), limit) is expected


def test_only_the_largest_part_counts():
    candidate = mask_of(OBJECT, (20, 10, 23, 20), (60, 60, 61, 61))
    assert has_distractor(mask_of(OBJECT), candidate[None]) is False


def test_any_candidate_will_do():
    candidates = np.array([mask_of(OBJECT), mask_of((50, 50, 60, 60))])
    assert has_distractor(mask_of(OBJECT), candidates) is True
