"""The node web beside a real tracker: what a page gets of it, and can have done."""

import asyncio
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from aiohttp import ClientSession
from programs import DOMAIN_IDS, LONG_S, Program
from robot import Robot, header_at
from sensor_msgs.msg import CompressedImage, RegionOfInterest
from tracker import SMALL
from web_client import Page, look

from tam_ros.msg import TrackedObject, TrackedObjectArray

SECOND_NS = 1_000_000_000
SQUARE = (90, 110)  # on the square of the first frame


@pytest.fixture(scope='module')
def tracker(start_tracker):
    """A tracker with a network, which keeps frames for ten seconds."""
    return start_tracker(**SMALL, history_s=10.0, history_frames=100)


@pytest.fixture
def start_web(start_program):
    """Start the node on any free port and return it; its address is `address`."""

    def start(**options) -> Program:
        web = start_program('web', '--ros-args', '-p', 'port:=0', **options)
        web.wait_for_log(r'ready: http\S+\n')
        web.address = re.search(r'ready: (http\S+/)', web.log).group(1)
        return web

    return start


@pytest.fixture
def web(tracker, start_web):
    """The node beside the tracker."""
    yield start_web(domain_id=tracker.robot.domain_id)
    tracker.reset()


def visit(robot: Robot, web: Program, scene, pages: int = 1):
    """Run a coroutine function with pages that look, while the robot receives messages."""

    async def run():
        async with ClientSession() as session:
            looking = [Page(await look(session, web.address)) for _ in range(pages)]
            return await asyncio.wait_for(scene(*looking), LONG_S)

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(asyncio.run, run())
        robot.wait(done.done, 'the page', 2 * LONG_S)
        return done.result()


def at(header: dict, xy, **fields) -> dict:
    """Return the fields of a click on a picture."""
    return {'stamp': header['stamp'], 'x': xy[0], 'y': xy[1], 'selected': 0, **fields}


def ids(header: dict) -> list[int]:
    return [shown['id'] for shown in header['objects']]


def test_objects_are_started_refined_labelled_and_removed_by_a_page(tracker, web, frames):
    async def scene(page):
        header = await page.until('picture', bool)
        answer = await page.ask('click', **at(header, SQUARE))
        assert answer['success'], answer
        (object_id,) = map(int, re.findall(r'^object (\d+): score', answer['message']))
        header = await page.until('picture', lambda h: ids(h) == [object_id])
        x0, y0, x1, y1 = header['objects'][0]['box']
        assert x0 <= SQUARE[0] < x1
        assert y0 <= SQUARE[1] < y1
        answer = await page.ask('click', **at(header, SQUARE))
        assert answer['message'].startswith(f'object {object_id}:'), answer
        answer = await page.ask('label', object_id=object_id, label='W\u00fcrfel')
        assert answer['message'] == f"object {object_id} has the label 'W\u00fcrfel'"
        header = await page.until('picture', lambda h: h['objects'][0]['label'] == 'W\u00fcrfel')
        box = {'x0': 60, 'y0': 80, 'x1': 120, 'y1': 140}
        answer = await page.ask('box', stamp=header['stamp'], selected=object_id, **box)
        assert answer['message'].startswith(f'object {object_id}:'), answer
        assert (await page.ask('remove', object_id=object_id))['success']
        await page.until('picture', lambda h: not h['objects'])
        answer = await page.ask('remove', object_id=object_id)
        assert (answer['success'], answer['message']) == (
            False,
            f'object id {object_id} is unknown: tracked are none',
        )

    with tracker.streaming(frames[0], 5):
        visit(tracker.robot, web, scene)


