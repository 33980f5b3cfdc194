"""Agents come and go, batches lie; what runs keeps running and what is counted is exact."""

from __future__ import annotations

import os
import re
import shutil
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from ferriage import wire
from ferriage.agent import layout, plane
from support import eventually
from tunnel_world import steady_ping

if TYPE_CHECKING:
    from tunnel_world import World

pytestmark = pytest.mark.tunnel


def _peer_facts(world: World) -> list[str]:
    """Return endpoint and handshake of every peer on the gateway, by key.

    The device itself lists its peers in no order.
    """
    out = world.gateway.run("wg", "show", world.interface, "dump")
    peers = sorted(out.splitlines()[1:])
    return ["\t".join(peer.split("\t")[i] for i in (0, 2, 3, 4)) for peer in peers]


def _sum(world: World) -> tuple[str, int, int]:
    usage = world.site.reports[-1].usage[-1]
    return usage.incarnation, usage.bytes_down, usage.bytes_up


def _reported(world: World) -> None:
    """Wait for a report that was begun after this call."""
    seen = len(world.site.reports)
    eventually(lambda: len(world.site.reports) > seen + 1, within=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restart_of_the_agent_touches_no_live_peer(world: World, number: int) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    before = _peer_facts(world)
    resolver = (world.directory / "run" / "unbound.pid").read_text()

    with steady_ping(alice, "203.0.113.9", world.directory) as lines:
        world.kill_agent(number)
        world.start_agent()
        _reported(world)

    assert _peer_facts(world) == before
    assert (world.directory / "run" / "unbound.pid").read_text() == resolver
    assert re.search(r" 0% packet loss", "\n".join(lines))


def test_restarted_agent_serves_from_its_cache_without_the_site(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.kill_agent()
    world.site.stop()
    world.gateway.run("ip", "link", "delete", "dev", world.interface)
    world.gateway.run("nft", "flush", "ruleset")

    world.start_agent()

    assert eventually(lambda: alice.ping("203.0.113.9", wait=0.3), within=20) == 1


@pytest.mark.parametrize(
    "attack", [("delete", "table", "inet", "ferriage"), ("flush", "ruleset")], ids=" ".join
)
def test_lost_rules_let_nothing_pass_unmetered_and_are_mended(
    world: World, attack: tuple[str, ...]
) -> None:
    world.internet.run("ip", "route", "add", "10.64.0.0/16", "via", "203.0.113.1")
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    os.kill(world.agent.pid, signal.SIGSTOP)

    world.gateway.run("nft", *attack)
    assert alice.ping("203.0.113.9", count=3, wait=0.3) == 0
    os.kill(world.agent.pid, signal.SIGCONT)

    assert eventually(lambda: alice.ping("203.0.113.9", wait=0.1), within=10) == 1


def test_foreign_peer_and_lost_wireguard_are_mended(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    own = _peer_facts(world)
    foreign = wire.new_private_key()

    world.gateway.run("wg", "set", world.interface, "peer", foreign, "allowed-ips", "10.64.9.9/32")
    eventually(lambda: len(_peer_facts(world)) == len(own), within=10)
    world.gateway.run("ip", "link", "delete", "dev", world.interface)

    assert eventually(lambda: alice.ping("203.0.113.9", wait=0.3), within=20) == 1


def _by_another_key(data: bytes) -> bytes:
    """Sign a batch anew with a key that no gateway pinned."""
    head, *items, _end = data.splitlines()
    return wire.frame_batch(wire.new_private_key(), wire.decode(head, wire.Begin), items)


BAD = {
    "html": lambda _: (200, b"<html>portal</html>"),
    "empty": lambda _: (200, b""),
    "null": lambda _: (200, b"null"),
    "list": lambda _: (200, b"[]"),
    "truncated": lambda data: (200, data[: len(data) // 2]),
    "altered": lambda data: (200, data.replace(b"epoch-1", b"epoch-9")),
    "error": lambda _: (500, b"oops"),
    "another key": lambda data: (200, _by_another_key(data)),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_batch_changes_nothing(world: World, name: str) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    before = _peer_facts(world)
    rev = world.site.reports[-1].pools[0].rev

    with steady_ping(alice, "203.0.113.9", world.directory) as lines:
        world.site.spoil = BAD[name]
        world.site.delete(alice.record.id)
        calls = len(world.site.calls)
        eventually(
            lambda: (
                "/gateway/v1/snapshot" in world.site.calls[calls - 1 :]
                or "watch.failed" in world.log
            ),
            within=10,
        )
        _reported(world)

    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert world.site.reports[-1].pools[0].rev == rev
    assert _peer_facts(world) == before
    assert alice.ping("203.0.113.9") == 1


def test_empty_snapshot_of_another_history_cuts_nobody_until_staff_allow_it(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1

    world.site.first.epoch = "epoch-2"
    world.site.devices.clear()
    world.permit()
    eventually(lambda: world.site.reports[-1].pools[0].deferred is not None, within=20)
    said = world.site.reports[-1]
    kept = said.pools[0].deferred
    assert (said.pools[0].epoch, kept.count) == ("epoch-2", 1)
    assert [text for text in said.warnings if text.startswith("removals")] != []
    assert alice.ping("203.0.113.9") == 1

    world.site.first.append(
        lambda rev: wire.Allow(
            rev=rev, epoch="epoch-2", snapshot_rev=kept.snapshot_rev, digest=kept.digest
        )
    )
    world.permit()
    eventually(lambda: world.site.reports[-1].pools[0].peers == 0, within=20)
    assert alice.ping("203.0.113.9", wait=0.3) == 0


def test_snapshot_of_an_epoch_that_was_left_costs_nobody_a_packet(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    world.site.first.epoch = "epoch-2"
    world.permit()
    world.applied()
    assert (alice.ping("203.0.113.9"), bob.ping("203.0.113.9")) == (1, 1)
    before = _peer_facts(world)

    with steady_ping(alice, "203.0.113.9", world.directory) as lines:
        world.site.first.epoch = "epoch-1"  # a hub that reads the copy of before
        world.site.delete(bob.record.id)
        eventually(lambda: "of a history that has ended" in world.log, within=20)
        _reported(world)

    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert world.site.reports[-1].pools[0].epoch == "epoch-2"
    assert [line.split("\t")[0] for line in _peer_facts(world)] == [
        line.split("\t")[0] for line in before
    ]


def test_unsigned_answers_are_not_used(world: World) -> None:
    world.site.sign_answers = False
    world.permit()
    world.start_agent()
    alice = world.client()

    eventually(lambda: "is not signed by the site" in world.log, within=10)

    assert world.site.devices.keys() == {alice.record.id}
    assert world.gateway.run("wg", "show", world.interface, "peers") == ""


def test_second_agent_on_the_same_directory_is_refused_with_a_clear_message(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()

    second = world.program("run")

    assert second.wait(20) == 75
    assert f"Another agent (process {world.agent.pid}) runs with" in world.log
    assert alice.ping("203.0.113.9") == 1


def test_copied_identity_is_refused_by_the_lease_and_says_so(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    world.kill_agent()
    shutil.copytree(world.directory / "state", world.directory / "copy")
    other = world.directory / "other.toml"
    other.write_text(world.config_path.read_text().replace('"state"', '"copy"'))
    first = world.site.lease

    world.program("run", other)
    eventually(lambda: "Another agent with this identity" in world.log, within=10)
    world.site.put(
        msgspec.structs.replace(
            alice.record, generation=2, slot=77, ip4="10.64.0.77", ip6="fd64::4d"
        )
    )
    told = world.log.count("Another agent with this identity")
    eventually(lambda: world.log.count("Another agent with this identity") > told, within=20)

    assert world.site.lease == first
    assert world.elements("use_up") != [77]
    assert alice.ping("203.0.113.9") == 1


def test_usage_is_exact_over_removal_return_and_restart(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    size = 28 + 1000

    assert alice.space.run("ping", "-n", "-c", "10", "-i", "0.01", "-s", "1000", "203.0.113.9")
    _reported(world)
    first = _sum(world)
    world.site.delete(alice.record.id)
    world.applied()
    _reported(world)
    removed = _sum(world)
    world.kill_agent()
    world.start_agent()
    _reported(world)
    restarted = _sum(world)
    world.site.put(alice.record)
    world.applied()
    alice.reconnect()
    assert alice.space.run("ping", "-n", "-c", "10", "-i", "0.01", "-s", "1000", "203.0.113.9")
    _reported(world)
    last = _sum(world)

    assert first[1:] == (10 * size, 10 * size)
    assert removed == restarted == first
    assert last == (first[0], 20 * size, 20 * size)


_OLDER = """
delete table inet ferriage
table inet ferriage {{
    comment "{life}"
    map dev4 {{ type ipv4_addr : mark; elements = {{ {ip4} : {slot} }} }}
    map dev6 {{ type ipv6_addr : mark; elements = {{ {ip6} : {slot} }} }}
    set inner {{ type ifname; elements = {{ {interface} }} }}
    set open {{
        type ifname . mark; flags timeout
        elements = {{ {interface} . {slot} timeout 1h }}
    }}
    set world {{ type mark; elements = {{ {slot} }} }}
    set cap_up {{
        type mark; limit rate over 1000 bytes/second burst 1000 bytes
        elements = {{ {slot} limit rate over 125 bytes/second burst 1000 bytes }}
    }}
    set use_up {{ type mark; counter; elements = {{ {slot} counter packets 1 bytes {up} }} }}
    set use_dl {{ type mark; counter; elements = {{ {slot} counter packets 1 bytes {down} }} }}
    chain up_open {{ meta mark @world accept; }}
    chain through {{
        type filter hook forward priority filter; policy accept;
        meta mark set ip saddr map @dev4
        meta mark @cap_up drop
        iifname . meta mark @open goto up_open
    }}
}}
"""
"""As the agent had it that knew slots by maps."""


def test_table_of_an_older_release_is_taken_over_with_all_it_has_counted(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.space.run("ping", "-n", "-c", "10", "-i", "0.01", "-s", "1000", "203.0.113.9")
    _reported(world)
    first = _sum(world)
    world.kill_agent()
    shown = world.gateway.run("nft", "list", "ruleset")
    comment = re.search(r'comment "(life \d+)"', shown)
    assert comment is not None, shown[:300]
    older = _OLDER.format(
        life=comment[1],
        interface=world.interface,
        down=first[1],
        up=first[2],
        ip4=alice.record.ip4,
        ip6=alice.record.ip6,
        slot=alice.record.slot,
    )
    file = world.directory / "older.nft"
    file.write_text(older)
    world.gateway.run("nft", "-f", str(file))

    world.start_agent()
    _reported(world)
    assert _sum(world) == first
    assert alice.space.run("ping", "-n", "-c", "10", "-i", "0.01", "-s", "1000", "203.0.113.9")

    eventually(lambda: _sum(world) == (first[0], 2 * first[1], 2 * first[2]), within=20)
    listed = world.gateway.run("nft", "-t", "list", "table", "inet", "ferriage")
    assert set(re.findall(r"^\t(?:set|map) (\w+) \{", listed, re.MULTILINE)) == {
        *plane.SETS,
        *layout.OF_PACKETS,
    }
    assert "rate over" not in listed.split("chain held_dns_up")[0]
    assert world.log.count("table.made") == 1


def test_lost_table_closes_the_incarnation_and_reports_it_as_final(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.space.run("ping", "-n", "-c", "10", "-i", "0.01", "-s", "1000", "203.0.113.9")
    _reported(world)
    first = _sum(world)

    world.gateway.run("nft", "delete", "table", "inet", "ferriage")
    eventually(lambda: _sum(world)[0] != first[0], within=10)

    finals = [u for r in world.site.reports for u in r.usage if u.final]
    assert {(u.incarnation, u.bytes_down, u.bytes_up) for u in finals} == {first}


def test_rotated_key_and_resold_address_move_only_what_they_name(world: World) -> None:
    world.permit()
    world.start_agent()
    alice, bob = world.client(), world.client()
    world.applied()
    assert (alice.ping("203.0.113.9"), bob.ping("203.0.113.9")) == (1, 1)

    with steady_ping(bob, "203.0.113.9", world.directory) as lines:
        world.site.delete(alice.record.id)
        world.site.put(
            msgspec.structs.replace(alice.record, id="dev_new", public_key=wire.new_private_key())
        )
        world.applied()

    assert alice.ping("203.0.113.9", wait=0.3) == 0
    assert re.search(r" 0% packet loss", "\n".join(lines))
    assert sorted(world.elements("use_up"), key=str) != []


def test_resolver_whose_pid_file_is_lost_is_adopted_not_doubled(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    pid_file = world.directory / "run" / "unbound.pid"
    number = pid_file.read_text().strip()
    world.kill_agent()
    pid_file.unlink()

    world.start_agent()
    _reported(world)

    pattern = f"^unbound .*{world.directory}/run/unbound.conf"
    assert world.gateway.run("pgrep", "-f", pattern).split() == [number]
    assert alice.lookup("www.example.net") == "203.0.113.9"


def test_lost_cache_is_filled_again_and_no_number_is_used_twice(world: World) -> None:
    world.permit()
    world.start_agent()
    alice = world.client()
    world.applied()
    assert alice.ping("203.0.113.9") == 1
    _reported(world)
    last = world.site.reports[-1]
    world.kill_agent()
    for file in (world.directory / "state").glob("state.sqlite3*"):
        file.unlink()

    world.start_agent()
    eventually(lambda: world.site.reports[-1].sequence > last.sequence, within=10)
    world.applied()

    assert alice.ping("203.0.113.9") == 1
    _reported(world)
    assert world.site.reports[-1].usage[-1].incarnation != last.usage[-1].incarnation
