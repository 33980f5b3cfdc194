"""What the doctor says of other people's firewalls and of old builds."""

from __future__ import annotations

import json
import socket
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from ferriage.agent import checks
from ferriage.cli import doctor

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage import wire

OURS = {"ferriage", "ferriage_guard"}


def _listed(*chains: dict[str, object]) -> str:
    return json.dumps({"nftables": [{"metainfo": {}}, *({"chain": chain} for chain in chains)]})


def _chain(table: str, name: str, **more: object) -> dict[str, object]:
    return {"family": "ip", "table": table, "name": name, **more}


def test_only_other_peoples_forward_chains_that_drop_are_named() -> None:
    listed = _listed(
        _chain("filter", "FORWARD", hook="forward", policy="drop"),
        _chain("filter", "INPUT", hook="input", policy="drop"),
        _chain("nat", "POSTROUTING", hook="postrouting", policy="accept"),
        _chain("other", "passing", hook="forward", policy="accept"),
        _chain("other", "ufw-reject"),
        _chain("ferriage", "forward", hook="forward", policy="drop"),
        _chain("ferriage_guard", "forward", hook="forward", policy="drop"),
    )

    assert list(checks.dropping(listed, OURS)) == [("ip", "filter", "FORWARD")]


def test_host_without_nft_rules_has_no_conflict() -> None:
    assert list(checks.dropping("", OURS)) == []


@pytest.mark.parametrize(
    ("version", "slow"),
    [
        ("wireguard-go v0.0.20220316\n\nUserspace WireGuard daemon\n", True),
        ("wireguard-go v0.0.20230223\n", False),
        ("wireguard-go v0.0.20250522\n", False),
        ("", False),
    ],
)
def test_builds_of_2022_are_called_slow(version: str, *, slow: bool) -> None:
    found = checks.of_build(version)

    assert ("slow" in found.said, bool(found.remedy), found.failed) == (slow, slow, False)


@pytest.mark.parametrize(
    ("addresses", "reached", "state", "value"),
    [
        ((), False, "unknown", ""),
        (("10.0.0.5", "203.0.113.5"), False, "unknown", "10.0.0.5 203.0.113.5"),
        (("10.0.0.5", "203.0.113.5"), True, "ok", "10.0.0.5 203.0.113.5"),
        (("1.2.3.4",), False, "ok", "1.2.3.4"),
    ],
)
def test_outside_names_every_address_of_the_host(
    addresses: tuple[str, ...],
    state: str,
    value: str,
    *,
    reached: bool,
) -> None:
    found = checks.of_outside(addresses, (), reached=reached)

    assert (found.state, found.value) == (state, value)


@pytest.mark.parametrize(
    ("state", "remedy", "mark"),
    [("ok", "", "✓"), ("ok", "no-ipv6", "!"), ("unknown", "", "?"), ("failed", "no-route", "✗")],
)
def test_doctor_marks_as_the_page_does(state: wire.CheckState, remedy: str, mark: str) -> None:
    assert doctor._mark(checks.Finding("x", "said", state, remedy=remedy)) == mark


SERVFAIL, NOERROR = 2, 0


def _resolver(answering: socket.socket, code: Callable[[bytes], int | None]) -> None:
    """Answer the questions that `code` has an answer for, up to one of no bytes."""
    while True:
        query, sender = answering.recvfrom(512)
        if not query:
            return
        found = code(query)
        if found is not None:
            answering.sendto(query[:3] + bytes([0x80 | found]) + query[4:], sender)


@pytest.mark.parametrize(
    ("root", "own", "state", "remedy"),
    [
        (NOERROR, NOERROR, "ok", ""),
        (SERVFAIL, NOERROR, "failed", "resolver-deaf"),
        (None, NOERROR, "failed", "resolver-deaf"),
        (None, None, "failed", "resolver-silent"),
    ],
)
def test_resolver_without_a_way_out_is_told_from_one_that_does_not_run(
    monkeypatch: pytest.MonkeyPatch, root: int | None, own: int | None, state: str, remedy: str
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(("127.0.0.1", 0))
        monkeypatch.setattr(checks, "_DNS_PORT", answering.getsockname()[1])
        monkeypatch.setattr(checks, "_DNS_SECONDS", 1)
        thread = Thread(
            target=_resolver,
            args=(answering, lambda query: own if b"localhost" in query else root),
        )
        thread.start()
        try:
            found = checks.of_resolver("127.0.0.1")
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"", answering.getsockname())
            thread.join()

    assert (found.state, found.remedy) == (state, remedy)


@pytest.mark.parametrize(
    ("count", "most", "found"),
    [
        (0, 0, []),
        (800, 1000, [("ok", "800 / 1000", "")]),
        (801, 1000, [("failed", "801 / 1000", "many-connections")]),
    ],
)
def test_table_of_connections_is_a_fault_before_it_is_full(
    count: int, most: int, found: list[tuple[str, str, str]]
) -> None:
    looked = checks.of_connections(count, most)

    assert [(each.state, each.value, each.remedy) for each in looked] == found