def test_click_goes_to_the_picture_that_was_seen_however_late(tracker, web, frames):
    async def scene(page, other):
        seen, _ = await page.next('picture')
        later_ns = int(seen['stamp']) + SECOND_NS // 2
        await other.until('picture', lambda h: int(h['stamp']) > later_ns)
        return await page.ask('click', **at(seen, SQUARE))

    with tracker.streaming(frames[0], 5):
        assert visit(tracker.robot, web, scene, pages=2)['success']
        assert tracker.set_parameter('history_s', 0.0).successful
        answer = visit(tracker.robot, web, scene, pages=2)
        assert tracker.set_parameter('history_s', 10.0).successful
    assert re.search(r'^stamp .* is \d+ ms older than the frames kept', answer['message'])


def test_node_listens_only_while_somebody_looks(tracker, web):
    def is_heard() -> bool:
        return bool(tracker.robot.node.count_subscribers('/tam/overlay/compressed'))

    async def scene(page):
        while not is_heard():
            await page.next('status')

    assert not is_heard()
    visit(tracker.robot, web, scene)
    tracker.robot.wait(lambda: not is_heard(), 'it to stop listening')


def test_two_viewers_see_what_either_has_done(tracker, web, frames):
    box = {'x0': 200, 'y0': 9, 'x1': 280, 'y1': 60}

    async def scene(first, second):
        header = await first.until('picture', bool)
        assert (await first.ask('click', **at(header, SQUARE)))['success']
        header = await second.until('picture', lambda h: len(h['objects']) == 1)
        answer = await second.ask('box', stamp=header['stamp'], selected=0, **box)
        assert answer['success'], answer
        await first.until('picture', lambda h: len(h['objects']) == 2)
        await second.until('status', lambda s: s['viewers'] == 2 and s['rate_hz'] > 0)
        assert (await second.ask('reset'))['message'] == '2 objects forgotten'
        await first.until('picture', lambda h: not h['objects'])

    with tracker.streaming(frames[0], 5):
        visit(tracker.robot, web, scene, pages=2)


def test_page_says_that_the_camera_is_silent_and_when_it_is_back(tracker, web, frames):
    async def silent(page):
        await page.until(
            'status', lambda s: s.get('silence') == 'The camera is silent: no images.'
        )

    async def back(page):
        await page.until('picture', bool)
        await page.until('status', lambda s: s.get('silence') == '')

    visit(tracker.robot, web, silent)
    with tracker.streaming(frames[0], 5):
        visit(tracker.robot, web, back)


def test_target_is_chosen_where_there_is_a_node_that_has_one(tracker, web, start_program):
    async def without(page):
        status = await page.until('status', lambda s: 'can_target' in s)
        assert not status['can_target']

    async def scene(page):
        await page.until('status', lambda s: s.get('can_target') and s['target'] == 0)
        answer = await page.ask('target', object_id=1)
        assert (answer['success'], answer['message']) == (True, 'object 1 will be the target')
        await page.until('status', lambda s: s['target'] == 1)
        assert (await page.ask('target', object_id=0))['success']
        await page.until('status', lambda s: s['target'] == 0)

    visit(tracker.robot, web, without)
    start_program('objects_3d', domain_id=tracker.robot.domain_id).wait_for_log('ready')
    visit(tracker.robot, web, scene)


# -- without a tracker ----------------------------------------------------------------------------


@pytest.fixture
def robot():
    """A robot that may publish as if it were a tracker."""
    robot = Robot(next(DOMAIN_IDS))
    yield robot
    robot.close()
    DOMAIN_IDS.release(robot.domain_id)


def test_page_says_that_there_is_no_tracker(robot, start_web):
    web = start_web(domain_id=robot.domain_id)

    async def scene(page):
        found = await page.until('status', lambda s: s.get('silence'))
        assert found['silence'] == (
            'The tracker is silent: nothing publishes sensor_msgs/msg/CompressedImage on '
            '/tam/overlay/compressed.'
        )
        return await page.ask('reset')

    answer = visit(robot, web, scene)
    assert answer['message'] == 'nothing serves /tam/reset: is the tracker running?'


