"""Files that training clips are made of, and the loader processes that read them."""

import os

import cv2
import numpy as np
import pytest
import torch
from video_files import grey_images, write_lying_video, write_video

from tam_ros.image_files import SourceError
from training.clips import Clip, clip_length, load_clip, save_clip
from training.data import ClipDataset, ClipShape, Sources, batches
from training.material import open_material

SHAPE = ClipShape(frames=2, side=48)


@pytest.fixture
def pictures(tmp_path):
    """A folder of three photos and three cut-outs, as material, and files that a Mac leaves."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'pictures'
    for name in ('photos', 'cutouts'):
        (folder / name).mkdir(parents=True)
        for i in (2, 9, 10):
            image = cv2.resize(rng.integers(0, 255, (9, 9, 3), np.uint8), (120, 120))
            cv2.imwrite(str(folder / name / f'{i}.jpg'), image)
            (folder / name / f'._{i}.jpg').write_bytes(b'of a Mac')
    for i in (2, 9, 10):
        disc = cv2.circle(np.zeros((120, 120), np.uint8), (60, 60), 20 + 3 * i, 255, -1)
        cv2.imwrite(str(folder / 'cutouts' / f'{i}.png'), disc)
    return folder


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    write_video(folder / 'b10.MP4', 'mp4v', grey_images(9))
    write_lying_video(folder / 'b9.mp4', 90)
    (folder / '._b9.mp4').write_bytes(b'of a Mac')
    return folder


def shape_of(jpeg) -> tuple[int, int]:
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape[:2]


def test_material_is_in_natural_order_upright_and_without_hidden_files(pictures, videos):
    material = open_material(pictures, videos)
    assert [path.name for path in material.photos] == ['2.jpg', '9.jpg', '10.jpg']
    assert [path.name for path in material.cutouts] == ['2.jpg', '9.jpg', '10.jpg']
    assert [shape_of(frames[0]) for frames in material.videos] == [(384, 288), (288, 384)]


def test_cache_gives_the_same_frames_but_none_of_a_video_that_was_replaced(
    pictures, videos, tmp_path
):
    first = open_material(pictures, videos, tmp_path / 'cache').videos
    kept = open_material(pictures, videos, tmp_path / 'cache').videos
    assert [len(frames) for frames in first] == [6, 9]
    for a, b in zip(first, kept):
        np.testing.assert_array_equal(np.concatenate(a), np.concatenate(b))
    write_video(videos / 'b10.MP4', 'mp4v', grey_images(4))
    replaced = open_material(pictures, videos, tmp_path / 'cache').videos
    assert [len(frames) for frames in replaced] == [6, 4]


def test_damaged_files_are_named(pictures, videos, tmp_path):
    open_material(pictures, videos, tmp_path / 'cache')
    kept = next((tmp_path / 'cache').iterdir())
    os.truncate(kept, kept.stat().st_size // 2)
    with pytest.raises(SourceError, match=f'{kept} is damaged, delete it'):
        open_material(pictures, videos, tmp_path / 'cache')
    (videos / 'b9.mp4').write_bytes(b'noise')
    with pytest.raises(SourceError, match='b9.mp4 cannot be opened as a video'):
        open_material(pictures, videos)
    with pytest.raises(SourceError, match='nowhere/photos cannot be read: No such file'):
        open_material(pictures / 'nowhere')


@pytest.mark.parametrize('part', [0, 0.5, 0.95])
def test_clip_file_that_is_cut_is_named(tmp_path, part):
    path = tmp_path / 'clip.npz'
    save_clip(path, Clip(np.zeros((3, 8, 8, 3), np.uint8), np.zeros((3, 8, 8), np.uint8)))
    os.truncate(path, int(part * path.stat().st_size))
    for read in (load_clip, clip_length):
        with pytest.raises(SourceError, match=f'{path} cannot be read as a clip'):
            read(path)


def test_clip_with_a_damaged_image_is_named(tmp_path):
    parts = {'image0': np.zeros(9, np.uint8), 'mask0': np.zeros(9, np.uint8)}
    np.savez(tmp_path / 'clip.npz', **parts)
    with pytest.raises(SourceError, match=r'clip.npz cannot be read as a clip: an image in it'):
        load_clip(tmp_path / 'clip.npz')


@pytest.mark.timeout(240)
def test_loader_processes_work_after_videos_were_decoded_here(pictures, videos):
    large = np.random.default_rng(0).integers(0, 255, (3, 720, 1280, 3), np.uint8)
    write_video(videos / 'large.mp4', 'mp4v', large)
    cv2.setNumThreads(2)
    material = open_material(pictures, videos)  # with threads, which a fork would not have
    dataset = ClipDataset(Sources(material), SHAPE, seed=3)
    loaded, here = (
        list(batches(dataset, range(4), clips=2, workers=workers)) for workers in (1, 0)
    )
    assert len(loaded) == 2
    for a, b in zip(here, loaded):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.masks, b.masks)


@pytest.mark.timeout(240)
def test_unreadable_picture_is_named_by_the_loader_in_one_line(pictures):
    material = open_material(pictures)
    for path in material.photos:
        path.write_bytes(b'noise')
    dataset = ClipDataset(Sources(material), SHAPE, seed=3)
    for workers in (0, 1):
        with pytest.raises(SourceError) as refusal:
            list(batches(dataset, range(4), clips=2, workers=workers))
        assert str(refusal.value).endswith('.jpg cannot be read as an image')
        assert '\n' not in str(refusal.value)
        assert str(refusal.value).startswith(str(pictures))
