"""A payment service of our own: what it knows lies in a file, so a killed process loses nothing.

    shop ── start, ask, refund ──> file <── pay, fail, dispute ── the test's customer
                                    └── callbacks, signed with the shared key ──> the test delivers

Its answers are what the contract asks of a provider, nothing of a real one's form.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ferriage.core.money import Money
from ferriage.payments.providers.contract import (
    AccountSetup,
    Event,
    Means,
    ProviderDown,
    RawEvent,
    RefundResult,
    SecretField,
    SettlementRow,
    Started,
    Unverified,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment, Refund
    from ferriage.payments.providers.contract import NetProvider, Urls

_TABLES = """
CREATE TABLE IF NOT EXISTS said (number INTEGER PRIMARY KEY, session TEXT, event TEXT);
CREATE TABLE IF NOT EXISTS session (ref TEXT PRIMARY KEY, payment TEXT, starts INTEGER);
CREATE TABLE IF NOT EXISTS refund (code TEXT PRIMARY KEY, state TEXT, paid INTEGER);
CREATE TABLE IF NOT EXISTS row (number INTEGER PRIMARY KEY, row TEXT);
CREATE TABLE IF NOT EXISTS flag (name TEXT PRIMARY KEY, value TEXT);
"""
KEY = "of the stand-in, 32 characters…"


class StandIn:
    """The provider: what the shop calls."""

    slug: ClassVar[str] = "standin"
    kind: ClassVar[object] = "Stand-in"
    secret_fields: ClassVar[tuple[SecretField, ...]] = (
        SecretField("key", "Signing key"),
        SecretField("file", "Where its books lie", is_secret=False),
    )

    def __init__(self, setup: AccountSetup) -> None:
        self._secrets = setup.secrets
        self.title: object = setup.title
        self.is_test_mode = setup.is_test_mode

    def offered(self, order: Order, now: datetime) -> list[Means]:
        del order, now
        return [Means(self.slug, self.title, is_test_mode=self.is_test_mode)]

    def start(self, payment: Payment, order: Order, urls: Urls, now: datetime) -> Started:
        del order, urls, now
        ref = f"ses_{payment.code}"
        self._write(
            "INSERT INTO session VALUES (?, ?, 1)"
            " ON CONFLICT (ref) DO UPDATE SET starts = starts + 1",
            (ref, payment.code),
        )
        return Started(url=f"https://pay.example/{ref}", provider_ref=ref)

    def verify(self, raw: RawEvent) -> list[Event]:
        wanted = signature(self._secrets["key"], raw.body)
        if not hmac.compare_digest(raw.headers.get("x-signature", ""), wanted):
            raise Unverified("Not signed.")
        return [Event.from_json(json.loads(raw.body))]

    def ask(self, payment: Payment) -> list[Event]:
        rows = self._read(
            "SELECT event FROM said WHERE session = ? ORDER BY number", (payment.provider_ref,)
        )
        return [Event.from_json(json.loads(event)) for (event,) in rows]

    def refund(self, refund: Refund) -> RefundResult:
        wanted = self._flag("refunds") or "paid"
        self._write(
            "INSERT INTO refund VALUES (?, ?, ?) ON CONFLICT (code) DO NOTHING",
            (refund.code, wanted, refund.amount_minor),
        )
        ((state,),) = self._read("SELECT state FROM refund WHERE code = ?", (refund.code,))
        return RefundResult(state, f"re_{refund.code}", "no account" if state == "failed" else "")

    def settlements(self, since: datetime) -> list[SettlementRow]:
        rows = [json.loads(row) for (row,) in self._read("SELECT row FROM row ORDER BY number")]
        made = [SettlementRow(**row | {"at": datetime.fromisoformat(row["at"])}) for row in rows]
        return [row for row in made if row.at >= since]

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return StandInBooks(Path(self._secrets["file"])).read(sql, values)

    def _write(self, sql: str, values: Sequence[Any] = ()) -> None:
        if self._flag("down"):
            raise ProviderDown("Nobody answers.")
        StandInBooks(Path(self._secrets["file"])).write(sql, values)

    def _flag(self, name: str) -> str:
        found = self._read("SELECT value FROM flag WHERE name = ?", (name,))
        return found[0][0] if found else ""


@dataclass
class StandInBooks:
    """What the service knows, in one file."""

    file: Path

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with closing(self._open()) as books:
            return books.execute(sql, values).fetchall()

    def write(self, sql: str, values: Sequence[Any] = ()) -> None:
        with closing(self._open()) as books:
            books.execute(sql, values)

    def _open(self) -> sqlite3.Connection:
        books = sqlite3.connect(self.file, timeout=20, isolation_level=None)
        books.executescript(_TABLES)
        return books


@dataclass
class StandInWorld:
    """The test's side: customers who pay, and the service's callbacks about it."""

    books: StandInBooks
    provider: type[NetProvider] = StandIn
    choice: str = ""

    @property
    def secrets(self) -> dict[str, str]:
        return {"key": KEY, "file": str(self.books.file)}

    def pay(
        self, payment: Payment, now: object, *, minor: int | None = None, currency: str = ""
    ) -> list[RawEvent]:
        """Let money come for a payment: all of it, unless told otherwise."""
        money = Money(
            payment.amount_minor if minor is None else minor, currency or payment.currency
        )
        number = self._next()
        event = Event(
            event_id=f"evt_{number}",
            kind="paid",
            payment=payment.code,
            provider_ref=payment.provider_ref,
            transaction_id=f"txn_{number}",
            money=money,
        )
        return [self.say(event, now)]

    def fail(self, payment: Payment, now: object) -> list[RawEvent]:
        event = Event(event_id=f"evt_{self._next()}", kind="failed", payment=payment.code)
        return [self.say(event, now, payment.provider_ref)]

    def others(self, payment: Payment, now: object) -> list[RawEvent]:
        kinds = ("look", "other", "refunded", "refund-failed", "dispute-won")
        return [
            self.say(Event(event_id=f"evt_{kind}", kind=kind, payment=payment.code), now, "none")
            for kind in kinds
        ]

    def forged(self, raw: RawEvent) -> list[RawEvent]:
        return [
            replace(raw, headers={}),
            replace(raw, headers={"x-signature": signature("another's", raw.body)}),
            replace(raw, body=raw.body + b" "),
        ]

    def say(self, event: Event, now: object, session: str = "") -> RawEvent:
        """Note what happened and return the callback about it."""
        body = json.dumps(event.to_json())
        self.books.write(
            "INSERT INTO said (session, event) VALUES (?, ?)", (session or event.provider_ref, body)
        )
        assert isinstance(now, datetime)
        raw = body.encode()
        return RawEvent(raw, {"x-signature": signature(KEY, raw)}, now)

    def add_row(self, row: dict[str, Any]) -> None:
        """Write a line of the service's own books."""
        self.books.write("INSERT INTO row (row) VALUES (?)", (json.dumps(row),))

    def set(self, name: str, value: str) -> None:
        """Let the service be `down`, or its `refunds` be pending or failed."""
        self.books.write(
            "INSERT INTO flag VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def _next(self) -> int:
        ((count,),) = self.books.read("SELECT count(*) FROM said")
        return int(count) + 1


def signature(key: str, body: bytes) -> str:
    """Return the hex of an HMAC over the body."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
