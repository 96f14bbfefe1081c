"""The video player as a camera: folders and videos, raw and compressed, to the end or for ever."""

import itertools
import json

import cv2
import numpy as np
import pytest
from PIL import features
from robot import Robot
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from tracker import pixels_of
from video_files import write_av1, write_lying_video, write_uneven_gif

from tam_ros.ros.play_video import parse_arguments

LEVELS = [40, 120, 200]  # of grey, one per image


@pytest.fixture
def folder(tmp_path):
    """A folder of three images, and something else."""
    folder = tmp_path / 'clip'
    folder.mkdir()
    for i, level in enumerate(LEVELS):
        cv2.imwrite(str(folder / f'{i:02d}.png'), np.full((48, 64, 3), level, np.uint8))
    (folder / 'notes.txt').write_text('no image')
    return folder


@pytest.fixture
def rgbd_folder(folder):
    """The same images with depth, 700 mm and more by their number, and a camera that rises."""
    (folder / 'rgb').mkdir()
    (folder / 'depth').mkdir()
    for i in range(len(LEVELS)):
        (folder / f'{i:02d}.png').rename(folder / f'rgb/{i:02d}.png')
        depth = np.full((48, 64), 700 + i, np.uint16)
        cv2.imwrite(str(folder / f'depth/{i:02d}.png'), depth)
    camera = {
        'width': 64,
        'height': 48,
        'k': [50.5, 0, 31.5, 0, 50.5, 23.5, 0, 0, 1],
        'rate_hz': 5,
        'parent_frame': 'base',
        'poses': [[0, 0, i, 0, 0, 0, 2] for i in range(len(LEVELS))],
    }
    (folder / 'camera.json').write_text(json.dumps(camera))
    return folder


