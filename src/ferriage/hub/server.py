"""The hub's HTTP side: `watch` and `snapshot`, every answer signed with the feed key."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiohttp import web

from ferriage import wire
from ferriage.config import ConfigError
from ferriage.hub.batches import Batches
from ferriage.hub.board import Board
from ferriage.hub.door import LONGEST_SILENCE, PLACES, Door
from ferriage.hub.errors import DatabaseAway, HubError, Refusal
from ferriage.hub.figures import Figures, newer, scraped
from ferriage.hub.gate import Gate
from ferriage.hub.sql import Reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ferriage.config import Config

LONGEST_WAIT_SECONDS: Final = 55
REREAD_SECONDS: Final = 1.0
"""A lost doorbell may only cost latency: revisions are read again this often in any case."""
_LONGEST_PAUSE_SECONDS: Final = 5.0
_NO_CONTENT: Final = 204
_READS: Final = {"GET", "HEAD"}

log = structlog.get_logger()


def main(config: Config, *, places: int = PLACES, spelled: Callable[[str], str] = str) -> int:
    """Serve until a signal ends it; return an exit code (1: it could not start).

    Args:
        places: Connections at most; the process must be allowed more files than that.
        spelled: Spells commands in a text so that whoever started this can type them.
    """
    try:
        asyncio.run(_until_signal(Hub(config, places=places)))
    except (HubError, ConfigError) as error:
        print(spelled(str(error)), file=sys.stderr)  # noqa: T201 -- for whoever started the command
        return 1
    return 0


async def _until_signal(hub: Hub) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await hub.serve(stop)


class Hub:
    """One hub process. Requests share one reading thread; another one watches for changes."""

    def __init__(
        self,
        config: Config,
        *,
        reread_seconds: float = REREAD_SECONDS,
        places: int = PLACES,
        silence: float = LONGEST_SILENCE,
    ) -> None:
        self._config = config
        self._reread_seconds = reread_seconds
        self._places, self._silence = places, silence
        self._feed_key = config.read_secret(config.feed_key_path)
        self._reader = Reader(config)
        self._batches = Batches(self._reader, self._feed_key)
        self._board = Board()
        self._gate = Gate()
        self._figures = Figures()
        self._token = config.metrics.token
        self._there = asyncio.Event()
        """Whether the database answered when it was asked last."""
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub-read")

    async def serve(self, stop: asyncio.Event, started: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is set.

        Args:
            started: Called once the hub answers.

        Raises:
            HubError: No shop's database, one of another feed format, or the address is taken.
        """
        self._loop = asyncio.get_running_loop()
        self._there.set()
        ending = threading.Event()
        try:
            self._post(await self._read(self._first_look))
            watcher = asyncio.create_task(asyncio.to_thread(self._watch_database, ending))
            try:
                await self._answer_until({watcher, asyncio.create_task(stop.wait())}, started)
            finally:
                ending.set()
                await watcher
        finally:
            await self._read(self._reader.close)
            self._reading.shutdown()

    async def _answer_until(
        self, ends: set[asyncio.Task[Any]], started: Callable[[], None]
    ) -> None:
        self._door = Door(self._route, places=self._places, silence=self._silence)
        runner = web.ServerRunner(self._door, shutdown_timeout=5)
        try:
            await self._listen(runner)
            log.info("hub.started", listen=self._config.hub.listen)
            started()
            # The watching thread ends before `stop` only by a bug: then the hub ends as well, or
            # every gateway would hear of changes after its whole wait only.
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._board.close()
            await runner.cleanup()

    # --- what the database says

    def _first_look(self) -> tuple[str, dict[str, int]]:
        try:
            site = self._reader.site()
        except DatabaseAway as error:
            raise HubError(
                f"The hub cannot read the shop's database: {error}."
                " `ferriage init` makes it; `ferriage check` says more."
            ) from error
        if site is None:
            raise HubError("This database holds no shop yet. Run `ferriage init`.")
        if site.feed_format == wire.FEED_FORMAT_MOVED:
            raise HubError("This shop has moved to another database; correct database.url.")
        if site.feed_format != wire.FEED_FORMAT:
            raise HubError(
                f"The database speaks feed format {site.feed_format}, this hub"
                f" {wire.FEED_FORMAT}. Run the same release of site, worker and hub."
            )
        return site.epoch, self._reader.revisions()

    def _watch_database(self, ending: threading.Event) -> None:
        """Post every change to the board; runs in a thread with a connection of its own."""
        reader = Reader(self._config)
        pause = self._reread_seconds
        before: dict[str, int] = {}
        while not ending.is_set():
            try:
                reader.wait(self._reread_seconds)
                with reader.reading():
                    site, revisions = reader.site(), reader.revisions()
                    if any(newer(before, revisions)):
                        self._figures.saw_change(time.time() - reader.newest_change())
            except DatabaseAway as error:
                self._lost(error)
                ending.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            pause, before = self._reread_seconds, revisions
            if site is not None and not ending.is_set():
                self._loop.call_soon_threadsafe(self._post, (site.epoch, revisions))
        reader.close()

    def _post(self, seen: tuple[str, dict[str, int]]) -> None:
        self._there.set()
        self._figures.database(there=True)
        self._board.post(*seen)

    def _lost(self, error: DatabaseAway) -> None:
        log.warning("database.lost", reason=str(error))
        self._figures.database(there=False)

    async def _read_until[T](
        self, end: float, function: Callable[..., T], *values: object, **named: object
    ) -> T:
        """Read; while the database is away, wait for it until an instant of the monotonic clock.

        All who wait leave it to the watching thread to try: a server that just came back is not
        met by a connection for each gateway.

        Raises:
            DatabaseAway: It did not come back in time.
        """
        while True:
            try:
                return await self._read(function, *values, **named)
            except DatabaseAway as error:
                self._lost(error)
                self._there.clear()
                try:
                    async with asyncio.timeout(end - time.monotonic()):
                        await self._there.wait()
                except TimeoutError:
                    raise error from None

    async def _read[T](self, function: Callable[..., T], *values: object, **named: object) -> T:
        return await self._loop.run_in_executor(self._reading, lambda: function(*values, **named))

    # --- what gateways ask

    async def _route(self, request: web.BaseRequest) -> web.Response:
        asked = request.path if request.method in _READS else ""
        if asked == "/healthz":
            return await self._health(request)
        handlers = {
            "/metrics": self._metrics,
            "/gateway/v1/watch": self._watch,
            "/gateway/v1/snapshot": self._snapshot,
        }
        # Whatever is asked here fits into the head; a body would only be waited for.
        handler = _no_body if request.can_read_body else handlers.get(asked, _nothing_here)
        return await self._signed(request, handler)

    async def _listen(self, runner: web.ServerRunner) -> None:
        host, _, port = self._config.hub.listen.rpartition(":")
        await runner.setup()
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except (OSError, ValueError) as error:
            raise HubError(
                f"The hub cannot listen on {self._config.hub.listen}: {error}."
                " Another hub may be running; see hub.listen."
            ) from error

    async def _health(self, _request: web.BaseRequest) -> web.Response:
        await self._read(self._reader.site)
        return web.Response(text="ok\n")

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        return scraped(self._figures, request, self._token)

    async def _watch(self, request: web.BaseRequest) -> web.Response:
        pool, epoch = request.query.get("pool", ""), request.query.get("epoch", "")
        after, wait = _number(request, "after"), _number(request, "wait")
        end = time.monotonic() + min(wait, LONGEST_WAIT_SECONDS)
        gateway = await self._admitted(request, end)
        asked = {"epoch": epoch, "after": after, "spoken": _spoken(request)}
        while True:
            delta = await self._read_until(end, self._batches.delta, gateway, pool, **asked)
            if delta is not None:
                self._figures.answered("delta", len(delta))
                return _lines(delta)
            left = end - time.monotonic()
            with self._figures.waiting.track_inprogress():
                newer_came = await self._board.newer(pool, epoch, after, seconds=left)
            if not newer_came:
                self._figures.answered("nothing")
                return web.Response(status=_NO_CONTENT)

    async def _snapshot(self, request: web.BaseRequest) -> web.Response:
        gateway = await self._admitted(request)
        pool, spoken = request.query.get("pool", ""), _spoken(request)
        batch, tag = await self._read(self._batches.snapshot, gateway, pool, spoken=spoken)
        self._figures.answered("snapshot", len(batch))
        return _lines(batch, tag)

    async def _admitted(self, request: web.BaseRequest, end: float = 0.0) -> str:
        named = request.headers.get(wire.HEADER_GATEWAY, "")
        key = await self._read_until(end, self._reader.signing_key, named)
        gateway = self._gate.admit(request, key, body=b"", now=int(time.time()))
        self._door.know(request, gateway)
        return gateway

    async def _signed(
        self,
        request: web.BaseRequest,
        handler: Callable[[web.BaseRequest], Awaitable[web.Response]],
    ) -> web.Response:
        """Sign a handler's answer with the time at which it leaves, refusals too."""
        try:
            response = await handler(request)
        except Refusal as refusal:
            self._figures.answered(refusal.slug)
            response = _problem(refusal)
        except DatabaseAway as error:
            self._lost(error)
            response = _problem(Refusal(503, "outside", "The database does not answer."))
        self._sign(request, response)
        return response

    def _sign(self, request: web.BaseRequest, response: web.Response) -> None:
        body = response.body if isinstance(response.body, bytes) else b""
        response.headers.update(
            wire.answer_headers(
                self._feed_key,
                request.headers,
                status=response.status,
                body=body,
                now=int(time.time()),
            )
        )


