from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ferriage.cli.gateways import _state, _step
from ferriage.fleet.lookout import Health
from ferriage.fleet.models import Gateway, PoolGateway
from running_ferriage import ferriage

if TYPE_CHECKING:
    from datetime import datetime
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


@pytest.mark.parametrize(
    ("seconds", "draining", "state"),
    [
        (60, False, "active"),
        (61, False, "silent"),
        (60, True, "draining"),
        (61, True, "silent, draining"),
    ],
)
def test_gateway_that_does_not_report_is_called_silent_as_on_its_page(
    now: datetime, seconds: int, state: str, *, draining: bool
) -> None:
    gateway = Gateway(
        state=Gateway.State.ACTIVE,
        last_seen_at=now - timedelta(seconds=seconds),
        draining_at=now if draining else None,
    )

    assert _state(gateway, now) == state


def test_gateway_in_a_place_that_is_none_is_refused(shop: Path) -> None:
    done = ferriage(shop, "gateway", "add", "four", "--place", "xx")

    said = "ferriage: XX is a code that no country has. Nothing was recorded.\n"
    assert (done.returncode, done.stderr) == (1, said)
    assert "There is no gateway" in ferriage(shop, "gateway", "list").stdout


def test_gateway_that_is_not_there_is_named(shop: Path) -> None:
    done = ferriage(shop, "gateway", "show", "two")

    assert (done.returncode, "“two”" in done.stderr) == (1, True)


def _planned(shop: Path) -> str:
    """Give the shop a line, and return its code."""
    done = ferriage(shop, "init", "--local", stdin="SE\n\n\nHarbour AB\n\n\n\n")
    assert done.returncode == 0, done.stderr
    [code] = set(re.findall(r"\bln_\w+", ferriage(shop, "list").stdout))
    return code


def test_gateway_without_a_line_is_given_one_by_the_command_that_is_named(shop: Path) -> None:
    line = _planned(shop)

    added = ferriage(shop, "gateway", "add", "my one", "--place", "se")
    before = ferriage(shop, "gateway", "show", "my one")
    served = ferriage(shop, "gateway", "serve", "my one", line)
    again = ferriage(shop, "gateway", "serve", "my one", line)
    after = ferriage(shop, "gateway", "show", "my one")

    assert "my one serves nothing until it is given a line." in added.stdout
    assert f"gateway serve 'my one' {line}\n" in added.stdout
    assert "serves nothing until" in before.stdout
    assert served.stdout.startswith("my one serves SE – SE. Let UDP 51820 reach its host.\n")
    assert (again.returncode, again.stderr) == (
        1,
        "ferriage: This gateway serves the line already.\n",
    )
    assert "serves nothing" not in after.stdout


def test_gateway_with_a_line_is_not_said_to_serve_nothing(shop: Path) -> None:
    line = _planned(shop)

    added = ferriage(shop, "gateway", "add", "one", "--place", "SE", "--line", line)

    assert (added.returncode, "serves nothing" in added.stdout) == (0, False)


def test_gateway_of_a_place_without_lines_is_told_to_make_one(shop: Path) -> None:
    _planned(shop)

    added = ferriage(shop, "gateway", "add", "one", "--place", "DE")
    unknown = ferriage(shop, "gateway", "serve", "one", "ln_NONE")

    assert "gateway serve one LINE\n" in added.stdout
    assert "once there is a line that enters in DE: make one there, under Lines." in added.stdout
    assert "There is no line ln_NONE." in unknown.stderr


