"""What `device add --mine` advises, in each state of a shop that keeps it from connecting."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING, Final

import pytest

from ferriage.wire import new_private_key
from running_ferriage import ferriage

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

PLACES: Final = "SE\n\n\nHarbour AB\n\n\n\n"
CONCLUSION: Final = (
    "We read the act and find that no permission is asked for.\nThe act that we read\n"
    "chapter 2, section 1\n2026-11-01\nOlga Harbour\nyes\n"
)
PAST: Final = "2026-01-01 00:00:00"


def _query(directory: Path, sql: str, *values: str) -> list[tuple[object, ...]]:
    path = directory / "data/ferriage.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        return database.execute(sql, values).fetchall()


def _untriggered(directory: Path, table: str, sql: str) -> None:
    """Write past the triggers of a table what no action would, or only with much around it."""
    found = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
    triggers = _query(directory, found, table)
    for name, _ in triggers:
        _query(directory, f'DROP TRIGGER "{name}"')
    _query(directory, sql)
    for _, made in triggers:
        _query(directory, str(made))


def _add(directory: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return ferriage(directory, "device", "add", "laptop", "--mine", *more)


def _line(directory: Path) -> str:
    [(code,)] = _query(directory, "SELECT code FROM fleet_line")
    return str(code)


@pytest.fixture(scope="module")
def _opened(_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("opened") / "shop"
    shutil.copytree(_made, directory)
    done = ferriage(directory, "init", "--local", stdin=PLACES + CONCLUSION * 4)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture
def opened(_opened: Path, tmp_path: Path) -> Path:
    """A shop with an open line and no gateway."""
    shutil.copytree(_opened, tmp_path / "shop")
    return tmp_path / "shop"


@pytest.fixture
def served(opened: Path) -> Path:
    """A shop whose line a gateway serves, as if its host had enrolled."""
    ferriage(opened, "gateway", "add", "one", "--place", "SE", "--line", _line(opened))
    _query(
        opened,
        "UPDATE fleet_gateway SET state = 'active', endpoint_host = '192.0.2.7', wireguard_key = ?",
        new_private_key(),
    )
    return opened


# --- no gateway -------------------------------------------------------------------------------


def test_gateway_that_serves_no_line_is_named_with_the_command(opened: Path) -> None:
    ferriage(opened, "gateway", "add", "our own", "--place", "SE")
    ferriage(opened, "gateway", "add", "abroad", "--place", "DE")

    done = _add(opened)

    assert done.returncode == 1
    assert "our own stands where SE – SE enters" in done.stderr
    assert f"gateway serve 'our own' {_line(opened)}` lets it serve" in done.stderr
    assert done.stderr.endswith("Nothing was added.\n")


def test_gateway_elsewhere_is_no_way_on(opened: Path) -> None:
    ferriage(opened, "gateway", "add", "abroad", "--place", "DE")

    done = _add(opened)

    assert f"gateway add NAME --place SE --line {_line(opened)}`" in done.stderr
    assert _query(opened, "SELECT count(*) FROM devices_device") == [(0,)]


def test_gateway_that_is_draining_is_not_recorded_again(served: Path) -> None:
    ferriage(served, "gateway", "drain", "one")

    done = _add(served)

    assert done.returncode == 1
    assert "The gateway one is draining, so no new file names it." in done.stderr
    assert "gateway undrain one` ends that. Nothing was added." in done.stderr
    assert "gateway add" not in done.stderr


# --- a gateway that goes ----------------------------------------------------------------------


def test_gateway_goes_only_when_it_is_meant_for_whom_it_leaves_alone(served: Path) -> None:
    _add(served)
    line = _line(served)
    left = "Devices that one knows: 1; left without any gateway: 1 (customers: 1)."

    unserved = ferriage(served, "gateway", "unserve", "one", line)
    closed = ferriage(served, "gateway", "close", "one")
    token = ferriage(served, "gateway", "token", "one")
    after = _query(served, "SELECT count(*) FROM fleet_poolgateway")
    meant = ferriage(served, "gateway", "unserve", "one", line, "--yes")

    assert unserved.returncode == 1
    assert unserved.stderr == (
        f"ferriage: {left} Files that name it for SE – SE end within seconds. Add --yes if that "
        "is meant; nothing was changed.\n"
    )
    assert closed.stderr.startswith(f"ferriage: {left} Closing one ends every tunnel")
    assert "one is enrolled. A host that enrols with the token takes its place" in token.stdout
    assert "devices that it knows: 1. " in token.stdout
    assert (after, meant.returncode) == ([(1,)], 0)
    assert _query(served, "SELECT count(*) FROM fleet_poolgateway") == [(0,)]


# --- no open line -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("planned", "The register allows it; its page in the back office, under Lines, opens it."),
        ("held", "Staff hold it; “End the hold” on its page in the back office lets it open."),
    ],
)
def test_line_that_is_not_open_is_named_with_what_opens_it(
    served: Path, state: str, said: str
) -> None:
    _untriggered(served, "fleet_line", f"UPDATE fleet_line SET state = '{state}'")  # noqa: S608

    done = _add(served)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(
        "wrote laptop.conf\nwrote laptop.png\n"
        f"The line SE – SE is not open, so nothing passes there yet.\n  {said}\n"
    )


def test_open_line_needs_no_advice(served: Path) -> None:
    assert _add(served).stdout.endswith("wrote laptop.conf\nwrote laptop.png\n")


def test_line_that_the_register_refuses_is_not_opened_by_another_place(shop: Path) -> None:
    ferriage(shop, "init", "--local", stdin=PLACES)

    done = _add(shop)

    assert done.returncode == 1
    assert done.stderr.startswith("ferriage: No line of your plan may be used")
    assert "Wherever you are. What the register asks:" in done.stderr
    assert done.stderr.endswith(f"approvals explain --line {_line(shop)}\n")
    assert "--place" not in done.stderr


# --- no right ---------------------------------------------------------------------------------


def _page(directory: Path) -> str:
    [(code,)] = _query(directory, "SELECT code FROM plans_subscription")
    return f"on its page in the back office, https://shop.se/staff/customers/{code}/. Nothing was"


def test_own_subscription_that_ended_is_given_time_by_staff(served: Path) -> None:
    _add(served)
    (served / "laptop.conf").unlink()
    _untriggered(
        served,
        "plans_period",
        f"UPDATE plans_period SET starts_at = '2025-01-01 00:00:00', ends_at = '{PAST}'",  # noqa: S608
    )

    done = _add(served)

    assert done.returncode == 1
    assert "The paid time of this subscription is over. It is your own, to “Home”" in done.stderr
    assert _page(served) in done.stderr
    assert "Renew" not in done.stderr


def test_full_subscription_names_the_page_where_devices_are_removed(served: Path) -> None:
    _query(served, "UPDATE plans_plan SET device_limit = 1")
    _add(served)

    done = ferriage(served, "device", "add", "phone", "--mine")

    assert done.returncode == 1
    assert "has room for 1 devices, and all are taken. It is your own" in done.stderr
    assert _page(served) in done.stderr


@pytest.mark.parametrize("named", [True, False])
def test_plan_that_leads_nowhere_is_told(served: Path, *, named: bool) -> None:
    _add(served)
    _query(served, "UPDATE plans_offer SET withdrawn_at = ?", PAST)
    [(plan,)] = _query(served, "SELECT code FROM plans_plan WHERE name = 'Travel'")

    more = ("--plan", str(plan)) if named else ()
    done = ferriage(served, "device", "add", "phone", "--mine", *more)

    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    name = "Travel" if named else "Home"
    assert f"The plan {name} is offered on no line, so it leads nowhere." in done.stderr


def test_shop_without_a_line_is_told_to_begin_there(shop: Path) -> None:
    done = _add(shop)

    assert "Make the line in the back office, under Lines, then a plan" in done.stderr
