"""The page's server as a browser meets it, over loopback."""

import numpy as np
import pytest
from aiohttp import ClientSession, WSMsgType
from page_server import STAMP_NS, get, looking, picture, wait_until
from web_client import Page, look

from tam_ros.web.commands import AddPrompt, Remove, Reset, SetLabel, SetTarget
from tam_ros.web.site import LARGEST_MESSAGE, PENDING

# -- what is served -----------------------------------------------------------------------------


def test_page_and_program_are_served_and_nothing_else(serve):
    server = serve()
    status, headers, text = get(server)
    assert (status, headers['Content-Type']) == (200, 'text/html; charset=utf-8')
    assert '<script src="page.js" defer>' in text
    assert "frame-ancestors 'none'" in headers['Content-Security-Policy']
    status, headers, text = get(server, 'page.js')
    assert (status, headers['Content-Type']) == (200, 'text/javascript; charset=utf-8')
    for path in ('server.py', '..%2fserver.py', '%2e%2e/setup.py', 'socket/x'):
        assert get(server, path)[0] == 404, path


def test_viewer_sees_the_picture_its_stamp_and_its_objects(serve):
    server = serve()

    async def scene(page):
        server.show(picture())
        return await page.next('picture')

    header, image_bgr = looking(server, scene)
    assert header['stamp'] == str(STAMP_NS)
    assert (header['width'], header['height']) == (320, 240)
    first, second = header['objects']
    assert first == {
        'id': 3,
        'label': 'cup',
        'state': 'tracked',
        'score': 0.877,
        'color': '#fa0000',
        'box': [140, 100, 180, 140],
    }
    assert (second['state'], second['box']) == ('lost', None)
    assert image_bgr.shape == (240, 320, 3)
    assert np.abs(image_bgr[120, 160] - np.array([0, 0, 250])).max() < 12


# -- viewers ------------------------------------------------------------------------------------


def test_slow_viewer_gets_the_newest_picture_and_no_queue(serve):
    server = serve(rate_hz=100.0)

    async def scene(slow, quick):
        for stamp_ns in range(1, 6):
            server.show(picture(stamp_ns))
            assert (await quick.next('picture'))[0]['stamp'] == str(stamp_ns)
        stamps = [(await slow.next('picture'))[0]['stamp']]
        return [*stamps, (await slow.next('picture'))[0]['stamp']]

    assert looking(server, scene, count=2) == ['1', '5']


def test_pictures_come_no_more_often_than_their_rate_and_the_last_one_comes(serve):
    server = serve(rate_hz=5.0)

    async def scene(page):
        for stamp_ns in range(1, 21):
            server.show(picture(stamp_ns))
        stamps = []
        while '20' not in stamps:
            stamps.append((await page.next('picture'))[0]['stamp'])
        return stamps

    assert len(looking(server, scene)) <= 2


def test_pictures_are_forgotten_while_nobody_looks_and_the_owner_knows(serve):
    server = serve()
    server.show(picture(1))

    async def scene(first, second):
        assert server.watched == [True]
        server.show(picture(2))
        assert (await first.next('picture'))[0]['stamp'] == '2'
        await first.socket.close()
        assert (await second.next('picture'))[0]['stamp'] == '2'

    async def later(page):
        server.show(picture(3))
        return (await page.next('picture'))[0]['stamp']

    looking(server, scene, count=2)
    wait_until(lambda: server.watched == [True, False])
    assert looking(server, later) == '3'


def test_status_is_told_to_who_is_there_and_to_who_comes_later(serve):
    server = serve()

    async def scene(page):
        server.tell({'silence': 'The camera is silent.'})
        while (await page.next('status')).get('silence') != 'The camera is silent.':
            pass
        async with ClientSession() as session:
            late = Page(await look(session, server.address))
            assert await late.next('status') == {
                'kind': 'status',
                'viewers': 2,
                'silence': 'The camera is silent.',
            }
        while (await page.next('status'))['viewers'] != 1:
            pass

    looking(server, scene)


def test_more_viewers_than_allowed_are_sent_away_with_the_reason(serve):
    server = serve(max_viewers=2)

    async def scene(first, second, third):
        message = await third.socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1013)
        assert message.extra == '2 pages are open, and no more are allowed: close one'
        server.show(picture())
        await first.next('picture')
        await second.next('picture')

    looking(server, scene, count=3)


def test_sockets_are_closed_when_the_server_ends(serve):
    server = serve()

    async def scene(page):
        await page.next('status')
        server.stop(0)
        with pytest.raises(AssertionError, match='closed before a picture: 1001'):
            await page.next('picture')

    looking(server, scene)


# -- commands -----------------------------------------------------------------------------------


def commanded(serve, do: str, **fields):
    """Have a viewer of the picture ask for something; return the command, or what was refused."""
    server = serve()

    async def scene(page):
        server.show(picture())
        await page.next('picture')
        return await page.ask(do, **fields)

    answer = looking(server, scene)
    if not answer['success']:
        assert server.notebook.commands == []
        return answer['message']
    (command,) = server.notebook.commands
    assert answer['message'] == f'done: {type(command).__name__}'
    return command


ON_OBJECT, BESIDE = {'x': 150.5, 'y': 110}, {'x': 10, 'y': 20.25}
SEEN = {'stamp': str(STAMP_NS)}


