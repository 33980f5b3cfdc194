"""A signed stand-in of site and hub: one pool, its log, enrolment, reports.

It speaks `ferriage.wire` and can be told to misbehave. Its methods are called from the test's
thread; the server runs in a thread of its own, in whatever network namespace that thread is.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from ferriage import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

LINE = "ln_0000000000000001"
POOL = "pool_0000000000000001"
SHOP = wire.Shop(url="https://shop.example", name="Shop", addresses=("192.0.2.10",), port=443)
ASSIGNMENT = wire.PoolAssignment(
    pool=POOL,
    line=LINE,
    interface=0,
    listen_port=51820,
    gateway4="10.64.0.1/10",
    gateway6="fd64::1/64",
    mtu=1420,
)
_NETWORK4 = ipaddress.IPv4Address("10.64.0.0")
_NETWORK6 = ipaddress.IPv6Address("fd64::")


class Feed:
    """One pool's devices, permit and log."""

    def __init__(self, assignment: wire.PoolAssignment) -> None:
        self.assignment = assignment
        self.epoch = "epoch-1"
        self.rev = 0
        self.log: list[wire.Item] = []
        self.devices: dict[str, wire.Device] = {}
        self.permit: wire.SignedPermit | None = None
        self.serial = 0

    def append(self, make: Callable[[int], wire.Item]) -> None:
        self.rev += 1
        self.log.append(make(self.rev))

    def digest(self) -> str:
        digest = wire.DIGEST_ZERO
        for held in self.devices.values():
            digest = wire.digest_add(digest, held)
        return digest


