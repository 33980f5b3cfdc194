"""What V2Board, Xboard and Marzban keep of their customers, read from a dump or a SQLite file.

Only what has to come over is read: who, which plan, until when, what balance. Passwords, links,
traffic and addresses of the old system stay where they are.

Source: docs/decisions/0026-customers-who-come-over.md
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from django.utils.translation import gettext as _

from ferriage.arrivals import sqldump
from ferriage.core.clock import from_unix
from ferriage.core.errors import FerriageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Row = Mapping[str, Any]
    Tables = Mapping[str, list[Row]]

Shut = Literal["", "banned", "staff", "used-up"]

_SQLITE: Final = b"SQLite format 3\0"
_PACKED: Final = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_WHOLE: Final = re.compile(r"-?\d{1,19}")
_FAR: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
_LONG: Final = 50 * 366 * 24 * 3600
"""An end from here on, or a time as long, was typed for none."""
_GIBIBYTE: Final = 1 << 30
_PERIODS: Final = {
    "month_price": "1 month",
    "quarter_price": "3 months",
    "half_year_price": "6 months",
    "year_price": "12 months",
    "two_year_price": "24 months",
    "three_year_price": "36 months",
    "onetime_price": "once",
}
_XBOARD_PERIODS: Final = {
    "monthly": "1 month",
    "quarterly": "3 months",
    "half_yearly": "6 months",
    "yearly": "12 months",
    "two_yearly": "24 months",
    "three_yearly": "36 months",
    "onetime": "once",
}


class SourceWrong(FerriageError):
    """A file that cannot be read as one of the systems that customers come from."""

    slug = "source-wrong"
    status = 422


@dataclass(frozen=True, slots=True)
class OldPlan:
    """A plan of the other system: its key there, and what a person knows it by."""

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class OldCustomer:
    """A customer of the other system.

    What is held is at most one of: a time until `ends_at`, a time that `lasts` from its first use,
    or one without end (`endless`); none of them, nothing was ever held. Balances are in hundredths
    of the other system's currency. `shut` is why the other system lets them not connect.
    """

    id: str
    name: str
    plan: str = ""
    ends_at: datetime | None = None
    lasts: timedelta | None = None
    endless: bool = False
    shut: Shut = ""
    balance_cents: int = 0
    commission_cents: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Plans and customers of the other system, customers by their number there."""

    system: str
    plans: tuple[OldPlan, ...]
    customers: tuple[OldCustomer, ...]


def read(system: str, path: Path) -> Source:
    """Read plans and customers of a system from a MySQL dump or a SQLite file.

    Args:
        system: One of `SYSTEMS`.

    Raises:
        SourceWrong: No such file, another kind of file, or not this system's tables.
    """
    needed, build = SYSTEMS[system]
    tables = _tables(path, needed)
    for name in needed:
        if name not in tables:
            raise SourceWrong(
                _("There is no table %(table)s with rows in %(file)s.")
                % {"table": name, "file": path.name},
                _("Dump the whole database of the system that you named."),
            )
    plans, customers = build(tables)
    _refuse_twice(customers)
    return Source(system, tuple(plans), tuple(sorted(customers, key=lambda one: int(one.id))))


def _tables(path: Path, names: tuple[str, ...]) -> dict[str, list[Row]]:
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
        if head == _SQLITE:
            return dict(_sqlite_tables(path, names))
        if head.startswith(_PACKED):
            raise SourceWrong(_("The file is packed."), _("Unpack it first, as with `gunzip`."))
        tables: dict[str, list[Row]] = {}
        for table, row in sqldump.rows(path, names):
            tables.setdefault(table, []).append(row)
    except (OSError, sqlite3.Error, sqldump.DumpWrong) as error:
        raise SourceWrong(
            _("%(file)s cannot be read: %(why)s") % {"file": path, "why": error}
        ) from (error)
    return tables


