"""`ferriage plan set`: speeds and quota of a plan that is sold."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

import pytest

from ferriage.cli.plans import quota_bytes
from ferriage.cli.words import CommandError
from running_ferriage import ferriage

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS: Final = "SE\n\n\nHarbour AB\n\n\n\n"


def _row(directory: Path) -> tuple[object, ...]:
    path = directory / "data/ferriage.sqlite3"
    asked = "SELECT code, rate_down_bps, rate_up_bps, quota_bytes FROM plans_plan ORDER BY id"
    with contextlib.closing(sqlite3.connect(path)) as database:
        return tuple(database.execute(asked).fetchone())


def test_plan_that_is_sold_gets_faster_but_never_a_quota(shop: Path) -> None:
    assert ferriage(shop, "init", "--local", stdin=ANSWERS).returncode == 0
    code = str(_row(shop)[0])

    faster = ferriage(shop, "plan", "set", code, "--down", "250")
    less = ferriage(shop, "plan", "set", code, "--quota", "500")

    assert (faster.returncode, less.returncode) == (0, 1)
    assert "250 / 100 Mbit/s, no quota" in faster.stdout
    assert "cannot become less" in less.stderr
    assert _row(shop) == (code, 250_000_000, 100_000_000, None)


def test_plan_that_is_not_there_is_named(shop: Path) -> None:
    done = ferriage(shop, "plan", "set", "pln_none", "--down", "5")

    assert (done.returncode, "There is no plan pln_none" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("typed", "found"), [("500", 500 * 10**9), ("0.5", 5 * 10**8), ("none", None)]
)
def test_quota_is_typed_in_gigabytes(typed: str, found: int | None) -> None:
    assert quota_bytes(typed) == found


@pytest.mark.parametrize("typed", ["much", "NaN", "Infinity", ""])
def test_what_is_no_number_is_refused(typed: str) -> None:
    with pytest.raises(CommandError):
        quota_bytes(typed)
