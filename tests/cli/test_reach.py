"""How `ferriage check` tells a slow shop from a stranger, from a silent one, and from none."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final

import pytest

from ferriage.cli import reach
from ferriage.cli.check import _ports
from ferriage.config import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEALTHY: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
STRANGE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
FORMER_PATIENCE: Final = 2.0


@contextlib.contextmanager
def _listening(answer: bytes = b"", after: float = 0) -> Iterator[int]:
    """Listen on loopback, and give one answer late, or none until the end; yield the port."""
    ended = threading.Event()

    def serve(server: socket.socket) -> None:
        asked, _ = server.accept()
        with asked:
            asked.recv(1024)
            ended.wait(after if answer else None)
            asked.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def test_slow_shop_is_a_shop() -> None:
    with _listening(HEALTHY, after=FORMER_PATIENCE + 0.2) as port:
        assert reach.who_listens("127.0.0.1", port, "shop.se") == "ours"


@pytest.mark.parametrize(("answer", "found"), [(STRANGE, "other"), (b"", "silent")])
def test_stranger_and_silence_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, found: str
) -> None:
    monkeypatch.setattr(reach, "PATIENCE_SECONDS", 0.2)
    with _listening(answer) as port:
        assert reach.who_listens("127.0.0.1", port, "shop.se") == found


def test_who_accepts_no_connection_is_said_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PATIENCE_SECONDS", 0.2)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert reach.why_silent("127.0.0.1", port) == "Connection refused"
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        at = full.getsockname()
        # A queue of none takes one connection; the next waits for an answer that does not come.
        stack.enter_context(socket.create_connection(at))
        assert reach.why_silent(*at) == "did not answer within 0.2 s"


def test_check_says_how_long_it_waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PATIENCE_SECONDS", 0.2)
    with _listening() as port:
        entry = f"127.0.0.1:{port}"
        document = {"site": {"listen": [entry]}, "hub": {"listen": "127.0.0.1:0"}}
        [found] = _ports(parse(document, path=tmp_path / "ferriage.toml", environ={}))

    assert (found.state, found.what) == (
        "bad",
        f"the program that listens on {entry} did not answer within 0.2 s",
    )
    assert found.remedy.startswith("If it is this shop's, look at its log. End the program")
