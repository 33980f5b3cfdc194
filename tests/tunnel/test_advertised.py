"""An uplink whose IPv6 comes from router advertisements keeps it on a host that forwards."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from ferriage.agent import host
from ferriage.agent.errors import DataPlaneError
from netns import Namespace, join
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.tunnel

_ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
"""A router that is one for half an hour; the kernel fills the checksum in."""


@pytest.fixture
def uplink() -> Iterator[tuple[Namespace, Namespace]]:
    gateway, router = Namespace("ra"), Namespace("rr")
    try:
        join(gateway, router, names=("wan", "lan"))
        gateway.run("sysctl", "-qw", "net.ipv6.conf.wan.accept_ra=1")
        yield gateway, router
    finally:
        router.close()
        gateway.close()


def _advertise(router: Namespace) -> None:
    with router.entered():
        sending = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    with sending:
        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        with router.entered():
            index = socket.if_nametoindex("lan")
        sending.sendto(_ADVERTISEMENT, ("ff02::1", 0, 0, index))


def _routers(gateway: Namespace) -> list[str]:
    shown = gateway.run("ip", "-j", "-6", "route", "show", "default", "proto", "ra")
    return [route["dev"] for route in json.loads(shown or "[]")]


def _learned(gateway: Namespace, router: Namespace) -> None:
    def once() -> bool:
        try:
            _advertise(router)
        except OSError:  # its own address is still looked for
            return False
        return _routers(gateway) == ["wan"]

    eventually(once, within=15)


def _accepted(gateway: Namespace) -> str:
    return gateway.run("sysctl", "-n", "net.ipv6.conf.wan.accept_ra").strip()


def test_uplink_keeps_its_router_when_forwarding_begins(
    uplink: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    gateway, router = uplink
    _learned(gateway, router)

    with gateway.entered():
        host.forward(["wan"], str(tmp_path))
    kept, forwards = _routers(gateway), gateway.run("sysctl", "-n", "net.ipv6.conf.all.forwarding")
    set_to = _accepted(gateway)
    with gateway.entered():
        put_back = host.put_back(str(tmp_path))

    assert (kept, forwards.strip(), set_to) == (["wan"], "1", "2")
    assert "net.ipv6.conf.wan.accept_ra = 1" in put_back
    assert _accepted(gateway) == "1"


def test_forwarding_first_would_lose_it(uplink: tuple[Namespace, Namespace]) -> None:
    """What the kernel does; without it the test above would show nothing."""
    gateway, router = uplink
    _learned(gateway, router)

    gateway.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")

    assert _routers(gateway) == []


def test_uplink_with_an_address_of_its_own_is_left_alone(
    uplink: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    gateway, _ = uplink
    gateway.run("sysctl", "-qw", "net.ipv6.conf.wan.accept_ra=0")

    with gateway.entered():
        host.forward(["wan"], str(tmp_path))

    assert _accepted(gateway) == "0"


def test_host_whose_settings_cannot_be_changed_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: the agent says so in its report and tries again, and does not end."""
    (tmp_path / "sys/ipv4/gone").mkdir(parents=True)
    monkeypatch.setattr(host, "_SYSCTL", tmp_path / "sys")

    with pytest.raises(DataPlaneError, match=r"net\.ipv4\.gone cannot be set to 1: Is a directory"):
        host._write("ipv4/gone", "1")
