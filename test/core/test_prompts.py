"""What prompts may say, and how they reach the network."""

import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tam_ros.preprocess import (
    logits_of_mask,
    network_mask,
    resize_still,
    resize_video_frame,
)
from tam_ros.prompts import Prompt, PromptError, check_prompt, merge_prompts, network_points

SIZE = (640, 480)
MASK = np.zeros((480, 640), bool)
MASK[100:200, 100:300] = True


@pytest.mark.parametrize(
    ('prompt', 'message'),
    [
        (Prompt(), 'the prompt is empty: give points, a box or a mask'),
        (Prompt([[640, 10]]), r'point \(640, 10\) is outside the image of 640x480'),
        (Prompt([[-1, 10]]), r'point \(-1, 10\) is outside'),
        (Prompt([[float('nan'), 10]]), r'point \(nan, 10\) is outside'),
        (Prompt([[1, 1], [2, 2]], [1]), '2 points but 1 point_labels'),
        (Prompt([[1, 1]], [5]), 'point label 5 is unknown: use 1'),
        (Prompt([[1, 1]], [0]), r'all points have label 0 \(background\)'),
        (Prompt(box_xyxy=(10, 10, 10, 20)), r'box \(10, 10, 10, 20\) is empty'),
        (Prompt(box_xyxy=(10, 10, 20, float('inf'))), 'is not finite'),
        (Prompt(box_xyxy=(700, 10, 720, 20)), r'box \(700, 10, 720, 20\) is outside'),
        (Prompt(mask=MASK[:, :600]), 'the mask is 600x480, the image 640x480'),
        (Prompt(mask=np.zeros_like(MASK)), 'the mask is empty'),
        (Prompt([[1, 1]], mask=MASK), 'a mask excludes points and a box'),
    ],
)
def test_bad_prompt_is_named(prompt, message):
    with pytest.raises(PromptError, match=message):
        check_prompt(prompt, SIZE, is_new=True)


POINT = np.array([[3.0, 4.0]], np.float32)


@pytest.mark.parametrize(
    'points',
    [
        [[3, 4]],
        (3, 4),
        np.array([[3, 4]], np.int16),
        torch.tensor([[3.0, 4.0]], requires_grad=True),
    ],
)
def test_points_of_any_library_mean_what_they_say(points):
    np.testing.assert_array_equal(Prompt(points).points_xy, POINT)
    assert Prompt(points).point_labels.tolist() == [1]


@pytest.mark.parametrize('nothing', [None, [], np.zeros((0, 3))])
def test_no_points_are_none(nothing):
    assert Prompt(nothing, box_xyxy=[1, 2, 3, 4]).points_xy.shape == (0, 2)


BOX = (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    'box', [[1, 2, 3, 4], [[1, 2, 3, 4]], [[1, 2], [3, 4]], torch.tensor([1, 2, 3, 4]), BOX]
)
def test_boxes_of_any_form_mean_what_they_say(box):
    assert Prompt(box_xyxy=box).box_xyxy == BOX
    assert check_prompt(Prompt(box_xyxy=box), SIZE, is_new=True).box_xyxy == BOX


@pytest.mark.parametrize(
    'mask',
    [
        MASK.astype(np.uint8) * 255,
        MASK.astype(np.int64),
        MASK[None],
        MASK[..., None],
        MASK.tolist(),
        torch.from_numpy(MASK),
        Image.fromarray(MASK),
        Image.fromarray(MASK.astype(np.uint8) * 255),
    ],
    ids=['0 and 255', 'int', 'leading axis', 'channel', 'list', 'tensor', 'bits', 'grey'],
)
def test_masks_of_any_library_mean_what_they_say(mask):
    checked = check_prompt(Prompt(mask=mask), SIZE, is_new=True).mask
    assert checked.dtype == bool
    np.testing.assert_array_equal(checked, MASK)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'points_xy': np.zeros((4, 3))}, r'points_xy has shape \(4, 3\): give \(N, 2\)'),
        ({'points_xy': [1, 2, 3, 4]}, r'points_xy has shape \(4,\)'),
        ({'points_xy': np.zeros((2, 1, 2))}, r'points_xy has shape \(2, 1, 2\)'),
        ({'points_xy': [[1, 2], [3]]}, 'points_xy of type list is no array'),
        ({'points_xy': 'here'}, 'points_xy of type str is an array of <U4: give numbers'),
        ({'points_xy': [[1j, 2]]}, 'array of complex128'),
        ({'points_xy': [[1, 1]], 'point_labels': [[1], [0]]}, r'point_labels has shape \(2, 1\)'),
        ({'points_xy': [[1, 1]], 'point_labels': [0.7]}, r'point_labels \[0.7\]: use 1'),
        ({'points_xy': [[1, 1]], 'point_labels': [float('nan')]}, r'point_labels \[nan\]: use 1'),
        ({'box_xyxy': np.zeros((2, 4))}, r'box_xyxy has shape \(2, 4\): give one box'),
        ({'box_xyxy': np.zeros((4, 1))}, r'box_xyxy has shape \(4, 1\)'),
        ({'box_xyxy': []}, r'box_xyxy has shape \(0,\)'),
        ({'box_xyxy': [None] * 4}, 'box_xyxy of type list is an array of object'),
        ({'mask': np.zeros((480, 640, 3), np.uint8)}, r'mask has shape \(480, 640, 3\)'),
        ({'mask': np.zeros((2, 480, 640), bool)}, r'mask has shape \(2, 480, 640\)'),
        (
            {'mask': MASK.astype(np.float32)},
            'mask is float32: give bool, such as probability',
        ),
        ({'mask': 7}, r'mask has shape \(\)'),
        ({'stamp_ns': 0.5}, 'stamp_ns is 0.5: give nanoseconds as an int'),
    ],
)
def test_arrays_of_other_shapes_and_types_are_named(arguments, message):
    with pytest.raises(PromptError, match=message):
        Prompt(**arguments)


