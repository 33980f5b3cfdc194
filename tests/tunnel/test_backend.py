"""What the engine may rely on, whoever does WireGuard: each back end passes all of it.

`make test` runs it with wireguard-go, `make test-kernel` with the kernel (FERRIAGE_TEST_BACKEND).

    host ── 192.0.2.0/24, 2001:db8:9::/64 ── far
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ferriage.agent.backend import Link, links
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.identity import wireguard_public
from netns import Namespace, address, join
from tunnel_world import make_backend, private_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ferriage.agent.backend import Peer

pytestmark = pytest.mark.tunnel

NEAR4, FAR4 = "192.0.2.1", "192.0.2.2"
NEAR6, FAR6 = "2001:db8:9::1", "2001:db8:9::2"
INITIATION = 148
"""Bytes of WireGuard's first message, which nothing else has."""

_numbers = itertools.count(1)


class Host:
    """One interface of the back end under test, and what others say of it."""

    def __init__(self) -> None:
        self.here, self.far = Namespace("h"), Namespace("f")
        join(self.here, self.far, names=("out", "in"))
        address(self.here, "out", f"{NEAR4}/24", f"{NEAR6}/64")
        address(self.far, "in", f"{FAR4}/24", f"{FAR6}/64")
        self.name = f"b{os.getpid()}x{next(_numbers)}"
        self.link = Link(self.name, private_key(), 51820, ("10.64.0.1/16", "fd64::1/64"), 1420)
        self.backend = make_backend()

    def call[T](self, work: Callable[[], T]) -> T:
        """Do something in the host's namespace."""
        with self.here.entered():
            return work()

    def ensure(self, **changes: Any) -> bool:
        for name, value in changes.items():
            object.__setattr__(self.link, name, value)
        return self.call(lambda: self.backend.ensure(self.link))

    def apply(self, *, remove: tuple[str, ...] = (), **add: Any) -> dict[str, str]:
        wanted = add.get("add", {})
        return self.call(lambda: self.backend.apply(self.name, remove=remove, add=wanted))

    def peers(self) -> dict[str, Peer]:
        return self.call(lambda: self.backend.peers(self.name))

    def allowed(self) -> dict[str, frozenset[str]]:
        return {key: peer.allowed_ips for key, peer in self.peers().items()}

    def shown(self, what: str) -> str:
        """Return what wg(8), another program, says."""
        return self.here.run("wg", "show", self.name, what).strip()

    def there(self) -> bool:
        return self.name in self.here.run("ip", "-br", "link", "show")

    def close(self) -> None:
        self.here.run("ip", "link", "delete", "dev", self.name, check=False)
        self.here.close()
        self.far.close()
        for child in getattr(self.backend, "_children", ()):
            child.wait(5)
        Path(f"/var/run/wireguard/{self.name}.sock").unlink(missing_ok=True)


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def ready(host: Host) -> Host:
    assert host.ensure()
    return host


def key(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "big")).decode()


def pair(number: int) -> tuple[str, str]:
    return (f"10.64.{number >> 8}.{number & 255}/32", f"fd64::{number + 1:x}/128")


def some(first: int, last: int) -> dict[str, tuple[str, ...]]:
    return {key(number): pair(number) for number in range(first, last + 1)}


def frozen(wanted: dict[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(ips) for name, ips in wanted.items()}


# --- the interface


def test_interface_is_made_once_as_described(host: Host) -> None:
    assert [host.ensure(), host.ensure()] == [True, False]

    assert host.shown("public-key") == wireguard_public(host.link.private_key)
    assert host.shown("listen-port") == "51820"
    assert host.shown("fwmark") == "off"
    (link,) = json.loads(host.here.run("ip", "-j", "address", "show", "dev", host.name))
    assert link["mtu"] == 1420
    assert "UP" in link["flags"]
    assert {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]} >= {
        "10.64.0.1/16",
        "fd64::1/64",
    }
    assert host.peers() == {}