@pytest.mark.parametrize(
    ('place', 'selected', 'background', 'object_id'),
    [
        (BESIDE, 0, False, 0),
        (ON_OBJECT, 0, False, 3),
        (BESIDE, 4, False, 4),
        (ON_OBJECT, 4, False, 4),  # what is selected is meant
        (ON_OBJECT, 0, True, 3),
        (ON_OBJECT, 4, True, 3),  # only there is it wrong
        (BESIDE, 4, True, 4),
    ],
)
def test_click_is_on_what_is_selected_or_under_it_in_the_picture_seen(
    serve, place, selected, background, object_id
):
    command = commanded(serve, 'click', **SEEN, **place, selected=selected, background=background)
    point = (place['x'], place['y'], 0 if background else 1)
    assert command == AddPrompt(STAMP_NS, object_id, point)


def test_box_may_be_drawn_from_any_corner(serve):
    command = commanded(serve, 'box', **SEEN, x0=50.6, y0=9.2, x1=20, y1=90, selected=0)
    assert command == AddPrompt(STAMP_NS, 0, box_xyxy=(20, 9, 51, 90))


@pytest.mark.parametrize(
    ('do', 'fields', 'command'),
    [
        ('remove', {'object_id': 3}, Remove(3)),
        ('label', {'object_id': 3, 'label': 'Becher \u676f'}, SetLabel(3, 'Becher \u676f')),
        ('reset', {}, Reset()),
        ('target', {'object_id': 0}, SetTarget(0)),
    ],
)
def test_objects_are_removed_labelled_and_chosen(serve, do, fields, command):
    assert commanded(serve, do, **fields) == command


NO_OBJECT = 'no object is there: click the background on an object, or select one first'


@pytest.mark.parametrize(
    ('do', 'fields', 'refusal'),
    [
        ('click', {**SEEN, **BESIDE, 'selected': 0, 'background': True}, NO_OBJECT),
        ('click', {**BESIDE, 'stamp': '5', 'selected': 0}, 'the picture that was clicked is not'),
        ('click', {**BESIDE, 'stamp': STAMP_NS, 'selected': 0}, 'the picture that was clicked is'),
        ('click', {**SEEN, 'x': 321, 'y': 1, 'selected': 0}, 'x 321: use 0 to 320'),
        ('click', {**SEEN, 'x': 1, 'y': float('nan'), 'selected': 0}, 'y nan: use 0 to 240'),
        ('click', {**SEEN, 'x': '1', 'y': 1, 'selected': 0}, 'x is no number'),
        ('click', {**SEEN, 'x': True, 'y': 1, 'selected': 0}, 'x is no number'),
        ('click', {**SEEN, 'x': 10**400, 'y': 1, 'selected': 0}, 'x 10000000000000000000: use 0'),
        ('click', {**SEEN, **BESIDE}, 'selected is no whole number'),
        ('click', {**SEEN, **BESIDE, 'selected': -1}, 'selected -1: use 0 to 4294967295'),
        ('box', {**SEEN, 'x0': 1, 'y0': 1, 'x1': 9, 'selected': 0}, 'y1 is no number'),
        ('remove', {'object_id': 0}, 'object_id 0: use 1 to 4294967295'),
        ('remove', {'object_id': 2**32}, 'object_id 4294967296: use 1 to'),
        (
            'label',
            {'object_id': 1, 'label': 'x' * 257},
            'label of 257 characters: use at most 256',
        ),
        ('label', {'object_id': 1, 'label': '\ud800'}, 'label has half a character'),
        ('label', {'object_id': 1}, 'label is no text'),
        ('shutdown', {}, "nobody can 'shutdown': use click, box, remove, label, reset, target"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_words(serve, do, fields, refusal):
    assert commanded(serve, do, **fields).startswith(refusal)


@pytest.mark.parametrize('text', ['', 'no', '[]', '{}', '{"do": 5}', '[' * 10000, '1' * 5000])
def test_nonsense_is_refused_and_the_viewer_stays(serve, text):
    server = serve()

    async def scene(page):
        await page.socket.send_str(text)
        answer = await page.next('answer')
        assert (answer['n'], answer['success']) == (None, False)
        await page.socket.send_bytes(b'\x00\x01')
        return await page.ask('reset')

    assert looking(server, scene)['success']


def test_message_that_is_too_long_ends_that_socket_alone(serve):
    server = serve()

    async def scene(long, other):
        await long.socket.send_str('x' * (LARGEST_MESSAGE + 1))
        with pytest.raises(AssertionError, match='1009'):
            await long.next('answer')
        return await other.ask('reset')

    assert looking(server, scene, count=2)['success']


def test_requests_that_wait_are_bounded_while_pictures_go_on(serve):
    server = serve()
    server.notebook.may_answer.clear()

    async def scene(page):
        for number in range(PENDING + 1):
            await page.say('reset', n=number)
        refused = await page.next('answer')
        assert refused['n'] == PENDING
        assert refused['message'] == f'{PENDING} requests wait for the tracker: wait, too'
        server.show(picture())
        await page.next('picture')
        server._call(server.notebook.may_answer.set)
        return {(await page.next('answer'))['n'] for _ in range(PENDING)}

    assert looking(server, scene) == set(range(PENDING))


def test_request_of_a_viewer_that_leaves_is_followed(serve):
    server = serve()
    server.notebook.may_answer.clear()

    async def scene(page):
        await page.say('remove', object_id=3)

    looking(server, scene)
    wait_until(lambda: server.notebook.commands == [Remove(3)])
    server._call(server.notebook.may_answer.set)
    assert looking(server, lambda page: page.ask('reset'))['success']
    assert not [what for what in server.watched if isinstance(what, BaseException)]
