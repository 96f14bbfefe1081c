"""What stands in for a camera: order, rates, times, upright videos, loops, and what has none."""

import itertools
import math

import cv2
import numpy as np
import pytest
from PIL import features
from video_files import (
    QUADRANTS,
    grey_images,
    write_av1,
    write_cut_download,
    write_lying_video,
    write_uneven_gif,
    write_video,
    write_webm_as_browsers_do,
)

from tam_ros.image_files import SourceError
from tam_ros.video_source import Frame, Pace, Source, at_rate, open_source, webcam_number


def take(source: Source, count: int | None = None) -> list[Frame]:
    return list(itertools.islice(source.frames, count))


def times_s(frames: list[Frame]) -> list[float]:
    return [frame.time_s for frame in frames]


def levels(frames: list[Frame]) -> list[int]:
    return [round(float(frame.image_bgr.mean())) for frame in frames]


@pytest.fixture
def folder(tmp_path):
    """A folder of images 1 to 11, each of the grey level of its number."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(1, 12):
        cv2.imwrite(str(folder / f'{i}.png'), np.full((4, 6), i, np.uint8))
    (folder / '._1.png').write_bytes(b'of a Mac')
    return folder


def test_folder_is_shown_in_natural_order(folder):
    source = open_source(str(folder))
    frames = take(source)
    assert levels(frames) == list(range(1, 12))
    assert (source.rate_hz, source.count) == (30, 11)
    assert times_s(frames) == pytest.approx([i / 30 for i in range(11)])


def test_single_image_is_a_source_not_the_first_of_a_sequence(folder):
    assert levels(take(open_source(str(folder / '3.png')))) == [3]


@pytest.mark.parametrize(
    ('degrees', 'corners'), [(90, [2, 0, 3, 1]), (180, [3, 2, 1, 0]), (270, [1, 3, 0, 2])]
)
def test_videos_are_upright(tmp_path, degrees, corners):
    image = take(open_source(str(write_lying_video(tmp_path / 'phone.mp4', degrees))))[0].image_bgr
    assert image.shape == ((64, 48, 3) if degrees % 180 else (48, 64, 3))
    seen = [image[y, x] for y in (5, -5) for x in (5, -5)]
    np.testing.assert_allclose(seen, np.array(QUADRANTS)[corners], atol=8)


def test_video_has_its_rate_count_and_even_times(tmp_path):
    source = open_source(str(write_video(tmp_path / 'a.avi', 'MJPG', grey_images(9))))
    assert (source.rate_hz, source.count) == (12.5, 9)
    assert times_s(take(source)) == pytest.approx([0.08 * i for i in range(9)])


def test_rate_of_a_webm_without_counts_is_measured(tmp_path):
    source = open_source(str(write_webm_as_browsers_do(tmp_path / 'a.webm', 12)))
    assert source.rate_hz == pytest.approx(12.5, rel=0.02)
    assert source.count is None
    late_s = [0.003 * (i % 2) for i in range(12)]
    assert times_s(take(source)) == pytest.approx([0.08 * i + late_s[i] for i in range(12)])


def test_uneven_frames_keep_their_times(tmp_path):
    path = write_uneven_gif(tmp_path / 'a.gif', [40, 200, 40, 400, 40])
    assert times_s(take(open_source(str(path)))) == pytest.approx([0, 0.04, 0.24, 0.28, 0.68])


def test_frames_a_minute_apart_do_not_stop_the_film(tmp_path):
    path = write_uneven_gif(tmp_path / 'a.gif', [100, 60_000, 100, 100])
    frames = take(open_source(str(path)))
    assert len(frames) == 4
    assert frames[-1].time_s < 1


@pytest.mark.parametrize('suffix', ['.mp4', '.avif'])
@pytest.mark.skipif(not features.check('avif'), reason='this Pillow writes no AV1')
def test_video_of_a_codec_that_opencv_lacks_has_no_frames(tmp_path, suffix):
    path = write_av1(tmp_path / f'modern{suffix}')
    if cv2.VideoCapture(str(path)).read()[0]:
        pytest.skip('this OpenCV decodes AV1')
    for loop in (False, True):
        with pytest.raises(SourceError, match=rf'modern{suffix} has no frames .*AV01'):
            open_source(str(path), loop=loop)


@pytest.mark.parametrize('loop', [False, True])
def test_video_that_breaks_off_says_so_after_its_last_frame(tmp_path, loop):
    images = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / 'cut.webm', 'VP80', images)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = []
    message = r'cut.webm breaks off after \d+ of 20 frames: it is cut or damaged'
    with pytest.raises(SourceError, match=message):
        frames.extend(open_source(str(path), loop=loop).frames)
    assert 3 <= len(frames) <= 15


def test_download_that_broke_off_says_so_and_a_whole_one_does_not(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), np.uint8)
    whole = write_cut_download(tmp_path / 'whole.mp4', images, 1.0)
    assert len(take(open_source(str(whole)))) == 20
    cut = write_cut_download(tmp_path / 'cut.mp4', images, 0.6)
    with pytest.raises(SourceError, match=r'cut.mp4 breaks off after \d+ of 20 frames'):
        take(open_source(str(cut)))


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('nowhere.mp4', None, 'nowhere.mp4 is no file, folder or webcam number'),
        ('²', None, '² is no file'),
        ('noise.mp4', b'noise', 'noise.mp4 cannot be opened as a video'),
        ('empty.mp4', b'', 'empty.mp4 cannot be opened as a video'),
        ('noise.png', b'noise', 'noise.png cannot be read as an image'),
        ('.', None, 'holds no images'),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        take(open_source(str(tmp_path / name)))


def test_home_is_where_a_path_says(folder, monkeypatch):
    monkeypatch.setenv('HOME', str(folder.parent))
    assert open_source('~/images').count == 11


def test_webcams_have_numbers_and_device_files(tmp_path):
    assert [webcam_number(name) for name in ('0', '12', '/dev/video3')] == [0, 12, 3]
    names = ('clip7.mp4', '/dev/null', '/dev/video', 'video3', '-1', '٣', '/tmp/dev/video3')
    assert [webcam_number(name) for name in names] == [None] * len(names)


def test_webcam_that_is_not_there_is_named():
    with pytest.raises(SourceError, match='webcam /dev/video97 cannot be opened'):
        open_source('/dev/video97')


def test_loop_starts_again_a_period_after_the_last_frame(tmp_path):
    path = write_uneven_gif(tmp_path / 'a.gif', [100, 300, 100])
    frames = take(open_source(str(path), loop=True), 7)
    period_s = 0.4 / 2  # in the mean
    first_s = [0, 0.1, 0.4]
    second_s = [0.4 + period_s + s for s in first_s]
    assert times_s(frames)[:6] == pytest.approx(first_s + second_s)
    assert levels(frames)[:3] == levels(frames)[3:6]
    assert frames[6].time_s == pytest.approx(2 * (0.4 + period_s))


def test_rate_spreads_recorded_frames_evenly(tmp_path):
    path = write_uneven_gif(tmp_path / 'a.gif', [40, 200, 40, 400, 40])
    source = at_rate(open_source(str(path)), 5)
    assert source.rate_hz == 5
    assert times_s(take(source)) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])


def test_rate_leaves_out_live_frames_between():
    image = np.zeros((2, 2, 3), np.uint8)
    frames = (Frame(image, i / 30) for i in range(31))
    thinned = take(at_rate(Source(30, frames, is_live=True), 10))
    np.testing.assert_allclose(times_s(thinned), np.arange(11) / 10, atol=1.1 / 30)
    assert 8 <= len(thinned) <= 11


def test_pace_follows_the_times_and_a_late_frame_delays_the_rest():
    pace = Pace()
    assert pace.wait_s(0.0, 100.0) == 0
    assert pace.wait_s(0.1, 100.02) == pytest.approx(0.08)
    assert pace.wait_s(0.2, 100.5) == 0  # 0.3 s late
    assert pace.wait_s(0.3, 100.5) == pytest.approx(0.1)
    assert not math.isnan(pace.wait_s(0.3, 100.5))
