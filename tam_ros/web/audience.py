"""The viewers of a page: each gets the newest picture when it has shown the last, and no queue.

All of it belongs to one thread, that of the event loop.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterator

from aiohttp import web

from tam_ros.web.pictures import Picture

SEEN = 2  # pictures of a viewer: what it shows, and what is on the way to it


class Viewer:
    """One open page. seen: the pictures that it may be showing."""

    def __init__(self, audience: 'Audience'):
        self._audience = audience
        self._wake = asyncio.Event()
        self._has_shown = True
        self._told = ''
        self.seen: deque[Picture] = deque(maxlen=SEEN)

    def wake(self) -> None:
        """Look whether there is something new."""
        self._wake.set()

    def shown(self) -> None:
        """Note that the page has shown the last picture, and may get another."""
        self._has_shown = True
        self.wake()

    async def serve(self, socket: web.WebSocketResponse) -> None:
        """Send what is new, until the task is cancelled or the page is gone."""
        while not socket.closed:
            if self._told != self._audience.status:
                self._told = self._audience.status
                await socket.send_str(self._told)
            picture = self._audience.picture
            if self._has_shown and picture is not None and picture not in self.seen:
                self._has_shown = False
                self.seen.append(picture)
                await socket.send_bytes(picture.message)
            await self._wake.wait()
            self._wake.clear()


class Audience:
    """All viewers, and what they are shown: no more pictures per second than the rate.

    picture: the newest; None before the first, and while nobody looks. status: JSON.
    """

    def __init__(self, rate_hz: float):
        self._period_s = 1 / rate_hz
        self._viewers: set[Viewer] = set()
        self._coming: Picture | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0  # in the loop's time
        self._status: dict = {}
        self.picture: Picture | None = None
        self.status = ''

    def __len__(self) -> int:
        return len(self._viewers)

    def __iter__(self) -> Iterator[Viewer]:
        return iter(self._viewers)

    def join(self) -> Viewer:
        """Return a new viewer."""
        viewer = Viewer(self)
        self._viewers.add(viewer)
        self.tell(self._status)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Take leave of a viewer; with the last one, pictures are forgotten."""
        self._viewers.discard(viewer)
        if not self._viewers:
            self._forget()
        self.tell(self._status)

    def show(self, picture: Picture) -> None:
        """Show a picture once it is due, unless a newer one comes before that."""
        if not self._viewers:
            return
        self._coming = picture
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._due_s, loop.time()), self._show_coming)

    def tell(self, status: dict) -> None:
        """Tell all viewers how things stand; only where that has changed."""
        self._status = status
        self.status = json.dumps({'kind': 'status', 'viewers': len(self), **status})
        self._wake_all()

    def _show_coming(self) -> None:
        self._timer = None
        self.picture = self._coming
        self._due_s = asyncio.get_running_loop().time() + self._period_s
        self._wake_all()

    def _wake_all(self) -> None:
        for viewer in self._viewers:
            viewer.wake()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._coming = self.picture = None
