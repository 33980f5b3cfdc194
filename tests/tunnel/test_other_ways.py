"""A host with other ways into the customers' network is told of them; an honest one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.agent import checks
from netns import Namespace, address, join
from support import eventually
from tunnel_world import INTERNET4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunnel_world import World

pytestmark = pytest.mark.tunnel

INNER = ("10.64.0.0/10", "fd64::/64")


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A host with two interfaces and default routes by the first one."""
    host, beyond = Namespace("host"), Namespace("beyond")
    for name in ("wan", "lan"):
        join(host, beyond, names=(name, name))
    address(host, "wan", "192.0.2.2/24", "2001:db8:9::2/64")
    address(host, "lan", "10.3.0.2/24", "fd65::2/64")
    for family, gateway in (("-4", "192.0.2.1"), ("-6", "2001:db8:9::1")):
        host.run("ip", family, "route", "add", "default", "via", gateway)
    yield host
    host.close()
    beyond.close()


def found(host: Namespace) -> list[tuple[str, str, str]]:
    with host.entered():
        return [(each.state, each.value, each.remedy) for each in checks.of_inner(INNER, "fer")]


def test_default_routes_and_other_networks_are_no_way_in(host: Namespace) -> None:
    assert found(host) == [("ok", "", "")]


def test_every_other_way_in_is_told_by_both_families(host: Namespace) -> None:
    host.run("ip", "route", "add", "10.64.7.0/24", "via", "10.3.0.1")
    host.run("ip", "-6", "route", "add", "fd64::7:0/112", "dev", "lan")
    # What is wider loses to our tunnels, where ours is the narrower.
    host.run("ip", "route", "add", "10.0.0.0/8", "via", "10.3.0.1", "table", "77")
    host.run("ip", "-6", "route", "add", "fd00::/8", "dev", "lan")

    assert found(host) == [
        ("ok", "10.0.0.0/8 lan", "other-way"),
        ("failed", "10.64.7.0/24 lan", "other-way"),
        ("ok", "fd00::/8 lan", "other-way"),
        ("failed", "fd64::7:0/112 lan", "other-way"),
    ]


def test_agent_tells_the_site(world: World) -> None:
    world.gateway.run("ip", "route", "add", "10.64.7.0/24", "via", INTERNET4)
    world.permit()
    world.start_agent()

    def told() -> list[tuple[str, str]]:
        checked = [check for report in world.site.reports for check in report.checks]
        return [(each.state, each.value) for each in checked if each.slug == "inner"]

    eventually(told, within=15)
    state, value = told()[0]
    assert (state, value.split()[0]) == ("failed", "10.64.7.0/24")
