"""A yard of gateways in the invented place: what the tests of fleet, hub and API start from."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import msgspec
import pytest

from ferriage import wire
from ferriage.approvals import actions as approvals
from ferriage.approvals import packs
from ferriage.approvals.site import packs_in_force, packs_on_file
from ferriage.core import site
from ferriage.core.actors import Actor
from ferriage.core.models import SiteState
from ferriage.fleet import actions
from ferriage.fleet.models import Gateway, Line, Permit, Pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from ferriage.approvals.models import Approval, Party
    from ferriage.config import Config

OWNER = Actor("staff", "olga")
SECOND = Actor("staff", "vera")
PAPER = approvals.EvidenceFile(data=b"paper", title="Licence", media_type="text/plain")
ISSUED = approvals.Issued(
    number="XD-2026-17", valid_from=date(2026, 3, 1), valid_to=date(2027, 2, 28)
)


@dataclass(frozen=True)
class EnrolledGateway:
    """A gateway with the private key that its agent would hold."""

    row: Gateway
    signing_key: str
    wireguard_key: str
    token: str


@dataclass(frozen=True)
class Yard:
    """A party in XD; each step is the real action."""

    party: Party
    store: Path
    now: datetime

    def plan(self, name: str = "XD public", place: str = "XD") -> Line:
        return actions.create_line(
            name=name,
            party=self.party,
            enter_place=place,
            exit_place=place,
            sell_places=[place],
            customer_class="public",
            use="resale",
            now=self.now,
            actor=OWNER,
        )

    def approve(self, line: Line, issued: approvals.Issued | None = None) -> Approval:
        approval = approvals.record_approval(
            kind="XD-PUBLIC-VPN",
            holder=self.party,
            line_codes=[line.code],
            packs=packs_in_force(),
            now=self.now,
            actor=OWNER,
        )
        approvals.grant(
            approval=approval,
            issued=issued or ISSUED,
            file=PAPER,
            store_dir=self.store,
            now=self.now,
            actor=OWNER,
        )
        return approvals.verify(approval=approval, now=self.now, actor=SECOND)

    def open_line(self, name: str = "XD public") -> Line:
        line = self.plan(name)
        self.approve(line)
        return actions.put_in_service(line=line, now=self.now, actor=OWNER)

    def gateway(self, *lines: Line, name: str = "alpha") -> EnrolledGateway:
        made = actions.create_gateway(
            name=name,
            place=lines[0].enter_place if lines else "XD",
            endpoint_host="192.0.2.1",
            endpoint_port=51820,
            now=self.now,
            actor=OWNER,
        )
        for line in lines:
            actions.assign(gateway=made.gateway, line=line, now=self.now, actor=OWNER)
        key, request = enrolment(made.token)
        actions.enrol(request=request, now=self.now)
        made.gateway.refresh_from_db()
        return EnrolledGateway(made.gateway, key, request.wireguard_key, made.token)


def enrolment(token: str, **changes: object) -> tuple[str, wire.EnrolRequest]:
    """Return a fresh signing key and the request that an agent would make with it."""
    key = wire.new_private_key()
    values: dict[str, object] = {
        "format": wire.FEED_FORMAT,
        "token": token,
        "signing_key": wire.public_key(key),
        "wireguard_key": wire.new_private_key(),
        "boot_id": "8c2f5d0e-0000-4000-8000-000000000001",
        "endpoint_host": "198.51.100.7",
        "endpoint_port": 51900,
        "agent_version": "0.1.0",
        "capabilities": ("userspace",),
    }
    return key, wire.EnrolRequest(**{**values, **changes})  # type: ignore[arg-type]


def device(number: int, **changes: object) -> wire.Device:
    """Return a device record; the same number is the same device."""
    key = base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()
    values: dict[str, object] = {
        "id": f"dev_{number}",
        "generation": 1,
        "slot": number + 1,
        "public_key": key,
        "ip4": f"10.64.{number // 250}.{number % 250 + 2}",
        "ip6": f"fd7a:5eed:1::{number + 2:x}",
        "rate_down_bps": 100_000_000,
        "rate_up_bps": 100_000_000,
        "burst_bytes": 1_000_000,
        "hold_at": 1_800_000_000,
        "hold_reason": "term",
        "remove_at": 1_801_000_000,
    }
    return wire.Device(**{**values, **changes})  # type: ignore[arg-type]


def report_of(*pools: wire.PoolStatus, **changes: object) -> wire.Report:
    """Return a report as an agent sends it."""
    values: dict[str, object] = {
        "format": wire.FEED_FORMAT,
        "instance": "first",
        "fence": 0,
        "sequence": 1,
        "boot_id": "8c2f5d0e-0000-4000-8000-000000000001",
        "agent_version": "0.1.0",
        "backend": "userspace",
        "pools": pools,
        "usage": (),
        "warnings": (),
    }
    return wire.Report(**{**values, **changes})  # type: ignore[arg-type]


def status(pool: str, **changes: object) -> wire.PoolStatus:
    """Return what a gateway says of one pool."""
    values: dict[str, object] = {
        "pool": pool,
        "epoch": "e1",
        "rev": 3,
        "digest": wire.DIGEST_ZERO,
        "permit_serial": 1,
        "line_open": True,
        "peers": 2,
    }
    return wire.PoolStatus(**{**values, **changes})  # type: ignore[arg-type]


def head_of(held: Pool, settings: object, **changes: object) -> wire.Begin:
    """Return the head of a batch up to the pool's revision, as the hub signs it."""
    config: Config = settings.FERRIAGE  # type: ignore[attr-defined]
    row = Pool.objects.get(pk=held.pk)
    begin = wire.Begin(
        format=wire.FEED_FORMAT,
        batch="delta",
        pool=row.code,
        epoch=SiteState.objects.get().epoch,
        after=0,
        rev=row.revision,
        count=0,
        digest=row.digest,
        items_sha256="",
    )
    begin = msgspec.structs.replace(begin, **changes)
    framed = wire.frame_batch(config.read_secret(config.feed_key_path), begin, [])
    return wire.decode(framed.split(b"\n")[0], wire.Begin)


