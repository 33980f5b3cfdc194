"""What stands between the server and Django, by itself and behind the real server."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from ferriage.approvals.actions import evidence
from ferriage.payments.providers.bank import statement
from ferriage.web import asgi, front
from ferriage.web.api import callbacks, signed
from ferriage.web.front import FREE, LARGEST_BODY, Front
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

UPLOADS = {"/staff/": asgi.LARGEST_UPLOAD}
HEADERS = [(b"host", b"shop.example"), (b"x-word", b"caf\xe9")]


def scope(**changes: Any) -> dict[str, Any]:
    values = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/orders/é",
        "query_string": b"a=1",
        "root_path": "",
        "headers": HEADERS,
        "server": ("127.0.0.1", 8000),
        "client": ("192.0.2.7", 50000),
    }
    return {**values, **changes}


class Echo:
    """Answers with what it was asked, and keeps the thread and the surroundings it was asked in."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.threads: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        self.asked.append(environ)
        self.threads.append(threading.current_thread().name)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start(
            "201 Created", [("X-Length", str(len(body))), ("Set-Cookie", "a"), ("Set-Cookie", "b")]
        )
        return iter([body[:3], body[3:]])


def ask(
    application: Any, *messages: dict[str, Any], within: float = 5, **changes: Any
) -> list[dict[str, Any]]:
    """Ask once; the client sends these messages and then no more."""
    sent: list[dict[str, Any]] = []
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0) if left else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def run() -> None:
        async with asyncio.timeout(within):
            asked = Front(
                application,
                threads=1,
                uploads=UPLOADS,
                known=lambda scope: (b"cookie", b"staff") in scope["headers"],
                silence=0.2,
                longest=0.5,
            )
            await asked(scope(**changes), receive, send)

    asyncio.run(run())
    return sent


def piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def status(sent: list[dict[str, Any]]) -> tuple[int, bytes]:
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_request_is_handed_on_whole_and_its_answer_back() -> None:
    echo = Echo()

    sent = ask(echo, piece(b"abc"), piece(b"defg", more=False))

    assert status(sent) == (201, b"abcdefg")
    assert sent[0]["headers"] == [
        *((b"x-length", b"7"), (b"set-cookie", b"a"), (b"set-cookie", b"b")),
        (b"content-length", b"7"),
    ]
    (asked,) = echo.asked
    picked = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_HOST", "REMOTE_ADDR")
    assert [asked[name] for name in picked] == [
        *("POST", "/orders/é".encode().decode("latin-1"), "a=1", "shop.example", "192.0.2.7")
    ]
    assert asked["HTTP_X_WORD"] == "café"
    assert echo.threads[0].startswith("site")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([piece(b"a")], 408),
        ([piece(b"x" * LARGEST_BODY), piece(b"y")], 413),
        ([{"type": "http.disconnect"}], None),
    ],
    ids=["silent", "too large", "gone"],
)
def test_what_does_not_come_whole_asks_for_no_thread(
    messages: list[dict[str, Any]], expected: int | None
) -> None:
    echo = Echo()

    sent = ask(echo, *messages)

    assert (sent[0]["status"] if sent else None) == expected
    assert echo.asked == []


@pytest.mark.parametrize(
    ("pace", "longest"), [(front.SLOWEST_PACE, 600), (0.001, 0.5)], ids=["too slow", "too long"]
)
def test_body_that_trickles_has_an_end(
    pace: float, longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "SLOWEST_PACE", pace)
    echo, sent = Echo(), []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return piece(b"x")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def run() -> None:
        async with asyncio.timeout(5):
            trickled = Front(echo, threads=1, silence=0.2, longest=longest)
            await trickled(scope(), receive, send)

    asyncio.run(run())

    assert (sent[0]["status"], echo.asked) == (408, [])


