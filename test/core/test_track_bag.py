"""Tracking in bags, of every storage and compression, and the bag that comes of it."""

import shutil
import sys

import numpy as np
import pytest
from offline_runs import MUG, check_whole, first_frames, journal, masks, refusal, rows, track

pytest.importorskip('rosbags', reason='bags are read by rosbags, which is not installed')

from bag_files import (
    DELAY_NS,
    IMAGE,
    PERIOD_NS,
    SECOND,
    START_NS,
    Kind,
    raw_image,
    with_early_message,
    write_bag,
    write_camera,
)
from rosbags.rosbag2 import Reader

from tam_ros.evaluation.measures import region_similarity
from tam_ros.offline.bag_types import message_types

COUNT = 4
KINDS = [
    Kind('MCAP'),
    Kind('MCAP', 'STORAGE', is_jpeg=True),
    Kind('MCAP', 'MESSAGE'),
    Kind('SQLITE3', is_jpeg=True),
    Kind('SQLITE3', 'MESSAGE'),
    Kind('SQLITE3', 'FILE'),
]


@pytest.fixture(scope='module')
def images():
    return first_frames(COUNT)


@pytest.fixture
def bag(tmp_path, images):
    return write_camera(tmp_path / 'ride', images)


def read_bag(path):
    """Return all messages of a bag by topic, with the times at which they are played."""
    store, found = message_types(), {}
    with Reader(path) as reader:
        for connection, time_ns, raw in reader.messages():
            message = store.deserialize_cdr(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append((time_ns, message))
    return found


def stamp_ns(header) -> int:
    return header.stamp.sec * SECOND + header.stamp.nanosec


@pytest.mark.parametrize(
    'kind', KINDS, ids=lambda k: f'{k.storage} {k.compression} {"jpeg" if k.is_jpeg else "raw"}'
)
def test_every_image_of_a_bag_has_results_at_its_time(tmp_path, images, kind):
    bag, out = write_camera(tmp_path / 'ride', images, kind), tmp_path / 'out'
    assert track(bag, '--box', MUG, '--click', '515,228', '--out', out) == 0
    check_whole(out, COUNT)
    found = read_bag(out / 'bag')
    assert {topic: len(messages) for topic, messages in found.items()} == {
        '/tam/objects': COUNT,
        '/tam/detections': COUNT,
        '/tam/label_image': COUNT,
    }
    for messages in found.values():
        for i, (time_ns, message) in enumerate(messages):
            assert stamp_ns(message.header) == START_NS + i * PERIOD_NS
            assert time_ns == START_NS + i * PERIOD_NS + DELAY_NS
            assert message.header.frame_id == 'camera'
    suffix = '.mcap' if kind.storage == 'MCAP' else '.db3'
    assert {path.suffix for path in (out / 'bag').iterdir()} == {suffix, '.yaml'}


def test_what_is_found_in_a_bag_is_in_its_results(tmp_path, bag):
    out = tmp_path / 'out'
    assert track(bag, '--discover', '--label', 'thing', '--out', out) == 0
    check_whole(out, COUNT)
    (*_, (_, last)) = read_bag(out / 'bag')['/tam/objects']
    assert [each.id for each in last.objects] == [*range(1, len(last.objects) + 1)]
    assert last.objects
    assert {(each.state, each.label) for each in last.objects} == {
        (last.objects[0].TRACKED, 'thing')
    }


def test_messages_say_what_the_other_results_say(tmp_path, bag):
    out = tmp_path / 'out'
    assert track(bag, '--box', MUG, '--click', '515,228', '--out', out) == 0
    found, table = read_bag(out / 'bag'), rows(out)
    for i, (name, labels) in enumerate(masks(out).items()):
        objects, boxes, image = (found[f'/tam/{t}'][i][1] for t in _TOPICS)
        assert (image.encoding, image.height, image.width) == ('16UC1', 480, 640)
        np.testing.assert_array_equal(image.data.view('<u2').reshape(480, 640), labels)
        assert (objects.image_width, objects.image_height) == (640, 480)
        of_frame = [row for row in table if row['name'] == name]
        for row, tracked, detection in zip(of_frame, objects.objects, boxes.detections):
            x0, y0, x1, y1 = (int(row[key]) for key in ('x0', 'y0', 'x1', 'y1'))
            box, center = tracked.box, detection.bbox.center.position
            assert (box.x_offset, box.y_offset, box.width, box.height) == (
                *(x0, y0, x1 - x0, y1 - y0),
            )
            assert (center.x, center.y) == ((x0 + x1) / 2, (y0 + y1) / 2)
            mask = tracked.mask.data.reshape(y1 - y0, x1 - x0)
            np.testing.assert_array_equal(mask == 255, labels[y0:y1, x0:x1] == int(row['object']))
            assert str(tracked.id) == detection.id == row['object']
            assert tracked.state == tracked.TRACKED
            score = float(row['score'])
            assert tracked.score == pytest.approx(score, abs=1e-4)
            assert detection.results[0].hypothesis.score == pytest.approx(score, abs=1e-4)


_TOPICS = ('objects', 'detections', 'label_image')


def test_prompts_may_have_the_stamps_of_headers(tmp_path, bag):
    prompts = tmp_path / 'p.json'
    stamp_s = (START_NS + 2 * PERIOD_NS) / SECOND
    prompts.write_text(f'[{{"object": 1, "stamp": {stamp_s!r}, "points": [70, 350]}}]')
    out = tmp_path / 'out'
    assert track(bag, '--prompts', prompts, '--out', out) == 0
    assert [row['frame'] for row in rows(out)] == ['2', '3']


def test_a_run_through_a_bag_goes_on(tmp_path, bag):
    out = tmp_path / 'out'
    assert track(bag, '--box', MUG, '--out', out) == 0
    before, lines = read_bag(out / 'bag'), (out / 'track.jsonl').read_bytes().splitlines(True)
    (out / 'track.jsonl').write_bytes(b''.join(lines[:3]))
    assert track(bag, '--box', MUG, '--out', out) == 0
    check_whole(out, COUNT)
    after = read_bag(out / 'bag')
    for i in range(COUNT):
        images = (found['/tam/label_image'][i][1] for found in (before, after))
        old, new = (image.data.view('<u2').reshape(480, 640) == 1 for image in images)
        assert region_similarity(old, new) > (0.9 if i >= 2 else 0.9999)


def test_both_bags_begin_together(tmp_path, bag):
    with_early_message(bag, 2 * SECOND)
    out = tmp_path / 'out'
    assert track(bag, '--box', MUG, '--out', out) == 0
    with Reader(bag) as recorded, Reader(out / 'bag') as results:
        assert results.start_time == recorded.start_time == START_NS + DELAY_NS - 2 * SECOND
        assert results.message_count == 3 * COUNT


def test_a_file_of_a_bag_is_one_too(tmp_path, bag):
    out = tmp_path / 'out'
    assert track(bag / 'ride.mcap', '--box', MUG, '--out', out) == 0
    check_whole(out, COUNT)


# -- topics ---------------------------------------------------------------------------------


@pytest.fixture
def two_cameras(tmp_path, images):
    left, right = (
        [raw_image(image[:, ::step], START_NS + i * PERIOD_NS) for i, image in enumerate(images)]
        for step in (1, 2)
    )
    return write_bag(tmp_path / 'two', {'/left': (IMAGE, left), '/right': (IMAGE, right)})


def test_one_of_several_topics_is_to_be_named(tmp_path, two_cameras, capsys):
    out = tmp_path / 'out'
    said = refusal(capsys, two_cameras, '--box', MUG, '--out', out)
    assert said == f'{two_cameras} has several image topics: set --topic to /left or /right'
    said = refusal(capsys, two_cameras, '--box', MUG, '--topic', '/up', '--out', out)
    assert said == f'{two_cameras} has no images on topic /up: there are /left, /right'
    assert track(two_cameras, '--click', '35,350', '--topic', 'right', '--out', out) == 0
    assert masks(out)['00000'].shape == (480, 320)
    said = refusal(capsys, two_cameras, '--click', '35,350', '--topic', 'left', '--out', out)
    assert "has results for topic '/right', asked for is '/left'" in said


def test_bags_without_images_are_named(tmp_path, capsys):
    none = write_bag(tmp_path / 'none', {'/chatter': ('std_msgs/msg/String', [])})
    said = refusal(capsys, none, '--box', MUG, '--out', tmp_path / 'out')
    assert said == f'{none} has no topic with images (sensor_msgs)'
    empty = write_bag(tmp_path / 'empty', {'/camera': (IMAGE, [])})
    said = refusal(capsys, empty, '--box', MUG, '--out', tmp_path / 'out')
    assert said == f'{empty} has no images that can be read'


def test_images_that_cannot_be_tracked_in_are_named(tmp_path, capsys):
    depth = [raw_image(np.zeros((8, 8), np.uint16).view(np.uint8), START_NS, '16UC1')]
    bag = write_bag(tmp_path / 'depth', {'/depth': (IMAGE, depth)})
    said = refusal(capsys, bag, '--click', '1,1', '--out', tmp_path / 'out')
    assert said.startswith(f"{bag}: /depth cannot be tracked in: image encoding '16UC1'")


def test_times_and_rates_of_bags_are_their_own(tmp_path, bag, capsys):
    said = refusal(capsys, bag, '--box', MUG, '--rate', '5', '--out', tmp_path / 'out')
    assert said == '--rate is for videos and images: a bag has its own times'


# -- damage ---------------------------------------------------------------------------------


def test_a_damaged_image_is_left_out_and_said(tmp_path, images, capsys):
    messages = [raw_image(image, START_NS + i * PERIOD_NS) for i, image in enumerate(images)]
    messages[1] = messages[1][:2000]
    bag = write_bag(tmp_path / 'damaged', {'/camera': (IMAGE, messages)})
    out = tmp_path / 'out'
    assert track(bag, '--box', MUG, '--out', out) == 0
    assert f'{bag}: frame 1 is left out: its message is damaged' in capsys.readouterr().err
    assert [line['frame'] for line in journal(out)] == [0, 2, 3]
    check_whole(out, 3)


def test_stamps_that_do_not_ascend_lose_no_frame(tmp_path, images):
    stamps_ns = [START_NS, START_NS - 5 * SECOND, 0, START_NS + 100 * SECOND]
    messages = [raw_image(image, stamp) for image, stamp in zip(images, stamps_ns)]
    bag = write_bag(tmp_path / 'odd', {'/camera': (IMAGE, messages)})
    out = tmp_path / 'out'
    assert track(bag, '--box', MUG, '--out', out) == 0
    check_whole(out, COUNT)
    headers = [message.header for _, message in read_bag(out / 'bag')['/tam/objects']]
    assert [stamp_ns(header) for header in headers] == stamps_ns
    assert {row['state'] for row in rows(out)} == {'tracked'}


def test_an_image_of_another_size_ends_the_run(tmp_path, images, capsys):
    messages = [raw_image(images[0], START_NS), raw_image(images[1], START_NS + PERIOD_NS)]
    messages.append(raw_image(images[2][::2], START_NS + 2 * PERIOD_NS))
    bag = write_bag(tmp_path / 'sizes', {'/camera': (IMAGE, messages)})
    out = tmp_path / 'out'
    assert track(bag, '--box', MUG, '--out', out) == 1
    assert 'frame 2 (00002) is 640x240, the first is 640x480' in capsys.readouterr().err
    check_whole(out, 2)


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_damaged_files_are_named(tmp_path, images, capsys, storage):
    bag = write_camera(tmp_path / 'ride', images, Kind(storage))
    (file,) = (path for path in bag.iterdir() if path.suffix != '.yaml')
    file.write_bytes(b'not a bag' * 1000)
    said = refusal(capsys, bag, '--box', MUG, '--out', tmp_path / 'out')
    assert said.startswith(f'{bag} cannot be read as a bag: ')


def test_a_bag_that_was_not_finished_is_named(tmp_path, bag, capsys):
    (bag / 'metadata.yaml').unlink()
    said = refusal(capsys, bag, '--box', MUG, '--out', tmp_path / 'out')
    assert said.startswith(f'{bag} is a bag without metadata.yaml, as if its recorder had been')
    assert said.endswith('`ros2 bag reindex ' + f'{bag}`, or give the file ride.mcap')


def test_without_rosbags_bags_are_refused_and_say_what_helps(tmp_path, bag, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rosbags.rosbag2', None)
    said = refusal(capsys, bag, '--box', MUG, '--out', tmp_path / 'out')
    assert said.startswith(f'{bag} is a bag, which needs rosbags (')
    assert said.endswith('pip install rosbags')


def test_results_of_a_bag_are_made_anew_where_they_are_gone(tmp_path, bag):
    out = tmp_path / 'out'
    assert track(bag, '--box', MUG, '--out', out) == 0
    lines = (out / 'track.jsonl').read_bytes().splitlines(True)
    (out / 'track.jsonl').write_bytes(b''.join(lines[:-1]))  # killed before its end
    shutil.rmtree(out / 'bag')
    shutil.rmtree(out / 'masks')
    assert track(bag, '--box', MUG, '--out', out) == 0
    check_whole(out, COUNT)
    assert len(read_bag(out / 'bag')['/tam/objects']) == COUNT
