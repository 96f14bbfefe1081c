"""A page as the tests open it: the messages of its socket, without a screen."""

import json
import struct

import cv2
import numpy as np
from aiohttp import ClientSession, WSMsgType


class Page:
    """An open page. A picture that `next` returns is held: until it is shown no other comes."""

    def __init__(self, socket):
        self.socket = socket

    async def next(self, kind: str):
        """Return the next message of a kind; a picture as its header and (H, W, 3) pixels, BGR."""
        async for message in self.socket:
            if message.type is WSMsgType.BINARY and kind == 'picture':
                return _read_picture(message.data)
            if message.type is WSMsgType.BINARY:
                await self.say('shown')
            elif json.loads(message.data)['kind'] == kind:
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
            if kind == 'picture':
                await self.say('shown')
                found, _ = found
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
