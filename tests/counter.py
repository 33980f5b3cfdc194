"""A till with a payment service over the net: the stand-in, and what customers do there.

Use the fixture `counter`; name `till` and what it needs beside it in your conftest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ferriage.core.actors import CUSTOMER
from ferriage.orders import actions as orders
from ferriage.payments import accounts, actions, inbox, matching
from ferriage.payments.providers import registry
from ferriage.payments.providers.contract import Event, Urls
from stand_in import StandIn, StandInBooks, StandInWorld
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment, ProviderAccount, Refund
    from ferriage.payments.providers.contract import RawEvent
    from till import Till

URLS = Urls("https://shop.example/back/", "https://shop.example/", "https://shop.example/events")


@dataclass
class Counter:
    """Sells by the stand-in; every step is the real action."""

    till: Till
    world: StandInWorld
    account: ProviderAccount

    @property
    def now(self) -> datetime:
        return self.till.now

    def begin(self, order: Order) -> Payment:
        return actions.start(
            order=order, slug=StandIn.slug, urls=URLS, now=self.now, actor=CUSTOMER
        )

    def tell(self, callbacks: Sequence[RawEvent]) -> list[str]:
        """Deliver callbacks as the site does; returns what each came to."""
        return [
            matching.handle(event=event, now=self.now)
            for raw in callbacks
            for event in inbox.receive(slug=StandIn.slug, raw=raw, now=self.now)
        ]

    def sell(self, months: int = 1) -> Payment:
        """Place an order and let it be paid there."""
        payment = self.begin(self.till.order(months))
        self.tell(self.world.pay(payment, self.now))
        payment.refresh_from_db()
        return payment

    def late(self) -> Payment:
        """Let exact money come for an order that was cancelled: it waits for staff."""
        payment = self.begin(self.till.order())
        assert payment.order is not None
        orders.cancel(order=payment.order, now=self.now, actor=CUSTOMER)
        self.tell(self.world.pay(payment, self.now))
        payment.refresh_from_db()
        return payment

    def refund(self) -> Refund:
        """Queue a refund of money that no order took."""
        return actions.refund_unallocated(payment=self.late(), now=self.now, actor=OWNER)

    def say(self, kind: str, payment: Payment, event_id: str, **more: object) -> list[str]:
        event = Event(event_id=event_id, kind=kind, payment=payment.code, **more)  # type: ignore[arg-type] -- as drawn by the test
        return self.tell([self.world.say(event, self.now, "none")])

    def line(self, row_id: str, kind: str, reference: str, gross: int, fee: int = 0) -> None:
        """Write a line of the service's own books."""
        self.world.add_row(
            {
                "row_id": row_id,
                "kind": kind,
                "reference": reference,
                "gross_minor": gross,
                "fee_minor": fee,
                "net_minor": gross - fee,
                "currency": "CNY",
                "at": self.now.isoformat(),
                "payout": "",
            }
        )


def open_counter(till: Till, file: Path, monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Give the shop an account with the stand-in, which keeps its books in a file."""
    monkeypatch.setitem(registry.KINDS, StandIn.slug, StandIn)
    world = StandInWorld(StandInBooks(file))
    account = accounts.add_provider(
        slug=StandIn.slug,
        label="Stand-in",
        mode="live",
        secrets=world.secrets,
        now=till.now,
        actor=OWNER,
    )
    return Counter(till, world, account)


@pytest.fixture
def counter(till: Till, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter:
    return open_counter(till, tmp_path / "standin.db", monkeypatch)
