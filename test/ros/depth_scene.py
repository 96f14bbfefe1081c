"""Boards before a wall as a depth camera sees them, with true masks: messages made by hand."""

from dataclasses import dataclass, field

import numpy as np
from robot import header_at, image_message
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

from tam_ros.msg import TrackedObject, TrackedObjectArray

WIDTH, HEIGHT, FOCAL = 320, 240, 300.0
WALL_M = 2.0


@dataclass(frozen=True)
class Board:
    """A flat thing that faces the camera."""

    object_id: int
    """Of its tracked object."""
    center_m: tuple[float, float, float]
    """x, y, z in the camera's frame."""
    size_m: tuple[float, float] = (0.2, 0.1)
    """Width and height."""
    label: str = ''
    """Of its tracked object."""
    state: int = TrackedObject.TRACKED
    """Of its tracked object."""

    def seen(self) -> np.ndarray:
        """Return the pixels it covers, (H, W) bool."""
        x, y, z = self.center_m
        columns = (np.arange(WIDTH) - (WIDTH - 1) / 2) * z / FOCAL - x
        rows = (np.arange(HEIGHT) - (HEIGHT - 1) / 2) * z / FOCAL - y
        width, height = self.size_m
        return (abs(rows) < height / 2)[:, None] & (abs(columns) < width / 2)


CUP, BOX = Board(1, (-0.2, 0.0, 1.0), label='cup'), Board(2, (0.2, 0.05, 0.8), label='box')


@dataclass
class Scene:
    """Boards before a wall, and the messages about them."""

    boards: list[Board] = field(default_factory=lambda: [CUP, BOX])
    """The nearest last."""

    def depth_m(self) -> np.ndarray:
        """Return (H, W) float32 metres."""
        depth = np.full((HEIGHT, WIDTH), WALL_M, np.float32)
        for board in self.boards:
            depth[board.seen()] = board.center_m[2]
        return depth

    def depth(self, stamp_ns: int = 0, encoding: str = '16UC1') -> Image:
        """Return the depth image."""
        metres = self.depth_m()
        values = (metres * 1000).round().astype(np.uint16) if encoding == '16UC1' else metres
        return image_message(values, encoding, header_at(stamp_ns))

    def objects(self, stamp_ns: int = 0) -> TrackedObjectArray:
        """Return the tracked objects, each with its true mask where it is visible."""
        return TrackedObjectArray(
            header=header_at(stamp_ns),
            image_width=WIDTH,
            image_height=HEIGHT,
            objects=[_tracked(board) for board in self.boards],
        )


def _tracked(board: Board) -> TrackedObject:
    msg = TrackedObject(id=board.object_id, label=board.label, state=board.state)
    if board.state in (TrackedObject.OCCLUDED, TrackedObject.LOST):
        return msg
    seen = board.seen()
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    msg.score = 0.9
    msg.box = RegionOfInterest(
        x_offset=int(left), y_offset=int(top), width=int(right - left), height=int(bottom - top)
    )
    msg.mask = image_message(seen[top:bottom, left:right] * np.uint8(255), 'mono8')
    return msg


def camera_info(stamp_ns: int = 0) -> CameraInfo:
    """Return the calibration of the camera, which has no distortion."""
    k = [FOCAL, 0.0, (WIDTH - 1) / 2, 0.0, FOCAL, (HEIGHT - 1) / 2, 0.0, 0.0, 1.0]
    return CameraInfo(
        header=header_at(stamp_ns),
        width=WIDTH,
        height=HEIGHT,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=k,
        p=[*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0],
    )


def cloud_points(cloud) -> np.ndarray:
    """Return a cloud's points as a structured array, by what the message says of its fields."""
    kinds = {7: '<f4', 6: '<u4'}
    dtype = np.dtype(
        {
            'names': [f.name for f in cloud.fields],
            'formats': [kinds[f.datatype] for f in cloud.fields],
            'offsets': [f.offset for f in cloud.fields],
            'itemsize': cloud.point_step,
        }
    )
    return np.frombuffer(cloud.data, dtype)
