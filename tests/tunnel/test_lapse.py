"""A line's approval ends while packets flow: none reaches the internet afterwards, site or not."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from ferriage.approvals import packs, reasons
from ferriage.approvals.evaluate import evaluate
from ferriage.approvals.facts import ApprovalFacts, Facts, LineFacts, PartyFacts
from support import eventually
from tunnel_world import INTERNET4, INTERNET6

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ferriage.approvals.facts import Verdict
    from ferriage.approvals.packs import Packs
    from ferriage.wire import Device
    from tunnel_world import Client, World

pytestmark = pytest.mark.tunnel

PORT = 9999
LAST_DAY = date(2026, 6, 30)
MIDNIGHT = datetime(2026, 6, 30, 16, tzinfo=UTC)
"""The end of the last day in the authority's zone, Asia/Shanghai; the server runs in UTC."""

LINE = LineFacts(
    code="ln_1",
    operator=PartyFacts("pty_1", "XD"),
    enter="XD",
    exit="XD",
    sell_places=("XD",),
    customer_class="public",
    use="resale",
)
APPROVAL = ApprovalFacts(
    code="apr_1",
    kind="XD-PUBLIC-VPN",
    holder="pty_1",
    state="granted",
    counts_from=datetime(2026, 3, 1, tzinfo=UTC),
    valid_from=date(2026, 3, 1),
    valid_to=LAST_DAY,
    lines=frozenset({"ln_1"}),
    has_number=True,
    has_evidence=True,
    verified=True,
)
_SEND = """
import itertools, select, socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
other = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for number in itertools.count():
    for sender, host in ((one, sys.argv[1]), (other, sys.argv[2])):
        try:
            sender.sendto(b"x", (host, int(sys.argv[3])))
        except OSError:
            pass
    select.select([], [], [], 0.01)
"""


@pytest.fixture
def eastern(tmp_path: Path) -> Packs:
    """The demo's pack, with its authority in Asia/Shanghai."""
    text = packs.demo_path().read_text(encoding="utf-8")
    path = tmp_path / "XD.toml"
    path.write_text(text.replace('time_zone = "UTC"', 'time_zone = "Asia/Shanghai"'))
    return packs.load([path], allow_user_assigned=True)


def judged(rules: Packs, at: datetime) -> Verdict:
    return evaluate(Facts(line=LINE, customer_place=None, approvals=(APPROVAL,)), rules, at)


@dataclass
class Flow:
    """Packets of a customer that reached the internet: when each came, in real time."""

    arrived: list[float]

    @property
    def last(self) -> float:
        return self.arrived[-1] if self.arrived else -math.inf


@contextlib.contextmanager
def flowing(world: World, client: Client) -> Iterator[Flow]:
    """Let a customer send by IPv4 and IPv6 every 10 ms, and note what the internet receives."""
    flow = Flow([])
    with world.internet.entered():
        listening = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        listening.bind(("::", PORT))

    def listen() -> None:
        with listening:
            while listening.recv(10) == b"x":
                flow.arrived.append(time.time())

    world.internet.thread(listen)
    sender = client.space.start(
        *(sys.executable, "-c", _SEND, INTERNET4, INTERNET6, str(PORT)),
        output=world.directory / "sender.log",
    )
    try:
        eventually(lambda: len(flow.arrived) > 20, within=10)
        yield flow
    finally:
        os.kill(sender.pid, signal.SIGKILL)
        sender.wait(10)
        with (
            world.internet.entered(),
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as stopping,
        ):
            stopping.sendto(b"stop", ("::1", PORT))


def before_midnight(world: World, seconds: float) -> float:
    """Set site time so that midnight is some seconds away; return when that is, in real time."""
    ends = time.time() + seconds
    world.site.clock_offset = MIDNIGHT.timestamp() - ends
    return ends


def _opened(world: World, rules: Packs) -> None:
    """Write the permit that the register's verdict gives just before its end."""
    verdict = judged(rules, datetime.fromtimestamp(world.site.now(), UTC))
    assert (verdict.allowed, verdict.valid_until) == (True, MIDNIGHT)
    world.site.set_permit(open_until=verdict.valid_until.timestamp(), shop=world.shop)


