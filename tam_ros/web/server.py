"""The server of the page, in a thread of its own."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from tam_ros.web.options import ServerOptions
from tam_ros.web.pictures import Picture
from tam_ros.web.site import Site, Tracker


class PageServer:
    """Serves the page to viewers, who look at pictures and send commands. Any thread may call it.

    tracker: follows the commands, in the event loop. on_watched: called in the server's thread
    when the first viewer comes (True), and when the last one goes. on_failure: called in it with
    what has ended it. warn takes the kind and the text of a warning.
    """

    def __init__(
        self,
        options: ServerOptions,
        tracker: Tracker,
        on_watched: Callable[[bool], None],
        on_failure: Callable[[BaseException], None],
        warn: Callable[[str, str], None] = lambda kind, text: None,
    ):
        self._options = options
        self._on_failure = on_failure
        self._site = Site(options, tracker, on_watched)
        self._log = logging.Logger('page server')
        self._log.addHandler(_RequestLog(warn))
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

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(function, *arguments)

    # -- its thread -------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to whoever owns this server
            if self._port.done():
                self._on_failure(error)
            else:
                self._port.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        runner = web.AppRunner(self._site.application(), access_log=None, logger=self._log)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._options.host, self._options.port).start()
            self._port.set_result(runner.addresses[0][1])
            await self._stopping.wait()
            await self._site.close()
        finally:
            await runner.cleanup()


class _RequestLog(logging.Handler):
    """Tells in a line of requests that are none, and of what fails with all that is known."""

    def __init__(self, warn: Callable[[str, str], None]):
        super().__init__()
        self._warn = warn

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            line = ' '.join(error.message.split())[:200]
            self._warn('ignored_requests', f'request ignored: {line}')
        elif record.levelno >= logging.WARNING:
            self._warn('failed_requests', f'request failed: {self.format(record)}')
