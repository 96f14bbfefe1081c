"""A tree of frames over the last seconds, and transforms between any two of them."""

import bisect
import threading
import time as clock

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from scipy.spatial.transform import Rotation, Slerp

CACHE_S = 10.0
POLL_S = 0.005
Pose = tuple[Rotation, np.ndarray]  # of a frame in its parent: rotation, translation in metres
IDENTITY: Pose = (Rotation.identity(), np.zeros(3))


class TransformException(Exception):  # noqa: N818
    """A transform is not to be had."""


class LookupException(TransformException):
    """A frame is not known."""


class ConnectivityException(TransformException):
    """Two frames have no ancestor in common."""


class ExtrapolationException(TransformException):
    """A time is before or after what is known."""


class _Link:
    """A frame in its parent over time."""

    def __init__(self, parent: str, *, static: bool):
        self.parent, self._static = parent, static
        self._stamps: list[int] = []
        self._poses: list[Pose] = []

    def add(self, stamp_ns: int, pose: Pose, cache_ns: int) -> None:
        if self._static:
            self._stamps.clear()
            self._poses.clear()
        elif self._stamps and stamp_ns < self._stamps[-1] - cache_ns:
            return
        at = bisect.bisect_left(self._stamps, stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == stamp_ns:
            return  # the first of a stamp counts
        self._stamps.insert(at, stamp_ns)
        self._poses.insert(at, pose)
        while self._stamps[-1] - self._stamps[0] > cache_ns:
            del self._stamps[0], self._poses[0]

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest pose; None where it holds for ever."""
        return None if self._static else self._stamps[-1]

    def at(self, stamp_ns: int | None) -> Pose:
        """Return the pose at a time, None for the newest; raises ExtrapolationException."""
        if self._static or stamp_ns is None:
            return self._poses[-1]
        first, last = self._stamps[0], self._stamps[-1]
        if not first <= stamp_ns <= last:
            where = 'past' if stamp_ns < first else 'future'
            raise ExtrapolationException(
                f'Lookup would require extrapolation into the {where}.  Requested time '
                f'{stamp_ns * 1e-9:.6f} but there are {first * 1e-9:.6f} to {last * 1e-9:.6f}'
            )
        at = bisect.bisect_left(self._stamps, stamp_ns)
        if self._stamps[at] == stamp_ns:
            return self._poses[at]
        return self._between(at - 1, stamp_ns)

    def _between(self, at: int, stamp_ns: int) -> Pose:
        (turn_a, place_a), (turn_b, place_b) = self._poses[at : at + 2]
        start, end = self._stamps[at : at + 2]
        share = (stamp_ns - start) / (end - start)
        turn = Slerp([0, 1], Rotation.concatenate([turn_a, turn_b]))(share)
        return turn, place_a + share * (place_b - place_a)


class Buffer:
    """Keeps transforms of the last seconds."""

    def __init__(self, cache_time: Duration | None = None, node=None):
        self._cache_ns = cache_time.nanoseconds if cache_time else round(CACHE_S * 1e9)
        self._links: dict[str, _Link] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget all that changes."""
        with self._lock:
            self._links = {f: link for f, link in self._links.items() if link.newest_ns is None}

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Take a transform that holds for its stamp."""
        self._set(transform, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Take a transform that holds for ever."""
        self._set(transform, static=True)

    def _set(self, msg: TransformStamped, *, static: bool) -> None:
        quaternion = _of(msg.transform.rotation, 'xyzw')
        translation = _of(msg.transform.translation, 'xyz')
        if not abs(np.linalg.norm(quaternion) - 1) < 0.01 or not np.isfinite(translation).all():
            return
        pose = (Rotation.from_quat(quaternion), translation)
        parent = msg.header.frame_id.lstrip('/')
        with self._lock:
            link = self._links.get(msg.child_frame_id.lstrip('/'))
            if link is None or link.parent != parent or (link.newest_ns is None) != static:
                link = self._links[msg.child_frame_id.lstrip('/')] = _Link(parent, static=static)
            stamp = msg.header.stamp
            link.add(stamp.sec * 1_000_000_000 + stamp.nanosec, pose, self._cache_ns)

    def can_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> bool:
        """Return whether there is a transform at a time; waits up to timeout for it."""
        deadline = clock.monotonic() + (timeout.nanoseconds * 1e-9 if timeout else 0)
        while not (can := self._can(target_frame, source_frame, time)):
            if clock.monotonic() >= deadline:
                break
            clock.sleep(POLL_S)
        return can

    def _can(self, target: str, source: str, time: Time) -> bool:
        try:
            self._lookup(target, source, time)
        except TransformException:
            return False
        return True

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration | None = None
    ) -> TransformStamped:
        """Return the transform that takes points of a source frame to a target frame.

        time: 0 for the newest. Raises TransformException where it is not had within timeout.
        """
        self.can_transform(target_frame, source_frame, time, timeout)
        turn, place = self._lookup(target_frame, source_frame, time)
        msg = TransformStamped(child_frame_id=source_frame)
        msg.header.frame_id, msg.header.stamp = target_frame, time.to_msg()
        for axis, value in zip('xyz', place):
            setattr(msg.transform.translation, axis, float(value))
        for axis, value in zip('xyzw', turn.as_quat()):
            setattr(msg.transform.rotation, axis, float(value))
        return msg

    def _lookup(self, target: str, source: str, time: Time) -> Pose:
        with self._lock:
            down, up = self._way(target), self._way(source)
            common = next((frame for frame in up if frame in down), None)
            if common is None:
                raise ConnectivityException(
                    f'Could not find a connection between "{target}" and "{source}" because they '
                    'are not part of the same tree.'
                )
            down, up = down[: down.index(common)], up[: up.index(common)]
            stamp_ns = time.nanoseconds or self._newest([*down, *up])
            turn, place = self._chain(up, stamp_ns)
            back, shift = self._chain(down, stamp_ns)
            return back.inv() * turn, back.inv().apply(place - shift)

    def _way(self, frame: str) -> list[str]:
        """Return a frame and its ancestors; raises LookupException for one not known."""
        known = set(self._links) | {link.parent for link in self._links.values()}
        if frame not in known:
            raise LookupException(f'"{frame}" passed to lookupTransform argument does not exist.')
        way = [frame]
        while way[-1] in self._links and len(way) <= len(known):
            way.append(self._links[way[-1]].parent)
        return way

    def _newest(self, frames: list[str]) -> int | None:
        """Return the newest time that all have."""
        stamps = [self._links[frame].newest_ns for frame in frames]
        return min((stamp for stamp in stamps if stamp is not None), default=None)

    def _chain(self, frames: list[str], stamp_ns: int | None) -> Pose:
        """Return the pose of the first frame in the parent of the last."""
        turn, place = IDENTITY
        for frame in frames:
            step, shift = self._links[frame].at(stamp_ns)
            turn, place = step * turn, step.apply(place) + shift
        return turn, place


def _of(msg, fields: str) -> np.ndarray:
    return np.array([getattr(msg, field) for field in fields])
