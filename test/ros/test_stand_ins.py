"""What the nodes need of message_filters and tf2_ros, be it those packages or the stand-ins."""

import numpy as np
import pytest
import tf2_ros
from geometry_msgs.msg import TransformStamped
from message_filters import ApproximateTimeSynchronizer, SimpleFilter, TimeSynchronizer
from rclpy.duration import Duration
from rclpy.time import Time
from robot import header_at
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

MS = 1_000_000


class Stamped:
    """A message that has a header, and which one it is."""

    def __init__(self, stamp_ms: float):
        self.header = header_at(round(stamp_ms * MS))
        self.stamp_ms = stamp_ms


def joined(synchronizer, count: int = 2, **options):
    """Return filters, and a list that fills with the sets that are joined of them."""
    filters, sets = [SimpleFilter() for _ in range(count)], []
    join = synchronizer(filters, **options)
    join.registerCallback(lambda *messages: sets.append([m.stamp_ms for m in messages]))
    return filters, sets


def test_only_equal_stamps_are_joined_exactly():
    (left, right), sets = joined(TimeSynchronizer, queue_size=10)
    for stamp_ms in (10, 20, 30):
        left.signalMessage(Stamped(stamp_ms))
    for stamp_ms in (21, 30, 10):
        right.signalMessage(Stamped(stamp_ms))
    assert sets == [[30, 30], [10, 10]]


def test_late_messages_meet_those_that_wait():
    (masks, depth), sets = joined(ApproximateTimeSynchronizer, queue_size=30, slop=0.02)
    for stamp_ms in range(1000, 2000, 33):
        depth.signalMessage(Stamped(stamp_ms))
    masks.signalMessage(Stamped(1102))
    assert sets == [[1102, 1099]]


def test_the_nearest_are_joined_and_used_once():
    (left, right), sets = joined(ApproximateTimeSynchronizer, queue_size=10, slop=0.05)
    for stamp_ms in (100, 140, 150):
        left.signalMessage(Stamped(stamp_ms))
    for stamp_ms in (143, 144):
        right.signalMessage(Stamped(stamp_ms))
    assert sets == [[140, 143], [150, 144]]


def test_stamps_as_far_apart_as_slop_do_not_meet():
    (left, right), sets = joined(ApproximateTimeSynchronizer, queue_size=10, slop=0.01)
    left.signalMessage(Stamped(100))
    right.signalMessage(Stamped(110))
    assert sets == []
    right.signalMessage(Stamped(109.9))
    assert sets == [[100, 109.9]]


def test_three_filters_are_joined_within_slop_of_each_other():
    (a, b, c), sets = joined(ApproximateTimeSynchronizer, 3, queue_size=10, slop=0.01)
    a.signalMessage(Stamped(100))
    b.signalMessage(Stamped(92))
    c.signalMessage(Stamped(108))
    assert sets == []
    b.signalMessage(Stamped(96))
    assert sets == []
    c.signalMessage(Stamped(102))
    assert sets == [[100, 96, 102]]


def test_the_oldest_give_way():
    (left, right), sets = joined(ApproximateTimeSynchronizer, queue_size=2, slop=0.01)
    for stamp_ms in (100, 200, 300):
        left.signalMessage(Stamped(stamp_ms))
    right.signalMessage(Stamped(100))
    right.signalMessage(Stamped(200))
    assert sets == [[200, 200]]


def transform(parent: str, child: str, stamp_ms: int, xyz=(0, 0, 0), yaw=0.0) -> TransformStamped:
    msg = TransformStamped(header=Header(frame_id=parent), child_frame_id=child)
    msg.header.stamp = header_at(stamp_ms * MS).stamp
    translation, rotation = msg.transform.translation, msg.transform.rotation
    translation.x, translation.y, translation.z = map(float, xyz)
    rotation.z, rotation.w = np.sin(yaw / 2), np.cos(yaw / 2)
    return msg


@pytest.fixture
def buffer():
    """Where a camera is on a robot that drives along the map's x and turns left."""
    buffer = tf2_ros.Buffer()
    for stamp_ms, x, yaw in ((1000, 0, 0), (2000, 1, np.pi / 2)):
        buffer.set_transform(transform('map', 'base', stamp_ms, (x, 0, 0), yaw), 'test')
    buffer.set_transform_static(transform('base', 'camera', 0, (0.5, 0, 1)), 'test')
    buffer.set_transform_static(transform('elsewhere', 'lost', 0), 'test')
    return buffer


def lookup(buffer, target: str, source: str, stamp_ms: int):
    """Return translation and rotation vector."""
    found = buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ms * MS)).transform
    t, q = found.translation, found.rotation
    turn = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_rotvec()
    return np.round([t.x, t.y, t.z], 6).tolist(), np.round(turn, 6).tolist()


def test_a_transform_goes_through_the_tree_at_its_time(buffer):
    assert lookup(buffer, 'map', 'camera', 1000) == ([0.5, 0, 1], [0, 0, 0])
    place, turn = lookup(buffer, 'map', 'camera', 2000)
    assert (place, turn[2]) == ([1, 0.5, 1], pytest.approx(np.pi / 2, abs=1e-5))
    place, turn = lookup(buffer, 'camera', 'map', 2000)
    assert (place, turn[2]) == ([-0.5, 1, -1], pytest.approx(-np.pi / 2, abs=1e-5))


def test_between_two_times_it_is_interpolated(buffer):
    place, turn = lookup(buffer, 'map', 'base', 1500)
    assert (place, turn[2]) == ([0.5, 0, 0], pytest.approx(np.pi / 4, abs=1e-5))


def test_what_is_cleared_may_be_told_anew_at_any_time(buffer):
    buffer.set_transform(transform('map', 'base', 60_000, (5, 0, 0)), 'test')
    buffer.set_transform(transform('map', 'base', 1500, (7, 0, 0)), 'test')  # too old
    assert not buffer.can_transform('map', 'base', Time(nanoseconds=1500 * MS))
    buffer.clear()
    assert not buffer.can_transform('map', 'base', Time(nanoseconds=60_000 * MS))
    buffer.set_transform(transform('map', 'base', 1500, (7, 0, 0)), 'test')
    assert lookup(buffer, 'map', 'camera', 1500) == ([7.5, 0, 1], [0, 0, 0])  # which is static


def test_time_zero_is_the_newest(buffer):
    assert lookup(buffer, 'map', 'base', 0) == lookup(buffer, 'map', 'base', 2000)


@pytest.mark.parametrize(
    ('source', 'stamp_ms', 'error'),
    [
        ('nowhere', 1500, tf2_ros.LookupException),
        ('lost', 1500, tf2_ros.ConnectivityException),
        ('base', 999, tf2_ros.ExtrapolationException),
        ('camera', 2001, tf2_ros.ExtrapolationException),
    ],
)
def test_what_is_not_to_be_had_is_an_error(buffer, source, stamp_ms, error):
    time = Time(nanoseconds=stamp_ms * MS)
    assert not buffer.can_transform('map', source, time, Duration(nanoseconds=MS))
    with pytest.raises(error) as raised:
        buffer.lookup_transform('map', source, time)
    assert isinstance(raised.value, tf2_ros.TransformException)
