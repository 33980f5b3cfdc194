"""A hostile operator: whoever has the proxy, or the hub's key, and what that does not give them.

    customers ── gateway ── 192.0.2.0/24 ── proxy (:8000) ── site and hub (:8001)

What somebody with root on a gateway cannot do is in tests/hub/test_hub.py (other pools, other
names, a request twice) and tests/api/test_gateway_api.py (reports for others).
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

import feed
from ferriage import wire
from proxy import Passed, Proxy, honest
from support import eventually
from tunnel_world import INTERNET4, SITE4, private_key, steady_ping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunnel_world import World

pytestmark = pytest.mark.tunnel

WATCH = "/gateway/v1/watch"


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    """Stand between the enrolled gateway and its site."""
    world.site.stop()
    world.home.thread(lambda: world.site.serve(SITE4, 8001))
    world.site.wait_started()
    between = Proxy(f"http://{SITE4}:8001")
    world.home.thread(lambda: between.serve(SITE4, 8000))
    between.wait_started()
    yield between
    between.stop()


def _watched(alter: Callable[[Passed], Passed]) -> Callable[[Passed], Passed]:
    """Alter what a watch brings, and nothing else."""
    return lambda passed: alter(passed) if passed.path == WATCH and passed.body else passed


def _peers(world: World) -> list[str]:
    return sorted(world.gateway.run("wg", "show", world.interface, "allowed-ips").splitlines())


def test_proxy_can_neither_add_a_peer_nor_cut_one_off(world: World, proxy: Proxy) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.site.put(feed.device(900, public_key=private_key(), hold_at=world.site.now() + 3600))
    world.applied()
    older = [passed for passed in proxy.answers if passed.path == WATCH and passed.body][-1]
    report = next(passed for passed in proxy.answers if passed.path.endswith("/report"))
    problem = wire.encode(wire.Problem(slug="epoch", message="Ask for a snapshot."))
    attacks: dict[str, Callable[[Passed], Passed]] = {
        "an older answer": lambda _: older,
        "the answer to something else": lambda _: report,
        "nothing new": lambda passed: passed._replace(status=204, body=b""),
        "another history": lambda passed: passed._replace(status=410, body=problem),
        "a page": lambda passed: passed._replace(body=b"<html>"),
        "one more peer": lambda passed: _with_stranger(passed, world),
        "unsigned": lambda passed: passed._replace(headers={}),
        "elsewhere": lambda _: Passed(WATCH, 302, b"", {"Location": "http://203.0.113.9/"}),
    }

    for number, (name, attack) in enumerate(attacks.items(), start=901):
        before = _peers(world)
        proxy.alter = _watched(attack)
        world.site.put(
            feed.device(number, public_key=private_key(), hold_at=world.site.now() + 3600)
        )
        eventually(lambda: WATCH in proxy.altered, within=10)
        assert _peers(world) == before, name
        assert alice.ping("203.0.113.9") == 1, name
        proxy.alter = honest
        proxy.altered.clear()
        world.applied()
    assert len(_peers(world)) == 2 + len(attacks)


def _with_stranger(passed: Passed, world: World) -> Passed:
    """Return a delta with one more device, right in all but its signatures."""
    begin, *items, end, _ = passed.body.split(b"\n")
    head = wire.decode(begin, wire.Begin)
    stranger = feed.device(999, public_key=private_key(), hold_at=world.site.now() + 3600)
    lines = [*items, wire.encode(wire.Put(rev=head.rev, device=stranger))]
    changed = msgspec.structs.replace(
        head,
        count=len(lines),
        digest=wire.digest_add(head.digest, stranger),
        items_sha256=hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest(),
    )
    tail = msgspec.structs.replace(wire.decode(end, wire.End), count=len(lines))
    body = b"\n".join((wire.encode(changed), *lines, wire.encode(tail), b""))
    return passed._replace(body=body)


def test_hubs_key_opens_no_line(world: World) -> None:
    world.permit(serial=5, state="closed")
    closed = world.site.first.permit
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9", wait=0.3) == 0

    # Whoever has the feed key may make any batch: but a permit in it is the site's or nobody's.
    world.permit(serial=4)
    world.applied()
    assert alice.ping("203.0.113.9", wait=0.3) == 0, "an open permit of yesterday, played again"
    world.permit(serial=9, key=world.site.feed_key)
    eventually(lambda: "a permit was refused" in world.log, within=10)
    assert alice.ping("203.0.113.9", wait=0.3) == 0, "a permit signed with the hub's own key"
    _put_permit(world, _altered(closed))
    eventually(lambda: world.log.count("a permit was refused") > 1, within=20)
    assert alice.ping("203.0.113.9", wait=0.3) == 0, "the closed permit, opened by hand"

    assert world.elements("lines") == []


def test_hubs_key_moves_no_gateway_to_another_hub(world: World, proxy: Proxy) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()

    proxy.alter = lambda passed: _moved(passed, world) if "/report" in passed.path else passed
    eventually(lambda: len(proxy.altered) > 2, within=15)
    world.site.put(feed.device(900, public_key=private_key(), hold_at=world.site.now() + 3600))
    eventually(lambda: len(_peers(world)) == 2, within=10)

    assert "is not signed by the site" in world.log
    assert alice.ping("203.0.113.9") == 1


def _moved(passed: Passed, world: World) -> Passed:
    """Return the answer to a report with another hub in it, signed with the hub's key."""
    answer = wire.decode(passed.body, wire.ReportAnswer)
    body = wire.encode(msgspec.structs.replace(answer, hub_url="http://203.0.113.9:8000"))
    headers = wire.answer_headers(
        world.site.feed_key, passed.asked, status=200, body=body, now=int(world.site.now())
    )
    return passed._replace(body=body, headers=headers)


