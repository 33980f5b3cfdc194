"""The real hub in a thread, and a gateway that asks it over loopback."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from ferriage import wire
from ferriage.hub.door import LONGEST_SILENCE, PLACES
from ferriage.hub.server import Hub
from yard import signed_headers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.config import Config
    from yard import EnrolledGateway


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    def problem(self) -> str:
        return wire.decode(self.body, wire.Problem).slug


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_hub(
    config: Config,
    *,
    reread_seconds: float = 0.1,
    places: int = PLACES,
    silence: float = LONGEST_SILENCE,
) -> Iterator[str]:
    """Run the hub until the block ends; yield its address."""
    address = f"127.0.0.1:{free_port()}"
    hub = Hub(
        replace(config, hub=replace(config.hub, listen=address)),
        reread_seconds=reread_seconds,
        places=places,
        silence=silence,
    )
    loop, started = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(hub.serve(stop, started.set))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(10)
        yield f"http://{address}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def send(url: str, target: str, headers: dict[str, str], method: str = "GET") -> Answer:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=70)
    try:
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read(), dict(response.headers))
    finally:
        connection.close()


@dataclass
class Asker:
    """A gateway's side: signs each request and verifies each answer."""

    url: str
    gateway: EnrolledGateway
    feed_key: str
    late: int = 0
    replica: Replica = field(default_factory=lambda: Replica())  # noqa: PLW0108 -- defined below

    def ask(self, path: str, **query: object) -> Answer:
        named = {"format": wire.FEED_FORMAT, **query}
        target = f"/gateway/v1/{path}?{urlencode(named)}"
        headers = self.headers(target)
        return self.verified(send(self.url, target, headers), headers)

    def headers(self, target: str) -> dict[str, str]:
        return signed_headers(
            self.gateway.signing_key,
            self.gateway.row.code,
            method="GET",
            target=target,
            body=b"",
            at=int(time.time()) - self.late,
        )

    def verified(self, answer: Answer, request: dict[str, str]) -> Answer:
        message = wire.answer_message(
            status=answer.status,
            body=answer.body,
            gateway=request[wire.HEADER_GATEWAY],
            nonce=request[wire.HEADER_NONCE],
            now=int(answer.headers[wire.HEADER_NOW]),
        )
        wire.verify(self.feed_key, "answer", message, answer.headers[wire.HEADER_SIGNATURE])
        return answer

    def watch(self, pool: str, *, epoch: str = "e1", after: int = 0, wait: int = 0) -> Answer:
        return self.ask("watch", pool=pool, epoch=epoch, after=after, wait=wait)

    def snapshot(self, pool: str) -> wire.Batch:
        answer = self.ask("snapshot", pool=pool)
        assert answer.status == 200
        return wire.open_batch(self.feed_key, answer.body)


@dataclass
class Replica:
    """What a gateway holds of one pool, and the digest that it computes itself."""

    epoch: str = ""
    rev: int = 0
    devices: dict[str, wire.Device] = field(default_factory=dict)
    permit: wire.SignedPermit | None = None

    def apply(self, batch: wire.Batch) -> None:
        if batch.begin.batch == "snapshot":
            self.devices = {}
        else:
            assert (batch.begin.epoch, batch.begin.after) == (self.epoch, self.rev)
        for item in batch.items:
            self._apply_item(item)
        self.epoch, self.rev = batch.begin.epoch, batch.begin.rev
        assert self.digest() == batch.begin.digest

    def _apply_item(self, item: wire.Item) -> None:
        match item:
            case wire.Put(device=device):
                self.devices[device.id] = device
            case wire.Del(device=code):
                self.devices.pop(code, None)
            case wire.PermitItem(permit=permit):
                self.permit = permit

    def digest(self) -> str:
        digest = wire.DIGEST_ZERO
        for device in self.devices.values():
            digest = wire.digest_add(digest, device)
        return digest
