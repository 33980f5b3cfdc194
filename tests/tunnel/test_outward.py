"""Which address a host would name to customers when nobody has said."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from netns import Namespace, join

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.tunnel

_ASK = "from ferriage.agent.host import outward_address; print(outward_address())"


@pytest.fixture
def host() -> Iterator[Namespace]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with ExitStack() as stack:
        made, beyond = Namespace("o"), Namespace("b")
        for space in (made, beyond):
            stack.callback(space.close)
        join(made, beyond, names=("wan", "in"))
        yield made


def _outward(host: Namespace) -> str:
    return host.run(sys.executable, "-c", _ASK).strip()


def test_host_without_a_way_out_names_nothing(host: Namespace) -> None:
    host.run("ip", "address", "add", "203.0.113.7/24", "dev", "wan")

    assert _outward(host) == ""


def test_host_names_the_address_of_its_default_route(host: Namespace) -> None:
    host.run("ip", "address", "add", "198.51.100.9/24", "dev", "wan")
    host.run("ip", "address", "add", "203.0.113.7/24", "dev", "wan")
    host.run("ip", "route", "add", "default", "via", "203.0.113.1")

    assert _outward(host) == "203.0.113.7"


def test_host_with_ipv6_alone_names_that(host: Namespace) -> None:
    host.run("ip", "address", "add", "2001:db8:7::7/64", "dev", "wan", "nodad")
    host.run("ip", "route", "add", "default", "via", "2001:db8:7::1")

    assert _outward(host) == "2001:db8:7::7"
