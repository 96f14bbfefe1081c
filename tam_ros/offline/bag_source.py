"""Images of a rosbag2 bag, of sqlite3 or mcap, compressed or not; read by rosbags."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tam_ros.decoding import ImageError, compressed_to_rgb, image_to_rgb
from tam_ros.image_files import SourceError
from tam_ros.offline.recording import SECOND, Origin, Recording, Stopwatch, View
from tam_ros.rgbd_folder import HIGHEST_RATE_HZ
from tam_ros.video_source import DEFAULT_RATE_HZ, PROBED_FRAMES

if TYPE_CHECKING:
    from rosbags.rosbag2 import Reader

METADATA = 'metadata.yaml'
STORAGES = {'.mcap': 'mcap', '.db3': 'sqlite3'}  # by the suffix of a file

Warn = Callable[[str], None]


def is_bag(path: Path) -> bool:
    """Return whether a path is a bag: its folder, or one of its files.

    Raises SourceError for a bag that was not finished.
    """
    if not path.is_dir():
        return path.suffix.lower() in STORAGES
    if (path / METADATA).is_file():
        return True
    files = [file for file in path.iterdir() if file.suffix.lower() in STORAGES]
    if files:
        raise SourceError(
            f'{path} is a bag without {METADATA}, as if its recorder had been killed: make it by '
            f'`ros2 bag reindex {path}`, or give the file {files[0].name}'
        )
    return False


def open_bag(path: Path, topic: str = '', *, warn: Warn) -> Recording:
    """Open the images of a topic; '' for the only one that has images. Raises SourceError.

    warn is told of each message that cannot be read; it is left out.
    """
    with _reading(path) as reader:
        connections = _image_connections(path, reader, topic)
        count, start_ns = sum(each.msgcount for each in connections), reader.start_time
        messages = reader.messages(connections)
        times_ns = [received_ns for _, received_ns, _ in itertools.islice(messages, PROBED_FRAMES)]
    rate_hz = _rate_hz(times_ns)
    topic, storage = connections[0].topic, _storage(path)

    def views() -> Iterator[View]:
        return _views(path, topic, round(SECOND / rate_hz), warn)

    return Recording(path, rate_hz, count, True, views, topic, storage, start_ns)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator['Reader']:
    """Open a bag; whatever is wrong with it is a SourceError."""
    try:
        from rosbags.rosbag2 import Reader
    except ModuleNotFoundError as error:
        raise SourceError(
            f'{path} is a bag, which needs rosbags ({error}): pip install rosbags'
        ) from error
    try:
        with Reader(path) as reader:
            yield reader
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - of damaged bags, the parts of rosbags raise any
        raise SourceError(f'{path} cannot be read as a bag: {error}') from error


def _image_connections(path: Path, reader: 'Reader', topic: str) -> Sequence[Any]:
    """Return the connections of a topic with images; raises SourceError, with those there are."""
    from tam_ros.offline.bag_types import COMPRESSED, IMAGE

    with_images = [c for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED)]
    topics = sorted({connection.topic for connection in with_images})
    if not topics:
        raise SourceError(f'{path} has no topic with images (sensor_msgs)')
    if not topic and len(topics) > 1:
        raise SourceError(f'{path} has several image topics: set --topic to {" or ".join(topics)}')
    chosen = f'/{topic.strip("/")}' if topic else topics[0]
    if chosen not in topics:
        raise SourceError(f'{path} has no images on topic {chosen}: there are {", ".join(topics)}')
    return [connection for connection in with_images if connection.topic == chosen]


def _storage(path: Path) -> str:
    """Return the storage of a bag by its files, which may be compressed."""
    files = [path] if path.is_file() else path.iterdir()
    found = (STORAGES.get(suffix) for file in files for suffix in file.suffixes)
    return next(filter(None, found), 'sqlite3')


def _rate_hz(times_ns: Sequence[int]) -> float:
    gaps_ns = [b - a for a, b in itertools.pairwise(times_ns) if b > a]
    if not gaps_ns:
        return DEFAULT_RATE_HZ
    return min(len(gaps_ns) * SECOND / sum(gaps_ns), HIGHEST_RATE_HZ)


def _views(path: Path, topic: str, period_ns: int, warn: Warn) -> Iterator[View]:
    from tam_ros.offline.bag_types import message_types

    store, stopwatch, has_image = message_types(), Stopwatch(period_ns), False
    with _reading(path) as reader:
        messages = reader.messages(_image_connections(path, reader, topic))
        for index, (connection, received_ns, raw) in enumerate(messages):
            try:
                message, image_rgb = _decode(store, raw, connection.msgtype)
            except ImageError as error:
                if not has_image:  # so it will be with all others
                    raise SourceError(f'{path}: {topic} cannot be tracked in: {error}') from error
                warn(f'{path}: frame {index} is left out: {error}')
                continue
            has_image = True
            stamp_ns = message.header.stamp.sec * SECOND + message.header.stamp.nanosec
            origin = Origin(stamp_ns, message.header.frame_id, received_ns)
            time_ns = stopwatch.time_ns(stamp_ns, received_ns)
            yield View(index, f'{index:05d}', '', time_ns, image_rgb, origin)


def _decode(store: Any, raw: bytes, type_name: str) -> tuple[Any, Any]:
    """Return a message and its (H, W, 3) uint8 RGB image; raises ImageError."""
    try:
        message = store.deserialize_cdr(raw, type_name)
    except Exception as error:  # noqa: BLE001 - damaged bytes make it raise many kinds
        raise ImageError(f'its message is damaged ({error})') from error
    decode = image_to_rgb if hasattr(message, 'encoding') else compressed_to_rgb
    return message, decode(message)
