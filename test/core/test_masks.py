"""Masks, boxes, overlaps and holes."""

import numpy as np
import pytest
import torch

from tam_ros.masks import (
    LogitCrop,
    fill_small_holes,
    label_image,
    resolve_overlaps,
    upsample_around_mask,
    without_parts,
)


def blob(side=64, center=(20, 30), radius=7.5, seed=0):
    y, x = np.mgrid[:side, :side]
    noise = np.random.default_rng(seed).normal(0, 0.5, (side, side))
    return (radius - np.hypot(x - center[0], y - center[1]) + noise).astype(np.float32)


@pytest.mark.parametrize('size_wh', [(1280, 720), (640, 480), (853, 479), (64, 64), (50, 41)])
@pytest.mark.parametrize('center', [(20, 30), (0, 0), (63, 40)])
def test_window_equals_that_part_of_the_whole(size_wh, center):
    logits = blob(center=center)
    crop = upsample_around_mask(logits, size_wh)
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None, None], size_wh[::-1], mode='bilinear', align_corners=False
    )[0, 0].numpy()
    height, width = crop.logits.shape
    part = whole[crop.y0 : crop.y0 + height, crop.x0 : crop.x0 + width]
    # A block's rim has no neighbour to lean on; there, and only there, values may differ.
    positive = (part > 0) | (crop.logits > 0)
    np.testing.assert_allclose(crop.logits[positive], part[positive], atol=1e-4)
    assert (whole > 0).sum() == (part > 0).sum()


def test_window_is_small_for_a_small_object():
    crop = upsample_around_mask(blob(side=256, center=(100, 100), radius=5), (1280, 720))
    assert crop.logits.size < 1280 * 720 / 30


def test_absent_object_has_no_window():
    assert upsample_around_mask(np.full((64, 64), -1024, np.float32), (320, 240)) is None


def test_box_is_tight():
    logits = np.full((40, 50), -1, np.float32)
    logits[10:21, 5:35] = 1
    mask = LogitCrop(100, 200, logits).tight()
    assert mask.box_xyxy == (105, 210, 135, 221)
    assert mask.mask.all()
    assert mask.contains(105, 210)
    assert not mask.contains(135, 210)


def test_three_objects_share_no_pixel_and_the_best_logit_wins():
    size_wh = (320, 240)
    logits = {1: blob(seed=1), 2: blob(center=(24, 32), seed=2), 3: blob(center=(22, 27), seed=3)}
    crops = {key: upsample_around_mask(value, size_wh) for key, value in logits.items()}
    labels = label_image(resolve_overlaps(crops), size_wh)
    whole = np.full((4, 240, 320), -np.inf)
    whole[0] = 0
    for key, crop in crops.items():
        height, width = crop.logits.shape
        whole[key, crop.y0 : crop.y0 + height, crop.x0 : crop.x0 + width] = crop.logits
    np.testing.assert_array_equal(labels, whole.argmax(0))


def test_equal_logits_go_to_the_lower_id():
    crop = LogitCrop(0, 0, np.ones((4, 4), np.float32))
    masks = resolve_overlaps({7: crop, 3: crop})
    assert masks[7] is None
    assert masks[3].mask.all()


def test_holes_up_to_the_limit_are_filled():
    logits = np.ones((32, 32), np.float32)
    logits[4:6, 4:8] = -1  # 8 cells
    logits[10:13, 10:13] = -1  # 9 cells
    logits[20, 20] = logits[21, 21] = -1  # touching corners: one hole of 2
    filled = fill_small_holes(logits)
    assert (filled[4:6, 4:8] == np.float32(0.1)).all()
    assert (filled[10:13, 10:13] == -1).all()
    assert filled[20, 20] > 0
    assert (logits[4:6, 4:8] == -1).all()  # the input stays


def cells(*xy) -> np.ndarray:
    return np.reshape(xy, (-1, 2)).astype(int)


def test_parts_are_taken_away_where_they_are_not_kept_and_something_is_left():
    logits = np.full((16, 16), -1, np.float32)
    logits[2:6, 2:6] = logits[9:13, 9:13] = 2
    left = without_parts(logits, cells((10, 11), (0, 0)), cells((3, 3)))
    assert (left[9:13, 9:13] == -2).all()
    np.testing.assert_array_equal(left[:9], logits[:9])
    assert (logits[9:13, 9:13] == 2).all()  # the input stays
    for away, kept in (((3, 3), (5, 5)), ((0, 0), ()), ((), ())):
        same = without_parts(logits, cells(*away), cells(*kept))
        np.testing.assert_array_equal(same, logits)
    logits[9:13, 9:13] = -1
    logits[12, 12] = 2  # a speck, beside what is all of the object
    np.testing.assert_array_equal(without_parts(logits, cells((3, 3)), cells()), logits)


def test_holes_in_nothing_and_in_everything():
    nothing = np.full((8, 8), -1, np.float32)
    np.testing.assert_array_equal(fill_small_holes(nothing), nothing)
    np.testing.assert_array_equal(fill_small_holes(-nothing), -nothing)
