"""Handshakes that the site tries from outside, answered by real wireguard-go or by nobody."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ferriage.agent import backend, identity
from ferriage.agent.backend import Link
from ferriage.config import AgentConfig
from ferriage.core import clock
from ferriage.fleet import actions, probing, site
from ferriage.fleet.handshake import Initiation
from ferriage.fleet.models import Gateway, Line, Pool, PoolGateway
from ferriage.fleet.newcomer import steps
from support import eventually
from yard import OWNER, EnrolledGateway, Yard, report_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

SECOND = timedelta(seconds=1)


@pytest.fixture
def now() -> datetime:
    """WireGuard judges time stamps by its own clock."""
    return clock.now()


@pytest.fixture
def gateway(yard: Yard, now: datetime) -> EnrolledGateway:
    made = yard.gateway(yard.plan())
    Gateway.objects.update(endpoint_host="127.0.0.1")
    actions.take_report(gateway=made.row, report=report_of(), now=now)
    made.row.refresh_from_db()
    return made


def _probe() -> str:
    return Gateway.objects.get().probe


def _port(port: int) -> None:
    PoolGateway.objects.update(listen_port=port)


@pytest.fixture
def answering() -> Iterator[tuple[str, int]]:
    """A WireGuard interface that knows the probe; its public key and port."""
    if os.geteuid() != 0 or not shutil.which("wireguard-go"):
        pytest.skip("needs root and wireguard-go")
    name, key = f"pr{os.getpid()}", identity._new_wireguard_key()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = subprocess.Popen(["wireguard-go", "--foreground", name], stdout=subprocess.DEVNULL)
    there = Path(f"/var/run/wireguard/{name}.sock")
    eventually(there.exists, within=5)
    chosen = backend.choose(AgentConfig(backend="userspace"))
    chosen.ensure(Link(name, key, port, ("10.99.0.1/32", "fd99::1/128"), 1420))
    try:
        chosen.apply(name, remove=(), add={site.probe_public_key(): ()})
        yield identity.wireguard_public(key), port
    finally:
        program.terminate()
        program.wait(10)
        there.unlink(missing_ok=True)


@pytest.mark.tunnel
@pytest.mark.usefixtures("gateway")
def test_real_wireguard_answers_the_probe(answering: tuple[str, int], now: datetime) -> None:
    key, port = answering
    Gateway.objects.update(wireguard_key=key)
    _port(port)

    assert probing.run(now) == 1

    row = Gateway.objects.get()
    assert (row.probe, row.probed_at) == ("answered", now)
    assert probing.run(now + timedelta(minutes=1)) == 0


@pytest.mark.tunnel
@pytest.mark.usefixtures("gateway")
def test_every_port_is_tried_and_one_that_is_silent_is_named(
    answering: tuple[str, int], now: datetime
) -> None:
    key, port = answering
    Pool.objects.update(size_limit=1)
    actions.place(line=Line.objects.get(), count=2, now=now)
    first, second = PoolGateway.objects.order_by("interface")
    Gateway.objects.update(wireguard_key=key)
    PoolGateway.objects.filter(pk=first.pk).update(listen_port=port)
    PoolGateway.objects.filter(pk=second.pk).update(listen_port=9)

    assert probing.run(now) == 1

    row = Gateway.objects.get()
    members = list(PoolGateway.objects.order_by("interface").select_related("pool__line"))
    assert (row.probe, [member.probe for member in members]) == ("silent", ["answered", "silent"])
    step = next(step for step in steps(row, members) if step.slug == "handshake")
    assert (step.state, step.value, step.remedy) == ("failed", "UDP 9", "port-silent")


@pytest.mark.usefixtures("gateway")
def test_port_of_a_new_sibling_is_tried_soon(now: datetime) -> None:
    Gateway.objects.update(probe="answered", probed_at=now)
    PoolGateway.objects.update(probe="answered")
    Pool.objects.update(size_limit=1)

    before = probing.due(now + 11 * SECOND)
    actions.place(line=Line.objects.get(), count=2, now=now)
    after = probing.due(now + 11 * SECOND)

    assert (before, [row.name for row in after]) == ([], ["alpha"])


@pytest.mark.tunnel
@pytest.mark.usefixtures("gateway")
def test_another_key_at_the_port_is_no_answer(answering: tuple[str, int], now: datetime) -> None:
    _key, port = answering
    Gateway.objects.update(wireguard_key=identity.wireguard_public(identity._new_wireguard_key()))
    _port(port)

    probing.run(now)

    assert _probe() == "silent"


@pytest.mark.usefixtures("gateway")
def test_closed_port_is_silent_and_tried_again_after_ten_seconds(now: datetime) -> None:
    _port(9)

    tried = [probing.run(now + seconds * SECOND) for seconds in (0, 9, 10)]

    assert tried == [1, 0, 1]
    assert _probe() == "silent"


def test_name_that_nobody_knows_is_not_called_silent(
    gateway: EnrolledGateway, now: datetime
) -> None:
    actions.set_endpoint(gateway=gateway.row, host="nobody.invalid", now=now, actor=OWNER)

    probing.run(now)

    assert _probe() == "unsent"


@pytest.mark.parametrize(
    "changes", [{"spoken": 4}, {"last_seen_at": None}, {"state": Gateway.State.CLOSED}]
)
@pytest.mark.usefixtures("gateway")
def test_whoever_cannot_answer_is_not_tried(now: datetime, changes: dict[str, object]) -> None:
    Gateway.objects.update(**changes)

    assert probing.due(now) == []


def test_gateway_without_a_line_is_not_tried(yard: Yard, now: datetime) -> None:
    made = yard.gateway()
    actions.take_report(gateway=made.row, report=report_of(), now=now)

    assert probing.due(now) == []


def test_answer_that_comes_after_the_address_changed_is_not_noted(
    gateway: EnrolledGateway, now: datetime
) -> None:
    former = Gateway.objects.get()
    actions.set_endpoint(gateway=gateway.row, host="192.0.2.9", now=now, actor=OWNER)

    outcomes = {51900: Gateway.Probe.ANSWERED}
    noted = actions.note_probe(gateway=former, outcomes=outcomes, now=now)

    assert (noted, _probe()) == (False, "")


@pytest.mark.parametrize(
    "packet", [b"", bytes(92), b"\2\0\0\0" + bytes(88), b"\3\0\0\0" + bytes(60)]
)
def test_nothing_but_the_gateways_own_answer_counts(now: datetime, packet: bytes) -> None:
    responder = base64.b64decode(identity.wireguard_public(identity._new_wireguard_key()))
    first = Initiation(private=site.probe_key(), responder=responder, at=now)

    assert len(first.packet) == 148
    assert not first.answered_by(packet)
    assert not first.answered_by(b"\2\0\0\0abcd" + first.packet[4:8] + bytes(80))


def test_report_is_answered_with_the_probes_key(gateway: EnrolledGateway, now: datetime) -> None:
    answer = actions.take_report(gateway=gateway.row, report=report_of(sequence=2), now=now)

    assert answer.probe_key == site.probe_public_key()
    assert len(base64.b64decode(answer.probe_key)) == 32