def test_body_that_keeps_its_pace_may_take_longer_than_a_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(front, "SLOWEST_PACE", 10)
    echo, sent = Echo(), []
    pieces = [piece(b"x" * 3, more=number < 9) for number in range(10)]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.1)
        return pieces.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Front(echo, threads=1, silence=0.4, longest=5)(scope(), receive, send))

    assert status(sent) == (201, b"x" * 30)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"content-length", str(LARGEST_BODY + 1).encode())], 413),
        ([(b"x-many", b"y")] * 101, 400),
    ],
    ids=["announced too large", "heads by the hundred"],
)
def test_head_alone_may_be_refused(headers: list[tuple[bytes, bytes]], expected: int) -> None:
    echo = Echo()

    sent = ask(echo, piece(b"", more=False), headers=headers)

    assert (sent[0]["status"], echo.asked) == (expected, [])


@pytest.mark.parametrize(
    ("method", "path", "size", "cookie", "expected"),
    [
        ("POST", "/staff/approvals/", asgi.LARGEST_UPLOAD, b"staff", 201),
        ("POST", "/staff/approvals/", asgi.LARGEST_UPLOAD + 1, b"staff", 413),
        ("POST", "/staff/login/", LARGEST_BODY, b"", 201),
        ("POST", "/staff/login/", LARGEST_BODY + 1, b"", 413),
        ("POST", "/nowhere", LARGEST_BODY, b"staff", 201),
        ("POST", "/nowhere", LARGEST_BODY + 1, b"staff", 413),
        ("GET", "/staff/approvals/", 0, b"staff", 201),
        ("GET", "/staff/approvals/", 1, b"staff", 413),
        ("HEAD", "/", 1, b"", 413),
    ],
)
def test_only_staff_hand_in_files(
    method: str, path: str, size: int, cookie: bytes, expected: int
) -> None:
    headers = [*HEADERS, (b"content-length", str(size).encode()), (b"cookie", cookie)]

    body = piece(b"x" * size, more=False)
    sent = ask(Echo(), body, method=method, path=path, headers=headers)

    assert sent[0]["status"] == expected


def test_file_of_unknown_length_is_taken_for_a_form() -> None:
    headers = [*HEADERS, (b"cookie", b"staff")]

    body = piece(b"x" * (LARGEST_BODY + 1), more=False)
    sent = ask(Echo(), body, path="/staff/approvals/", headers=headers)

    assert sent[0]["status"] == 413


@pytest.mark.usefixtures("own_database")
def test_staff_are_known_by_a_session_that_is_logged_in() -> None:
    client = Client()
    client.force_login(User.objects.create_user("anna"))
    stranger = SessionStore()
    stranger.save()

    def known(cookie: str) -> bool:
        return asgi.is_staff(scope(headers=[(b"cookie", cookie.encode())]))

    assert known(f"a=b; ferriage_staff={client.cookies['ferriage_staff'].value}") is True
    others = ["", f"ferriage_staff={stranger.session_key}", "ferriage_staff=made-up"]
    assert [known(cookie) for cookie in others] == [False] * 3


def test_every_file_that_the_site_takes_gets_through() -> None:
    form = 512 * 1024

    assert max(evidence.LARGEST_BYTES, statement.LARGEST_BYTES) + form < asgi.LARGEST_UPLOAD
    # An agent whose report is too large learns so from a signed answer.
    assert max(signed.LARGEST_BYTES, callbacks.LARGEST_BYTES) + form < LARGEST_BODY


class Crowd:
    """Senders whose bodies come in pieces, to a front whose room holds 100 bytes of them."""

    def __init__(self) -> None:
        self.front = Front(Echo(), threads=1, apart=["/gateway/"], room=100, silence=5)
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self, size: int, path: str = "/") -> list[dict[str, Any]]:
        """Send so much of a body and then no more; return what will be answered."""
        sent: list[dict[str, Any]] = []
        begun = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if begun.is_set():
                return await asyncio.Future()
            begun.set()
            return piece(b"x" * size)

        self.tasks.append(asyncio.create_task(self._ask(path, receive, sent)))
        await begun.wait()
        await asyncio.sleep(0)
        return sent

    async def post(self, size: int, path: str = "/") -> list[dict[str, Any]]:
        """Send a whole body."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return piece(b"y" * size, more=False)

        await self._ask(path, receive, sent)
        return sent

    async def leave(self) -> None:
        """Let all that are there go."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _ask(self, path: str, receive: Any, sent: list[dict[str, Any]]) -> None:
        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.front(scope(path=path), receive, send)