@pytest.mark.parametrize(
    ("site", "hub", "wrong"),
    [
        ("http://localhost:8000", "http://hub.se", "site.url = http://localhost:8000"),
        ("https://shop.se", "", "hub.url = http://127.0.0.1:8001"),
        ("http://0.0.0.0:80", "http://[::ffff:127.0.0.1]", "site.url = http://0.0.0.0:80, hub.url"),
    ],
)
def test_block_that_leads_nowhere_is_not_printed(
    shop: Path, site: str, hub: str, wrong: str
) -> None:
    said = {"FERRIAGE_SITE_URL": site, "FERRIAGE_HUB_URL": hub}

    done = ferriage(shop, "gateway", "add", "one", "--place", "SE", **said)

    assert done.returncode == 0, done.stderr
    assert f"would mean that host itself: {wrong}" in done.stdout
    assert "On the shop's own machine, as root and within one hour:" in done.stdout
    assert "agent enrol fe1." in done.stdout
    assert "gateway.sh" not in done.stdout


def test_block_that_leads_to_the_shop_is_printed(shop: Path) -> None:
    hub = {"FERRIAGE_HUB_URL": "https://hub.se"}

    done = ferriage(shop, "gateway", "add", "one", "--place", "SE", **hub)

    assert "gateway.sh" in done.stdout
    assert "No block" not in done.stdout


def test_new_token_ends_the_older_one_and_prints_the_block(shop: Path) -> None:
    hub = {"FERRIAGE_HUB_URL": "https://hub.se"}
    first = ferriage(shop, "gateway", "add", "one", "--place", "SE", **hub)

    second = ferriage(shop, "gateway", "token", "one", **hub)
    unknown = ferriage(shop, "gateway", "token", "two")

    tokens = [set(re.findall(r"fe1\.\S+", done.stdout)) for done in (first, second)]
    assert [len(found) for found in tokens] == [1, 1]
    assert tokens[0] != tokens[1]
    assert "gateway.sh" in second.stdout
    assert "Tokens that were made before and not used open nothing any more." in second.stdout
    assert "is enrolled" not in second.stdout
    assert (unknown.returncode, "“two”" in unknown.stderr) == (1, True)
    ferriage(shop, "gateway", "close", "one", "--yes")
    assert ferriage(shop, "gateway", "token", "one").stderr.startswith(
        "ferriage: This gateway is closed for good."
    )


def test_gateway_that_concerns_nobody_is_taken_off_a_line_without_a_question(shop: Path) -> None:
    line = _planned(shop)
    ferriage(shop, "gateway", "add", "one", "--place", "SE", "--line", line)

    done = ferriage(shop, "gateway", "unserve", "one", line)
    again = ferriage(shop, "gateway", "unserve", "one", line)

    assert (done.returncode, done.stdout) == (0, "one serves SE – SE no more.\n")
    assert (again.returncode, again.stderr) == (
        1,
        "ferriage: This gateway does not serve the line.\n",
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "in step"),
        ({"behind": 3, "behind_seconds": 200}, "3 behind for 3 minutes"),
        (
            {"behind": 3, "behind_seconds": 604_800, "beyond_log": True},
            "3 behind for more than 7 days",
        ),
        ({"differs": True}, "runs something else than the records say"),
        (
            {"behind": 9, "differs": True, "before_restore": True},
            "has not taken up the restored records yet",
        ),
    ],
)
def test_how_far_a_gateway_is_is_said_as_on_its_page(found: dict[str, Any], said: str) -> None:
    values = {"behind": 0, "behind_seconds": 0, "differs": False, **found}

    assert _step(Health(member=PoolGateway(), **values)) == said


def test_warnings_are_said_in_words(shop: Path) -> None:
    ferriage(shop, "gateway", "add", "one", "--place", "SE")
    with closing(sqlite3.connect(shop / "data" / "ferriage.sqlite3")) as db:
        warning = json.dumps(["restored pool_1: 2 devices were removed or held"])
        db.execute("UPDATE fleet_gateway SET warnings = ?", [warning])
        db.commit()

    shown = ferriage(shop, "gateway", "show", "one").stdout

    assert (
        "  warning: 2 devices of pool_1 were removed or held before the shop's records were "
        "restored; they are off until staff let them on.\n"
    ) in shown