@pytest.mark.parametrize("shift", [-100_000, 100_000])
def test_hubs_key_moves_no_end(world: World, proxy: Proxy, shift: int) -> None:
    world.permit(seconds=12)
    line_ends = time.time() + 12
    world.start_agent()
    alice, bob = world.client(hold_in=9), world.client()
    world.applied()
    assert (alice.ping(INTERNET4), bob.ping(INTERNET4)) == (1, 1)

    # The site is kept away too, since its next answer would set right what the hub's did.
    def lying(passed: Passed) -> Passed:
        lies = passed.path == WATCH and proxy.altered.count(WATCH) < 3
        return _at(passed, world, shift) if lies else passed._replace(status=502, headers={})

    proxy.alter = lying
    world.site.put(feed.device(900, public_key=private_key(), hold_at=world.site.now() + 3600))
    eventually(lambda: proxy.altered.count(WATCH) > 3, within=10)
    with steady_ping(bob, INTERNET4, world.directory) as lines:
        eventually(lambda: time.time() > line_ends - 1.5, within=20)
    eventually(lambda: time.time() > line_ends + 3, within=20)

    assert re.search(r" 0% packet loss", "\n".join(lines)), "nobody is cut early"
    assert (alice.ping(INTERNET4, wait=0.3), bob.ping(INTERNET4, wait=0.3)) == (0, 0)
    assert world.elements("lines") == []


def _at(passed: Passed, world: World, shift: int) -> Passed:
    """Return that nothing is new, as the hub's key signs it in another time."""
    headers = wire.answer_headers(
        world.site.feed_key, passed.asked, status=204, body=b"", now=int(world.site.now()) + shift
    )
    return passed._replace(status=204, body=b"", headers=headers)


def _altered(signed: wire.SignedPermit | None) -> wire.SignedPermit:
    assert signed is not None
    payload = signed.payload.replace('"state":"closed"', '"state":"open"')
    assert payload != signed.payload
    return msgspec.structs.replace(signed, payload=payload)


def _put_permit(world: World, signed: wire.SignedPermit) -> None:
    world.site.first.permit = signed
    world.site.first.append(lambda rev: wire.PermitItem(rev=rev, permit=signed))
    world.site._ring()
