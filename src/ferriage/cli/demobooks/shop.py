"""A shop in the invented place whose clock the story moves; each step is the real action."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

from ferriage.accounts import actions as accounts
from ferriage.approvals import actions as approvals
from ferriage.approvals.site import packs_in_force
from ferriage.cli.words import CommandError, say
from ferriage.core.actors import CUSTOMER, Actor
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.ledger import actions as ledger
from ferriage.ledger import chart
from ferriage.ledger.months import next_month
from ferriage.ledger.queries import month_to_close, trial_balance
from ferriage.orders import actions as orders
from ferriage.orders import tasks as order_tasks
from ferriage.payments import actions as payments
from ferriage.payments import tasks as payment_tasks
from ferriage.payments.closing import close_month
from ferriage.payments.queries import check
from ferriage.plans import actions as plans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ferriage.accounts.models import Account
    from ferriage.fleet.models import Line
    from ferriage.orders.models import Order
    from ferriage.plans.models import Plan, Price

OLGA: Final = Actor("staff", "olga")
VERA: Final = Actor("staff", "vera")
CURRENCY: Final = "CNY"
PLACE: Final = "XD"
_NEVER_ENDS: Final = date(2030, 12, 31)


def yuan(minor: int) -> str:
    """Return an amount in words."""
    return str(Money(minor, CURRENCY))


def midnight(day: date) -> datetime:
    """Return a day's first instant."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass
class Shop:
    """A shop at an instant. `now` only goes on."""

    directory: Path
    now: datetime
    prices: dict[tuple[str, int], Price] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def must(self, held: object, text: str) -> None:
        """Print a figure, and insist on it.

        Raises:
            CommandError: It is another one.
        """
        if not held:
            raise CommandError(f"The books do not add up: it is not so that {text}.")
        say(f"   {text}")

    def open(self) -> Line:
        """Open a lawful line: licensed by the invented authority, verified by a second person."""
        party = approvals.create_party(
            name="A seller in Demoland (invented)", place=PLACE, now=self.now, actor=OLGA
        )
        line = fleet.create_line(
            name="Demoland",
            party=party,
            enter_place=PLACE,
            exit_place=PLACE,
            sell_places=[PLACE],
            customer_class="public",
            use="resale",
            now=self.now,
            actor=OLGA,
        )
        approval = approvals.record_approval(
            kind="XD-PUBLIC-VPN",
            holder=party,
            line_codes=[line.code],
            packs=packs_in_force(),
            now=self.now,
            actor=OLGA,
        )
        approvals.grant(
            approval=approval,
            issued=approvals.Issued(
                number="INVENTED-1", valid_from=self.now.date(), valid_to=_NEVER_ENDS
            ),
            file=approvals.EvidenceFile(
                data=b"An invented licence.", title="Licence (invented)", media_type="text/plain"
            ),
            store_dir=self.directory / "evidence",
            now=self.now,
            actor=OLGA,
        )
        approvals.verify(approval=approval, now=self.now, actor=VERA)
        return fleet.put_in_service(line=line, now=self.now, actor=OLGA)

    def offer(self, line: Line, slug: str, name: str, prices: Mapping[int, int]) -> Plan:
        """Put a service with one plan on sale; prices in minor units by months."""
        service = plans.create_service(slug=slug, name=name, now=self.now, actor=OLGA)
        plan = plans.create_plan(service=service, name=name, now=self.now, actor=OLGA)
        for months, minor in prices.items():
            self.prices[slug, months] = plans.set_price(
                plan=plan,
                term_months=months,
                money=Money(minor, CURRENCY),
                now=self.now,
                actor=OLGA,
            )
        plans.add_offer(plan=plan, line=line, now=self.now, actor=OLGA)
        return plan

    def customer(self) -> Account:
        """Let somebody open an account."""
        return accounts.open_account(now=self.now, actor=CUSTOMER, place=PLACE).account

    def sell(self, account: Account, slug: str, months: int) -> Order:
        """Let a customer order a term, and the money come to the bank."""
        order = orders.place(
            account=account,
            price=self.prices[slug, months],
            place=PLACE,
            now=self.now,
            expires_at=self.now + timedelta(hours=72),
            actor=CUSTOMER,
        )
        payment = payments.start_bank(order=order, now=self.now, actor=CUSTOMER)
        captured = payments.book_receipt(
            reference=payment.reference or "",
            transaction_id=f"INVENTED-{next(self._numbers)}",
            money=Money(order.amount_minor, order.currency),
            now=self.now,
            actor=OLGA,
        )
        if captured.outcome != "settled":
            raise CommandError(f"A sale was refused: {captured.reason}.")
        return order

    def go_to(self, at: datetime) -> None:
        """Move the clock on; the worker works and each month that ends on the way is closed."""
        while (ends := midnight(next_month(self.now.date().replace(day=1)))) <= at:
            self.now = ends
            self.work()
            while (month := month_to_close(self.now)) is not None:
                close_month(month=month, now=self.now, actor=OLGA)
        self.now = at
        self.work()

    def work(self) -> None:
        """Do rounds of the worker until nothing is due."""
        fleet_tasks.run(self.now)
        while order_tasks.run(self.now) + payment_tasks.run(self.now):
            pass
        while ledger.book_bills(now=self.now):
            pass

    def held(self) -> dict[str, int]:
        """Return what every account holds, the side that it grows on positive."""
        return {
            row.name: row.balance_minor * (1 if chart.grows_on_debit(row.name) else -1)
            for row in trial_balance()
            if row.balance_minor
        }

    def print_books(self) -> None:
        """Print what every account holds, with what that means."""
        for name, minor in self.held().items():
            entry = chart.entry_of(name)
            say(f"   {name:<34}{yuan(minor):>16}   {entry.holds if entry else ''}")
        self.must(check() == [], "the books agree with orders, payments and refunds")