@pytest.fixture
def video(tmp_path):
    """A video of half a second at 20 frames per second."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 20, (64, 48))
    for level in np.linspace(20, 220, 10).astype(np.uint8):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return path


@pytest.fixture
def play(start_program):
    """Start the player; return the robot that watches, its program, images and calibrations."""
    robots = []

    def start(*arguments, message_type=Image):
        program = start_program('play_video', *arguments)
        robots.append(Robot(program.domain_id))
        suffix = '/compressed' if message_type is CompressedImage else ''
        images = robots[-1].record(message_type, f'/image_raw{suffix}')
        return robots[-1], program, images, robots[-1].record(CameraInfo, '/camera_info')

    yield start
    for robot in robots:
        robot.close()


def gray_level(image) -> int:
    if isinstance(image, CompressedImage):
        return int(cv2.imdecode(np.frombuffer(image.data, np.uint8), 0).mean().round())
    return int(pixels_of(image).mean().round())


def periods_s(images) -> np.ndarray:
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in images]
    return np.diff(stamps)


def assert_goes_round(levels: list[int]) -> None:
    """Check that levels are LEVELS over and over, from wherever they start."""
    nearest = [int(np.argmin(np.abs(np.subtract(LEVELS, level)))) for level in levels]
    rounds = [[(start + i) % 3 for i in range(len(levels))] for start in range(3)]
    assert nearest in rounds
    assert np.abs(np.array(levels) - np.array(LEVELS)[nearest]).max() <= 2


def test_folder_is_played_in_order_at_the_rate_and_again_with_loop(play, folder):
    robot, program, images, infos = play(folder, '--rate', 20, '--loop')
    robot.wait(lambda: len(images) >= 12 and len(infos) >= 12, '12 images')
    assert_goes_round([gray_level(image) for image in images])
    assert {(m.width, m.height, m.encoding) for m in images} == {(64, 48, 'bgr8')}
    assert np.median(periods_s(images)) == pytest.approx(0.05, rel=0.3)
    program.interrupt()
    assert program.wait_for_end() == 0


def test_compressed_images_are_jpeg(play, folder):
    robot, _, images, infos = play(
        folder, '--rate', 20, '--loop', '--compressed', message_type=CompressedImage
    )
    robot.wait(lambda: len(images) >= 6 and infos, 'six images')
    assert_goes_round([gray_level(image) for image in images])
    assert 'jpeg' in images[0].format
    assert bytes(images[0].data[:2]) == b'\xff\xd8'


def test_every_image_has_a_calibration_with_its_header(play, folder):
    robot, _, images, infos = play(folder, '--rate', 20, '--loop', '--frame-id', 'eye')
    robot.wait(lambda: len(images) >= 8 and len(infos) >= 8, 'eight images')
    robot.wait(lambda: len(infos) >= len(images), 'their calibrations')
    calibrated = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in infos}
    later = itertools.islice(images, 2, 8)  # both topics are connected by then
    assert {(m.header.stamp.sec, m.header.stamp.nanosec) for m in later} <= calibrated
    assert {m.header.frame_id for m in [*images, *infos]} == {'eye'}
    assert (infos[0].width, infos[0].height) == (64, 48)
    assert (infos[0].k[2], infos[0].k[5]) == (32, 24)


def test_video_is_played_at_its_own_rate(play, video):
    robot, program, images, _ = play(video, '--loop')
    robot.wait(lambda: len(images) >= 15, '15 images')
    assert np.median(periods_s(images)) == pytest.approx(0.05, rel=0.3)
    program.wait_for_log('at 20.00 Hz')


def test_paused_player_repeats_its_first_frame_then_plays_to_the_end(play, video):
    robot, program, images, infos = play(video, '--start-paused')
    robot.wait(lambda: images and infos, 'the first frame')
    first = images[0].header.stamp
    assert robot.call(Trigger, '/play_video/play').success
    assert program.wait_for_end() == 0
    robot.wait(lambda: len({m.header.stamp.nanosec for m in infos}) == 10, 'ten calibrations')
    assert infos[0].header.stamp == first
    levels = [gray_level(image) for image in images]
    assert levels == sorted(levels)
    assert levels[-1] > 200


def test_player_ends_at_the_end(play, video):
    _, program, _, _ = play(video, '--rate', 100)
    assert program.wait_for_end() == 0
    assert 'Traceback' not in program.log


def stamp(message) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


@pytest.mark.parametrize('compressed', [False, True])
def test_images_with_depth_are_published_with_calibration_and_tf(play, rgbd_folder, compressed):
    robot, program, images, infos = play(
        *(rgbd_folder, '--loop', '--frame-id', 'eye'),
        *(('--compressed',) if compressed else ()),
        message_type=CompressedImage if compressed else Image,
    )
    depths = robot.record(Image, '/aligned_depth_to_color/image_raw')
    transforms = robot.record(TFMessage, '/tf')
    program.wait_for_log('at 5.00 Hz')

    def parts():
        """Return all that came under one stamp, None until all is there."""
        moved = [t for message in list(transforms) for t in message.transforms]
        of = [{stamp(m): m for m in list(kind)} for kind in (images, infos, depths, moved)]
        whole = [s for s in of[0] if all(s in kind for kind in of)]
        return [kind[whole[-1]] for kind in of] if whole else None

    image, info, depth, transform = robot.wait(parts, 'image, calibration, depth and TF')
    number = int(np.argmin(np.abs(np.subtract(LEVELS, gray_level(image)))))
    assert (depth.encoding, depth.header.frame_id) == ('16UC1', 'eye')
    assert (pixels_of(depth) == 700 + number).all()
    assert (info.width, info.k[0], info.p[2], len(info.d)) == (64, 50.5, 31.5, 5)
    assert (transform.header.frame_id, transform.child_frame_id) == ('base', 'eye')
    assert transform.transform.translation.z == number
    assert transform.transform.rotation.w == 1


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'k': [0] * 9}, 'camera.json: the camera is not calibrated'),
        ({'d': [1, 2]}, 'camera.json: plumb_bob has 4 or 5 coefficients, not 2'),
        ({'height': 47}, 'rgb/00.png is of 64x48 pixels, camera.json says 64x47'),
        ({'poses': []}, ''),
    ],
)
def test_camera_file_that_no_camera_has_ends_with_a_message(
    start_program, rgbd_folder, changed, message
):
    path = rgbd_folder / 'camera.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    program = start_program('play_video', rgbd_folder, '--rate', 50)
    assert program.wait_for_end() == bool(message)
    assert message in program.log
    assert 'Traceback' not in program.log


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('nowhere.mp4', None, 'nowhere.mp4 is no file, folder or webcam number'),
        ('noise.mp4', b'noise', 'noise.mp4 cannot be opened as a video'),
        ('.', None, 'holds no images'),
    ],
)
def test_source_that_cannot_be_played_ends_with_a_message(
    start_program, tmp_path, name, content, message
):
    if content:
        (tmp_path / name).write_bytes(content)
    program = start_program('play_video', tmp_path / name)
    assert program.wait_for_end() == 1
    assert message in program.log
    assert 'Traceback' not in program.log


def test_broken_image_in_a_folder_ends_with_its_name(start_program, folder):
    (folder / '01.png').write_bytes(b'broken')
    program = start_program('play_video', folder, '--rate', 50)
    assert program.wait_for_end() == 1
    assert '01.png cannot be read as an image' in program.log


def test_video_of_a_phone_is_published_upright(play, tmp_path):
    robot, _, images, infos = play(write_lying_video(tmp_path / 'phone.mp4', 90), '--loop')
    robot.wait(lambda: images and infos, 'an image')
    assert (images[0].width, images[0].height) == (infos[0].width, infos[0].height) == (48, 64)


def test_uneven_frames_are_published_at_their_times(play, tmp_path):
    gaps_ms = [400, 1200] * 8
    robot, _, images, _ = play(write_uneven_gif(tmp_path / 'uneven.gif', gaps_ms), '--loop')
    robot.wait(lambda: len(images) >= 7, 'seven images')
    gaps_s = periods_s(images)[1:7]  # a busy machine may publish some late, but no gap as even
    assert np.median(np.sort(gaps_s)[:3]) == pytest.approx(0.4, abs=0.2)
    assert np.median(np.sort(gaps_s)[3:]) == pytest.approx(1.2, abs=0.2)


@pytest.mark.skipif(not features.check('avif'), reason='this Pillow writes no AV1')
def test_video_without_frames_ends_with_a_message_even_in_a_loop(start_program, tmp_path):
    program = start_program('play_video', write_av1(tmp_path / 'modern.mp4'), '--loop')
    assert program.wait_for_end(20) == 1
    assert 'modern.mp4 has no frames' in program.log
    assert 'Traceback' not in program.log


@pytest.mark.parametrize('rate', ['-5', 'nan', 'inf', 'fast', '100000'])
def test_impossible_rate_is_refused_in_one_line(folder, rate, capsys):
    with pytest.raises(SystemExit, match='2'):
        parse_arguments([str(folder), '--rate', rate])
    assert f'{rate} is no rate: use 0 to 1000 Hz' in capsys.readouterr().err
