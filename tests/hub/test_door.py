"""Connections that say nothing, or take nothing, before the hub: real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from ferriage.hub import door
from ferriage.hub.door import Door
from ferriage.hub.errors import Refusal
from running_hub import Answer, Asker, running_hub, send
from support import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    import pytest

    from ferriage.config import Config
    from ferriage.fleet.models import Pool
    from yard import Yard

ASKED = b"GET /short HTTP/1.1\r\nHost: hub\r\n\r\n"
LONG = b"x" * 8_000_000


class Hubble:
    """Answers `/short` and `/long`; once `go` is set `/look`, and `/wait`, which is a gateway's."""

    def __init__(self, **bounds: float) -> None:
        self.door = Door(self.answer, **bounds)  # type: ignore[arg-type]  # whole numbers, and one that is not
        self.go = asyncio.Event()
        self.waiting = 0

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/fault":
            raise ZeroDivisionError
        if request.path == "/long":
            return web.Response(body=LONG)
        if request.path == "/wait":
            try:
                self.door.know(request, request.query_string or "gw_1")
            except Refusal as refusal:
                return web.Response(status=refusal.status)
        if request.path in {"/wait", "/look"}:
            self.waiting += 1
            try:
                await self.go.wait()
            finally:
                self.waiting -= 1
        return web.Response(text="ok")


