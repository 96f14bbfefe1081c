"""Pure functions from objects in 3D to messages. Points are never handled one by one."""

from collections.abc import Iterable, Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Transform, TransformStamped, Vector3
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
from visualization_msgs.msg import Marker, MarkerArray

from tam_ros.geometry.oriented_box import OrientedBox
from tam_ros.overlay import color_of
from tam_ros.ros.conversions import bytes_of
from tam_ros.ros.placement import PlacedObject

# Four bytes each. PCL and RViz read rgb as the bytes of a float: 0x00RRGGBB.
COLUMNS = {'x': '<f4', 'y': '<f4', 'z': '<f4', 'rgb': '<u4', 'object_id': '<u4'}
POINT = np.dtype(list(COLUMNS.items()))
FIELDS = [
    PointField(
        name=name,
        offset=4 * i,
        datatype=PointField.UINT32 if name == 'object_id' else PointField.FLOAT32,
        count=1,
    )
    for i, name in enumerate(COLUMNS)
]
BOXES, LABELS, AXES = KINDS = ('boxes', 'labels', 'axes')  # namespaces of markers
MARKER_IDS = 0x7FFFFFFF  # signed, unlike those of objects
BOX_OPACITY = 0.35
AXIS_M = 0.002  # width of a line
LETTER_M = 0.03  # height
RED_GREEN_BLUE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def box_to_pose(box: OrientedBox) -> Pose:
    """Return a box's centre and axes."""
    pose = Pose(position=_xyz(Point, box.center_m))
    _write_quaternion(pose.orientation, box)
    return pose


def object_to_pose(placed: PlacedObject, header: Header) -> PoseStamped:
    """Return an object's centre and axes."""
    return PoseStamped(header=header, pose=box_to_pose(placed.box))


def object_to_transform(placed: PlacedObject, header: Header, child: str) -> TransformStamped:
    """Return the frame of an object's box, to be named child."""
    transform = Transform(translation=_xyz(Vector3, placed.box.center_m))
    _write_quaternion(transform.rotation, placed.box)
    return TransformStamped(header=header, child_frame_id=child, transform=transform)


def objects_to_detections(objects: Iterable[PlacedObject], header: Header) -> Detection3DArray:
    """Return the boxes of objects with their ids, labels, scores and covariances."""
    return Detection3DArray(header=header, detections=[_detection(o, header) for o in objects])


def _detection(placed: PlacedObject, header: Header) -> Detection3D:
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = placed.label, float(placed.score)
    result.pose.pose = box_to_pose(placed.box)
    result.pose.covariance = np.ascontiguousarray(placed.covariance, np.float64).ravel()
    msg = Detection3D(header=header, id=str(placed.object_id), results=[result])
    msg.bbox.center, msg.bbox.size = box_to_pose(placed.box), _xyz(Vector3, placed.box.size_m)
    return msg


def objects_to_cloud(
    objects: Sequence[PlacedObject],
    header: Header,
    voxel_m: float = 0.0,
    image_rgb: np.ndarray | None = None,
) -> PointCloud2:
    """Return the points of objects: x y z in metres, rgb, object_id.

    voxel_m: side of the cubes of which each gives one point; 0 for all points. image_rgb:
    (H, W, 3) uint8 image that rgb is taken from; None for the objects' colours.
    """
    parts = [_points(placed, voxel_m, image_rgb) for placed in objects]
    points = np.concatenate(parts) if parts else np.empty(0, POINT)
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=FIELDS,
        point_step=POINT.itemsize,
        row_step=points.nbytes,
        is_dense=True,
        data=bytes_of(points.view(np.uint8)),
    )


def _points(placed: PlacedObject, voxel_m: float, image_rgb: np.ndarray | None) -> np.ndarray:
    xyz, pixels_xy = placed.points(voxel_m)
    points = np.empty(len(xyz), POINT)
    points['x'], points['y'], points['z'] = xyz.T
    rgb = np.array(color_of(placed.object_id))
    if image_rgb is not None:
        rgb = image_rgb[pixels_xy[:, 1], pixels_xy[:, 0]]
    points['rgb'] = rgb @ np.array([1 << 16, 1 << 8, 1])
    points['object_id'] = placed.object_id
    return points


def objects_to_markers(
    objects: Iterable[PlacedObject], header: Header, gone: Iterable[int] = ()
) -> MarkerArray:
    """Return box, label and axes of each object for RViz, and that those of others are gone."""
    markers = [marker for placed in objects for marker in _markers(placed, header)]
    for object_id in gone:
        markers += [
            Marker(header=header, ns=kind, id=object_id & MARKER_IDS, action=Marker.DELETE)
            for kind in KINDS
        ]
    return MarkerArray(markers=markers)


def _markers(placed: PlacedObject, header: Header) -> tuple[Marker, Marker, Marker]:
    pose, color = box_to_pose(placed.box), [c / 255 for c in color_of(placed.object_id)]
    common = {
        'header': header,
        'id': placed.object_id & MARKER_IDS,
        'action': Marker.ADD,
        'pose': pose,
    }
    box = Marker(ns=BOXES, type=Marker.CUBE, **common)
    box.scale, box.color = _xyz(Vector3, placed.box.size_m), _color(color, BOX_OPACITY)
    label = Marker(ns=LABELS, type=Marker.TEXT_VIEW_FACING, **common)
    label.scale.z, label.color = LETTER_M, _color((1.0, 1.0, 1.0))
    label.text = f'{placed.object_id} {placed.label}'.strip()
    axes = Marker(ns=AXES, type=Marker.LINE_LIST, **common)
    axes.scale.x = AXIS_M
    axes.points = _axis_lines(placed.box)
    axes.colors = [_color(rgb) for rgb in RED_GREEN_BLUE for _ in range(2)]
    return box, label, axes


def _axis_lines(box: OrientedBox) -> list[Point]:
    """Return pairs of ends, from the centre along each axis to a bit beyond the box."""
    ends = np.diag(0.6 * box.size_m)
    return [_xyz(Point, end) for along in ends for end in (np.zeros(3), along)]


def _xyz(kind: type, values: np.ndarray):
    x, y, z = map(float, values)
    return kind(x=x, y=y, z=z)


def _write_quaternion(msg, box: OrientedBox) -> None:
    msg.x, msg.y, msg.z, msg.w = map(float, box.quaternion_xyzw)


def _color(rgb: Sequence[float], opacity: float = 1.0) -> ColorRGBA:
    red, green, blue = rgb
    return ColorRGBA(r=red, g=green, b=blue, a=opacity)
