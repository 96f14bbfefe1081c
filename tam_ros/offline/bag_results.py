"""A bag with the result topics of a recording, at the times at which its images were recorded."""

import shutil
from pathlib import Path

from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError

from tam_ros.offline.bag_types import DETECTIONS, IMAGE, OBJECTS, ResultMessages, message_types
from tam_ros.offline.recording import View
from tam_ros.offline.records import FrameRecord
from tam_ros.offline.storage import part_of

VERSION = 8  # of metadata: the last with QoS as text, which older readers expect
TOPICS = {'/tam/objects': OBJECTS, '/tam/detections': DETECTIONS, '/tam/label_image': IMAGE}


class ResultBag:
    """Writes what the node would have published; see `close`."""

    def __init__(self, folder: Path, storage: str, start_ns: int):
        """folder: of the bag. storage, start_ns: as those of the recording."""
        self._folder = folder
        self._part = part_of(folder)
        shutil.rmtree(self._part, ignore_errors=True)
        self._store = message_types()
        self._messages = ResultMessages(self._store)
        # The folder's name is that of the file in it, and stays.
        self._writer = Writer(
            self._part / folder.name,
            version=VERSION,
            storage_plugin=StoragePlugin[storage.upper()],
        )
        if storage == 'mcap':  # whose own compression every player reads
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        # Players begin here, so that both bags begin together.
        self._writer.min_timestamp = start_ns
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(topic, type_name, typestore=self._store)
            for topic, type_name in TOPICS.items()
        }

    def add(self, view: View, record: FrameRecord) -> None:
        """Write a frame of a bag; raises OSError."""
        origin = record.origin
        assert origin is not None
        messages = self._messages
        for topic, message in (
            ('/tam/objects', messages.objects(record, origin)),
            ('/tam/detections', messages.detections(record, origin)),
            ('/tam/label_image', messages.label_image(record, origin)),
        ):
            raw = self._store.serialize_cdr(message, TOPICS[topic])
            self._writer.write(self._connections[topic], origin.received_ns, raw)

    def discard(self) -> None:
        """Leave the bag of an earlier run; raises OSError."""
        self._writer.abort()
        shutil.rmtree(self._part)

    def close(self) -> None:
        """Put the bag in place of that of an earlier run; raises OSError."""
        try:
            self._writer.close()
        except WriterError as error:
            raise OSError(f'{self._folder} cannot be written: {error}') from error
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._part / self._folder.name).replace(self._folder)
        self._part.rmdir()
