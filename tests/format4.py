"""Feed format 4 as the release that had it spoke it: its structures, strict, and an agent.

A copy, so that it stays what it was when `ferriage.wire` goes on. Signatures are the same since.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from ferriage import wire
from running_hub import Answer, send
from yard import signed_headers


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every structure on the wire."""


class Quota(Struct, frozen=True):
    bytes: int
    resets_at: int


class Device(Struct, frozen=True):
    id: str
    generation: int
    slot: int
    public_key: str
    ip4: str
    ip6: str
    rate_down_bps: int
    rate_up_bps: int
    burst_bytes: int
    hold_at: int
    hold_reason: Literal["term", "quota", "staff"]
    remove_at: int
    language: str = "en"
    routes: tuple[str, ...] = ()
    quota: Quota | None = None


class Shop(Struct, frozen=True):
    url: str
    name: str
    addresses: tuple[str, ...]
    port: int


class Permit(Struct, frozen=True):
    line: str
    serial: int
    state: Literal["open", "held", "closed"]
    open_until: int
    decision: int
    reason: dict[str, str]
    shop: Shop


class SignedPermit(Struct, frozen=True):
    payload: str
    signature: str


class Put(Struct, frozen=True, tag="put", tag_field="kind"):
    rev: int
    device: Device


class Del(Struct, frozen=True, tag="del", tag_field="kind"):
    rev: int
    device: str


class PermitItem(Struct, frozen=True, tag="permit", tag_field="kind"):
    rev: int
    permit: SignedPermit


class Allow(Struct, frozen=True, tag="allow", tag_field="kind"):
    rev: int
    epoch: str
    snapshot_rev: int
    digest: str


class Begin(Struct, frozen=True):
    format: int
    batch: Literal["snapshot", "delta"]
    pool: str
    epoch: str
    after: int
    rev: int
    count: int
    digest: str
    items_sha256: str
    signature: str = ""


class End(Struct, frozen=True):
    end: Literal[True]
    count: int


class PoolAssignment(Struct, frozen=True):
    pool: str
    line: str
    interface: int
    listen_port: int
    gateway4: str
    gateway6: str
    mtu: int


class EnrolRequest(Struct, frozen=True):
    format: int
    token: str
    signing_key: str
    wireguard_key: str
    boot_id: str
    endpoint_host: str
    endpoint_port: int
    agent_version: str
    capabilities: tuple[str, ...]


class EnrolAnswer(Struct, frozen=True):
    gateway: str
    permit_key: str
    feed_key: str
    site_url: str
    hub_url: str
    pools: tuple[PoolAssignment, ...]


class Refused(Struct, frozen=True):
    device: str
    reason: str


class Deferred(Struct, frozen=True):
    snapshot_rev: int
    count: int
    digest: str


class PoolStatus(Struct, frozen=True):
    pool: str
    epoch: str
    rev: int
    digest: str
    permit_serial: int
    line_open: bool
    peers: int
    refused: tuple[Refused, ...] = ()
    permit: SignedPermit | None = None
    deferred: Deferred | None = None


class Usage(Struct, frozen=True):
    pool: str
    incarnation: str
    device: str
    bytes_down: int
    bytes_up: int
    final: bool


class Report(Struct, frozen=True):
    format: int
    instance: str
    fence: int
    sequence: int
    boot_id: str
    agent_version: str
    backend: str
    pools: tuple[PoolStatus, ...]
    usage: tuple[Usage, ...]
    warnings: tuple[str, ...]


class Allowance(Struct, frozen=True):
    device: str
    incarnation: str
    bytes: int


class ReportAnswer(Struct, frozen=True):
    fence: int
    lease_seconds: int
    acknowledged: int
    pools: tuple[PoolAssignment, ...]
    hub_url: str
    allowances: tuple[Allowance, ...] = ()


class Problem(Struct, frozen=True):
    slug: str
    message: str


ALL = {
    kind.__name__: kind
    for kind in (
        *(Quota, Device, Shop, Permit, SignedPermit, Put, Del, PermitItem, Allow, Begin, End),
        *(PoolAssignment, EnrolRequest, EnrolAnswer, Refused, Deferred, PoolStatus, Usage),
        *(Report, Allowance, ReportAnswer, Problem),
    )
}

_ITEM: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Put | Del | PermitItem | Allow)


@dataclass
class Agent:
    """An agent of that release: it watches a hub, and says what it holds of one pool."""

    hub_url: str
    code: str
    signing_key: str
    feed_key: str
    pool: str
    epoch: str = ""
    rev: int = 0
    serial: int = 0
    devices: dict[str, Device] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Return the digest of what is held, over the bytes of this format."""
        return _digest(self.devices)

    def follow(self) -> int:
        """Take one batch over: a snapshot when none is held or the hub says so.

        Returns:
            The answer's status.
        """
        query = f"pool={self.pool}"
        answer = None
        if self.epoch:
            query_after = f"{query}&epoch={self.epoch}&after={self.rev}&wait=0"
            answer = self._ask(f"/gateway/v1/watch?{query_after}")
            if answer.status == 204:
                return 204
        if answer is None or answer.status == 410:
            answer = self._ask(f"/gateway/v1/snapshot?{query}")
        assert answer.status == 200, answer.body
        self._take(answer.body)
        return 200

    def _ask(self, target: str) -> Answer:
        at = int(time.time())
        headers = signed_headers(
            self.signing_key, self.code, method="GET", target=target, body=b"", at=at
        )
        return send(self.hub_url, target, headers)

    def _take(self, data: bytes) -> None:
        """Take a batch over as that release did: only if its result has the digest announced."""
        head, *lines = data.rstrip(b"\n").split(b"\n")
        begin = msgspec.json.decode(head, type=Begin)
        assert begin.format == 4
        unsigned = msgspec.structs.replace(begin, signature="")
        wire.verify(self.feed_key, "batch", msgspec.json.encode(unsigned), begin.signature)
        end = msgspec.json.decode(lines.pop(), type=End)
        assert len(lines) == begin.count == end.count
        held = {} if begin.batch == "snapshot" else dict(self.devices)
        assert begin.batch == "snapshot" or begin.after == self.rev
        for item in map(_ITEM.decode, lines):
            if isinstance(item, Put):
                held[item.device.id] = item.device
            elif isinstance(item, Del):
                held.pop(item.device, None)
            elif isinstance(item, PermitItem):
                self.serial = msgspec.json.decode(item.permit.payload, type=Permit).serial
        assert _digest(held) == begin.digest
        self.devices, self.epoch, self.rev = held, begin.epoch, begin.rev

    def report(self, sequence: int) -> bytes:
        """Return what it says of the pool."""
        held = PoolStatus(
            pool=self.pool,
            epoch=self.epoch,
            rev=self.rev,
            digest=self.digest,
            permit_serial=self.serial,
            line_open=True,
            peers=len(self.devices),
        )
        return msgspec.json.encode(
            Report(
                format=4,
                instance="older",
                fence=0,
                sequence=sequence,
                boot_id="8c2f5d0e-0000-4000-8000-000000000001",
                agent_version="0.0.9",
                backend="userspace",
                pools=(held,),
                usage=(),
                warnings=(),
            )
        )


def _digest(devices: dict[str, Device]) -> str:
    total = sum(
        int.from_bytes(hashlib.sha256(msgspec.json.encode(device)).digest(), "big")
        for device in devices.values()
    )
    return f"{total % (1 << 256):064x}"
