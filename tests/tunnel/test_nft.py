"""Our tables through libnftables and nft(1), and knowing when somebody else changed them."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import feed
from ferriage import wire
from ferriage.agent import bulk, nft, nftlib, plane, slots
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.nft import Nft
from ferriage.config import AgentConfig
from netns import Namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.tunnel

NOW = 1_800_000_000.0
KEY = "A" * 43 + "="
INNER = (slots.inner(feed.ASSIGNMENT),)


def _steps(*numbers: int) -> list[plane.Step]:
    wanted = plane.empty()
    for number in numbers:
        device = feed.device(number, public_key=KEY, hold_at=NOW + 600)
        plane.merge(wanted, plane.of_device(device, NOW, "fer0"))
    return plane.diff(plane.empty(), wanted, NOW)


@pytest.fixture
def host() -> Iterator[Namespace]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with ExitStack() as stack:
        made = Namespace("n")
        stack.callback(made.close)
        stack.enter_context(made.entered())
        yield made


@pytest.fixture
def tables(host: Namespace) -> Nft:  # noqa: ARG001 -- made in there
    made = Nft(AgentConfig())
    made.install("life 1", INNER)
    made.read(NOW)
    made.apply(_steps(9), NOW)
    return made


def test_own_changes_leave_what_we_know_as_it_is(tables: Nft) -> None:
    assert tables.unchanged()

    tables.apply(_steps(1), NOW)
    tables.apply(_steps(2), NOW)

    assert tables.unchanged()
    observed = tables.read(NOW)
    assert observed is not None
    assert sorted(observed.plane["use_dl"]) == [1001, 1002, 1009]


@pytest.mark.parametrize(
    "change",
    [
        ("flush", "set", "inet", "ferriage", "open"),
        ("flush", "ruleset"),
        ("add", "table", "inet", "somebody_elses"),
    ],
)
def test_change_of_somebody_else_is_seen(
    tables: Nft, host: Namespace, change: tuple[str, ...]
) -> None:
    host.run("nft", *change)

    assert not tables.unchanged()


def test_what_was_read_again_holds_again(tables: Nft, host: Namespace) -> None:
    host.run("nft", "flush", "set", "inet", "ferriage", "open")

    observed = tables.read(NOW)

    assert observed is not None
    assert observed.plane["open"] == {}
    assert tables.unchanged()


def test_change_of_somebody_else_before_our_own_is_not_forgotten(
    tables: Nft, host: Namespace
) -> None:
    host.run("nft", "flush", "set", "inet", "ferriage", "open")

    tables.apply(_steps(1), NOW)

    assert not tables.unchanged()


def test_refused_change_is_said_takes_nothing_and_asks_for_a_look(tables: Nft) -> None:
    steps = [*_steps(1), plane.Step("nowhere", (), ((1, None),))]

    with pytest.raises(DataPlaneError, match="No such file or directory"):
        tables.apply(steps, NOW)

    assert not tables.unchanged()
    observed = tables.read(NOW)
    assert observed is not None
    assert observed.plane["cap_up"] == {1009: (12_500_000, 1 << 20)}


def test_counters_alone_read_as_the_whole_does(tables: Nft) -> None:
    tables.apply(_steps(1, 2), NOW)

    observed = tables.read(NOW)

    assert observed is not None
    assert (
        tables.counters()
        == observed.counters
        == {
            "use_dl": {1001: 0, 1002: 0, 1009: 0},
            "use_up": {1001: 0, 1002: 0, 1009: 0},
        }
    )


def test_counters_are_what_nft_prints(tables: Nft, host: Namespace) -> None:
    numbers = range(1, 3000)
    elements = ", ".join(f"{n} counter packets {n} bytes {n << 33 | 7}" for n in numbers)
    script = f"add element inet ferriage use_up {{ {elements} }}\n"
    nftlib.Changer()(script)

    found = tables.counters()["use_up"]

    printed = json.loads(host.run("nft", "-j", "list", "set", "inet", "ferriage", "use_up"))
    listed = printed["nftables"][1]["set"]["elem"]
    assert found == {each["elem"]["val"]: each["elem"]["counter"]["bytes"] for each in listed}
    assert found == {n: n << 33 | 7 for n in numbers} | {1009: 0}


def test_counters_of_a_set_that_is_gone_are_not_read_as_none(tables: Nft) -> None:
    tables.remove()

    with pytest.raises(DataPlaneError, match="cannot be read"):
        tables.counters()


@pytest.mark.parametrize("library", ["libnftables.so.1", "no-such-library.so"])
@pytest.mark.parametrize("length", [1, 4000])
def test_scripts_do_the_same_by_library_and_program(tables: Nft, library: str, length: int) -> None:
    change = nftlib.Changer(library)
    elements = ", ".join(f"10.65.{n // 250}.{n % 250} . {n + 1}" for n in range(length))

    change(f"add element inet ferriage shop4 {{ {elements} }}\n")

    observed = tables.read(NOW)
    assert observed is not None
    assert len(observed.plane["shop4"]) == length
    with pytest.raises(DataPlaneError):
        change(f"add element inet ferriage nowhere {{ {elements} }}\n")


def test_time_out_that_passes_is_no_change_of_rules(tables: Nft) -> None:
    device = feed.device(1, public_key=KEY, hold_at=NOW + 1)
    soon = plane.of_device(device, NOW, "fer0")
    tables.apply(plane.diff(plane.empty(), soon, NOW), NOW)
    before = nft.generation()

    while (observed := tables.read(NOW)) is not None and len(observed.plane["open"]) > 1:
        pass

    assert nft.generation() == before
    assert tables.unchanged()


def _crowd() -> list[plane.Step]:
    """Return so many devices that they are not told to nft: speeds, ends and routes differ."""
    wanted = plane.empty()
    for number in range(100, 100 + 2 * bulk.MANY):
        device = feed.device(
            number,
            public_key=KEY,
            hold_at=NOW + (9e9 if number % 7 == 0 else 3600 + number),
            rate_down_bps=8 * (1 + number**3 % 10**9),
            rate_up_bps=wire.FASTEST_BPS if number % 5 == 0 else 8,
            burst_bytes=(1 << 32) - 1 if number % 3 == 0 else 1 + number,
            routes=("10.20.0.0/16",) if number % 2 else (),
        )
        plane.merge(wanted, plane.of_device(device, NOW, f"fer{number % 3}"))
    return plane.diff(plane.empty(), wanted, NOW)


def _listed(host: Namespace, name: str) -> dict[str, object]:
    """Return a set's elements as nft prints them, with what is left of their time but nearly."""
    printed = json.loads(host.run("nft", "-j", "list", "set", "inet", "ferriage", name))
    found = {}
    for each in printed["nftables"][1]["set"]["elem"]:
        element = each["elem"] if isinstance(each, dict) else {"val": each}
        element.pop("expires", None)
        found[json.dumps(element.pop("val"))] = element
    return found


