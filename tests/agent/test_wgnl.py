"""WireGuard's netlink encoding against a hand-made vector, pyroute2, and hostile bytes."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.generic.wireguard import wgmsg

from ferriage.agent import netlink
from ferriage.agent.backend import Peer, wgnl
from ferriage.agent.netlink import Malformed

ALICE = base64.b64encode(bytes(range(32))).decode()
BOB = base64.b64encode(bytes(range(32, 64))).decode()
PAIR = ("10.64.0.2/32", "fd64::2/128")

keys = st.binary(min_size=32, max_size=32).map(lambda raw: base64.b64encode(raw).decode())
networks = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)),
    st.tuples(st.ip_addresses(v=6), st.integers(0, 128)),
).map(lambda pair: f"{pair[0]}/{pair[1]}")
endpoints = st.one_of(
    st.tuples(st.ip_addresses(v=4).map(str), st.integers(1, 65535)),
    st.tuples(st.ip_addresses(v=6).map(lambda address: f"[{address}]"), st.integers(1, 65535)),
).map(lambda pair: f"{pair[0]}:{pair[1]}")
changes = st.builds(
    wgnl.Change,
    keys,
    flags=st.integers(0, 7),
    allowed_ips=st.lists(networks, max_size=4, unique=True).map(tuple),
    endpoint=st.one_of(st.just(""), endpoints),
    keepalive=st.one_of(st.none(), st.integers(0, 65535)),
)


def read(*answers: bytes) -> wgnl.Reading:
    reading = wgnl.Reading()
    for answer in answers:
        reading.take(answer)
    return reading


def as_pyroute2_reads(request: bytes) -> Any:
    """Return the request's peers as pyroute2 sees them."""
    head = struct.pack("=IHHIIBBH", len(request) + 20, 0, 0, 0, 0, wgnl.SET, wgnl.VERSION, 0)
    message = wgmsg(head + request)
    message.decode()
    return message


def test_addition_is_the_bytes_that_the_header_file_asks_for() -> None:
    """Lengths and kinds as of linux/wireguard.h, written down by hand for a little-endian host."""
    (request,) = wgnl.requests("fer0", [wgnl.addition(ALICE, PAIR)])

    assert request.hex(" ", 4) == (
        # WGDEVICE_A_IFNAME (2), 9 bytes: "fer0\0", padded
        "09000200 66657230 00000000 "
        # WGDEVICE_A_PEERS (8), nested, 124 bytes; in it one element, nested, 120 bytes
        "7c000880 78000080 "
        # WGPEER_A_PUBLIC_KEY (1), 36 bytes
        "24000100 00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f "
        # WGPEER_A_FLAGS (3): WGPEER_F_REPLACE_ALLOWEDIPS
        "08000300 02000000 "
        # WGPEER_A_ALLOWEDIPS (9), nested, 72 bytes
        "48000980 "
        # element: family 2, 4 bytes of address, mask 32
        "1c000080 06000100 02000000 08000200 0a400002 05000300 20000000 "
        # element: family 10, 16 bytes of address, mask 128
        "28000080 06000100 0a000000 14000200 fd640000 00000000 00000000 00000002 05000300 80000000"
    )


def test_endpoints_are_socket_addresses_and_removal_is_a_flag_alone() -> None:
    records = [
        wgnl.waking(ALICE, "198.51.100.6:4500"),
        wgnl.waking(BOB, "[2001:db8::7]:4501"),
        wgnl.removal(ALICE),
    ]
    (request,) = wgnl.requests("fer0", records)

    four, six, gone = as_pyroute2_reads(request).get_attr("WGDEVICE_A_PEERS")

    assert four.get_attr("WGPEER_A_FLAGS") == wgnl.UPDATE
    assert four.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") == 25
    assert (
        four.get_attr("WGPEER_A_ENDPOINT")["addr"],
        four.get_attr("WGPEER_A_ENDPOINT")["port"],
    ) == ("198.51.100.6", 4500)
    assert (
        six.get_attr("WGPEER_A_ENDPOINT")["addr"],
        six.get_attr("WGPEER_A_ENDPOINT")["port"],
    ) == ("2001:db8::7", 4501)
    assert [name for name, _ in gone["attrs"]] == ["WGPEER_A_PUBLIC_KEY", "WGPEER_A_FLAGS"]
    assert gone.get_attr("WGPEER_A_FLAGS") == wgnl.REMOVE


@given(st.lists(changes, min_size=1, max_size=6))
def test_pyroute2_reads_what_was_meant(made: list[wgnl.Change]) -> None:
    (request,) = wgnl.requests("fer0", [(change,) for change in made])

    message = as_pyroute2_reads(request)

    assert message.get_attr("WGDEVICE_A_IFNAME") == "fer0"
    found = [
        wgnl.Change(
            peer.get_attr("WGPEER_A_PUBLIC_KEY").decode(),
            peer.get_attr("WGPEER_A_FLAGS"),
            tuple(ip["addr"] for ip in peer.get_attr("WGPEER_A_ALLOWEDIPS") or ()),
            change.endpoint,
            peer.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL"),
        )
        for peer, change in zip(message.get_attr("WGDEVICE_A_PEERS"), made, strict=True)
    ]
    assert found == [change._replace(allowed_ips=same_text(change)) for change in made]