def test_interface_is_mended_and_its_peers_are_left_alone(ready: Host) -> None:
    ready.apply(add=some(1, 3))

    again = ready.ensure(listen_port=51821, mtu=1400, addresses=("10.65.0.1/16",))

    assert not again
    assert ready.shown("listen-port") == "51821"
    assert "10.65.0.1/16" in ready.here.run("ip", "address", "show", "dev", ready.name)
    assert ready.allowed() == frozen(some(1, 3))


def test_key_that_wireguard_keeps_in_another_form_is_not_set_again(ready: Host) -> None:
    raw = bytearray(base64.b64decode(ready.link.private_key))
    raw[0] |= 7
    loose = base64.b64encode(raw).decode()

    ready.ensure(private_key=loose)

    assert links.clamped(loose) != loose
    assert ready.shown("private-key") == links.clamped(loose)


def test_interface_that_is_gone_is_made_anew(ready: Host) -> None:
    ready.apply(add=some(1, 2))
    ready.here.run("ip", "link", "delete", "dev", ready.name)

    assert ready.ensure()

    assert ready.peers() == {}
    assert ready.apply(add=some(1, 2)) == {}


def test_link_of_somebody_else_is_not_touched(host: Host) -> None:
    host.here.run("ip", "link", "add", "dev", host.name, "type", "bridge")

    with pytest.raises(DataPlaneError, match="kind bridge, which is not ours"):
        host.ensure()

    host.call(lambda: host.backend.drop(host.name))
    assert host.there()


def test_dropped_interface_is_gone_and_may_be_dropped_again(ready: Host) -> None:
    ready.call(lambda: ready.backend.drop(ready.name))
    ready.call(lambda: ready.backend.drop(ready.name))

    assert not ready.there()


def test_interface_that_is_not_there_is_said_and_no_record_is_blamed_alone(host: Host) -> None:
    with pytest.raises(DataPlaneError):
        host.peers()

    assert host.apply(add=some(1, 3)).keys() == some(1, 3).keys()


# --- peers


def test_peers_are_read_as_they_were_set(ready: Host) -> None:
    assert ready.apply(add=some(1, 3)) == {}

    assert ready.allowed() == frozen(some(1, 3))
    one = ready.peers()[key(1)]
    assert (one.endpoint, one.handshake_at, one.received_bytes, one.keepalive) == ("", 0, 0, 0)


def test_more_peers_than_one_request_holds(ready: Host) -> None:
    wanted = some(1, 1300)

    assert ready.apply(add=wanted) == {}
    assert ready.allowed() == frozen(wanted)

    assert ready.apply(remove=tuple(wanted)[100:]) == {}
    assert ready.allowed() == frozen(some(1, 100))


def test_peer_with_more_addresses_than_one_request_holds(ready: Host) -> None:
    ready.apply(add={key(1): pair(9)})
    wanted = {key(1): tuple(f"fd64::{number + 1:x}/128" for number in range(2100))}

    assert ready.apply(add=wanted) == {}

    assert ready.allowed() == frozen(wanted)


def test_addresses_of_a_peer_are_replaced_and_its_endpoint_stays(ready: Host) -> None:
    ready.apply(add=some(1, 2))
    ready.call(lambda: ready.backend.wake(ready.name, {key(1): f"{FAR4}:4500"}))

    ready.apply(add={key(1): pair(7)})

    assert ready.allowed() == frozen({key(1): pair(7), key(2): pair(2)})
    assert ready.peers()[key(1)].endpoint == f"{FAR4}:4500"


def test_address_moves_from_a_removed_peer_to_its_heir(ready: Host) -> None:
    ready.apply(add=some(1, 2))

    assert ready.apply(remove=(key(1),), add={key(3): pair(1)}) == {}

    assert ready.allowed() == frozen({key(2): pair(2), key(3): pair(1)})