def usage(pool: str, down: int, up: int, **changes: object) -> wire.Usage:
    """Return a pool's sum in one life of its counter."""
    values: dict[str, object] = {
        "pool": pool,
        "incarnation": "boot/1",
        "device": "",
        "bytes_down": down,
        "bytes_up": up,
        "final": False,
    }
    return wire.Usage(**{**values, **changes})  # type: ignore[arg-type]


def signed_headers(
    key: str, code: str, *, method: str, target: str, body: bytes, at: int
) -> dict[str, str]:
    """Return the headers with which a gateway signs a request."""
    nonce = wire.new_nonce()
    message = wire.request_message(method=method, target=target, body=body, nonce=nonce, at=at)
    return {
        wire.HEADER_GATEWAY: code,
        wire.HEADER_TIME: str(at),
        wire.HEADER_NONCE: nonce,
        wire.HEADER_SIGNATURE: wire.sign(key, "request", message),
    }


def last_permit(line: Line) -> wire.Permit:
    """Return the newest permit of a line as gateways read it."""
    row = Permit.objects.filter(line=line).latest("serial")
    return wire.decode(row.payload, wire.Permit)


def prepare_site(epoch: str = "e1") -> None:
    """Write the row that a shop's first command writes, with an epoch that tests can name."""
    site.prepare(inner4="10.64.0.0/10", inner6="fd7a:5eed:1::/48")
    SiteState.objects.update(epoch=epoch)


@pytest.fixture
def law(settings: SettingsWrapper) -> packs.Packs:
    """The built-in packs and the demo's, on file; the suite's shop has accepted them."""
    config = settings.FERRIAGE
    demo = replace(config.approvals, packs=(str(packs.demo_path()),))
    settings.FERRIAGE = replace(config, approvals=demo)
    return packs_on_file()


@pytest.fixture
def make_yard(law: packs.Packs, tmp_path: Path) -> Callable[[datetime], Yard]:  # noqa: ARG001 -- in force
    """Build a yard in the test's database."""

    def build(now: datetime) -> Yard:
        prepare_site()
        party = approvals.create_party(name="Demo Lines Ltd", place="XD", now=now, actor=OWNER)
        return Yard(party, tmp_path / "evidence", now)

    return build


@pytest.fixture
def yard(db: None, make_yard: Callable[[datetime], Yard], now: datetime) -> Yard:  # noqa: ARG001 -- asks for the database
    return make_yard(now)
