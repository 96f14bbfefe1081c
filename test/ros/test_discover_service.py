"""The service that finds what can be tracked, over real DDS, with the network that comes along."""

from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from robot import header_at
from sensor_msgs.msg import RegionOfInterest
from tracker import SMALL, masks_of

from tam_ros.engine.load import ENGINES
from tam_ros.msg import TrackedObject
from tam_ros.srv import Discover

DISC, OVAL = (70, 90), (200, 160)  # middles


@pytest.fixture(scope='module', params=ENGINES)
def node(request, start_tracker):
    lasting = {'discovery.max_s': 60.0, 'discovery.fine_points': 16, 'history_s': 10.0}
    options = SMALL | lasting | {'engine': request.param}
    return start_tracker(**options)


@pytest.fixture
def tracker(node):
    """The node without objects, on the first frame."""
    node.reset()
    node.show(scene())
    return node


def scene() -> np.ndarray:
    random = np.random.default_rng(1)
    shades = random.normal(0, 18, (12, 16, 3)).astype(np.float32)
    ground = 110 + cv2.resize(shades, (320, 240), interpolation=cv2.INTER_CUBIC)
    image = np.clip(ground, 0, 255).astype(np.uint8)
    cv2.circle(image, DISC, 36, (200, 40, 40), -1, cv2.LINE_AA)
    cv2.ellipse(image, OVAL, (50, 30), 0, 0, 360, (40, 60, 190), -1, cv2.LINE_AA)
    return image


def discover(tracker, **request) -> Discover.Response:
    return tracker.call(Discover, 'discover', Discover.Request(**request))


def count_holding(objects, point) -> int:
    return sum(mask[point[::-1]] for mask in masks_of(objects).values())


def test_proposals_come_with_the_header_of_their_frame_and_change_nothing(tracker):
    answer = tracker.show(scene())
    found = discover(tracker)
    assert (found.success, found.complete) == (True, True), found.message
    assert found.objects.header == answer.image.header
    assert (found.objects.image_width, found.objects.image_height) == (320, 240)
    for tracked in found.objects.objects:
        assert (tracked.id, tracked.state) == (0, TrackedObject.TENTATIVE)
        assert 0.5 < tracked.score <= 1
    masks = [np.frombuffer(o.mask.data, np.uint8).any() for o in found.objects.objects]
    assert masks
    assert all(masks)
    assert not tracker.objects().objects


def test_started_objects_are_tentative_and_not_found_again(tracker):
    found = discover(tracker, start=True, label='thing')
    assert found.success, found.message
    answer = tracker.show(scene())
    assert count_holding(answer.objects, DISC) == count_holding(answer.objects, OVAL) == 1
    assert answer.ids == sorted(o.id for o in found.objects.objects)
    for tracked in answer.objects.objects:
        assert (tracked.state, tracked.label) == (TrackedObject.TENTATIVE, 'thing')
    again = discover(
        tracker, region=RegionOfInterest(x_offset=40, y_offset=60, width=60, height=60)
    )
    assert again.success, again.message
    assert not again.objects.objects


def test_a_click_confirms_what_was_found(tracker):
    discover(tracker, start=True)
    first = tracker.objects().objects[0]
    box = first.box
    middle = box.x_offset + box.width // 2, box.y_offset + box.height // 2
    assert tracker.add([middle], object_id=first.id).success
    assert tracker.show(scene()).objects.objects[0].state == TrackedObject.TRACKED


def test_region_and_number_bound_what_is_found(tracker):
    region = RegionOfInterest(x_offset=0, y_offset=40, width=120, height=100)
    found = discover(tracker, region=region, max_objects=1, start=True)
    assert len(found.objects.objects) == 1, found.message
    assert count_holding(tracker.objects(), DISC) == 1
    assert count_holding(tracker.objects(), OVAL) == 0


@contextmanager
def searching(tracker, **request):
    """Call the service and give the future of its answer."""
    client = tracker.robot.node.create_client(Discover, f'{tracker.name}/discover')
    tracker.robot.wait(client.service_is_ready, 'the service')
    try:
        yield client.call_async(Discover.Request(**request))
    finally:
        tracker.robot.node.destroy_client(client)


@contextmanager
def fine_grid(tracker):
    """Make a search long enough on any machine for something to happen meanwhile."""
    assert tracker.set_parameter('discovery.fine_points', 32).successful
    try:
        yield
    finally:
        assert tracker.set_parameter('discovery.fine_points', 16).successful


def test_frames_and_requests_go_on_during_a_search(tracker):
    shown = tracker.received['objects']
    streaming = tracker.streaming(scene(), 10.0)
    with fine_grid(tracker), streaming, searching(tracker, start=True) as search:
        enough = len(shown) + 4
        tracker.robot.wait(lambda: len(shown) >= enough, 'frames')
        assert tracker.objects().header.stamp.sec
        assert not search.done(), 'the search was over before a few frames'
        tracker.robot.wait(search.done, 'the end of the search')
        assert search.result().success, search.result().message
        ids = [o.id for o in search.result().objects.objects]
        assert ids
        tracker.robot.wait(lambda: [o.id for o in shown[-1].objects] == ids, 'the objects')


def test_time_ends_a_search_which_says_so(tracker):
    assert tracker.set_parameter('discovery.max_s', 0.05).successful
    try:
        found = discover(tracker)
    finally:
        assert tracker.set_parameter('discovery.max_s', 60.0).successful
    assert (found.success, found.complete) == (True, False)
    assert 'raise discovery.max_s' in found.message


@pytest.mark.parametrize(
    ('request_', 'message'),
    [
        ({'min_score': 1.5}, 'min_score 1.5: use 0 to 1'),
        ({'min_area': float('nan')}, 'min_area nan: use 0 to 1'),
        ({'max_objects': 1000}, 'max_objects 1000: use 1 to 255'),
        ({'region': RegionOfInterest(x_offset=400, width=9, height=9)}, 'region: box'),
        ({'header': header_at(10**9)}, 'older than the frames kept'),
        ({'label': 'x' * 300}, 'label'),
    ],
)
def test_odd_requests_are_refused_by_name(tracker, request_, message):
    refused = discover(tracker, **request_)
    assert not refused.success
    assert message in refused.message


def test_a_reset_during_a_search_leaves_no_object(tracker):
    with fine_grid(tracker), searching(tracker, start=True) as search:
        while not search.done():  # the first may come before the search: services keep no order
            tracker.reset()
    assert not search.result().success
    assert 'was reset during the search' in search.result().message
    assert not tracker.objects().objects
