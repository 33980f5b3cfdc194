"""Our tables through libnftables and nft(1), and knowing when somebody else changed them."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import feed
from ferriage.agent import nft, nftlib, plane
from ferriage.agent.errors import DataPlaneError
from ferriage.agent.nft import Nft
from ferriage.config import AgentConfig
from netns import Namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.tunnel

NOW = 1_800_000_000.0
KEY = "A" * 43 + "="


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
    made.install("life 1")
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
    assert observed.plane["dev4"] == {"10.64.0.11": 1009}


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
    elements = ", ".join(f"10.65.{n // 250}.{n % 250} : {n + 1}" for n in range(length))

    change(f"add element inet ferriage dev4 {{ {elements} }}\n")

    observed = tables.read(NOW)
    assert observed is not None
    assert len(observed.plane["dev4"]) == 1 + length
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
