"""The server of the page, in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from aiohttp import web

from tam_ros.web.options import ServerOptions
from tam_ros.web.pictures import Picture
from tam_ros.web.site import Site, Tracker


class PageServer:
    """Serves the page to viewers, who look at pictures and send commands. Any thread may call it.

    tracker: follows the commands, in the event loop. on_watched: called in the server's thread
    when the first viewer comes (True), and when the last one goes. on_failure: called in it with
    what has ended it.
    """

    def __init__(
        self,
        options: ServerOptions,
        tracker: Tracker,
        on_watched: Callable[[bool], None],
        on_failure: Callable[[BaseException], None],
    ):
        self._options = options
        self._on_failure = on_failure
        self._site = Site(options, tracker, on_watched)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, name='page server', daemon=True)

    def start(self) -> str:
        """Serve from now on; return the address. Raises ValueError where it cannot listen."""
        self._thread.start()
        host = self._options.host
        try:
            port = self._port.result()
        except OSError as error:
            raise ValueError(
                f'cannot listen on {host} port {self._options.port} ({error.strerror}): set '
                'another port, or host'
            ) from error
        host = f'[{host}]' if ':' in host else host
        return f'http://{host}:{port}/' + ('?token=TOKEN' if self._options.token else '')

    def stop(self, timeout_s: float) -> None:
        """Close all sockets and end the thread, or give up waiting for it."""
        self._call(self._stopping.set)
        self._thread.join(timeout_s)

    def show(self, picture: Picture) -> None:
        """Show viewers a picture."""
        self._call(self._site.audience.show, picture)

    def tell(self, status: dict) -> None:
        """Tell viewers how things stand, in values of JSON."""
        self._call(self._site.audience.tell, status)

    def _call(self, function: Callable, *arguments) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- its thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to whoever owns this server
            if self._port.done():
                self._on_failure(error)
            else:
                self._port.set_exception(error)

    async def _serve(self) -> None:
        runner = web.AppRunner(self._site.application(), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._options.host, self._options.port).start()
            self._port.set_result(runner.addresses[0][1])
            await self._stopping.wait()
            await self._site.close()
        finally:
            await runner.cleanup()
