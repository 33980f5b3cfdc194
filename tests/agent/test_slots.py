"""From a device's addresses to its slot, as the rules reckon it."""

from __future__ import annotations

import ipaddress
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import feed
from ferriage.agent import feed as rules
from ferriage.agent import layout, plane, slots

INNER = slots.inner(feed.ASSIGNMENT)
ALICE = feed.device(1, public_key="A" * 43 + "=", hold_at=1_800_000_000)


def _assigned(gateway4: str, gateway6: str) -> slots.Inner:
    return slots.inner(
        msgspec.structs.replace(feed.ASSIGNMENT, gateway4=gateway4, gateway6=gateway6)
    )


@pytest.mark.parametrize(
    ("gateway4", "gateway6", "four", "six"),
    [
        ("10.64.0.1/10", "fd7a:5eed:1::1/48", "10.64.0.0/10", "fd7a:5eed:1::/106"),
        ("10.64.0.1/16", "fd64::1/64", "10.64.0.0/16", "fd64::/112"),
        ("10.64.0.1/10", "fd64::1/120", "10.64.0.0/24", "fd64::/120"),
    ],
)
def test_both_networks_are_cut_to_the_numbers_that_both_have(
    gateway4: str, gateway6: str, four: str, six: str
) -> None:
    inner = _assigned(gateway4, gateway6)

    assert (str(inner.four), str(inner.six)) == (four, six)


@given(
    st.integers(8, 30).flatmap(
        lambda length: st.tuples(st.just(length), st.integers(2, (1 << 32 - length) - 2))
    ),
    st.integers(48, 64),
)
def test_rules_make_the_slot_out_of_both_addresses(numbered: tuple[int, int], six: int) -> None:
    length, slot = numbered
    four = ipaddress.IPv4Network((int(ipaddress.IPv4Address("10.64.0.0")), length), strict=False)
    inner = _assigned(f"{four[1]}/{length}", f"fd7a:5eed:1::1/{six}")
    device = msgspec.structs.replace(
        ALICE,
        slot=slot,
        ip4=str(four[slot]),
        ip6=str(ipaddress.IPv6Address("fd7a:5eed:1::") + slot),
    )

    assert inner.fault(device) == ""
    text = layout.text(
        table="t", comment="c", hold_port=1, allow_networks=(), inner=(inner, inner)
    ).split("flush table inet t_guard")[1]
    header4, header6 = bytearray(20), bytearray(40)
    header4[12:16] = header4[16:20] = ipaddress.IPv4Address(device.ip4).packed
    header6[8:24] = header6[24:40] = ipaddress.IPv6Address(device.ip6).packed
    for family, header in (("ip", header4), ("ip6", header6)):
        for field in ("saddr", "daddr"):
            chain = f"slot_of_{family}_{field}_{inner.shift}"
            assert text.count(f"jump {chain}\n") == 1
            at, left, right = re.findall(
                rf"chain {chain} {{\s+meta mark set @nh,(\d+),32 << (\d+) >> (\d+)\s+}}", text
            )[0]
            word = int.from_bytes(header[int(at) // 8 :][:4], "big")
            assert (word << int(left) & 0xFFFFFFFF) >> int(right) == slot


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"slot": 1002}, "slot 1002 is not the number of its ip4 in 10.64.0.0/10"),
        ({"ip4": "10.128.3.233"}, "slot 1001 is not the number of its ip4 in 10.64.0.0/10"),
        ({"ip6": "fd64::1:3e9"}, "slot 1001 is not the number of its ip6 in fd64::/106"),
        ({"ip6": "fd65::3e9"}, "slot 1001 is not the number of its ip6 in fd64::/106"),
        (
            {"slot": 1 << 22, "ip4": "10.128.0.0", "ip6": "fd64::40:0"},
            "slot 4194304 lies outside 10.64.0.0/10",
        ),
        ({"slot": 1, "ip4": "10.64.0.1", "ip6": "fd64::1"}, "slot 1 is the gateway's own"),
    ],
)
def test_record_whose_slot_is_not_its_number_is_refused_alone(
    changes: dict[str, object], reason: str
) -> None:
    pool = rules.Pool(feed.ASSIGNMENT)
    wrong = msgspec.structs.replace(ALICE, **changes)
    bob = feed.device(2, public_key="B" * 43 + "=", hold_at=1_800_000_000)

    pool._join(wrong)
    pool._join(bob)

    assert pool.refused == {ALICE.id: reason}
    assert list(pool.usable()) == [bob]


def test_table_of_this_release_is_kept_whole() -> None:
    sets = {
        name: "map" if name in plane.MAPS else "set" for name in (*plane.SETS, *layout.OF_PACKETS)
    }

    assert layout.retire("t", sets) == ""
    assert layout.retire("t", {}) == ""


def test_of_a_table_of_another_release_the_counters_alone_are_kept() -> None:
    sets = {"dev4": "map", "open": "set", "use_up": "set", "use_dl": "set"}

    assert layout.retire("t", sets) == (
        "flush table inet t\ndelete map inet t dev4\ndelete set inet t open\n"
    )