async def _no_body(_request: web.BaseRequest) -> web.Response:
    raise Refusal(413, "malformed", "The hub takes no body.")


async def _nothing_here(_request: web.BaseRequest) -> web.Response:
    raise Refusal(404, "not-found", "The hub answers watch and snapshot only.")


def _number(request: web.BaseRequest, name: str) -> int:
    text = request.query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 -- fits 63 bits
        raise Refusal(400, "malformed", f"`{name}` must be a whole number.")
    return int(text)


def _spoken(request: web.BaseRequest) -> int:
    """Return the format that the agent asks for; agents of format 4 name none."""
    named = "format" in request.query
    spoken = _number(request, "format") if named else wire.FORMAT_UNNAMED
    try:
        wire.check_spoken(spoken)
    except wire.WireError as error:
        raise Refusal(400, wire.FORMAT_REFUSED, f"Nothing was told: {error}.") from error
    return spoken


def _lines(batch: bytes, tag: str = "") -> web.Response:
    headers = {"ETag": tag} if tag else {}
    return web.Response(body=batch, content_type="application/jsonl", headers=headers)


def _problem(refusal: Refusal) -> web.Response:
    problem = wire.Problem(slug=refusal.slug, message=str(refusal))
    return web.Response(
        status=refusal.status, body=wire.encode(problem), content_type="application/json"
    )
