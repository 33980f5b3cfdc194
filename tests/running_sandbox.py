"""A sandbox in a process of its own, a shop's ear for its callbacks, and their small clients."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class RunningSandbox:
    """What a test knows of a sandbox: where it is, and what it told the shop's operator."""

    url: str
    settings: dict[str, str] = field(default_factory=dict)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        try:
            connection.request(method, path, body=body or None, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def control(self, method: str, path: str, **given: object) -> Any:
        headers = {"Content-Type": "application/json"}
        answer = self.ask(method, f"/control{path}", json.dumps(given).encode(), headers)
        assert answer.status == 200, answer.body
        return answer.json()

    def set_faults(self, **shares: object) -> None:
        """Let these things go wrong, and nothing else."""
        none = dict.fromkeys(("lose", "double", "delay", "reorder", "forge"), 0)
        self.control("PUT", "/faults", **{**none, **shares})

    def sent(self) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = self.control("GET", "/sent")["sent"]
        return sent

    def act(self, page: str, act: str, **fields: str) -> Answer:
        """Press a button of a payment page, as a browser without scripts does."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.url}
        body = urlencode({"act": act, **fields}).encode()
        return self.ask("POST", urlsplit(page).path, body, headers)


@contextmanager
def running_sandbox(shop_url: str, *options: str) -> Iterator[RunningSandbox]:
    """Run `ferriage sandbox` until the block ends."""
    command = [sys.executable, "-m", "ferriage", "sandbox", "--port", "0", "--shop-url", shop_url]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        url, settings = "", {}
        while line := process.stdout.readline().rstrip():
            if not url:
                url = line.split()[4].rstrip("/")
            name, found, value = line.strip().partition(": ")
            if found:
                settings[name] = value
            if name == "Ready.":
                break
        assert url, "the sandbox did not start"
        yield RunningSandbox(url, settings)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@dataclass(frozen=True)
class Heard:
    """One callback as the shop got it."""

    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Ear:
    """A shop that only listens; `answers` are its next statuses, then 200."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answers: list[int] = []
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ear.heard.append(Heard(self.path, dict(self.headers), body))
                self.send_response(ear.answers.pop(0) if ear.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
