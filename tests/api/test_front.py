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
            asked = Front(application, threads=1, uploads=UPLOADS, silence=0.2, longest=0.5)
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
    ("method", "path", "size", "expected"),
    [
        ("POST", "/staff/approvals/", asgi.LARGEST_UPLOAD, 201),
        ("POST", "/staff/approvals/", asgi.LARGEST_UPLOAD + 1, 413),
        ("POST", "/nowhere", LARGEST_BODY, 201),
        ("POST", "/nowhere", LARGEST_BODY + 1, 413),
        ("GET", "/staff/approvals/", 0, 201),
        ("GET", "/staff/approvals/", 1, 413),
        ("HEAD", "/", 1, 413),
    ],
)
def test_only_staff_hand_in_files(method: str, path: str, size: int, expected: int) -> None:
    sent = ask(Echo(), piece(b"x" * size, more=False), method=method, path=path)

    assert sent[0]["status"] == expected


def test_every_file_that_the_site_takes_gets_through() -> None:
    form = 512 * 1024

    assert max(evidence.LARGEST_BYTES, statement.LARGEST_BYTES) + form < asgi.LARGEST_UPLOAD
    # An agent whose report is too large learns so from a signed answer.
    assert max(signed.LARGEST_BYTES, callbacks.LARGEST_BYTES) + form < LARGEST_BODY


def test_full_room_refuses_large_bodies_and_takes_small_ones() -> None:
    echo, refused, taken, later = Echo(), [], [], []
    small_room = Front(echo, threads=1, room=100, silence=5)
    held, release = asyncio.Event(), asyncio.Event()

    async def hold() -> dict[str, Any]:
        if held.is_set():
            await release.wait()
            return {"type": "http.disconnect"}
        held.set()
        return piece(b"x" * (FREE + 60))

    async def post(size: int, answers: list[dict[str, Any]]) -> None:
        async def receive() -> dict[str, Any]:
            return piece(b"y" * size, more=False)

        async def send(message: dict[str, Any]) -> None:
            answers.append(message)

        await small_room(scope(), receive, send)

    async def nothing(_message: dict[str, Any]) -> None:
        raise AssertionError

    async def run() -> None:
        holder = asyncio.create_task(small_room(scope(), hold, nothing))
        await held.wait()
        await post(FREE + 60, refused)
        await post(FREE, taken)
        release.set()
        await holder
        await post(FREE + 60, later)

    asyncio.run(run())

    assert refused[0]["status"] == 503
    assert dict(refused[0]["headers"])[b"connection"] == b"close"
    assert (taken[0]["status"], later[0]["status"]) == (201, 201)


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


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server with a single thread."""
    (tmp_path / "served.py").write_text(_SERVED)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "asginl", "--no-ws"),
            *("--host", "127.0.0.1", "--port", str(port), "served:application"),
        ],
        cwd=tmp_path,
    )
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