def same_text(change: wgnl.Change) -> tuple[str, ...]:
    """Return addresses as inet_ntop writes them, which differs for ::ffff:1.2.3.4."""
    import socket

    texts = []
    for network in change.allowed_ips:
        address, _, prefix = network.partition("/")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        text = socket.inet_ntop(family, ipaddress.ip_address(address).packed)
        texts.append(f"{text}/{prefix}")
    return tuple(texts)


@given(st.lists(changes, max_size=6, unique_by=lambda change: change.key))
def test_what_is_written_is_read_again(made: list[wgnl.Change]) -> None:
    reading = read(*wgnl.requests("fer0", [(change,) for change in made]))

    assert reading.peers == {
        change.key: Peer(
            change.key,
            frozenset(same_text(change)),
            endpoint=wgnl._read_sockaddr(raw := wgnl._sockaddr(change.endpoint), 0, len(raw))
            if change.endpoint
            else "",
            keepalive=change.keepalive or 0,
        )
        for change in made
    }


@given(endpoints)
def test_endpoint_is_read_as_the_same_address_and_port(text: str) -> None:
    raw = wgnl._sockaddr(text)

    found = wgnl._read_sockaddr(raw, 0, len(raw))

    def parts(endpoint: str) -> tuple[object, str]:
        host, _, port = endpoint.rpartition(":")
        return ipaddress.ip_address(host.strip("[]")), port

    assert parts(found) == parts(text)


def test_scope_of_a_link_local_endpoint_is_kept() -> None:
    raw = wgnl._sockaddr("[fe80::1%7]:51820")

    assert wgnl._read_sockaddr(raw, 0, len(raw)) == "[fe80::1%7]:51820"


def test_own_key_and_port_are_set_and_read() -> None:
    reading = read(wgnl.device("fer0", private_key=ALICE, listen_port=51820))

    assert (reading.private_key, reading.listen_port) == (ALICE, 51820)


def test_counters_and_handshake_are_read() -> None:
    peer = (
        netlink.attribute(1, bytes(32))
        + netlink.attribute(6, struct.pack("=qq", 1700000000, 5))
        + netlink.attribute(0, b"")  # what the kernel aligns 64-bit numbers with
        + netlink.attribute(7, struct.pack("=Q", 1 << 40))
        + netlink.attribute(8, struct.pack("=Q", 7))
        + netlink.attribute(99, b"of a later kernel")
    )
    reading = read(netlink.nest(8, netlink.nest(0, peer)))

    key = base64.b64encode(bytes(32)).decode()
    assert reading.peers == {
        key: Peer(key, frozenset(), handshake_at=1700000000, received_bytes=1 << 40, sent_bytes=7)
    }


def test_peer_that_goes_on_in_the_next_answer_is_one_peer() -> None:
    first = wgnl._peer(wgnl.Change(ALICE, allowed_ips=PAIR[:1], endpoint="192.0.2.1:5"))
    second = wgnl._peer(wgnl.Change(ALICE, allowed_ips=PAIR[1:]))
    other = wgnl._peer(wgnl.Change(BOB))

    reading = read(netlink.nest(8, first), netlink.nest(8, second, other))

    assert reading.peers == {
        ALICE: Peer(ALICE, frozenset(PAIR), endpoint="192.0.2.1:5"),
        BOB: Peer(BOB, frozenset()),
    }


# --- the size of a message


def many(count: int) -> tuple[str, ...]:
    return tuple(f"fd64::{number + 1:x}/128" for number in range(count))


def peers_of(request: bytes) -> list[tuple[str, int, int]]:
    """Return key, flags and number of addresses of each peer in a request."""
    return [
        (
            peer.get_attr("WGPEER_A_PUBLIC_KEY").decode(),
            peer.get_attr("WGPEER_A_FLAGS"),
            len(peer.get_attr("WGPEER_A_ALLOWEDIPS") or ()),
        )
        for peer in as_pyroute2_reads(request).get_attr("WGDEVICE_A_PEERS")
    ]


def test_five_hundred_devices_are_one_request() -> None:
    records = [
        wgnl.addition(base64.b64encode(struct.pack("=32xI", n)[4:]).decode(), PAIR)
        for n in range(500)
    ]

    assert len(list(wgnl.requests("fer0", records))) == 1


def test_peers_attribute_never_outgrows_its_length_and_order_is_kept() -> None:
    keys = [base64.b64encode(struct.pack("=I28x", n)).decode() for n in range(1500)]

    found = list(wgnl.requests("fer0", [wgnl.addition(key, PAIR) for key in keys]))

    assert max(map(len, found)) <= len(wgnl.named("fer0")) + 0xFFFF + 1
    assert len(found) == 3
    assert [peer[0] for request in found for peer in peers_of(request)] == keys


