"""Image files of a folder: their order, what is left out, upright pixels, and bad ones by name."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tam_ros.image_files import (
    SourceError,
    image_size,
    list_images,
    natural_order,
    open_upright,
    read_image,
)

ROTATED_90 = 6  # EXIF: turn by 90 degrees clockwise to see it upright
RED = (255, 0, 0)


@pytest.fixture
def lying():
    """Return a function that saves a 30x20 image with a red left half that is to be turned."""

    def save(path):
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[:, :15] = RED
        exif = Image.Exif()
        exif[0x0112] = ROTATED_90
        Image.fromarray(pixels).save(path, exif=exif, quality=100)
        return path

    return save


def test_names_are_in_natural_order(tmp_path):
    names = ['frame10.png', 'frame9.png', 'frame2_b.png', 'frame2_a10.png', 'frame2_a9.png']
    expected = ['frame2_a9.png', 'frame2_a10.png', 'frame2_b.png', 'frame9.png', 'frame10.png']
    assert [p.name for p in natural_order(tmp_path / name for name in names)] == expected


def test_hidden_files_and_what_is_no_image_are_left_out(tmp_path):
    for name in ('2.JPG', '10.png', '1.Bmp', '._1.png', '.hidden.jpg', 'notes.txt', 'Thumbs.db'):
        (tmp_path / name).touch()
    (tmp_path / '3.png').mkdir()
    assert [p.name for p in list_images(tmp_path)] == ['1.Bmp', '2.JPG', '10.png']


def test_folder_without_images_is_named(tmp_path):
    with pytest.raises(SourceError, match=f'{tmp_path} holds no images'):
        list_images(tmp_path)


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
def test_images_are_read_upright(lying, tmp_path, suffix):
    path = lying(tmp_path / f'lying.{suffix}')
    image = read_image(path)
    assert image.shape == (30, 20, 3)
    assert image_size(path) == open_upright(path).size == (20, 30)
    np.testing.assert_allclose(image[5, 10, ::-1], RED, atol=2)  # its left is its top now
    np.testing.assert_allclose(image[25, 10], 0, atol=2)
    np.testing.assert_allclose(np.asarray(open_upright(path)), image[..., ::-1], atol=2)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp'])
@pytest.mark.parametrize('part', [0, 0.02, 0.6, 0.99])
def test_images_that_are_cut_are_named_not_filled_with_grey(tmp_path, suffix, part):
    path = tmp_path / f'cut.{suffix}'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    for read in (read_image, open_upright):
        with pytest.raises(SourceError, match=f'{path} cannot be read as an image'):
            read(path)


def test_image_that_is_missing_is_named(tmp_path):
    with pytest.raises(SourceError, match='missing.png cannot be read: No such file'):
        read_image(tmp_path / 'missing.png')
    with pytest.raises(SourceError, match='missing.png cannot be read'):
        image_size(tmp_path / 'missing.png')


def test_image_that_claims_more_pixels_than_can_be_is_named(tmp_path):
    path = tmp_path / 'huge.png'
    cv2.imwrite(str(path), np.zeros((4, 4), np.uint8))
    content = bytearray(path.read_bytes())
    content[16:24] = (65500).to_bytes(4, 'big') * 2  # the size in its header
    path.write_bytes(content)
    for read in (read_image, image_size, open_upright):
        with pytest.raises(SourceError, match='huge.png cannot be read as an image'):
            read(path)
