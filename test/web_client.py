"""A page as the tests open it: the messages of its socket, without a screen."""

import json
import struct

import cv2
import numpy as np
from aiohttp import ClientSession, WSMsgType


class Page:
    """An open page. It shows a picture until it is asked for the next, and gets no other."""

    def __init__(self, socket):
        self.socket = socket
        self._has_picture = False

    async def next(self, kind: str):
        """Return the next message of a kind; a picture as its header and (H, W, 3) pixels, BGR."""
        if kind == 'picture' and self._has_picture:
            self._has_picture = False
            await self.say('shown')
        async for message in self.socket:
            self._has_picture |= message.type is WSMsgType.BINARY
            if message.type is WSMsgType.BINARY and kind == 'picture':
                return _read_picture(message.data)
            if message.type is WSMsgType.TEXT and json.loads(message.data)['kind'] == kind:
                return json.loads(message.data)
        raise AssertionError(f'closed before a {kind}: {self.socket.close_code}')

    async def say(self, do: str, **fields) -> None:
        """Send a message."""
        await self.socket.send_str(json.dumps({'do': do, 'n': 1, **fields}))

    async def ask(self, do: str, **fields) -> dict:
        """Send a message and return its answer."""
        await self.say(do, **fields)
        return await self.next('answer')

    async def until(self, kind: str, condition):
        """Return the first message of a kind (of a picture its header) that is as it should be."""
        while True:
            found = await self.next(kind)
            found = found[0] if kind == 'picture' else found
            if condition(found):
                return found


def _read_picture(data: bytes):
    (length,) = struct.unpack_from('<I', data)
    jpeg = np.frombuffer(data, np.uint8, offset=4 + length)
    return json.loads(data[4 : 4 + length]), cv2.imdecode(jpeg, cv2.IMREAD_COLOR)


async def look(session: ClientSession, address: str, *, token='', origin=None, **headers):
    """Open the socket of a server as the page of an origin would, by default of its own."""
    origin = address.rstrip('/') if origin is None else origin
    headers = {**headers, **({'Origin': origin} if origin else {})}
    return await session.ws_connect(
        f'{address}socket{f"?token={token}" if token else ""}', headers=headers
    )
