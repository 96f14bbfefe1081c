"""What is served, in an event loop: the page, its program, and a socket for each viewer."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from tam_ros.web.access import Visit, page_refusal, socket_refusal
from tam_ros.web.audience import Audience, Viewer
from tam_ros.web.commands import Command, CommandError, read_message, to_command
from tam_ros.web.options import ServerOptions

FOLDER = Path(__file__).parent
LARGEST_MESSAGE = 16384  # bytes of what a viewer sends
PENDING = 4  # requests of a viewer at a time
HEARTBEAT_S = 20.0  # a viewer that is silent for longer, and answers no ping, is gone
HEADERS = {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
}


@dataclass(frozen=True)
class Answer:
    """What became of a request."""

    success: bool
    """Whether it was followed."""
    message: str
    """For the viewer: what was done, or what was wrong and what would be right."""


class Tracker(Protocol):
    """Does what viewers ask for."""

    async def do(self, command: Command) -> Answer:
        """Follow a command; does not raise, and ends in bounded time."""
        ...


class Site:
    """Serves pages to viewers, whose commands the tracker follows.

    on_watched: called when the first viewer comes (True), and when the last one goes.
    """

    def __init__(
        self, options: ServerOptions, tracker: Tracker, on_watched: Callable[[bool], None]
    ):
        self.audience = Audience(options.rate_hz)
        self._options = options
        self._tracker = tracker
        self._on_watched = on_watched
        self._sockets: set[web.WebSocketResponse] = set()
        self._requests: set[asyncio.Task] = set()
        # Two names that are known: no path comes from a user.
        self._page = (FOLDER / 'page.html').read_text()
        self._program = (FOLDER / 'page.js').read_text()

    def application(self) -> web.Application:
        """Return the application, which is to be served once."""
        application = web.Application()
        application.router.add_get('/', self._get_page)
        application.router.add_get('/page.js', self._get_program)
        application.router.add_get('/socket', self._look)
        return application

    async def close(self) -> None:
        """Close all sockets; the pages try to come back."""
        for socket in tuple(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b'the server ends')

    async def _get_page(self, request: web.Request) -> web.Response:
        _refuse(page_refusal(self._options, _visit(request)))
        return web.Response(text=self._page, content_type='text/html', headers=HEADERS)

    async def _get_program(self, _: web.Request) -> web.Response:
        return web.Response(text=self._program, content_type='text/javascript', headers=HEADERS)

    async def _look(self, request: web.Request) -> web.WebSocketResponse:
        _refuse(socket_refusal(self._options, _visit(request)))
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=LARGEST_MESSAGE, compress=False
        )
        await socket.prepare(request)
        if len(self.audience) >= self._options.max_viewers:
            full = f'{len(self.audience)} pages are open, and no more are allowed: close one'
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=full.encode())
            return socket
        self._sockets.add(socket)
        viewer = self._join()
        pictures = asyncio.create_task(_until_gone(viewer.serve(socket)))
        try:
            await self._listen(socket, viewer)
        finally:
            pictures.cancel()
            self._sockets.discard(socket)
            self._leave(viewer)
        return socket

    def _join(self) -> Viewer:
        viewer = self.audience.join()
        if len(self.audience) == 1:
            self._on_watched(True)
        return viewer

    def _leave(self, viewer: Viewer) -> None:
        self.audience.leave(viewer)
        if not len(self.audience):
            self._on_watched(False)

    async def _listen(self, socket: web.WebSocketResponse, viewer: Viewer) -> None:
        """Take what a viewer says until it goes."""
        own: set[asyncio.Task] = set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._take(message.data, socket, viewer, own)

    async def _take(
        self, text: str, socket: web.WebSocketResponse, viewer: Viewer, own: set[asyncio.Task]
    ) -> None:
        """Take one message. own: requests of the viewer that are being followed."""
        number = None
        try:
            message = read_message(text)
            if message['do'] == 'shown':
                viewer.shown()
                return
            number = message.get('n') if isinstance(message.get('n'), int) else None
            if len(own) >= PENDING:
                raise CommandError(f'{PENDING} requests wait for the tracker: wait, too')
            command = to_command(message, viewer.seen)
        except CommandError as error:
            await _answer(socket, number, Answer(False, str(error)))
            return
        task = asyncio.create_task(self._follow(command, socket, number))
        for tasks in (own, self._requests):  # the second holds it once the viewer has gone
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _follow(
        self, command: Command, socket: web.WebSocketResponse, number: int | None
    ) -> None:
        await _answer(socket, number, await self._tracker.do(command))


async def _answer(socket: web.WebSocketResponse, number: int | None, answer: Answer) -> None:
    said = {'kind': 'answer', 'n': number, 'success': answer.success, 'message': answer.message}
    await _until_gone(socket.send_str(json.dumps(said)))


async def _until_gone(sending: Awaitable[None]) -> None:
    with contextlib.suppress(ConnectionError):  # the viewer has gone, as viewers do
        await sending


def _visit(request: web.Request) -> Visit:
    return Visit(
        request.headers.get('Host', ''),
        request.query.get('token', ''),
        request.headers.get('Origin'),
    )


def _refuse(why: str) -> None:
    if why:
        raise web.HTTPForbidden(text=f'refused: {why}\n', headers=HEADERS)
