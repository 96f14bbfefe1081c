"""Clips with truth as people have them: folders, orientation, palettes, smooth edges, void."""

import logging

import cv2
import numpy as np
import pytest
from PIL import Image
from truth_clip import SIZE_WH, square, write_clip

from tam_ros.evaluation.clips import clip_names, read_clip
from tam_ros.evaluation.command import main
from tam_ros.image_files import SourceError
from tam_ros.mask_files import read_mask

TURNED = 6  # EXIF orientation


@pytest.fixture
def truth() -> np.ndarray:
    """Twelve frames: object 1 moves over object 2."""
    truth = np.zeros((12, *SIZE_WH[::-1]), np.uint8)
    truth[:, 60:110, 40:120] = 2
    for t, labels in enumerate(truth):
        labels[square(10 + 8 * t)] = 1
    return truth


@pytest.fixture
def clip(tmp_path, truth):
    return write_clip(tmp_path / 'clip', truth)


def rewrite_masks(folder, change, suffix='png', **options) -> None:
    """Write a clip's masks again as change returns them, in another format."""
    for path in sorted((folder / 'masks').iterdir()):
        mask = change(np.asarray(Image.open(path)))
        path.unlink()
        Image.fromarray(mask).save(path.with_suffix(f'.{suffix}'), **options)