def _held(world: World, rules: Packs) -> None:
    """Write the permit that the register's verdict gives at its end."""
    verdict = judged(rules, MIDNIGHT)
    assert not verdict.allowed
    world.permit(state="held", reason=reasons.sentences(verdict, rules))


def test_midnight_in_the_authoritys_zone_ends_the_line_with_packets_flowing(
    world: World, eastern: Packs
) -> None:
    ends = before_midnight(world, 14)
    _opened(world, eastern)
    world.start_agent()
    world.program("hold")
    alice = world.client(language="zh-hans")
    world.applied()

    with flowing(world, alice) as flow:
        eventually(lambda: time.time() > ends - 1, within=20)
        flowed_until_then = time.time() - flow.last < 0.5
        eventually(lambda: time.time() > ends, within=5)
        _held(world, eastern)
        world.applied()
        eventually(lambda: time.time() > ends + 3, within=5)

        assert flowed_until_then
        assert ends - 1 < flow.last < ends + 0.5
    page = eventually(lambda: alice.get(INTERNET4), within=5).decode()
    assert page.startswith("HTTP/1.1 511 ")
    assert 'lang="zh-Hans"' in page
    assert "apr_1" in page
    assert f"{world.shop.url}/held/" in page


def test_midnight_ends_the_line_with_the_site_dead_too(world: World, eastern: Packs) -> None:
    ends = before_midnight(world, 14)
    _opened(world, eastern)
    world.start_agent()
    world.program("hold")
    alice = world.client(language="zh-hans")
    world.applied()
    world.site.stop()

    with flowing(world, alice) as flow:
        eventually(lambda: time.time() > ends + 3, within=20)

        assert ends - 1 < flow.last < ends + 0.5
    page = eventually(lambda: alice.get(INTERNET4), within=5).decode()
    assert "该线路所依据的许可已于 2026-06-30 16:00 UTC 终止。" in page
    assert f"{world.shop.url}/held/" in page


def _frozen(record: Device, at: float) -> Device:
    return msgspec.structs.replace(
        record, generation=2, hold_at=int(at), hold_reason="staff", remove_at=int(at) + 44 * 86400
    )


def test_waiting_customer_resumes_with_nothing_touched(world: World) -> None:
    """As the site writes it: permit and devices when days stand still, both when they go on."""
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping(INTERNET4) == 1
    world.permit(state="held", reason={"en": "Revoked."})
    world.site.put(_frozen(alice.record, world.site.now()))
    world.applied()
    assert alice.ping(INTERNET4, wait=0.3) == 0
    handshake = alice.latest_handshake()

    began = time.monotonic()
    world.permit()
    world.site.put(msgspec.structs.replace(alice.record, generation=3))
    eventually(lambda: alice.ping(INTERNET4, wait=0.1), within=5)

    assert time.monotonic() - began < 3
    assert alice.latest_handshake() == handshake


def test_restored_backup_that_forgot_the_revocation_opens_nothing(world: World) -> None:
    """The database of before the lapse: another history, older permits, all devices open."""
    world.permit()
    before = world.site.first.permit
    world.start_agent()
    alice = world.client()
    world.applied()
    world.permit(state="held", reason={"en": "Revoked."})
    world.applied()
    held, revoked = world.site.first.serial, world.site.first.permit
    assert alice.ping(INTERNET4, wait=0.3) == 0

    world.site.first.epoch = "epoch-of-the-backup"
    world.site.first.permit = before
    world.site.put(alice.record)
    world.applied()
    world.permit(serial=held)  # written by its worker, which knows no revocation
    world.applied()

    assert alice.ping(INTERNET4, count=3, wait=0.3) == 0
    assert world.elements("lines") == []
    status = world.site.reports[-1].pools[0]
    assert (status.epoch, status.permit_serial, status.line_open) == (
        "epoch-of-the-backup",
        held,
        False,
    )
    assert status.permit == revoked  # the proof by which the real site learns what it forgot
