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

from ferriage.web import front
from ferriage.web.front import LARGEST_BODY, Front
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

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
            await Front(application, threads=1, silence=0.2, longest=0.5)(
                scope(**changes), receive, send
            )

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
    headers = [(b"x-length", b"7"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    assert sent[0]["headers"] == headers
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


def test_body_that_trickles_has_an_end() -> None:
    echo, sent = Echo(), []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return piece(b"x")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Front(echo, threads=1, silence=0.2, longest=0.5)(scope(), receive, send))

    assert (sent[0]["status"], echo.asked) == (408, [])


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


def test_client_that_takes_nothing_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "_PIECE", 4)
    echo, taken = Echo(), []
    deaf = Front(echo, threads=1, silence=0.2)

    async def receive() -> dict[str, Any]:
        return piece(b"eight...", more=False)

    async def never(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
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