def smoothed(labels: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur((labels == 1).astype(np.uint8) * 255, (0, 0), 1.2)


def test_clips_and_frames_are_in_natural_order_without_hidden_files(tmp_path, truth):
    for name in ('clip10', 'clip9', '.clip1'):
        write_clip(tmp_path / name, truth)
    for folder in ('rgb', 'masks'):
        for path in sorted((tmp_path / 'clip9' / folder).iterdir()):
            path.rename(path.with_name(f'{int(path.stem)}{path.suffix}'))
        (tmp_path / 'clip9' / folder / '._0.jpg').write_bytes(b'of a Mac')
    assert clip_names(tmp_path) == ['clip9', 'clip10']
    np.testing.assert_array_equal(read_clip(tmp_path / 'clip9').truth, truth)


def test_davis_folder_is_read_as_it_is(tmp_path, truth, clip, capsys):
    davis = tmp_path / 'DAVIS'
    for kind, folder in (('rgb', 'JPEGImages'), ('masks', 'Annotations')):
        (davis / folder / '480p').mkdir(parents=True)
        (clip / kind).rename(davis / folder / '480p' / 'bear')
    (davis / 'ImageSets' / '2017').mkdir(parents=True)
    assert clip_names(davis) == ['bear']
    read = read_clip(davis / 'bear')
    assert (read.name, len(read)) == ('bear', 12)
    np.testing.assert_array_equal(read.truth, truth)
    assert main([str(davis), '--truth', '--out', str(tmp_path / 'out')]) == 0
    assert 'bear' in capsys.readouterr().out


def test_png_frames_are_read(clip, truth):
    for path in (clip / 'rgb').iterdir():
        cv2.imwrite(str(path.with_suffix('.PNG')), cv2.imread(str(path)))
        path.unlink()
    np.testing.assert_array_equal(read_clip(clip).truth, truth)


def test_orientation_turns_images_and_masks_alike(clip, truth):
    exif = Image.Exif()
    exif[0x0112] = TURNED
    upright = read_clip(clip).image_rgb(3)
    for path in [*(clip / 'rgb').iterdir(), *(clip / 'masks').iterdir()]:
        lying = Image.fromarray(np.rot90(np.asarray(Image.open(path))))
        lying.save(path, exif=exif, quality=95)
    turned = read_clip(clip)
    np.testing.assert_array_equal(turned.truth, truth)
    assert np.abs(turned.image_rgb(3).astype(int) - upright).mean() < 6  # JPEG, twice


def test_orientation_of_images_alone_is_a_difference_of_size(clip):
    exif = Image.Exif()
    exif[0x0112] = TURNED
    path = clip / 'rgb' / '00004.jpg'
    Image.open(path).save(path, exif=exif)
    with pytest.raises(SourceError, match='00004.jpg is 120x160, the masks are 160x120'):
        read_clip(clip)


def test_palette_images_are_read_as_numbers(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(labels, mode='P')
    image.putpalette([200, 30, 90] * 256)
    image.save(tmp_path / 'palette.png')
    np.testing.assert_array_equal(read_mask(tmp_path / 'palette.png'), labels)


def test_black_and_white_masks_are_object_1(clip, truth):
    rewrite_masks(clip, lambda labels: np.where(labels == 1, 255, 0).astype(np.uint8))
    np.testing.assert_array_equal(read_clip(clip).truth, truth == 1)


def test_bilevel_masks_are_object_1(clip, truth):
    rewrite_masks(clip, lambda labels: labels == 1)
    np.testing.assert_array_equal(read_clip(clip).truth, truth == 1)


def test_255_beside_numbers_is_void(clip, truth):
    truth[:, :50] = np.where(truth[:, :50] == 0, 255, truth[:, :50])  # more than both objects
    for path, labels in zip(sorted((clip / 'masks').iterdir()), truth):
        cv2.imwrite(str(path), labels)
    read = read_clip(clip)
    assert read.first_frames() == {1: 0, 2: 0}
    assert read.masks(0).keys() == {1, 2}
    np.testing.assert_array_equal(read.counted(0), truth[0] != 255)


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_smooth_edges_are_one_object_and_the_log_says_so(clip, truth, caplog, suffix):
    rewrite_masks(clip, smoothed, suffix)
    with caplog.at_level(logging.WARNING):
        read = read_clip(clip)
    assert set(np.unique(read.truth)) == {0, 1}
    assert np.count_nonzero(read.truth != (truth == 1)) < 0.03 * np.count_nonzero(truth == 1)
    (record,) = caplog.messages
    assert record.startswith(f'{clip / "masks"}: ')
    assert 'greys between black and white' in record


def test_mask_without_hard_parts_is_refused(clip):
    rewrite_masks(clip, lambda labels: cv2.GaussianBlur(smoothed(labels), (0, 0), 20))
    cv2.imwrite(str(clip / 'masks' / '00000.png'), np.arange(19200).reshape(120, 160) % 200)
    with pytest.raises(SourceError, match=r'has \d+ values: give masks in which n is object n'):
        read_clip(clip)


def test_numbers_in_jpeg_are_refused(clip):
    rewrite_masks(clip, lambda labels: labels * 20, 'jpg')
    with pytest.raises(SourceError, match='00000.jpg has numbers changed by JPEG: give PNG'):
        read_clip(clip)


def test_colour_truth_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / 'colour.png'), np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(SourceError, match='has mode RGB: give an 8-bit grey or palette image'):
        read_mask(tmp_path / 'colour.png')


def test_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(SourceError, match='rgb cannot be read: No such file'):
        read_clip(tmp_path)
    (tmp_path / 'rgb').mkdir()
    with pytest.raises(SourceError, match='rgb holds no images'):
        read_clip(tmp_path)


@pytest.mark.parametrize(
    ('name', 'size_wh', 'message'),
    [
        ('rgb/00007.jpg', (80, 60), '00007.jpg is 80x60, the masks are 160x120'),
        ('masks/00007.png', (80, 60), '00007.png is 80x60, 00000.png is 160x120'),
        ('rgb/00007.jpg', None, '00007.jpg cannot be read as an image'),
        ('masks/00007.png', None, '00007.png cannot be read as an image'),
    ],
)
def test_file_that_does_not_fit_or_cannot_be_read_is_named(clip, name, size_wh, message):
    if size_wh:
        cv2.imwrite(str(clip / name), np.zeros(size_wh[::-1], np.uint8))
    else:
        (clip / name).write_bytes(b'noise')
    with pytest.raises(SourceError, match=message):
        read_clip(clip)


def test_image_without_a_mask_is_named(clip):
    (clip / 'masks' / '00005.png').unlink()
    with pytest.raises(SourceError, match='00005.jpg has no mask .*masks/00005.png'):
        read_clip(clip)