def test_elements_by_netlink_are_those_by_text(tables: Nft, host: Namespace) -> None:
    steps = _crowd()
    few, many = bulk.split(steps)
    assert {step.name for step in many} == {*plane.USE, *plane.CAP, *plane.OPEN}
    assert [step.name for step in few] == ["routes4"]
    tables.apply(steps, NOW)
    by_text = {step.name: _listed(host, step.name) for step in many}
    host.run("nft", "delete", "table", "inet", "ferriage")
    tables.install("life 1", INNER)
    tables.read(NOW)
    tables.apply(_steps(9), NOW)

    tables.fill(many, NOW)

    assert tables.unchanged()
    by_netlink = {step.name: _listed(host, step.name) for step in many}
    assert by_netlink == by_text
    observed = tables.read(NOW)
    assert observed is not None
    assert len(by_netlink["use_up"]) == 1 + 2 * bulk.MANY
    for name in (*plane.USE, *plane.CAP):
        known = dict(next(step.add for step in (*_steps(9), *many) if step.name == name))
        known |= next(step.add for step in many if step.name == name)
        assert observed.plane[name] == known


def test_elements_by_netlink_are_all_taken_or_none_and_the_set_is_named(tables: Nft) -> None:
    _, many = bulk.split(_crowd())
    spoilt = [step._replace(name="use_xx") if step.name == "use_up" else step for step in many]

    with pytest.raises(DataPlaneError, match="set use_xx: No such file or directory"):
        tables.fill(spoilt, NOW)

    assert not tables.unchanged()
    observed = tables.read(NOW)
    assert observed is not None
    assert [list(observed.plane[name]) for name in plane.CAP] == [[1009], [1009]]
    assert [len(observed.plane[name]) for name in plane.OPEN] == [1, 0]


def test_change_of_somebody_else_beside_a_large_one_is_seen(tables: Nft, host: Namespace) -> None:
    host.run("nft", "flush", "set", "inet", "ferriage", "open")

    tables.fill(bulk.split(_crowd())[1], NOW)

    assert not tables.unchanged()
