"""A proxy between gateway and site that its owner has turned against both."""

from __future__ import annotations

import asyncio
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Passed(NamedTuple):
    """An answer on its way to the gateway, with the path it answers."""

    path: str
    status: int
    body: bytes
    headers: dict[str, str]
    asked: Mapping[str, str] = MappingProxyType({})
    """The request's headers."""


def honest(passed: Passed) -> Passed:
    """Hand an answer on as it came."""
    return passed


class Proxy:
    """Hands requests on to one address and answers back, altered as it is told."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._ready = threading.Event()
        self._done: asyncio.Event | None = None
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.alter: Callable[[Passed], Passed] = honest
        self.altered: list[str] = []
        """Paths whose answers were altered."""
        self.answers: list[Passed] = []
        """All answers as they came from the site."""

    def serve(self, host: str, port: int) -> None:
        """Serve until `stop`; to be run in a thread."""
        asyncio.run(self._serve(host, port))

    def wait_started(self) -> None:
        assert self._ready.wait(10)

    def stop(self) -> None:
        if self._loop is not None and self._done is not None:
            self._loop.call_soon_threadsafe(self._done.set)
            assert self._ended.wait(10)

    async def _serve(self, host: str, port: int) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        async with aiohttp.ClientSession(auto_decompress=False) as session:

            async def answer(request: web.Request) -> web.Response:
                return await self._hand_on(session, request)

            app = web.Application()
            app.router.add_route("*", "/{anything:.*}", answer)
            runner = web.AppRunner(
                app, access_log=None, shutdown_timeout=0, handler_cancellation=True
            )
            await runner.setup()
            await web.TCPSite(runner, host, port).start()
            self._ready.set()
            await self._done.wait()
            for connection in runner.server.connections if runner.server else ():
                if connection.transport is not None:
                    connection.transport.abort()
            await runner.cleanup()
        self._ended.set()

    async def _hand_on(self, session: aiohttp.ClientSession, request: web.Request) -> web.Response:
        body = await request.read()
        kept = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        async with session.request(
            request.method, f"{self._upstream}{request.raw_path}", data=body or None, headers=kept
        ) as answer:
            ours = {
                name: text
                for name, text in answer.headers.items()
                if name.lower().startswith("ferriage-")
            }
            passed = Passed(request.path, answer.status, await answer.read(), ours, kept)
        self.answers.append(passed)
        changed = self.alter(passed)
        if changed != passed:
            self.altered.append(request.path)
        return web.Response(status=changed.status, body=changed.body, headers=changed.headers)
