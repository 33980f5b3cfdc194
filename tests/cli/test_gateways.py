from __future__ import annotations

from typing import TYPE_CHECKING

from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path


def test_gateway_is_listed_drained_and_closed_only_when_meant(shop: Path) -> None:
    ferriage(shop, "gateway", "add", "one", "--place", "SE", "--endpoint-host", "vpn.example")

    assert ferriage(shop, "gateway", "list").stdout.split() == (
        ["one", "SE", "waiting", "for", "its", "agent", "never", "seen", "behind", "0"]
    )
    assert "vpn.example" in ferriage(shop, "gateway", "show", "one").stdout
    assert ferriage(shop, "gateway", "drain", "one").returncode == 0
    assert ferriage(shop, "gateway", "drain", "one").returncode == 1
    assert ferriage(shop, "gateway", "undrain", "one").returncode == 0
    assert ferriage(shop, "gateway", "undrain", "one").returncode == 1
    refused = ferriage(shop, "gateway", "close", "one")
    assert (refused.returncode, "--yes" in refused.stderr) == (1, True)
    assert ferriage(shop, "gateway", "close", "one", "--yes").returncode == 0
    assert "closed" in ferriage(shop, "gateway", "list").stdout


def test_gateway_that_is_not_there_is_named(shop: Path) -> None:
    done = ferriage(shop, "gateway", "show", "two")

    assert (done.returncode, "“two”" in done.stderr) == (1, True)