class Site:
    """Site and hub of one gateway. Methods speak of the first pool unless told otherwise."""

    def __init__(self, url: str, *assignments: wire.PoolAssignment) -> None:
        self.url = url
        self.feeds = {assignment.pool: Feed(assignment) for assignment in assignments}
        self.assignment = assignments[0]
        self.permit_key = wire.new_private_key()
        self.feed_key = wire.new_private_key()
        self.gateway_key = ""
        self.wireguard_key = ""
        self.used_tokens: set[str] = set()
        self.reports: list[wire.Report] = []
        self.refused: list[wire.Report] = []
        self.spoken = wire.FEED_FORMAT
        self.probe_key = ""
        self.calls: list[str] = []
        self.lease = ""
        self.lease_seconds = 60.0
        self.lease_until = 0.0
        self.fence = 0
        self.closed: set[str] = set()  # who says that the gateway is: "site", "hub"
        self.quotas: dict[str, int] = {}
        self.used: dict[str, dict[str, tuple[int, int]]] = {}
        self.clock_offset = 0.0
        self.silent: set[str] = set()  # paths that a proxy answers for
        self.spoil: Callable[[bytes], tuple[int, bytes]] | None = None
        self.sign_answers = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._stopped = threading.Event()
        self._started = threading.Event()

    # --- what the test says

    def now(self) -> float:
        return time.time() + self.clock_offset

    def token(self) -> str:
        url = base64.urlsafe_b64encode(self.url.encode()).decode().rstrip("=")
        print_ = wire.fingerprint(wire.public_key(self.permit_key))
        return f"fe1.{url}.secret.{print_}"

    @property
    def first(self) -> Feed:
        return self.feeds[self.assignment.pool]

    @property
    def rev(self) -> int:
        return self.first.rev

    @property
    def devices(self) -> dict[str, wire.Device]:
        return self.first.devices

    def digest(self) -> str:
        return self.first.digest()

    def put(self, *devices: wire.Device, pool: str = POOL) -> None:
        feed = self.feeds[pool]
        for made in devices:
            feed.devices[made.id] = made
            feed.append(lambda rev, made=made: wire.Put(rev=rev, device=made))
        self._ring()

    def delete(self, *names: str, pool: str = POOL) -> None:
        feed = self.feeds[pool]
        for name in names:
            feed.devices.pop(name, None)
            feed.append(lambda rev, name=name: wire.Del(rev=rev, device=name))
        self._ring()

    def set_permit(
        self,
        *,
        open_until: float,
        shop: wire.Shop,
        state: Any = "open",
        serial: int = 0,
        reason: dict[str, str] | None = None,
        key: str = "",
        pool: str = POOL,
    ) -> None:
        feed = self.feeds[pool]
        feed.serial = serial or feed.serial + 1
        permit = wire.Permit(
            line=feed.assignment.line,
            serial=feed.serial,
            state=state,
            open_until=int(open_until),
            decision=1,
            reason=reason or {},
            shop=shop,
        )
        signed = wire.sign_permit(key or self.permit_key, permit)
        feed.permit = signed
        feed.append(lambda rev: wire.PermitItem(rev=rev, permit=signed))
        self._ring()

    def close_gateway(self, *who: str) -> None:
        """Let these of "site" and "hub" say that staff closed the gateway."""
        self.closed = set(who)
        self._ring()

    # --- the server

    def serve(self, host: str, port: int) -> None:
        """Serve until `stop`; to be run in a thread."""
        asyncio.run(self._serve(host, port))

    def wait_started(self) -> None:
        assert self._started.wait(10)

    def stop(self) -> None:
        """Die at once: no answer is finished."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            assert self._stopped.wait(10)
            self._loop = None
            self._started.clear()
            self._stopped.clear()

    async def _serve(self, host: str, port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed, self._stopping = asyncio.Event(), asyncio.Event()
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/gateway/v1/enrol", self._signed(self._enrol, self.permit_key))
        app.router.add_post("/gateway/v1/report", self._signed(self._report, self.permit_key))
        app.router.add_post("/gateway/v1/standing", self._signed(_standing, self.permit_key))
        app.router.add_get("/gateway/v1/watch", self._signed(self._watch, self.feed_key))
        app.router.add_get("/gateway/v1/snapshot", self._signed(self._snapshot, self.feed_key))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, host, port, reuse_address=True).start()
        self._started.set()
        await self._stopping.wait()
        for connection in runner.server.connections if runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()
        self._stopped.set()

    def _ring(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._changed.set()

    def _signed(
        self,
        handler: Callable[[web.Request, bytes], Coroutine[Any, Any, tuple[int, bytes]]],
        key: str,
    ) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            self.calls.append(request.path)
            if request.path in self.silent:
                return web.Response(status=503)  # as a proxy says before a dead process
            body = await request.read()
            status, content = self._check(request, body) or await handler(request, body)
            now = int(self.now())
            nonce = request.headers[wire.HEADER_NONCE]
            message = wire.answer_message(
                status=status,
                body=content,
                gateway=request.headers[wire.HEADER_GATEWAY],
                nonce=nonce,
                now=now,
            )
            headers = {wire.HEADER_NOW: str(now)}
            if self.sign_answers:
                headers[wire.HEADER_SIGNATURE] = wire.sign(key, "answer", message)
            return web.Response(status=status, body=content, headers=headers)

        return answer

    def _check(self, request: web.Request, body: bytes) -> tuple[int, bytes] | None:
        at = int(request.headers[wire.HEADER_TIME])
        message = wire.request_message(
            method=request.method,
            target=request.raw_path,
            body=body,
            nonce=request.headers[wire.HEADER_NONCE],
            at=at,
        )
        key = self.gateway_key
        if request.path.endswith("/enrol"):
            key = wire.decode(body, wire.EnrolRequest).signing_key
        try:
            wire.verify(key, "request", message, request.headers[wire.HEADER_SIGNATURE])
        except wire.WireError:
            return _problem(401, "signature", "The request is not signed by this gateway.")
        if abs(at - self.now()) > wire.CLOCK_TOLERANCE_SECONDS:
            return _problem(401, "clock", "The gateway's clock is wrong.")
        return None

    async def _enrol(self, _: web.Request, body: bytes) -> tuple[int, bytes]:
        asked = wire.decode(body, wire.EnrolRequest)
        if asked.token in self.used_tokens or asked.token != self.token():
            return _problem(403, "token", "This token was used or has lapsed. Make another.")
        self.used_tokens.add(asked.token)
        self.gateway_key, self.wireguard_key = asked.signing_key, asked.wireguard_key
        answer = wire.EnrolAnswer(
            gateway="gw_0000000000000001",
            permit_key=wire.public_key(self.permit_key),
            feed_key=wire.public_key(self.feed_key),
            site_url=self.url,
            hub_url=self.url,
            pools=tuple(feed.assignment for feed in self.feeds.values()),
        )
        return 200, wire.encode(answer)

    async def _report(self, _: web.Request, body: bytes) -> tuple[int, bytes]:
        if wire.format_of(body) != self.spoken:
            return _problem(422, "report-wrong", "The agent speaks another format than this site.")
        report = wire.decode(body, wire.Report)
        if "site" in self.closed:
            return _closed()
        if report.instance != self.lease:
            if time.monotonic() < self.lease_until:
                self.refused.append(report)
                return _problem(409, "lease", "Another agent with this identity is running.")
            self.fence = max(self.fence, report.fence) + 1
        self.lease = report.instance
        self.lease_until = time.monotonic() + self.lease_seconds
        self.reports.append(report)
        self._use(report)
        answer = wire.ReportAnswer(
            fence=self.fence,
            lease_seconds=int(self.lease_seconds),
            acknowledged=report.sequence,
            pools=tuple(feed.assignment for feed in self.feeds.values()),
            hub_url=self.url,
            allowances=tuple(
                wire.Allowance(
                    device=row.device,
                    incarnation=row.incarnation,
                    bytes=row.bytes_down + row.bytes_up + self._left(row.device),
                )
                for row in report.usage
                if row.device in self.quotas
            ),
            probe_key=self.probe_key,
        )
        return 200, wire.encode_for(answer, self.spoken)

    def _use(self, report: wire.Report) -> None:
        for row in report.usage:
            if row.device:
                known = self.used.setdefault(row.device, {})
                down, up = known.get(row.incarnation, (0, 0))
                known[row.incarnation] = (max(down, row.bytes_down), max(up, row.bytes_up))

    def bytes_of(self, device: str) -> int:
        """Return what a device used, both ways, as reported."""
        return sum(down + up for down, up in self.used.get(device, {}).values())

    def _left(self, device: str) -> int:
        return max(self.quotas[device] - self.bytes_of(device), 0)

    async def _watch(self, request: web.Request, _: bytes) -> tuple[int, bytes]:
        feed = self.feeds[request.query["pool"]]
        after, epoch = int(request.query["after"]), request.query["epoch"]
        if epoch != feed.epoch or after > feed.rev:
            return _problem(410, "epoch", "Ask for a snapshot.")
        end = time.monotonic() + min(int(request.query["wait"]), 30)
        while after == feed.rev and self.spoil is None:
            if "hub" in self.closed:
                return _closed()
            if not await self._wait(end - time.monotonic()):
                return 204, b""
        return self._batch(feed, "delta", after, [item for item in feed.log if item.rev > after])

    async def _wait(self, seconds: float) -> bool:
        """Wait for any change; every watcher wakes."""
        changed = self._changed
        try:
            await asyncio.wait_for(changed.wait(), max(seconds, 0))
        except TimeoutError:
            return False
        if self._changed is changed:
            self._changed = asyncio.Event()
        return True

    async def _snapshot(self, request: web.Request, _: bytes) -> tuple[int, bytes]:
        feed = self.feeds[request.query["pool"]]
        items: list[wire.Item] = []
        if feed.permit is not None:
            items.append(wire.PermitItem(rev=feed.rev, permit=feed.permit))
        items += [wire.Put(rev=feed.rev, device=held) for held in feed.devices.values()]
        return self._batch(feed, "snapshot", 0, items)

    def _batch(
        self, feed: Feed, kind: Any, after: int, items: list[wire.Item]
    ) -> tuple[int, bytes]:
        begin = wire.Begin(
            format=self.spoken,
            batch=kind,
            pool=feed.assignment.pool,
            epoch=feed.epoch,
            after=after,
            rev=feed.rev,
            count=0,
            digest=feed.digest(),
            items_sha256="",
        )
        data = wire.frame_batch(self.feed_key, begin, [wire.encode(item) for item in items])
        return self.spoil(data) if self.spoil else (200, data)


def _closed() -> tuple[int, bytes]:
    return _problem(409, wire.GATEWAY_CLOSED, "This gateway is closed for good.")


async def _standing(_: web.Request, body: bytes) -> tuple[int, bytes]:
    wire.decode(body, wire.StandingRequest)
    return 200, wire.encode(wire.Standing(state="serving"))


def _problem(status: int, slug: str, message: str) -> tuple[int, bytes]:
    return status, wire.encode(wire.Problem(slug=slug, message=message))


def device(number: int, *, public_key: str, hold_at: float, **changes: Any) -> wire.Device:
    """Return a device record; `number` makes its slot, and that its addresses."""
    slot: int = changes.get("slot", 1000 + number)
    made = wire.Device(
        id=f"dev_{number:016d}",
        generation=1,
        slot=slot,
        public_key=public_key,
        ip4=str(_NETWORK4 + slot),
        ip6=str(_NETWORK6 + slot),
        rate_down_bps=100_000_000,
        rate_up_bps=100_000_000,
        burst_bytes=1 << 20,
        hold_at=int(hold_at),
        hold_reason="term",
        remove_at=int(hold_at) + 14 * 86400,
    )
    return msgspec.structs.replace(made, **changes)
