"""Region, boundary and identity measures, against values worked out by hand."""

import math

import numpy as np
import pytest

from tam_ros.evaluation.measures import (
    boundary,
    boundary_accuracy,
    count_switches,
    frames_to_reacquire,
    object_under,
    region_similarity,
)

EMPTY = np.zeros((100, 100), bool)  # the tolerance is ceil(0.008 * 141.4) = 2 pixels


def square(x=40, y=40, side=20):
    mask = EMPTY.copy()
    mask[y : y + side, x : x + side] = True
    return mask


@pytest.mark.parametrize(
    ('shift', 'expected'),
    [(0, 1.0), (5, 300 / 500), (10, 200 / 600), (19, 20 / 780), (20, 0.0)],
)
def test_j_of_a_shifted_square_is_overlap_over_union(shift, expected):
    assert region_similarity(square(40 + shift), square(40)) == pytest.approx(expected)


def test_j_of_two_empty_masks_is_one():
    assert region_similarity(EMPTY, EMPTY) == 1.0
    assert region_similarity(square(), EMPTY) == region_similarity(EMPTY, square()) == 0.0


def test_boundary_is_one_pixel_wide_and_ignores_the_image_edge():
    assert boundary(square(side=20)).sum() == 4 * 20  # from one row above to the last row
    half = EMPTY.copy()
    half[:, 50:] = True
    assert np.argwhere(boundary(half).any(0)).tolist() == [[49]]
    assert not boundary(~EMPTY).any()


@pytest.mark.parametrize('shift', [0, 1, 2])
def test_f_is_one_within_the_tolerance(shift):
    assert boundary_accuracy(square(40 + shift), square(40)) == 1.0


def test_f_of_a_square_shifted_beyond_the_tolerance():
    # The outlines have 80 pixels. Shifted right by 3, the right side (21) lies 3 away and matches
    # nothing; of the left side, only the 3 top and 3 bottom pixels come within 2, of the other's
    # top and bottom sides. So 80 - 21 - 15 match, and as many the other way round.
    assert boundary_accuracy(square(43), square(40)) == pytest.approx(44 / 80)


def test_f_of_distant_squares_is_zero():
    assert boundary_accuracy(square(0, 0), square(60, 60)) == 0.0


def test_f_weighs_precision_against_recall():
    two = square(5, 5) | square(60, 60)
    assert boundary_accuracy(two, square(60, 60)) == pytest.approx(2 / 3)  # P 1/2, R 1
    assert boundary_accuracy(square(60, 60), two) == pytest.approx(2 / 3)


def test_f_without_boundaries():
    assert boundary_accuracy(EMPTY, EMPTY) == 1.0
    assert boundary_accuracy(square(), EMPTY) == boundary_accuracy(EMPTY, square()) == 0.0


def test_f_tolerance_grows_with_the_image():
    def f(shift):
        far, near = np.zeros((480, 854), bool), np.zeros((480, 854), bool)
        far[:, 300 + shift :] = near[:, 300:] = True
        return boundary_accuracy(far, near)

    assert math.ceil(0.008 * math.hypot(480, 854)) == 8
    assert f(8) == 1.0
    assert f(9) == 0.0


@pytest.mark.parametrize('measure', [region_similarity, boundary_accuracy])
def test_sizes_that_disagree_are_named(measure):
    with pytest.raises(ValueError, match=r'mask \(100, 100\) and truth \(90, 100\)'):
        measure(EMPTY, EMPTY[:90])


def test_track_lies_on_the_other_object_when_it_fits_that_better():
    truths = {1: square(0, 0), 2: square(50, 50)}
    assert object_under(square(0, 0), truths, own_id=1) == 1
    assert object_under(square(55, 50), truths, own_id=1) == 2  # IoU 0.6 with 2
    assert object_under(square(62, 50), truths, own_id=1) == 1  # IoU 160 / 640 = 0.25 with 2
    assert object_under(EMPTY, truths, own_id=1) == 0


def test_track_stays_on_its_own_object_beside_a_worse_fit():
    truths = {1: square(40), 2: square(50)}
    assert object_under(square(44), truths, own_id=1) == 1  # 320 / 480 against 280 / 520
    assert object_under(square(46), truths, own_id=1) == 2


def test_track_of_an_absent_object_can_be_on_another():
    assert object_under(square(), {2: square()}, own_id=1) == 2
    assert object_under(square(), {}, own_id=1) == 1


@pytest.mark.parametrize(
    ('objects', 'switches'),
    [
        ([1, 1, 1], 0),
        ([1, 2, 2, 2], 1),
        ([1, 2, 1, 2], 2),  # coming back is none
        ([1, 2, 3, 1], 2),
        ([1, 2, 0, 0, 2], 1),  # empty frames tell nothing
        ([2], 1),  # right after the prompt
        ([], 0),
    ],
)
def test_switches_are_moves_onto_another_object(objects, switches):
    assert count_switches(objects, own_id=1) == switches


def test_f_of_a_square_in_the_middle_of_another():
    # The outlines are rings of 21 x 21 (80 pixels) and 17 x 17 (64), 2 apart: all of the inner one
    # match, and of the outer one all but those beyond the inner one's corners, 17 on each side.
    precision, recall = 1.0, 4 * 17 / 80
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_accuracy(square(42, 42, 16), square()) == pytest.approx(expected)
    assert boundary_accuracy(square(43, 43, 14), square()) == 0.0  # 3 apart


@pytest.mark.parametrize(
    ('areas', 'overlaps', 'frames'),
    [
        ([100] * 4, [1, 0, 0, 1], []),  # never hidden: the track was lost, and that is J's matter
        ([100, 0, 0, 100, 100], [1, 1, 1, 1, 1], [0]),
        ([100, 0, 100, 100, 100], [1, 1, 0.1, 0.49, 0.5], [2]),
        ([100, 9, 100, 100], [1, 1, 0, 1], [1]),  # under a tenth of the median, 100
        ([100, 11, 100, 100], [1, 1, 0, 1], []),
        ([100, 0, 100, 0, 100], [1, 1, 0, 1, 1], [None, 0]),  # hidden again before it was found
        ([100, 0, 100], [1, 1, 0], [None]),  # the clip ends
        ([0, 0, 100], [1, 1, 1], [0]),
        ([0, 0], [1, 1], []),
        ([], [], []),
    ],
)
def test_frames_to_reacquire_count_from_when_an_object_is_back_in_view(areas, overlaps, frames):
    assert frames_to_reacquire(areas, overlaps) == frames
