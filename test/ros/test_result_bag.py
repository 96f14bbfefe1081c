"""Result topics of a bag are messages that ROS reads, and say what the node's would."""

import json
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from tam_ros.masks import tight_crop
from tam_ros.msg import TrackedObjectArray
from tam_ros.offline.recording import Origin
from tam_ros.offline.records import FrameRecord, ObjectRecord
from tam_ros.offline.rle import RleMask
from tam_ros.ros import conversions
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.results import FrameMasks, FrameResult, ObjectResult, ObjectState

pytest.importorskip('rosbags', reason='bags are written by rosbags, which is not installed')

from ament_index_python import get_package_share_directory
from bag_files import COMPRESSED

from tam_ros.offline.bag_types import DEFINITIONS, IMAGE, ResultMessages, message_types

ROOT = Path(__file__).parents[2]
SIZE_WH = 64, 48
ORIGIN = Origin(1_700_000_000_123_456_789, 'camera', 5)
LABELS = {3: 'mug', 7: 'Tasse ü'}


def logits() -> dict[int, np.ndarray]:
    """Return what shows object 3; object 7 is hidden."""
    shown = np.full((48, 64), -5.0, np.float32)
    shown[10:20, 30:45] = 5.0
    return {3: shown}


@pytest.fixture
def frame() -> FrameResult:
    seen = {n: Observation(0, 0, shown, 5.0, 0.75) for n, shown in logits().items()}
    found = FrameMasks(seen, SIZE_WH, exclusive=True)
    states = {3: ObjectState.TRACKED, 7: ObjectState.LOST}
    observation = Observation(0, 0, np.zeros((48, 64), np.float32), 5.0, 0.75)
    objects = [
        ObjectResult(n, LABELS[n], state, observation, n == 3, found)
        for n, state in states.items()
    ]
    return FrameResult(ORIGIN.stamp_ns, SIZE_WH, objects)


@pytest.fixture
def record(frame) -> FrameRecord:
    """The same, as it is kept of a file."""
    objects = [
        ObjectRecord(
            o.object_id,
            o.label,
            o.state,
            o.predicted_iou,
            RleMask.of(o.mask, SIZE_WH) if o.mask else None,
        )
        for o in frame.objects
    ]
    return FrameRecord(0, '00000', '', 0, 1, ORIGIN, SIZE_WH, (), objects)


@pytest.fixture(scope='module')
def store():
    return message_types()


@pytest.fixture
def header() -> Header:
    return Header(frame_id='camera', stamp=conversions.ns_to_stamp(ORIGIN.stamp_ns))


def as_ros_reads_it(store, message, kind):
    return deserialize_message(bytes(store.serialize_cdr(message, message.__msgtype__)), kind)


def test_objects_are_those_of_the_node(store, frame, record, header):
    message = ResultMessages(store).objects(record, ORIGIN)
    read = as_ros_reads_it(store, message, TrackedObjectArray)
    assert read == conversions.frame_to_objects(frame, header)
    assert [o.label for o in read.objects] == list(LABELS.values())


def test_detections_are_those_of_the_node(store, frame, record, header):
    message = ResultMessages(store).detections(record, ORIGIN)
    read = as_ros_reads_it(store, message, Detection2DArray)
    assert read == conversions.frame_to_detections(frame, header)


def test_label_image_is_that_of_the_node(store, frame, record, header):
    message = ResultMessages(store).label_image(record, ORIGIN)
    read = as_ros_reads_it(store, message, Image)
    assert read == conversions.array_to_image(frame.label_image(), '16UC1', header)
    assert tight_crop(0, 0, frame.label_image() == 3).box_xyxy == (30, 10, 45, 20)


def test_images_that_ros_writes_are_read(store, header):
    pixels = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    sent = conversions.array_to_image(pixels, 'rgb8', header)
    read = store.deserialize_cdr(serialize_message(sent), IMAGE)
    assert (read.encoding, read.header.frame_id) == ('rgb8', 'camera')
    np.testing.assert_array_equal(read.data.reshape(pixels.shape), pixels)
    assert COMPRESSED in store.types


def definitions() -> list[Path]:
    return sorted(DEFINITIONS.glob('*/*.msg'))


@pytest.mark.parametrize('path', definitions(), ids=lambda path: path.stem)
def test_definitions_are_those_of_the_packages(path):
    package = path.parent.name
    folder = ROOT if package == 'tam_ros' else ROOT / 'tools' / 'bare_ros' / package
    assert path.read_text() == (folder / 'msg' / path.name).read_text()


@pytest.mark.parametrize('path', definitions(), ids=lambda path: path.stem)
def test_types_have_the_hashes_of_ros(store, path):
    package, name = path.parent.name, path.stem
    described = Path(get_package_share_directory(package)) / 'msg' / f'{name}.json'
    hashes = {each['type_name']: each['hash_string'] for each in _hashes(described)}
    assert store.hash_rihs01(f'{package}/msg/{name}') == hashes[f'{package}/msg/{name}']


def _hashes(path: Path) -> list[dict[str, str]]:
    return json.loads(path.read_text())['type_hashes']
