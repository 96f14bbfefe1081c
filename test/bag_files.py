"""Writes small bags of images for tests, as recorders do; rosbags must be installed."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
START_NS, PERIOD_NS, DELAY_NS = 1_700_000_000_123_456_789, 33_333_333, 4_000_000
SECOND = 1_000_000_000
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


@dataclass(frozen=True)
class Kind:
    """How a bag is stored."""

    storage: str = 'MCAP'
    """Or SQLITE3."""
    compression: str = 'NONE'
    """NONE, MESSAGE, FILE, or, of mcap, STORAGE."""
    is_jpeg: bool = False
    """Whether its images are compressed."""


MCAP = Kind()


def header(stamp_ns: int, frame_id: str = 'camera'):
    stamp = STORE.types['builtin_interfaces/msg/Time'](stamp_ns // SECOND, stamp_ns % SECOND)
    return STORE.types['std_msgs/msg/Header'](stamp, frame_id)


def raw_image(image_bgr: np.ndarray, stamp_ns: int, encoding: str = 'bgr8') -> bytes:
    height, width = image_bgr.shape[:2]
    step, data = image_bgr[0].nbytes, image_bgr.ravel()
    message = STORE.types[IMAGE](header(stamp_ns), height, width, encoding, 0, step, data)
    return bytes(STORE.serialize_cdr(message, IMAGE))


def jpeg_image(image_bgr: np.ndarray, stamp_ns: int) -> bytes:
    data = cv2.imencode('.jpg', image_bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].ravel()
    message = STORE.types[COMPRESSED](header(stamp_ns), 'bgr8; jpeg compressed bgr8', data)
    return bytes(STORE.serialize_cdr(message, COMPRESSED))


def write_bag(path: Path, topics: dict[str, tuple[str, list[bytes]]], kind: Kind = MCAP) -> Path:
    """Write a type's messages on topics, each received some time after its stamp."""
    writer = Writer(path, version=9, storage_plugin=StoragePlugin[kind.storage])
    writer.set_compression(CompressionMode[kind.compression], CompressionFormat.ZSTD)
    with writer:
        for topic, (type_name, messages) in topics.items():
            connection = writer.add_connection(topic, type_name, typestore=STORE)
            for i, raw in enumerate(messages):
                writer.write(connection, START_NS + i * PERIOD_NS + DELAY_NS, raw)
    return path


def with_early_message(bag: Path, before_ns: int) -> Path:
    """Say in a bag's metadata that it begins earlier, as by a message of another topic."""
    path = bag / 'metadata.yaml'
    first_ns = START_NS + DELAY_NS
    path.write_text(path.read_text().replace(str(first_ns), str(first_ns - before_ns)))
    return bag


def write_camera(path: Path, images: list[np.ndarray], kind: Kind = MCAP) -> Path:
    """Write a bag of a camera, and of a topic that has no images."""
    make, type_name = (jpeg_image, COMPRESSED) if kind.is_jpeg else (raw_image, IMAGE)
    camera = [make(image, START_NS + i * PERIOD_NS) for i, image in enumerate(images)]
    words = STORE.serialize_cdr(STORE.types['std_msgs/msg/String']('hello'), 'std_msgs/msg/String')
    return write_bag(
        path,
        {
            '/camera/image_raw': (type_name, camera),
            '/chatter': ('std_msgs/msg/String', [bytes(words)] * 3),
        },
        kind,
    )