def test_removing_whom_nobody_knows_is_no_fault(ready: Host) -> None:
    ready.apply(add=some(1, 1))

    assert ready.apply(remove=(key(9), key(1), key(9))) == {}

    assert ready.peers() == {}


@pytest.mark.parametrize("bad", ["10.64.9.9/33", "10.64.9.999/32"])
def test_bad_record_stands_alone(ready: Host, bad: str) -> None:
    wanted = some(1, 40) | {key(17): (bad,)}

    refused = ready.apply(add=wanted)

    assert list(refused) == [key(17)]
    del wanted[key(17)]
    found = ready.allowed()
    found.pop(key(17), None)  # made, and given no address: it may not pass
    assert found == frozen(wanted)


def test_peer_with_a_bad_address_has_none(ready: Host) -> None:
    ready.apply(add={key(1): ("10.64.9.9/33",)})

    assert ready.allowed().get(key(1), frozenset()) == frozenset()


# --- who is behind them


@pytest.mark.parametrize(
    ("family", "there", "text"),
    [(socket.AF_INET, FAR4, f"{FAR4}:4500"), (socket.AF_INET6, FAR6, f"[{FAR6}]:4500")],
)
def test_woken_peer_is_called_at_its_endpoint(
    ready: Host, family: socket.AddressFamily, there: str, text: str
) -> None:
    ready.far.run("ping", "-c1", "-W2", NEAR6)
    with ready.far.entered():
        listening = socket.socket(family, socket.SOCK_DGRAM)
    with listening:
        listening.bind((there, 4500))
        listening.settimeout(5)
        ready.apply(add=some(1, 2))

        ready.call(lambda: ready.backend.wake(ready.name, {key(2): text}))

        assert len(listening.recv(2048)) == INITIATION
    assert (ready.peers()[key(2)].endpoint, ready.peers()[key(2)].keepalive) == (text, 25)
    assert ready.peers()[key(1)].endpoint == ""


def test_calmed_peer_sends_no_keepalives_and_keeps_the_rest(ready: Host) -> None:
    ready.apply(add=some(1, 1))
    ready.call(lambda: ready.backend.wake(ready.name, {key(1): f"{FAR4}:4500"}))

    ready.call(lambda: ready.backend.calm(ready.name, [key(1)]))

    one = ready.peers()[key(1)]
    assert (one.keepalive, one.endpoint) == (0, f"{FAR4}:4500")
    assert one.allowed_ips == frozenset(pair(1))


def test_nobody_is_made_by_waking_or_calming(ready: Host) -> None:
    ready.call(lambda: ready.backend.wake(ready.name, {key(1): f"{FAR4}:4500"}))
    ready.call(lambda: ready.backend.calm(ready.name, [key(1)]))

    assert ready.peers() == {}


def test_bad_endpoint_keeps_no_other_peer_asleep(ready: Host) -> None:
    ready.apply(add=some(1, 3))
    ends = {key(1): f"{FAR4}:4500", key(2): "nowhere:1", key(3): f"{FAR4}:4501"}

    with pytest.raises(DataPlaneError):
        ready.call(lambda: ready.backend.wake(ready.name, ends))

    found = ready.peers()
    assert [found[key(n)].endpoint for n in (1, 2, 3)] == [f"{FAR4}:4500", "", f"{FAR4}:4501"]


def test_renewed_peer_is_a_stranger_and_its_neighbour_is_not(ready: Host) -> None:
    ready.apply(add=some(1, 2))
    ends = {key(1): f"{FAR4}:4500", key(2): f"{FAR4}:4501"}
    ready.call(lambda: ready.backend.wake(ready.name, ends))

    ready.call(lambda: ready.backend.renew(ready.name, {key(1): frozenset(pair(1))}))

    found = ready.peers()
    assert (found[key(1)].endpoint, found[key(1)].keepalive) == ("", 0)
    assert (found[key(2)].endpoint, found[key(2)].keepalive) == (f"{FAR4}:4501", 25)
    assert ready.allowed() == frozen(some(1, 2))
