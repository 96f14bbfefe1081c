"""The page's server under test: a notebook stands for the tracker; pages look at it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from aiohttp import ClientSession
from web_client import Page, look

from tam_ros.masks import MaskCrop
from tam_ros.web.options import ServerOptions
from tam_ros.web.pictures import Picture, ShownObject
from tam_ros.web.server import PageServer
from tam_ros.web.site import Answer

LONG_S = 60
STAMP_NS = 1_700_000_000_123_456_789  # has more digits than a float


class Notebook:
    """Follows commands by writing them down. may_answer: set while it answers."""

    def __init__(self):
        self.commands = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def do(self, command):
        self.commands.append(command)
        await self.may_answer.wait()
        return Answer(True, f'done: {type(command).__name__}')


def picture(stamp_ns: int = STAMP_NS) -> Picture:
    """Return a grey picture with a red square in its middle, which is object 3."""
    drawn_bgr = np.full((240, 320, 3), 90, np.uint8)
    drawn_bgr[100:140, 140:180] = 0, 0, 250
    _, jpeg = cv2.imencode('.jpg', drawn_bgr)
    crop = MaskCrop((140, 100, 180, 140), np.ones((40, 40), bool))
    shown = ShownObject(3, 'cup', 'tracked', 0.87654, '#fa0000', crop)
    hidden = ShownObject(4, '', 'lost', 0.0, '#00ff00', None)
    return Picture(stamp_ns, (320, 240), jpeg.tobytes(), (shown, hidden))


@contextmanager
def serving(**options) -> Iterator[PageServer]:
    """Give a server that runs: address, notebook, and what its owner was told and warned of."""
    notebook, watched, warned = Notebook(), [], []
    server = PageServer(
        ServerOptions(**options),
        notebook,
        watched.append,
        watched.append,
        lambda *warning: warned.append(warning),
    )
    server.notebook, server.watched, server.warned = notebook, watched, warned
    try:
        server.address = server.start().partition('?')[0]
        yield server
    finally:
        server.stop(LONG_S)


def looking(server, scene, count: int = 1, **visit):
    """Run a coroutine function with that many pages that look at the server."""

    async def run():
        async with ClientSession() as session:
            pages = [Page(await look(session, server.address, **visit)) for _ in range(count)]
            return await asyncio.wait_for(scene(*pages), LONG_S)

    return asyncio.run(run())


def get(server, path: str = '', **headers):
    """Return the status, headers and text of a page."""

    async def run():
        async with (
            ClientSession() as session,
            session.get(server.address + path, headers=headers) as response,
        ):
            return response.status, response.headers, await response.text()

    return asyncio.run(run())


def wait_until(condition) -> None:
    """Wait for what another thread is about to do."""
    turn = threading.Event()
    for _ in range(LONG_S * 100):
        if condition():
            return
        turn.wait(0.01)
    raise AssertionError('it never happened')