def told(*answers: list[dict[str, Any]]) -> list[int | None]:
    return [sent[0]["status"] if sent else None for sent in answers]


def test_full_room_ends_who_came_first_and_no_form() -> None:
    async def run() -> None:
        crowd = Crowd()
        form = await crowd.begin(FREE)
        first, second = await crowd.begin(FREE + 40), await crowd.begin(FREE + 60)
        small = await crowd.post(FREE)
        assert told(form, first, second, small) == [None, None, None, 201]

        large = await crowd.post(FREE + 30)
        await asyncio.wait_for(crowd.tasks[1], 5)

        assert told(form, first, second, large) == [None, 503, None, 201]
        assert dict(first[0]["headers"])[b"connection"] == b"close"
        assert told(await crowd.post(FREE + 101)) == [503]
        await crowd.leave()
        assert told(await crowd.post(FREE + 100)) == [201]

    asyncio.run(run())


def test_strangers_do_not_fill_the_room_of_gateways() -> None:
    async def run() -> None:
        crowd = Crowd()
        held = [await crowd.begin(FREE + 50) for _ in range(2)]

        report = await crowd.post(FREE + 300_000, "/gateway/v1/report")

        assert told(*held, report) == [None, None, 201]
        await crowd.leave()

    asyncio.run(run())


def test_header_with_an_underscore_is_not_taken_for_its_namesake() -> None:
    echo = Echo()
    forwarded = [(b"x-forwarded-for", b"192.0.2.7"), (b"x_forwarded_for", b"198.51.100.6")]

    ask(echo, piece(b"", more=False), headers=forwarded)

    assert echo.asked[0]["HTTP_X_FORWARDED_FOR"] == "192.0.2.7"


@pytest.mark.parametrize("deaf_to", ["http.response.start", "http.response.body"])
def test_client_that_takes_nothing_holds_no_thread(
    deaf_to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "_PIECE", 4)
    echo, taken = Echo(), []
    deaf = Front(echo, threads=1, silence=0.2)

    async def receive() -> dict[str, Any]:
        return piece(b"eight...", more=False)

    async def never(message: dict[str, Any]) -> None:
        if message["type"] == deaf_to:
            await asyncio.Future()

    async def keep(message: dict[str, Any]) -> None:
        taken.append(message)

    async def run() -> None:
        stuck = asyncio.create_task(deaf(scope(), receive, never))
        await deaf(scope(), receive, keep)
        await asyncio.wait_for(stuck, 5)

    asyncio.run(run())

    assert status(taken) == (201, b"eight...")


# --- behind the real server -------------------------------------------------------------------

_SERVED = """
from ferriage.web.front import Front

def answer(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]

application = Front(answer, threads=1, silence=3)
"""
_SERVER = """
import resource, sys
from ferriage.cli import serve

resource.setrlimit(resource.RLIMIT_NOFILE, (448, 448))
serve.HEAD_SECONDS = 2
serve.listen("served:application", "127.0.0.1", int(sys.argv[1]), 1)
"""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server with a single thread, and files for 64 connections."""
    (tmp_path / "served.py").write_text(_SERVED)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _SERVER, str(port)], cwd=tmp_path)
    eventually(lambda: _asked(port, b"ready") == b"ready", within=30, every=0.1)
    yield port
    process.terminate()
    process.wait(20)


def _asked(port: int, body: bytes) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, timeout=10) as answer:
            content: bytes = answer.read()
    except (ConnectionError, urllib.error.URLError):
        return b""
    return content


def test_idle_bodies_stop_nobody_and_end(port: int) -> None:
    idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(20)]
    for one in idle:
        one.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{")

    assert _asked(port, b"meanwhile") == b"meanwhile"
    assert {one.recv(12) for one in idle} == {b"HTTP/1.1 408"}
    for one in idle:
        one.close()


def test_connections_that_say_nothing_end_and_make_room(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(200)]
    silent[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    silent[1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    eventually(lambda: _asked(port, b"later") == b"later", within=30, every=0.1)

    assert silent[0].recv(1) == b""
    assert silent[1].recv(12) == b"HTTP/1.1 200"
    for one in silent:
        one.close()