def test_giant_peer_goes_on_without_replacing_or_making_anything() -> None:
    first, second = wgnl.requests("fer0", [wgnl.addition(ALICE, many(2300))])

    assert peers_of(first) == [(ALICE, wgnl.REPLACE, 1000)]
    assert peers_of(second) == [(ALICE, wgnl.UPDATE, 1000), (ALICE, wgnl.UPDATE, 300)]
    assert read(first, second).peers[ALICE].allowed_ips == set(many(2300))


@given(st.integers(0, 545))
def test_taking_out_and_putting_in_are_never_parted(before: int) -> None:
    keys = [base64.b64encode(struct.pack("=I28x", n)).decode() for n in range(before)]
    records = [wgnl.addition(key, PAIR) for key in keys]

    found = list(wgnl.requests("fer0", [*records, wgnl.renewal(ALICE, PAIR)]))

    assert [peer[:2] for peer in peers_of(found[-1])][-2:] == [
        (ALICE, wgnl.REMOVE),
        (ALICE, wgnl.REPLACE),
    ]


# --- what is refused


@pytest.mark.parametrize(
    "change",
    [
        wgnl.Change("not base64"),
        wgnl.Change(base64.b64encode(bytes(31)).decode()),
        wgnl.Change(ALICE, allowed_ips=("10.64.0.2",)),
        wgnl.Change(ALICE, allowed_ips=("10.64.0.300/32",)),
        wgnl.Change(ALICE, allowed_ips=("10.64.0.2/256",)),
        wgnl.Change(ALICE, allowed_ips=("host/32",)),
        wgnl.Change(ALICE, endpoint="198.51.100.6"),
        wgnl.Change(ALICE, endpoint="host:51820"),
        wgnl.Change(ALICE, endpoint="198.51.100.6:65536"),
        wgnl.Change(ALICE, keepalive=65536),
    ],
)
def test_record_that_cannot_be_written_is_refused(change: wgnl.Change) -> None:
    with pytest.raises(Malformed):
        list(wgnl.requests("fer0", [(change,)]))


WHOLE = next(
    wgnl.requests(
        "fer0",
        [(wgnl.Change(ALICE, 2, PAIR, "198.51.100.6:4500", 25),), wgnl.addition(BOB, PAIR)],
    )
)


@given(st.integers(1, len(WHOLE) - 1).filter(lambda at: not 9 <= at <= 12))
def test_answer_that_is_cut_short_is_refused(length: int) -> None:
    """Cut anywhere but behind its first attribute, the name."""
    with pytest.raises(Malformed):
        read(WHOLE[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        read(data)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_one_wrong_byte_is_read_or_refused(at: int, value: int) -> None:
    data = bytearray(WHOLE)
    data[at] = value

    with contextlib.suppress(Malformed):
        read(bytes(data))


@pytest.mark.parametrize(
    "peer",
    [
        netlink.attribute(3, bytes(4)),
        netlink.attribute(1, bytes(31)),
        netlink.attribute(1, bytes(32)) + netlink.attribute(7, bytes(4)),
        netlink.attribute(1, bytes(32)) + netlink.attribute(4, bytes(16)),
        netlink.attribute(1, bytes(32)) + netlink.attribute(4, b"\2"),
        netlink.attribute(1, bytes(32))
        + netlink.nest(9, netlink.nest(0, netlink.attribute(1, b"\2\0"))),
        netlink.attribute(1, bytes(32))
        + netlink.nest(
            9,
            netlink.nest(
                0,
                netlink.attribute(1, struct.pack("=H", 2)),
                netlink.attribute(2, bytes(4)),
                netlink.attribute(3, b"\x21"),
            ),
        ),
    ],
    ids=["no key", "short key", "short number", "no family", "tiny", "no address", "/33"],
)
def test_answer_with_values_of_other_sizes_is_refused(peer: bytes) -> None:
    with pytest.raises(Malformed):
        read(netlink.nest(8, netlink.nest(0, peer)))


# --- messages


@given(st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=20)), max_size=5))
def test_messages_of_a_block_are_told_apart(made: list[tuple[int, bytes]]) -> None:
    block = b""
    for kind, payload in made:
        block += netlink.message(kind, 5, 9, payload)
        block += bytes(-len(block) % 4)

    assert list(netlink.messages(block)) == [(kind, 5, 9, payload) for kind, payload in made]


@pytest.mark.parametrize("length", [0, 15, 21, 1 << 31])
def test_message_whose_length_lies_is_refused(length: int) -> None:
    block = struct.pack("=IHHII", length, 2, 0, 1, 0) + bytes(4)

    with pytest.raises(Malformed):
        list(netlink.messages(block))


def test_attribute_longer_than_its_length_can_say_is_refused() -> None:
    assert len(netlink.attribute(1, bytes(netlink.LONGEST))) == 0xFFFF + 1

    with pytest.raises(Malformed):
        netlink.attribute(1, bytes(netlink.LONGEST + 1))