def test_mask_in_a_file_that_was_cut_is_refused():
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)).save(
        file, 'PNG'
    )
    cut = Image.open(io.BytesIO(file.getvalue()[:1000]))
    with pytest.raises(PromptError, match='mask of type PngImageFile is no array'):
        Prompt(mask=cut)


def test_size_of_a_mask_is_compared_before_any_pixel():
    class Unread(np.ndarray):
        def __ne__(self, other):
            raise AssertionError('a pixel was compared')

    prompt = Prompt()
    object.__setattr__(prompt, 'mask', np.zeros((9, 9), np.uint8).view(Unread))
    with pytest.raises(PromptError, match='the mask is 9x9'):
        check_prompt(prompt, SIZE, is_new=True)


def test_box_is_clipped_to_the_image():
    prompt = check_prompt(Prompt(box_xyxy=(-5, -5, 700, 50)), SIZE, is_new=True)
    assert prompt.box_xyxy == (0, 0, 640, 50)


def test_refining_with_background_clicks_alone_is_fine():
    check_prompt(Prompt([[1, 1]], [0]), SIZE, is_new=False)


def test_box_corners_come_before_clicks_in_network_pixels():
    prompt = Prompt([[320, 240]], [0], box_xyxy=(0, 0, 640, 480))
    points, labels = network_points(prompt, SIZE, 512)
    np.testing.assert_allclose(points, [[0, 0], [512, 512], [256, 256]])
    np.testing.assert_array_equal(labels, [2, 3, 0])


def test_later_clicks_add_to_earlier_ones_and_a_box_starts_anew():
    earlier = Prompt([[1, 1]], box_xyxy=(0, 0, 9, 9))
    merged = merge_prompts(earlier, Prompt([[5, 5]], [0]))
    np.testing.assert_array_equal(merged.points_xy, [[1, 1], [5, 5]])
    np.testing.assert_array_equal(merged.point_labels, [1, 0])
    assert merged.box_xyxy == (0, 0, 9, 9)
    anew = Prompt(box_xyxy=(1, 1, 5, 5))
    assert merge_prompts(earlier, anew) is anew


def test_given_mask_reaches_the_network_as_logits():
    mask = network_mask(MASK, 256)
    assert mask.shape == (256, 256)
    assert mask.mean() == pytest.approx(MASK.mean(), rel=0.02)
    logits = logits_of_mask(mask, 64)
    assert logits.shape == (64, 64)
    assert (logits.min(), logits.max()) == (-10, 10)


@pytest.mark.parametrize('rows', [slice(5, 6), slice(3, 8), slice(0, 2000)])
def test_something_is_left_of_thin_and_tiny_masks(rows):
    mask = np.zeros((2000, 2000), bool)
    mask[rows, 997:999] = True
    resized = network_mask(mask, 256)
    assert resized.any()
    assert resized[:, :126].sum() == resized[:, 130:].sum() == 0
    logits = logits_of_mask(resized, 64)
    shown = cv2.resize(logits, (256, 256)) > 0
    assert shown.sum() == pytest.approx(resized.sum(), rel=0.25, abs=16)


def test_ordinary_masks_are_halved_where_the_cell_is():
    mask = np.zeros((480, 640), bool)
    mask[100:300, 200:500] = True
    cells = logits_of_mask(network_mask(mask, 256), 64)
    assert (cells.min(), cells.max()) == (-10, 10)


def test_images_are_squared():
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    assert resize_video_frame(image, 32).shape == (32, 32, 3)
    assert resize_still(image, 32).dtype == np.float32
    np.testing.assert_array_equal(resize_video_frame(image[:48, :48], 48), image[:48, :48])


def test_resampling_by_area_takes_the_mean_of_what_a_pixel_covers():
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    means = image.reshape(32, 2, 32, 3, 3).mean((1, 3))
    for resize in (resize_video_frame, resize_still):
        resized = resize(image, 32, 'area')
        np.testing.assert_allclose(resized.astype(float), means, atol=0.51)
    assert np.abs(resize_video_frame(image, 32) - means).max() > 2
