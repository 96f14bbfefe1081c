"""Folders of images with depth: what is read of them, and what is said of those that are wrong."""

import itertools
import json

import cv2
import numpy as np
import pytest

from tam_ros.image_files import SourceError
from tam_ros.rgbd_folder import open_rgbd
from tam_ros.video_source import at_rate, open_source

SIZE_WH = (6, 4)
K = [5, 0, 2.5, 0, 5, 1.5, 0, 0, 1]
CAMERA = {'width': SIZE_WH[0], 'height': SIZE_WH[1], 'k': K, 'rate_hz': 10}
POSE = [0, 0, 1, 0, 0, 0, 1]


@pytest.fixture
def folder(tmp_path):
    """A folder of three images, whose depth is 1000 mm and more by their number."""
    for part in ('rgb', 'depth'):
        (tmp_path / part).mkdir()
    for t in range(3):
        cv2.imwrite(str(tmp_path / f'rgb/{t}.png'), np.full((4, 6, 3), 50 * t, np.uint8))
        cv2.imwrite(str(tmp_path / f'depth/{t}.png'), np.full((4, 6), 1000 + t, np.uint16))
    write_camera(tmp_path)
    return tmp_path


def write_camera(folder, **changed):
    content = {key: value for key, value in (CAMERA | changed).items() if value is not None}
    (folder / 'camera.json').write_text(json.dumps(content))


def test_frames_have_image_depth_and_time(folder):
    source = open_source(str(folder))
    frames = list(source.frames)
    assert (source.rate_hz, source.count, source.camera.k) == (10, 3, K)
    assert [int(frame.image_bgr[0, 0, 0]) for frame in frames] == [0, 50, 100]
    assert [int(frame.depth_mm[0, 0]) for frame in frames] == [1000, 1001, 1002]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert [frame.pose for frame in frames] == [None] * 3


@pytest.mark.parametrize('rate_hz', [0, 20])
def test_depth_and_poses_are_kept_in_a_loop_and_at_another_rate(folder, rate_hz):
    poses = [[t, *POSE[1:]] for t in range(3)]
    write_camera(folder, parent_frame='base', poses=poses)
    source = open_source(str(folder), loop=True)
    source = at_rate(source, rate_hz) if rate_hz else source
    frames = list(itertools.islice(source.frames, 5))
    assert [int(frame.depth_mm[0, 0]) for frame in frames] == [1000, 1001, 1002, 1000, 1001]
    assert [frame.pose[0] for frame in frames] == [0, 1, 2, 0, 1]


def test_images_beside_a_folder_named_depth_are_played_alone(folder):
    cv2.imwrite(str(folder / 'a.png'), np.zeros((4, 6), np.uint8))
    source = open_source(str(folder))
    assert (source.camera, source.count) == (None, 1)


@pytest.mark.parametrize('part', ['rgb', 'depth', 'camera.json'])
def test_part_that_is_missing_is_named(folder, part):
    (folder / part).rename(folder / 'elsewhere')
    with pytest.raises(SourceError, match=f'has no {part}: images with depth are rgb, depth, '):
        open_source(str(folder))


def test_image_without_depth_is_named(folder):
    (folder / 'depth' / '1.png').unlink()
    with pytest.raises(SourceError, match=r'rgb/1\.png has no .*depth/1\.png'):
        open_rgbd(folder)


@pytest.mark.parametrize(
    ('name', 'pixels', 'message'),
    [
        (
            'depth/1.png',
            np.ones((4, 6), np.uint8),
            r'1\.png has 8 bits in 1 channels: depth is PNG',
        ),
        ('depth/1.png', np.ones((4, 6, 3), np.uint16), 'has 16 bits in 3 channels'),
        ('depth/1.png', np.ones((2, 3), np.uint16), r'1\.png is of 3x2 pixels, .* says 6x4'),
        ('rgb/1.png', np.ones((8, 12, 3), np.uint8), r'1\.png is of 12x8 pixels, .* says 6x4'),
    ],
)
def test_picture_of_another_kind_or_size_is_named_when_it_is_due(folder, name, pixels, message):
    cv2.imwrite(str(folder / name), pixels)
    frames = open_source(str(folder)).frames
    assert int(next(frames).depth_mm[0, 0]) == 1000
    with pytest.raises(SourceError, match=message):
        next(frames)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'k': None}, 'has no k: nine numbers are needed'),
        ({'k': K[:6]}, r'k is \[5, 0, .*: nine numbers are needed'),
        ({'width': '640'}, 'width is "640": pixels, above 0, are needed'),
        ({'height': 0}, 'height is 0: pixels'),
        ({'rate_hz': 0}, 'rate_hz is 0: a rate up to 1000 is needed'),
        ({'rate_hz': float('nan')}, 'rate_hz is NaN'),
        ({'rate': 5}, 'rate is not known: use width, height, k,'),
        ({'d': 'none'}, 'd is "none": numbers are needed'),
        ({'distortion_model': 7}, 'distortion_model is 7: a name is needed'),
        ({'poses': [POSE] * 3}, 'has poses but no parent_frame'),
        ({'poses': [POSE] * 2, 'parent_frame': 'base'}, 'has 2 poses for 3 images'),
        ({'poses': [[0] * 7] * 3, 'parent_frame': 'base'}, 'poses is .* for each image x, y, z'),
        ({'poses': [POSE[:6]] * 3, 'parent_frame': 'base'}, 'poses is .* for each image x, y, z'),
    ],
)
def test_what_is_wrong_in_the_camera_file_is_named(folder, changed, message):
    write_camera(folder, **changed)
    with pytest.raises(SourceError, match=f'camera.json.* {message}'):
        open_rgbd(folder)


@pytest.mark.parametrize('text', ['', '{"width": 6', '\x00', '[]', '6'])
def test_camera_file_that_is_none_is_refused(folder, text):
    (folder / 'camera.json').write_text(text)
    with pytest.raises(SourceError, match=r'camera\.json (is no JSON|holds no keys)'):
        open_rgbd(folder)
