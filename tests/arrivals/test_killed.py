"""kill -9 before every write and every commit of an import; then the same command once more."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clerks import KILLED
from ferriage.accounts.models import Account
from ferriage.accounts.queries import account_by_number
from ferriage.arrivals.models import Arrival
from ferriage.core import audit
from ferriage.orders.balance import balance
from ferriage.plans.models import Period
from till import books

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from clerks import Clerks
    from ferriage.config import Config
    from shop import Shop

DUMP = Path(__file__).with_name("dumps") / "v2board.sql"
MOST_WRITES = 80


def listed(numbers: Path) -> list[dict[str, str]]:
    with numbers.open(newline="") as file:
        return list(csv.DictReader(file))


def test_import_comes_to_one_end_however_it_dies(
    clerks: Clerks,
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_shop: Callable[[datetime], Shop],
    now: datetime,
    tmp_path: Path,
) -> None:
    shop = make_shop(now)
    shop.approve_for_years()

    for write in range(1, MOST_WRITES):
        numbers = tmp_path / f"{write}.csv"
        how = {
            "mapping": f'source = "shop{write}"\nplace = "XD"\ncurrency = "CNY"\n'
            f'[plans.1]\nto = "{shop.plan.code}"\n',
            "dump": str(DUMP),
            "numbers": str(numbers),
            "now": now.isoformat(),
        }

        first = clerks.act(("arrive", how), die_at=write)
        again = clerks.act(("arrive", how))

        assert again == ["arrived"]
        rows = listed(numbers)
        assert [row["customer"] for row in rows] == ["2", "4", "9", "11"]
        accounts = [account_by_number(row["number"]) for row in rows]
        assert [balance(account, "CNY") for account in accounts if account] == [250, 1999, 0, 0]
        assert Arrival.objects.filter(source=f"shop{write}").count() == 4
        assert Account.objects.count() == 4 * write
        assert Period.objects.count() == 3 * write
        assert books() == {"liabilities:credits": 2249 * write, "equity:opening": -2249 * write}
        if first != [KILLED]:
            assert write > 10, "hardly anything was written, so nothing was tested"
            assert audit.first_broken() is None
            return
    pytest.fail("it never came to its end")


def test_imports_at_the_same_time_take_everybody_over_once(
    clerks: Clerks,
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_shop: Callable[[datetime], Shop],
    now: datetime,
    tmp_path: Path,
) -> None:
    shop = make_shop(now)
    shop.approve_for_years()
    acts = [
        (
            "arrive",
            {
                "mapping": f'source = "one"\nplace = "XD"\ncurrency = "CNY"\n'
                f'[plans.1]\nto = "{shop.plan.code}"\n',
                "dump": str(DUMP),
                "numbers": str(tmp_path / f"{number}.csv"),
                "now": now.isoformat(),
            },
        )
        for number in range(4)
    ]

    outcomes = clerks.act(*acts)

    assert outcomes == ["arrived"] * 4
    assert Account.objects.count() == 4
    rows = [row["customer"] for number in range(4) for row in listed(tmp_path / f"{number}.csv")]
    assert sorted(rows) == ["11", "2", "4", "9"]
    assert books() == {"liabilities:credits": 2249, "equity:opening": -2249}