def seen(robot: Robot, web: Program, messages, count: int) -> dict[str, dict]:
    """Publish overlays and objects until a page has seen so many; return headers by stamp."""
    overlays = robot.node.create_publisher(CompressedImage, '/tam/overlay/compressed', 20)
    objects = robot.node.create_publisher(TrackedObjectArray, '/tam/objects', 20)

    def publish() -> None:
        for overlay, array in messages:
            objects.publish(array)
            overlays.publish(overlay)

    async def scene(page):
        found = {}
        while len(found) < count:
            header = await page.until('picture', bool)
            found[header['stamp']] = header
        return found

    timer = robot.node.create_timer(0.3, publish)
    try:
        return visit(robot, web, scene)
    finally:
        robot.node.destroy_timer(timer)


def pair(second: int, suffix: str = '.jpg', **tracked):
    """Return an overlay and the objects in it, of which there is one."""
    header = header_at(second * SECOND_NS)
    _, encoded = cv2.imencode(suffix, np.zeros((24, 32, 3), np.uint8))
    overlay = CompressedImage(header=header, format=suffix, data=encoded.tobytes())
    array = TrackedObjectArray(header=header, image_width=32, image_height=24)
    array.objects = [TrackedObject(id=5, **tracked)]
    return overlay, array


@pytest.mark.parametrize(
    ('odd', 'said'),
    [
        (pair(9, '.png'), "overlay ignored: '.png' of 32x24 pixels is no JPEG"),
        (pair(9, box=RegionOfInterest(x_offset=30, width=9, height=1)), 'mask ignored: object 5'),
        (pair(9, state=9, score=float('nan')), None),
    ],
)
def test_odd_messages_are_told_of_and_pictures_go_on(robot, start_web, odd, said):
    web = start_web(domain_id=robot.domain_id)
    headers = seen(robot, web, [odd], 1) if said is None else {}
    for header in headers.values():
        (shown,) = header['objects']
        assert (shown['state'], shown['score']) == ('unknown', 0.0)  # JSON has no NaN
    seen(robot, web, [odd, pair(10)], 1)
    if said:
        web.wait_for_log(said)
    assert web.is_running


def test_time_may_jump_back_and_pictures_go_on(robot, start_web):
    web = start_web(domain_id=robot.domain_id)
    lonely = [(pair(1)[0], pair(second)[1]) for second in range(80, 99)]  # they meet no overlay
    seen(robot, web, [*lonely, pair(100)], 1)
    assert list(seen(robot, web, [*lonely, pair(2)], 1)) == [str(2 * SECOND_NS)]


# -- beginning and end ----------------------------------------------------------------------------


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_node_with_status_0_while_somebody_looks(robot, start_web, number):
    web = start_web(domain_id=robot.domain_id)

    async def scene(page):
        await page.next('status')
        status, seconds = await asyncio.to_thread(web.end_by, number)
        assert status == 0
        assert seconds < 3
        with pytest.raises(AssertionError, match='closed before a picture: 100[16]'):
            await page.next('picture')

    visit(robot, web, scene)
    assert 'Traceback' not in web.log


@pytest.mark.parametrize(
    ('parameter', 'error'),
    [
        ('host:=0.0.0.0', "host '0.0.0.0' can be reached from other machines: use 127.0.0.1, or"),
        ('token:=short', 'token of 5 characters: use 16 to 256 letters, digits, - and _'),
        ('port:=-1', 'Parameter port out of range. Min: 0, Max: 65535, value: -1'),
    ],
)
def test_value_that_is_not_allowed_is_named(start_program, parameter, error):
    program = start_program('web', '--ros-args', '-p', parameter)
    assert program.wait_for_end() == 1
    assert error in program.log
    assert 'Traceback' not in program.log


def test_port_that_is_taken_is_named(start_web, start_program):
    port = start_web().address.rstrip('/').rpartition(':')[2]
    program = start_program('web', '--ros-args', '-p', f'port:={port}')
    assert program.wait_for_end() == 1
    assert f'cannot listen on 127.0.0.1 port {port}' in program.log
    assert 'Traceback' not in program.log
