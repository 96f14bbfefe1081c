"""Who may look at the page, and who may not."""

import asyncio
import socket

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from page_server import get, looking
from web_client import look

from tam_ros.web.options import ServerOptions

TOKEN = 'sixteen-or-more-letters'


def refused(server, **visit) -> int:
    """Return the status with which a socket is refused."""

    async def run():
        async with ClientSession() as session:
            with pytest.raises(WSServerHandshakeError) as raised:
                await look(session, server.address, **visit)
            return raised.value.status

    return asyncio.run(run())


@pytest.mark.parametrize('token', ['', 'wrong', TOKEN[:-1], TOKEN + 'x', 'w\u00f6rong'])
def test_wrong_token_is_refused(serve, token):
    server = serve(host='127.0.0.1', token=TOKEN)
    status, headers, text = get(server, f'?token={token}' if token else '')
    assert status == 403
    assert text.startswith('refused: wrong token')
    assert TOKEN not in text
    assert refused(server, token=token) == 403


def test_right_token_lets_look(serve):
    server = serve(host='0.0.0.0', token=TOKEN)
    server.address = server.address.replace('0.0.0.0', '127.0.0.1')
    assert get(server, f'?token={TOKEN}')[0] == 200
    assert looking(server, lambda page: page.ask('reset'), token=TOKEN)['success']


@pytest.mark.parametrize(
    'origin', ['http://evil.example', 'http://127.0.0.1:1', 'null', '', 'http://[', 'file://']
)
@pytest.mark.parametrize('options', [{}, {'token': TOKEN}])
def test_page_of_another_origin_may_not_look(serve, origin, options):
    server = serve(**options)
    token = options.get('token', '')
    assert refused(server, token=token, origin=origin) == 403
    assert server.watched == []


def test_without_a_token_another_name_that_points_here_is_refused(serve):
    server = serve()
    name = {'Host': 'evil.example:8080'}
    status, _, text = get(server, **name)
    assert status == 403
    assert "host 'evil.example:8080': open the page as 127.0.0.1 or localhost" in text
    assert refused(server, origin='http://evil.example:8080', **name) == 403


def test_a_forwarded_port_of_this_machine_may_look(serve):
    server = serve()
    visit = {'Host': 'localhost:9000', 'origin': 'http://localhost:9000'}
    assert looking(server, lambda page: page.ask('reset'), **visit)['success']


@pytest.mark.parametrize(
    ('request_bytes', 'status'),
    [
        (b'\x00\xff\xfe garbage\r\n\r\n', 400),
        (b'GET /' + b'x' * 20000 + b' HTTP/1.1\r\n\r\n', 400),
        (b'GET / HTTP/1.1\r\nHost: [\r\n\r\n', 403),
        (b'GET /?token=%ff%fe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n', 403),
        (b'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n', 405),
    ],
)
def test_what_is_no_request_is_answered_and_told_of_in_a_line(serve, request_bytes, status):
    server = serve()
    port = int(server.address.rstrip('/').rpartition(':')[2])
    with socket.create_connection(('127.0.0.1', port), timeout=60) as connection:
        connection.sendall(request_bytes)
        assert int(connection.recv(1000).split()[1]) == status
    assert get(server)[0] == 200
    assert server.watched == []
    for kind, text in server.warned:
        assert kind == 'ignored_requests'
        assert len(text.splitlines()) == 1


# -- options ------------------------------------------------------------------------------------


def test_port_that_is_taken_is_named(serve):
    port = int(serve().address.rstrip('/').rpartition(':')[2])
    with pytest.raises(
        ValueError, match=f'cannot listen on 127.0.0.1 port {port} .*: set another'
    ):
        serve(port=port)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'host': '0.0.0.0'}, "host '0.0.0.0' can be reached from other machines: use 127.0.0.1,"),
        ({'host': 'robot.local'}, 'or set token, for instance to'),
        ({'host': ''}, "host '' can be reached from other machines"),
        ({'token': 'short'}, 'token of 5 characters: use 16 to 256 letters, digits, - and _'),
        ({'token': 'with spaces and such'}, 'token of 20 characters: use 16 to 256'),
        ({'port': 70000}, 'port 70000: use 0 to 65535'),
    ],
)
def test_options_that_would_be_unsafe_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ServerOptions(**options)


@pytest.mark.parametrize('host', ['127.0.0.1', '127.0.0.2', '::1', 'localhost'])
def test_loopback_needs_no_token(host):
    assert ServerOptions(host=host).is_loopback
