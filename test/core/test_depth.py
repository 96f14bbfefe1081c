"""Depth images: units, holes, and what a compressed one may be."""

import cv2
import numpy as np
import pytest

from tam_ros.geometry.depth import DepthError, DepthImage, decode_compressed_depth

HEADER = bytes(12)
VALUES = np.array([[0, 1, 1500], [65535, 700, 40]], np.uint16)
FORMAT = '16UC1; compressedDepth png'


def png(image: np.ndarray) -> bytes:
    """Return a picture as PNG."""
    return cv2.imencode('.png', image)[1].tobytes()


def test_millimetres_and_metres_are_known_by_type():
    metres = [[0, 0.001, 1.5], [65.535, 0.7, 0.04]]
    np.testing.assert_allclose(DepthImage(VALUES).metres(), metres, rtol=1e-6)
    as_floats = np.array(metres, np.float32)
    np.testing.assert_array_equal(DepthImage(as_floats).metres(), as_floats)


def test_another_unit_may_be_given():
    assert DepthImage(np.array([[20_000]], np.uint16), unit_m=1e-4).metres() == pytest.approx(2)
    assert DepthImage(np.array([[250]], np.float32), unit_m=1e-2).metres() == pytest.approx(2.5)


def test_what_is_no_depth_is_a_hole():
    values = np.array([[0, np.nan, np.inf, -np.inf, -1, 2, 11]], np.float32)
    assert DepthImage(values, max_m=10).metres().tolist() == [[0, 0, 0, 0, 0, 2, 0]]
    assert DepthImage(VALUES, max_m=10).metres()[1, 0] == 0


def test_only_a_window_is_converted_and_the_image_is_left_as_it_is():
    image = DepthImage(VALUES, max_m=1)
    cut = image.metres(np.s_[0:2, 1:3])
    np.testing.assert_allclose(cut, [[0.001, 0], [0.7, 0.04]], rtol=1e-6)
    cut[:] = 9
    assert image.size_wh == (3, 2)
    assert VALUES[0, 2] == 1500


def test_big_endian_values_are_read():
    assert DepthImage(VALUES.astype('>u2')).metres()[0, 2] == pytest.approx(1.5)


@pytest.mark.parametrize('values', [np.zeros((2, 2, 3), np.uint16), np.zeros((2, 2), np.uint8)])
def test_other_arrays_are_named_and_refused(values):
    with pytest.raises(DepthError, match=r'depth of shape .* give \(H, W\) uint16 or float32'):
        DepthImage(values)


@pytest.mark.parametrize('encoding', [FORMAT, '16UC1; compressedDepth', '16UC1;compressedDepth'])
def test_a_compressed_depth_image_comes_back(encoding):
    np.testing.assert_array_equal(decode_compressed_depth(HEADER + png(VALUES), encoding), VALUES)


def test_any_bytes_like_object_is_decoded():
    data = memoryview(bytearray(HEADER + png(VALUES)))
    np.testing.assert_array_equal(decode_compressed_depth(data, FORMAT), VALUES)


COLOR = np.zeros((4, 4, 3), np.uint8)
HUGE = png(VALUES)[:16] + (70_000).to_bytes(4, 'big') * 2 + png(VALUES)[24:]
REFUSED = {
    'inverse depth': (HEADER + png(VALUES), '32FC1; compressedDepth png', '"32FC1; compr.*16UC1'),
    'another codec': (HEADER + b'x' * 99, '16UC1; compressedDepth rvl', 'rvl" is not read: use'),
    'a codec not said': (HEADER + b'x' * 99, '16UC1; compressedDepth', 'no PNG behind 12 bytes'),
    'no header': (png(VALUES), FORMAT, 'no PNG behind 12 bytes'),
    'nothing': (b'', FORMAT, 'no PNG behind 12 bytes'),
    '8 bits': (HEADER + png(VALUES.astype(np.uint8)), FORMAT, 'a PNG of 8 bits: 16 bits, grey'),
    'colour': (HEADER + png(COLOR), FORMAT, 'a PNG of 8 bits: 16 bits, grey'),
    'huge': (HEADER + HUGE, FORMAT, '70000x70000 pixels: at most'),
    'cut off': (HEADER + png(VALUES)[:40], FORMAT, 'of 52 bytes is cut off or damaged'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_other_compressed_depth_is_named_and_refused(what):
    data, encoding, message = REFUSED[what]
    with pytest.raises(DepthError, match=message):
        decode_compressed_depth(data, encoding)