def _sqlite_tables(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, list[Row]]]:
    address = f"{path.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        database.row_factory = sqlite3.Row
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for name in {row["name"] for row in found} & set(names):
            rows: list[Row] = [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')]  # noqa: S608 -- one of our own names
            if rows:
                yield name, rows


def _refuse_twice(customers: list[OldCustomer]) -> None:
    seen: set[str] = set()
    for customer in customers:
        if customer.id in seen:
            raise SourceWrong(
                _("Customer %(id)s is there twice.") % {"id": customer.id},
                _("The file holds two databases, or one of them twice. Dump one alone."),
            )
        seen.add(customer.id)


# --- V2Board and Xboard -----------------------------------------------------------------------


def _board(tables: Tables) -> tuple[list[OldPlan], list[OldCustomer]]:
    plans = [OldPlan(str(_number(row, "id")), _board_title(row)) for row in tables["v2_plan"]]
    return plans, [_board_customer(row) for row in tables["v2_user"]]


def _board_title(row: Row) -> str:
    """Return a plan's name, data and prices: whole cents in V2Board, numbers in JSON in Xboard."""
    limit = _number(row, "transfer_enable", absent=0)
    data = [f"{limit} GiB"] if limit else []
    prices = [
        f"{minor / 100:.2f} for {words}"
        for column, words in _PERIODS.items()
        if (minor := _number(row, column, absent=0))
    ]
    with contextlib.suppress(ValueError, AttributeError):
        listed = json.loads(row.get("prices") or "{}").items()
        prices += [f"{price} for {_XBOARD_PERIODS[key]}" for key, price in listed
                   if price and key in _XBOARD_PERIODS]  # fmt: skip
    return ", ".join((_words(row, "name"), *data, *prices))


def _board_customer(row: Row) -> OldCustomer:
    plan = _number(row, "plan_id", absent=0)
    expired_at = _number(row, "expired_at", absent=_FAR)
    # There an end of NULL is none; one of 0, or no plan, says that nothing was ever held.
    held = bool(plan) and expired_at != 0
    is_staff = _number(row, "is_admin", absent=0) or _number(row, "is_staff", absent=0)
    return OldCustomer(
        id=str(_number(row, "id")),
        name=_words(row, "email"),
        plan=str(plan) if plan else "",
        ends_at=_end(expired_at) if held else None,
        endless=held and expired_at >= _FAR,
        shut="staff" if is_staff else "banned" if _number(row, "banned", absent=0) else "",
        balance_cents=_number(row, "balance", absent=0),
        commission_cents=_number(row, "commission_balance", absent=0),
    )


# --- Marzban ----------------------------------------------------------------------------------


def _marzban(tables: Tables) -> tuple[list[OldPlan], list[OldCustomer]]:
    titles = {_marzban_plan(row): _marzban_title(row) for row in tables["users"]}
    plans = [OldPlan(key, title) for key, title in sorted(titles.items())]
    return plans, [_marzban_customer(row) for row in tables["users"]]


def _marzban_plan(row: Row) -> str:
    """Return what stands for a plan: Marzban has none, but how much traffic was sold, how often."""
    limit = _number(row, "data_limit", absent=0)
    return f"{limit}-{_words(row, 'data_limit_reset_strategy')}" if limit else "unlimited"


def _marzban_title(row: Row) -> str:
    limit = _number(row, "data_limit", absent=0)
    often = {"day": " a day", "week": " a week", "month": " a month", "year": " a year"}
    how_often = often.get(_words(row, "data_limit_reset_strategy"), " in all")
    return f"{limit / _GIBIBYTE:.4g} GiB{how_often}" if limit else "no limit"


def _marzban_customer(row: Row) -> OldCustomer:
    status = _words(row, "status")
    expire = _number(row, "expire", absent=0) or _FAR
    waits = _number(row, "on_hold_expire_duration", absent=0) if status == "on_hold" else 0
    if waits >= _LONG:
        waits, expire = 0, _FAR
    used_up = status == "limited" and _words(row, "data_limit_reset_strategy") == "no_reset"
    return OldCustomer(
        id=str(_number(row, "id")),
        name=_words(row, "username"),
        plan=_marzban_plan(row),
        ends_at=None if waits else _end(expire),
        lasts=timedelta(seconds=waits) if waits else None,
        endless=expire >= _FAR and not waits,
        shut="banned" if status == "disabled" else "used-up" if used_up else "",
    )


SYSTEMS: Final[
    Mapping[
        str,
        tuple[tuple[str, ...], Callable[[Tables], tuple[list[OldPlan], list[OldCustomer]]]],
    ]
] = {
    "v2board": (("v2_user", "v2_plan"), _board),
    "xboard": (("v2_user", "v2_plan"), _board),
    "marzban": (("users",), _marzban),
}
"""What is read of each system: its tables, and how rows are understood."""


# --- cells ------------------------------------------------------------------------------------


def _number(row: Row, column: str, *, absent: int | None = None) -> int:
    """Return a whole number; NULL and a missing column are `absent`, if that is allowed."""
    value = row.get(column)
    if value is None and absent is not None:
        return absent
    if not _WHOLE.fullmatch(str(value)):
        raise SourceWrong(
            _("Column %(column)s of row %(id)s holds %(value)s, which is no whole number.")
            % {"column": column, "id": row.get("id"), "value": value},
            _("Is it a dump of the system that you named? Nothing was changed."),
        )
    return int(str(value))


def _words(row: Row, column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value)


def _end(seconds: int) -> datetime | None:
    """Return an end in Unix seconds as an instant; nothing where it stands for none."""
    return from_unix(max(seconds, 0)) if seconds < _FAR else None