@asynccontextmanager
async def listening(
    **bounds: float,
) -> AsyncIterator[tuple[Hubble, Callable[[], Awaitable[Visitor]]]]:
    hubble = Hubble(**bounds)
    runner = web.ServerRunner(hubble.door, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    visitors: list[Visitor] = []

    async def visitor() -> Visitor:
        visitors.append(Visitor())
        await asyncio.get_running_loop().sock_connect(visitors[-1].socket, runner.addresses[0])
        return visitors[-1]

    try:
        yield hubble, visitor
    finally:
        for one in visitors:
            one.socket.close()
        await runner.cleanup()


class Visitor:
    """One connection, with no more in the kernel than must be."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)

    async def say(self, words: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, words)

    async def hear(self, most: int = 65536) -> bytes:
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recv(self.socket, most)

    async def hear_all(self) -> int:
        """Return how many bytes came until the end, or until it broke off."""
        heard = 0
        with suppress(ConnectionError):
            while piece := await self.hear():
                heard += len(piece)
        return heard


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(test)


async def until(check: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, check, within=10)


def test_connection_that_says_nothing_ends() -> None:
    async def test() -> None:
        async with listening(silence=0.3) as (_, visitor):
            assert await (await visitor()).hear_all() == 0

    run(test())


def test_head_that_comes_in_drops_ends_as_well() -> None:
    async def test() -> None:
        async with listening(silence=0.3) as (_, visitor):
            dripping = await visitor()
            await dripping.say(ASKED[:-2] + b"X-Word: ")
            ended = asyncio.create_task(dripping.hear_all())
            with suppress(ConnectionError):
                while not ended.done():
                    await dripping.say(b"G")
                    await asyncio.wait({ended}, timeout=0.05)

            assert await ended == 0

    run(test())


def test_head_without_end_is_refused_before_it_fills_the_memory(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with listening() as (_, visitor):
            endless, many, whole = [await visitor() for _ in range(3)]
            field = b"X-Word: " + b"x" * 1000 + b"\r\n"
            await endless.say(b"GET /" + b"x" * 5000)
            await many.say(ASKED[:-2] + field * 32 + b"\r\n")
            await whole.say(ASKED[:-2] + field * 31 + b"\r\n")

            answers = [(await one.hear())[:15] for one in (endless, many, whole)]

        assert answers == [b"HTTP/1.0 400 Ba", b"HTTP/1.0 400 Ba", b"HTTP/1.1 200 OK"]

    run(test())
    assert caplog.messages == []


def test_fault_of_our_own_is_told_without_who_asked(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with listening() as (_, visitor):
            asking = await visitor()
            await asking.say(ASKED.replace(b"short", b"fault"))
            assert (await asking.hear()).startswith(b"HTTP/1.1 500")

    run(test())
    assert caplog.messages == ["A request was not answered."]
    assert "ZeroDivisionError" in caplog.text


def test_oldest_stranger_makes_room_and_who_waits_stays() -> None:
    async def test() -> None:
        async with listening(places=3) as (hubble, visitor):
            waits = await visitor()
            await waits.say(ASKED.replace(b"short", b"wait"))
            await until(lambda: hubble.waiting == 1)
            first, second, third = [await visitor() for _ in range(3)]

            assert await first.hear_all() == 0
            await third.say(ASKED)
            assert (await third.hear()).endswith(b"ok")
            await second.say(ASKED)
            assert (await second.hear()).endswith(b"ok")
            hubble.go.set()
            assert (await waits.hear()).endswith(b"ok")

    run(test())


def test_who_asks_is_let_go_after_those_who_ask_for_nothing() -> None:
    async def test() -> None:
        async with listening(strangers=3) as (hubble, visitor):
            asks = await visitor()
            await asks.say(ASKED.replace(b"short", b"look"))
            await until(lambda: hubble.waiting == 1)
            silent = [await visitor() for _ in range(4)]

            assert [await one.hear_all() for one in silent[:2]] == [0, 0]
            hubble.go.set()
            assert (await asks.hear()).endswith(b"ok")

    run(test())


def test_who_comes_while_all_ask_takes_the_place_of_the_oldest() -> None:
    async def test() -> None:
        async with listening(strangers=2) as (hubble, visitor):
            asking = [await visitor() for _ in range(2)]
            for number, one in enumerate(asking, start=1):
                await one.say(ASKED.replace(b"short", b"look"))
                await until(lambda number=number: hubble.waiting == number)
            late = await visitor()
            await late.say(ASKED)

            assert (await late.hear()).endswith(b"ok")
            assert await asking[0].hear_all() == 0
            hubble.go.set()
            assert (await asking[1].hear()).endswith(b"ok")

    run(test())


def test_who_was_answered_is_a_stranger_again() -> None:
    async def test() -> None:
        async with listening(strangers=2) as (hubble, visitor):
            hubble.go.set()
            answered = await visitor()
            await answered.say(ASKED.replace(b"short", b"wait"))
            assert (await answered.hear()).endswith(b"ok")
            await visitor()
            await visitor()

            assert await answered.hear_all() == 0

    run(test())


def test_one_gateway_does_not_take_all_places() -> None:
    async def test() -> None:
        async with listening() as (hubble, visitor):
            mine = [await visitor() for _ in range(door.MOST_OF_ONE + 1)]
            for one in mine[:-1]:
                await one.say(ASKED.replace(b"short", b"wait?gw_1"))
            await until(lambda: hubble.waiting == door.MOST_OF_ONE)
            await mine[-1].say(ASKED.replace(b"short", b"wait?gw_1"))
            assert (await mine[-1].hear()).startswith(b"HTTP/1.1 429")
            other = await visitor()
            await other.say(ASKED.replace(b"short", b"wait?gw_2"))
            await until(lambda: hubble.waiting == door.MOST_OF_ONE + 1)
            mine[0].socket.close()
            await until(lambda: hubble.waiting == door.MOST_OF_ONE)
            await mine[-1].say(ASKED.replace(b"short", b"wait?gw_1"))
            await until(lambda: hubble.waiting == door.MOST_OF_ONE + 1)

    run(test())


def test_long_answer_that_is_not_taken_ends_and_one_that_is_taken_comes_whole() -> None:
    async def test() -> None:
        async with listening(silence=0.5) as (hubble, visitor):
            deaf, taker = await visitor(), await visitor()
            for one in (deaf, taker):
                await one.say(ASKED.replace(b"/short", b"/long"))

            heard = await taker.hear_all()
            await until(lambda: hubble.door.connections == [])
            assert heard > len(LONG)
            assert 0 < await deaf.hear_all() < len(LONG)

    run(test())


def _waits(url: str) -> bool:
    figures = send(url, "/metrics", {"Authorization": "Bearer t"}).body.decode()
    return "ferriage_hub_watches_waiting 1.0" in figures


def test_gateway_is_served_while_strangers_hold_every_place(
    own_database: Config, yard: Yard, pool: Pool, feed_key: str
) -> None:
    """More connections than the hub has places for, a wait longer than its patience with them."""
    config = replace(own_database, metrics=replace(own_database.metrics, token="t"))
    with running_hub(config, places=50, silence=0.5) as url:
        asker = Asker(url, yard.gateway(pool.line), feed_key)
        host, port = urlsplit(url).hostname, urlsplit(url).port
        answers: list[Answer] = []
        pool.refresh_from_db()

        def wait() -> None:
            answers.append(asker.watch(pool.code, after=pool.revision, wait=2))

        waiting = threading.Thread(target=wait)
        waiting.start()
        eventually(lambda: _waits(url), within=10)
        strangers = [socket.create_connection((host, port)) for _ in range(200)]
        asked = asker.snapshot(pool.code)
        waiting.join(20)
        for one in strangers:
            one.close()

    assert asked.begin.rev == pool.revision
    assert [answer.status for answer in answers] == [204]


def test_body_is_refused_and_not_waited_for(url: str, asker: Asker, pool: Pool) -> None:
    target = f"/gateway/v1/snapshot?pool={pool.code}"
    headers = {**asker.headers(target), "Content-Length": "1000000"}

    answer = asker.verified(send(url, target, headers), headers)

    assert (answer.status, answer.problem()) == (413, "malformed")
