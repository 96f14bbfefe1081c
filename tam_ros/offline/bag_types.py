"""Messages of the result topics, as rosbags has them; rosbags must be installed.

Beside ROS's own types they need this package's and vision_msgs', whose definitions are in
`definitions/`. They say what the node's messages say; see `ros/conversions.py`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tam_ros.masks import MaskCrop
from tam_ros.offline.recording import SECOND, Origin
from tam_ros.offline.records import FrameRecord, ObjectRecord

DEFINITIONS = Path(__file__).parent / 'definitions'
OBJECTS = 'tam_ros/msg/TrackedObjectArray'
DETECTIONS = 'vision_msgs/msg/Detection2DArray'
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


def message_types() -> Any:
    """Return a rosbags type store that knows the types of images and results."""
    store = get_typestore(Stores.LATEST)
    for path in sorted(DEFINITIONS.glob('*/*.msg')):
        store.register(get_types_from_msg(path.read_text(), f'{path.parent.name}/msg/{path.stem}'))
    return store


class ResultMessages:
    """Makes the messages of a frame."""

    def __init__(self, store: Any):
        """store: that of `message_types`."""
        self._types = store.types

    def objects(self, record: FrameRecord, origin: Origin) -> Any:
        """Return all objects of a frame, as on /tam/objects; without forecasts."""
        width, height = record.size_wh
        return self._make(
            OBJECTS,
            header=self._header(origin),
            image_width=width,
            image_height=height,
            objects=[self._object(found, origin) for found in record.objects],
        )

    def detections(self, record: FrameRecord, origin: Origin) -> Any:
        """Return the boxes of the objects that are visible, as on /tam/detections."""
        visible = [(found, found.mask) for found in record.objects if found.mask]
        return self._make(
            DETECTIONS,
            header=self._header(origin),
            detections=[self._detection(found, crop, origin) for found, crop in visible],
        )

    def label_image(self, record: FrameRecord, origin: Origin) -> Any:
        """Return the numbers of objects by pixel, as on /tam/label_image."""
        return self._image(record.label_image().astype('<u2'), '16UC1', origin)

    # -- parts ------------------------------------------------------------------------------

    def _make(self, type_name: str, **fields: Any) -> Any:
        return self._types[type_name](**fields)

    def _stamp(self, stamp_ns: int) -> Any:
        seconds, rest = divmod(stamp_ns, SECOND)
        return self._make('builtin_interfaces/msg/Time', sec=seconds, nanosec=rest)

    def _header(self, origin: Origin) -> Any:
        stamp = self._stamp(origin.stamp_ns)
        return self._make('std_msgs/msg/Header', stamp=stamp, frame_id=origin.frame_id)

    def _image(self, pixels: np.ndarray, encoding: str, origin: Origin) -> Any:
        pixels = np.ascontiguousarray(pixels)
        return self._make(
            IMAGE,
            header=self._header(origin),
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=pixels.strides[0] if pixels.size else 0,
            data=pixels.view(np.uint8).ravel(),
        )

    def _roi(self, box_xyxy: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Any:
        x0, y0, x1, y1 = box_xyxy
        return self._make(
            'sensor_msgs/msg/RegionOfInterest',
            x_offset=x0,
            y_offset=y0,
            height=y1 - y0,
            width=x1 - x0,
            do_rectify=False,
        )

    def _object(self, found: ObjectRecord, origin: Origin) -> Any:
        crop = found.mask
        return self._make(
            'tam_ros/msg/TrackedObject',
            id=found.object_id,
            label=found.label,
            state=int(found.state),
            score=found.predicted_iou,
            box=self._roi(crop.box_xyxy) if crop else self._roi(),
            mask=self._mask(crop, origin),
            forecast_stamp=self._stamp(0),
            forecast_box=self._roi(),
            forecast_mask=self._mask(None, Origin(0, '', 0)),
        )

    def _mask(self, crop: MaskCrop | None, origin: Origin) -> Any:
        if crop is None:
            return self._image(np.zeros((0, 0), np.uint8), '', origin)
        return self._image(crop.mask * np.uint8(255), 'mono8', origin)

    def _detection(self, found: ObjectRecord, crop: MaskCrop, origin: Origin) -> Any:
        x0, y0, x1, y1 = crop.box_xyxy
        middle = self._make('vision_msgs/msg/Point2D', x=(x0 + x1) / 2, y=(y0 + y1) / 2)
        box = self._make(
            'vision_msgs/msg/BoundingBox2D',
            center=self._make('vision_msgs/msg/Pose2D', position=middle, theta=0.0),
            size_x=float(x1 - x0),
            size_y=float(y1 - y0),
        )
        return self._make(
            'vision_msgs/msg/Detection2D',
            header=self._header(origin),
            results=[self._hypothesis(found)],
            bbox=box,
            id=str(found.object_id),
        )

    def _hypothesis(self, found: ObjectRecord) -> Any:
        """Return an object's label and score, with no pose."""
        hypothesis = self._make(
            'vision_msgs/msg/ObjectHypothesis', class_id=found.label, score=found.predicted_iou
        )
        pose = self._make(
            'geometry_msgs/msg/Pose',
            position=self._make('geometry_msgs/msg/Point', x=0.0, y=0.0, z=0.0),
            orientation=self._make('geometry_msgs/msg/Quaternion', x=0.0, y=0.0, z=0.0, w=1.0),
        )
        return self._make(
            'vision_msgs/msg/ObjectHypothesisWithPose',
            hypothesis=hypothesis,
            pose=self._make(
                'geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=np.zeros(36)
            ),
        )
