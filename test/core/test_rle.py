"""Run lengths of masks are those of pycocotools."""

import numpy as np
import pytest

from tam_ros.masks import tight_crop
from tam_ros.offline.rle import RleError, RleMask, decode, encode

y, x = np.mgrid[:37, :53]
DISC = (x - 26) ** 2 + (y - 18) ** 2 < 150
KNOWN = {  # strings that pycocotools 2.0.11 gives
    '13': [[0, 1], [1, 1]],
    '04': [[1, 1], [1, 1]],
    '4': [[0, 0], [0, 0]],
    '013': [[1, 0], [0, 0]],
    'f`05m06K4M2N2N2O0O2O000O2O00000001N10001N101N2N2N3L5Ji?': DISC,
}


def size_of(mask: np.ndarray) -> tuple[int, int]:
    return mask.shape[1], mask.shape[0]


def some_masks() -> list[np.ndarray]:
    """Return masks of all densities and shapes, whole columns and none among them."""
    rng = np.random.default_rng(5)
    noise = [rng.random(rng.integers(1, 30, 2)) < rng.choice([0, 0.1, 0.5, 1]) for _ in range(60)]
    blocks = [np.kron(rng.random((3, 4)) < 0.5, np.ones((97, 61))) > 0 for _ in range(20)]
    return noise + blocks


@pytest.mark.parametrize('text', KNOWN)
def test_known_strings(text):
    mask = np.array(KNOWN[text], bool)
    assert encode(tight_crop(0, 0, mask), size_of(mask)) == text
    crop = decode(text, size_of(mask))
    back = np.zeros(mask.shape, np.uint8)
    if crop is not None:
        crop.paste(back, 1)
    np.testing.assert_array_equal(back, mask)


def test_every_mask_comes_back_with_its_box():
    for mask in some_masks():
        crop = tight_crop(0, 0, mask)
        back = decode(encode(crop, size_of(mask)), size_of(mask))
        if crop is None:
            assert back is None
            continue
        assert back.box_xyxy == crop.box_xyxy
        np.testing.assert_array_equal(back.mask, crop.mask)


def test_strings_are_those_of_pycocotools():
    coco = pytest.importorskip('pycocotools.mask')
    for mask in some_masks():
        text = coco.encode(np.asfortranarray(mask.astype(np.uint8)))['counts'].decode()
        assert encode(tight_crop(0, 0, mask), size_of(mask)) == text


def test_a_kept_mask_knows_its_box_and_area():
    crop = tight_crop(100, 50, DISC)
    kept = RleMask.of(crop, (640, 480))
    assert (kept.box_xyxy, kept.area) == (crop.box_xyxy, DISC.sum())
    assert kept.crop.box_xyxy == crop.box_xyxy


@pytest.mark.parametrize('text', ['', '5', '15', '1é3', '4o'])
def test_damaged_strings_are_refused(text):
    with pytest.raises(RleError, match='is no mask of 2x2 pixels|are cut off'):
        decode(text, (2, 2))
