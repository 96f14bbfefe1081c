"""Windows: from image to network and back, and which one objects are looked for in."""

import numpy as np
import pytest

from tam_ros.tracker.observation import Observation
from tam_ros.tracker.results import FrameMasks
from tam_ros.tracker.window import WHOLE, Window, logits_of_given, next_window, resample

SIDE = 96
IMAGE_WH = (640, 480)
CUP = Window.of_pixels((300, 200, 340, 230), IMAGE_WH)


def disc(x: float, y: float, radius: float, window: Window = WHOLE) -> np.ndarray:
    """Return logits over a window of a disc in the image; all in parts of the image."""
    rows, columns = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    xs, ys = window.point(columns, rows)
    return (100 * (radius - np.hypot(xs - x, ys - y))).astype(np.float32)


def box_of(logits: np.ndarray, window: Window) -> tuple[int, int, int, int]:
    """Return the box of a mask in the image."""
    seen = Observation(0, 0, logits, 5.0, 0.9, window=window)
    masks = FrameMasks({1: seen}, IMAGE_WH, exclusive=True)
    assert masks.has_pixel(1)
    return masks.crops[1].box_xyxy


def test_a_window_is_cut_at_its_pixels():
    image = np.arange(480 * 640).reshape(480, 640)
    window = Window.of_pixels((160, 120, 480, 360), IMAGE_WH)
    assert window.pixels(IMAGE_WH) == (160, 120, 480, 360)
    np.testing.assert_array_equal(window.cut(image), image[120:360, 160:480])
    assert window.cut(image).base is not None
    assert WHOLE.cut(image).shape == image.shape


def test_a_mask_lies_in_the_image_where_it_lies_in_the_window():
    window = Window.of_pixels((160, 120, 480, 360), IMAGE_WH)
    whole = box_of(disc(0.4, 0.5, 0.05), WHOLE)
    inside = box_of(disc(0.4, 0.5, 0.05, window), window)
    np.testing.assert_allclose(inside, whole, atol=2)
    np.testing.assert_allclose(inside, (224, 216, 288, 264), atol=1)


@pytest.mark.parametrize('corner', [(0.2, 0.1), (0.0, 0.0), (0.61, 0.47)])
def test_logits_are_the_same_object_over_another_window(corner):
    window = Window(*corner, corner[0] + 0.3, corner[1] + 0.4)
    x, y = window.point(0.5, 0.4)
    whole, inside = disc(x, y, 0.06), disc(x, y, 0.06, window)
    finer, coarser = resample(whole, WHOLE, window), resample(inside, window, WHOLE)
    assert ((finer > 0) == (inside > 0)).mean() > 0.99
    assert ((coarser > 0) == (whole > 0)).mean() > 0.999
    assert resample(whole, WHOLE, WHOLE) is whole


def test_what_a_window_does_not_show_is_no_object():
    left, right = Window(0.0, 0.0, 0.5, 1.0), Window(0.5, 0.0, 1.0, 1.0)
    everywhere = np.full((SIDE, SIDE), 5.0, np.float32)
    assert (resample(everywhere, left, right)[:, 2:] < 0).all()
    over_all = resample(everywhere, left, WHOLE) > 0
    assert over_all[:, : SIDE // 2 - 1].all()
    assert not over_all[:, SIDE // 2 + 1 :].any()


def test_a_given_mask_is_finer_in_a_window():
    mask = np.zeros((480, 640), np.uint8)
    mask[200:203, 300:340] = 1  # thinner than a cell of the whole image
    assert 1 <= (logits_of_given(mask, WHOLE, 64) > 0).sum() <= 8
    window = Window.of_pixels((280, 170, 360, 230), IMAGE_WH)
    cells = logits_of_given(mask, window, 64) > 0
    assert cells.mean() == pytest.approx(3 * 40 / (80 * 60), rel=0.2)


def test_a_sighting_is_of_the_image_whatever_the_window():
    window = Window(0.25, 0.25, 0.75, 0.75)
    whole = Observation(0, 7, disc(0.4, 0.5, 0.1), 5.0, 0.9)
    inside = Observation(0, 7, disc(0.4, 0.5, 0.1, window), 5.0, 0.9, window=window)
    assert inside.sighting.area == pytest.approx(whole.sighting.area, rel=0.05)
    np.testing.assert_allclose(inside.sighting.center_xy, (0.4, 0.5), atol=0.01)
    np.testing.assert_allclose(
        (inside.extent.x0, inside.extent.y1), (whole.extent.x0, whole.extent.y1), atol=0.02
    )


# -- which one ------------------------------------------------------------------------------


def test_the_window_of_a_small_object_holds_it_and_what_is_around_it():
    window = next_window(WHOLE, [CUP], IMAGE_WH, 96)
    x0, y0, x1, y1 = window.pixels(IMAGE_WH)
    assert x0 < 300 - 40 < 340 + 40 < x1
    assert y0 < 200 - 40 < 230 + 40 < y1
    assert window.area < 0.1
    assert 1 <= (x1 - x0) / (y1 - y0) <= 640 / 480 + 0.01


@pytest.mark.parametrize('size_wh', [(640, 480), (480, 640), (1920, 1080), (200, 150)])
@pytest.mark.parametrize('box', [(0, 0, 6, 6), (150, 100, 199, 149), (60, 70, 190, 76)])
def test_windows_lie_in_the_image_at_whole_pixels_and_are_not_too_small(size_wh, box):
    window = next_window(WHOLE, [Window.of_pixels(box, size_wh)], size_wh, 96)
    exact = np.array([window.x0, window.y0, window.x1, window.y1]) * np.tile(size_wh, 2)
    np.testing.assert_allclose(exact, window.pixels(size_wh), atol=1e-6)
    x0, y0, x1, y1 = window.pixels(size_wh)
    assert 0 <= x0 <= box[0]
    assert 0 <= y0 <= box[1]
    assert box[2] <= x1 <= size_wh[0]
    assert box[3] <= y1 <= size_wh[1]
    assert min(x1 - x0, y1 - y0) >= 96


def test_the_window_stays_while_the_object_stays_inside():
    window = next_window(WHOLE, [CUP], IMAGE_WH, 96)
    near = CUP.shifted_to(*CUP.point(1.0, 0.5))
    assert next_window(window, [near], IMAGE_WH, 96) == window
    far = CUP.shifted_to(*CUP.point(3.0, 0.5))
    moved = next_window(window, [far], IMAGE_WH, 96)
    assert moved != window
    assert moved.keeps(far)


def test_the_window_follows_the_size_of_the_object():
    window = next_window(WHOLE, [CUP], IMAGE_WH, 96)
    grown = Window.of_pixels((285, 190, 355, 240), IMAGE_WH)
    assert next_window(window, [grown], IMAGE_WH, 96).area > window.area


def test_large_or_distant_objects_are_looked_for_in_the_whole_image():
    large = Window(0.2, 0.2, 0.7, 0.8)
    assert next_window(WHOLE, [large], IMAGE_WH, 96) == WHOLE
    apart = [Window(0.0, 0.0, 0.05, 0.05), Window(0.95, 0.95, 1.0, 1.0)]
    assert next_window(WHOLE, apart, IMAGE_WH, 96) == WHOLE
    beside = CUP.shifted_to(*CUP.point(2.0, 0.5))
    both = next_window(WHOLE, [CUP, beside], IMAGE_WH, 96)
    assert both != WHOLE
    assert both.keeps(CUP)
    assert both.keeps(beside)
