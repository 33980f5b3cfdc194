"""Everything that money can do in a shop, in any order: the books say the whole truth after it.

One machine over all rooms, because each was tested alone before they were joined. A larger run:
`FERRIAGE_TEST_EXAMPLES=200 pytest tests/payments/test_all_money.py`.
"""

from __future__ import annotations

import os
from collections import Counter as Sums
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError, transaction
from django.db.models import F, ProtectedError, Q, RestrictedError, Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from counter import open_counter
from dearer import GB, open_dearer, order_pack, sell_packs, use
from ferriage.accounts import actions as accounts
from ferriage.accounts.models import Account
from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.fleet import actions as fleet
from ferriage.fleet import tasks as fleet_tasks
from ferriage.ledger import actions as ledger
from ferriage.ledger import export, partners, queries, verify
from ferriage.ledger.models import (
    Closing,
    LedgerTransaction,
    MonthFlow,
    Partner,
    Payout,
    Transfer,
)
from ferriage.ledger.reversing import reverse
from ferriage.orders import actions as orders
from ferriage.orders import addons, claims, tax
from ferriage.orders import tasks as order_tasks
from ferriage.orders.actions import taxes
from ferriage.orders.actions.refunds import refund_on_request, withdraw
from ferriage.orders.earning import gone_back_of
from ferriage.orders.models import Balance, BalanceClaim, BalanceHold, Document, Order
from ferriage.orders.refunds import Rules, by_rules, quote
from ferriage.payments import (
    actions,
    disputes,
    gifts,
    payback,
    recalls,
    settlement,
    tasks,
    topups,
)
from ferriage.payments.closing import close_month
from ferriage.payments.models import (
    Dispute,
    InboxEvent,
    Payment,
    Refund,
    ResellerCredit,
    ResellerReturn,
    StatementLine,
    Voucher,
    VoucherBatch,
)
from ferriage.payments.providers.bank import booking, files
from ferriage.payments.providers.voucher import queries as vouchers
from ferriage.payments.providers.voucher import resellers
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries
from ferriage.plans import quota
from ferriage.plans.models import Hold, Lapse, Subscription
from stand_in import StandIn
from statement_files import Entry, camt
from taxed import charge
from till import THREE_DAYS, Till, assert_sound
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest
    from django.db.models import Model, QuerySet

    from ferriage.payments.models import Reseller
    from ferriage.plans.models import Price
    from shop import Shop

RESERVE: Final = 10**6
EXAMPLES: Final = int(os.environ.get("FERRIAGE_TEST_EXAMPLES", "8"))
_WHO = st.sampled_from([0, 1])
_TERMS = st.sampled_from([1, 1, 6])
_WHICH = st.integers(0, 5)
_CURRENCIES = st.sampled_from(["CNY", "CNY", "CNY", "EUR"])
_OFF = st.sampled_from([0, 0, 0, 0, 1, -1])
_DAYS = st.sampled_from([None, None, 3, 40])
_STEPS = st.sampled_from([3600, 86_400, 4 * 86_400, 20 * 86_400, 45 * 86_400])
_BUGS: Final = {"already-posted", "posting-wrong", "books-wrong", "quote-changed"}
"""Refusals that no customer and no staff may ever meet here: they say that a room erred."""


@contextmanager
def refused() -> Iterator[None]:
    """Let a step be refused, but not because the books would be wrong."""
    try:
        with transaction.atomic():
            yield
    except FerriageError as refusal:
        if refusal.slug in _BUGS:
            raise


def where[**P, T](
    found: Callable[[AllMoney], object],
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a step be taken only where it finds something to do: steps are few, and dear."""
    return precondition(lambda machine: bool(found(machine)))


def some(rows: QuerySet[Any]) -> Callable[[AllMoney], bool]:
    return lambda _machine: rows.all().exists()


WAITING: Final = Refund.objects.filter(state="queued", payment__account=None)
PAID_BY_NET: Final = Payment.objects.filter(account__isnull=False, state="captured")
PAID_BY_BANK: Final = Payment.objects.filter(provider="bank", state="captured", currency="CNY")
OPEN_RECALLS: Final = Dispute.objects.filter(account=None, state="open")
UNALLOCATED: Final = Payment.objects.filter(outcome="unallocated")
DELETED: Final = [Account, InboxEvent, Order, Payment, Refund, Subscription, Transfer, Voucher]
somebody_holds = where(some(Subscription.objects.all()))


class AllMoney(RuleBasedStateMachine):
    """Two customers, two plans, two currencies; counts by itself what came in and went out.

    A reseller sells codes, a bank takes transfers back, a provider pays out on a statement.
    """

    orders: Bundle[Any] = Bundle("orders")
    codes: Bundle[Any] = Bundle("codes")

    def __init__(self, shop: Shop, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.savepoint = transaction.savepoint_create()
        shop.approve_for_years()
        self.till = Till(shop, shop.now)
        self.counter = open_counter(self.till, file, monkeypatch)
        self.dearer = open_dearer(self.till)
        self.packs = sell_packs(self.till)
        second = shop.yard.open_line("Second")
        plans.add_offer(plan=self.dearer.plan, line=second, now=shop.now, actor=OWNER)
        self.prices = {
            (plan, months, currency): self.priced(plan, months, currency)
            for plan in (False, True)
            for months in (1, 6)
            for currency in ("CNY", "EUR")
        }
        self.customers = [shop.account(), shop.account()]
        self.said: dict[str, Money] = {}
        self.came: Sums[str] = Sums()
        self.lost = Sums[str]()
        self.number = 0
        self.latest = shop.now
        self.paid_out: set[int] = set()
        for asset in ("assets:bank", f"assets:{StandIn.slug}"):
            for currency in ("CNY", "EUR"):
                self.pay_in(asset, Money(RESERVE, currency))
        self.everyday = files.add_account(
            name="Everyday", number="", currency="CNY", now=shop.now, actor=OWNER
        )
        self.kiosk = resellers.add_reseller(
            slug="kiosk",
            name="Kiosk",
            currency="CNY",
            discount_bp=2000,
            now=shop.now,
            actor=OWNER,
        )
        word = orders.Grant(off_bps=3333, most_per_account=None, valid_from=shop.now)
        orders.make_coupon(word="THIRD", grant=word, note="", now=shop.now, actor=OWNER)
        ledger.add_partner(name="anna", now=shop.now, actor=OWNER)
        ledger.agree(
            service="ferry",
            shares={"": 6667, "anna": 3333},
            valid_from=date(2026, 3, 1),
            now=shop.now,
            actor=OWNER,
        )

    def priced(self, dear: bool, months: int, currency: str) -> Price:  # noqa: FBT001 -- a key
        if currency == "CNY":
            return (self.dearer.prices if dear else self.till.shop.prices)[months]
        return plans.set_price(
            plan=self.dearer.plan if dear else self.till.shop.plan,
            term_months=months,
            money=Money((333 if dear else 111) * months, currency),
            now=self.till.now,
            actor=OWNER,
        )

    def pay_in(self, asset: str, money: Money) -> None:
        """Bring a reserve in, so that a provider may take back more than it holds of sales."""
        ledger.post(
            source_code=self.next(),
            kind="by-hand",
            transfers=[ledger.TransferLine(asset, "equity:operator", money)],
            description="Reserve",
            now=self.till.now,
        )
        self.came[money.currency] += money.amount_minor

    def state(self, *entries: Entry) -> list[StatementLine]:
        """Import a statement; returns its lines as they were booked."""
        data = camt(list(entries), currency="CNY", version="08", number=self.next(), opening=0)
        how: dict[str, Any] = {"now": self.till.now, "actor": OWNER}
        file = files.upload(account=self.everyday, name="m.xml", data=data, **how)
        stored = booking.post_file(file=file, **how)
        return list(StatementLine.objects.filter(statement__in=stored).order_by("pk"))

    def teardown(self) -> None:
        transaction.savepoint_rollback(self.savepoint)

    def held(self, number: int) -> Subscription:
        rows = Subscription.objects.order_by("pk")
        return rows[number % len(rows)]

    def next(self) -> str:
        self.number += 1
        return f"N{self.number}"

    @initialize(
        target=orders,
        taxed=st.booleans(),
        sold=st.sampled_from(["", "bank", "net", "bank net", "bank net"]),
        off=_OFF,
    )
    def begin(self, *, taxed: bool, sold: str, off: int) -> Any:
        """Begin with terms that are sold, mostly: nearly all that may go wrong comes after it."""
        if taxed:
            charge(self.till.now)
        placed = []
        for who, how in enumerate(sold.split()):
            placed.append(
                self.place(
                    who=who,
                    months=1,
                    dear=False,
                    currency="CNY",
                    word="",
                    kind="term",
                    beside=False,
                )
            )
            if how == "bank":
                self.pay_by_bank(placed[-1], off, twice=False)
            else:
                self.pay_over_the_net(placed[-1], off, "", 1)
        return multiple(*placed)

    # --- what is ordered ----------------------------------------------------------------------

    @rule(
        target=orders,
        who=_WHO,
        months=_TERMS,
        dear=st.booleans(),
        currency=_CURRENCIES,
        word=st.sampled_from(["", "", "THIRD"]),
        kind=st.sampled_from(["term", "term", "term", "gift"]),
        beside=st.booleans(),
    )
    def place(
        self,
        *,
        who: int,
        months: int,
        dear: bool,
        currency: str,
        word: str,
        kind: str,
        beside: bool,
    ) -> Any:
        with refused():
            return orders.place(
                account=self.customers[who],
                price=self.prices[dear, months, currency],
                place="XD",
                coupon=word,
                kind=kind,
                beside=beside and kind == "term",
                now=self.till.now,
                expires_at=self.till.now + THREE_DAYS,
                actor=CUSTOMER,
            )
        return multiple()

    @rule(target=orders, who=_WHO, months=_TERMS)
    def give(self, who: int, months: int) -> Any:
        with refused():
            return orders.give(
                account=self.customers[who],
                recipient=self.customers[1 - who],
                price=self.till.shop.prices[months],
                now=self.till.now,
                expires_at=self.till.now + THREE_DAYS,
                actor=CUSTOMER,
            )
        return multiple()

    @rule(target=orders, who=_WHO, minor=st.integers(1, 8000), paid=st.booleans())
    def top_up(self, who: int, minor: int, paid: bool) -> Any:  # noqa: FBT001 -- drawn
        with refused():
            order = self.till.order_topup(self.customers[who], minor)
            if paid:
                self.pay_by_bank(order, 0, twice=False)
            return order
        return multiple()

    @somebody_holds
    @rule(target=orders, which=_WHICH, dear=st.booleans(), months=_TERMS, currency=_CURRENCIES)
    def change(self, *, which: int, dear: bool, months: int, currency: str) -> Any:
        held = self.held(which)
        with refused():
            price = self.prices[dear, months, currency]
            return self.dearer.change(held, price=price)
        return multiple()

    @somebody_holds
    @rule(which=_WHICH, dear=st.booleans())
    def change_at_the_end(self, *, which: int, dear: bool) -> None:
        held = self.held(which)
        plan = self.dearer.plan if dear else self.till.shop.plan
        with refused():
            orders.plan_change(subscription=held, plan=plan, now=self.till.now, actor=CUSTOMER)

    @somebody_holds
    @rule(target=orders, which=_WHICH)
    def add_a_place(self, which: int) -> Any:
        held = self.held(which)
        found = addons.terms_to_join(held, now=self.till.now)
        if found:
            with refused():
                return self.dearer.slot(found[which % len(found)])
        return multiple()

    @somebody_holds
    @rule(target=orders, which=_WHICH)
    def add_a_pack(self, which: int) -> Any:
        held = self.held(which)
        found = addons.terms_to_join(held, now=self.till.now)
        if found:
            with refused():
                return order_pack(self.till, found[which % len(found)], self.packs)
        return multiple()

    @somebody_holds
    @rule(which=_WHICH, gigabytes=st.integers(0, 150))
    def use_data(self, which: int, gigabytes: int) -> None:
        held = self.held(which)
        use(held, gigabytes * GB, self.till.now)
        orders.count_use(now=self.till.now)

    # --- how it is paid -----------------------------------------------------------------------

    @rule(order=orders, minor=st.none() | st.integers(0, 3000))
    def pay_from_balance(self, order: Order, minor: int | None) -> None:
        with refused():
            orders.pay_from_balance(order=order, minor=minor, now=self.till.now, actor=CUSTOMER)

    @rule(order=orders, off=_OFF, twice=st.booleans())
    def pay_by_bank(self, order: Order, off: int, *, twice: bool) -> None:
        asked = Payment.objects.filter(order=order, reference__isnull=False).last()
        with refused():
            asked = self.till.transfer(Order.objects.get(pk=order.pk))
        if asked is None or not asked.amount_minor:
            return
        money = Money(max(asked.amount_minor + off, 1), asked.currency)
        number = self.next()
        self.said[number] = money
        for _again in range(1 + twice):
            with suppress(FerriageError):
                self.till.receive(
                    asked.reference, money.amount_minor, currency=money.currency, number=number
                )

    @rule(
        order=orders,
        off=_OFF,
        currency=st.sampled_from(["", "", "", "EUR"]),
        told=st.sampled_from([0, 1, 1, 1, 2]),
    )
    def pay_over_the_net(self, order: Order, off: int, currency: str, told: int) -> None:
        """Pay there; the callback comes once, twice, or never: then it is asked for."""
        payment = Payment.objects.filter(order=order, account__isnull=False).last()
        with refused():
            payment = self.counter.begin(Order.objects.get(pk=order.pk))
        if payment is None or not payment.provider_ref:
            return
        minor = max(payment.amount_minor + off, 1)
        callbacks = self.counter.world.pay(payment, self.till.now, minor=minor, currency=currency)
        ((count,),) = self.counter.world.books.read("SELECT count(*) FROM said")
        self.said[f"txn_{count}"] = Money(minor, currency or payment.currency)
        for _again in range(told):
            with suppress(FerriageError):
                self.counter.tell(callbacks)

    @rule(target=codes, months=_TERMS, paid=st.just(0) | st.integers(1, 2000), days=_DAYS)
    def issue(self, months: int, paid: int, days: int | None) -> Any:
        return self.issued(1, months, paid, days)

    @rule(target=codes, count=st.integers(1, 3), months=_TERMS, days=_DAYS)
    def reseller_takes_a_batch(self, count: int, months: int, days: int | None) -> Any:
        worth = Money(self.till.shop.prices[months].amount_minor, "CNY")
        paid = resellers.price_of(self.kiosk, worth).amount_minor
        return self.issued(count, months, paid, days, self.kiosk)

    def issued(
        self, count: int, months: int, paid: int, days: int | None, to: Reseller | None = None
    ) -> Any:
        with refused():
            made = actions.issue_vouchers(
                name="Shelf",
                plan=self.till.shop.plan,
                term_months=months,
                money=Money(self.till.shop.prices[months].amount_minor, "CNY"),
                count=count,
                kind="sold" if paid else "free",
                paid_per_code=Money(paid, "CNY"),
                reseller=to,
                expires_at=days and self.till.now + timedelta(days=days),
                now=self.till.now,
                actor=OWNER,
            )
            # What a reseller owes is an asset too.
            self.came["CNY"] += paid * count
            return multiple(*made.codes)
        return multiple()

    @where(lambda machine: vouchers.held(machine.kiosk).owed_minor > 0)
    @rule(parts=st.integers(1, 3), by=st.sampled_from(["hand", "statement", "suspense"]))
    def reseller_pays(self, parts: int, by: str) -> None:
        owed = vouchers.held(self.kiosk).owed_minor
        money = Money(-(-owed // parts), "CNY")
        how: dict[str, Any] = {"now": self.till.now, "actor": OWNER}
        with refused():
            if by == "hand":
                resellers.book_payment(
                    reseller=self.kiosk, money=money, transaction_id=self.next(), **how
                )
            elif by == "statement":
                text = f"codes {self.kiosk.reference}"
                (line,) = self.state(
                    Entry(minor=money.amount_minor, text=text, reference=self.next())
                )
                assert line.outcome == "reseller"
            else:
                number = self.next()
                self.said[number] = money
                payment = self.till.receive("", money.amount_minor, number=number).payment
                resellers.apply_unallocated(payment=payment, reseller=self.kiosk, **how)
                self.lost["CNY"] += money.amount_minor

    @where(some(VoucherBatch.objects.all()))
    @rule(which=_WHICH, expired=st.booleans())
    def codes_are_taken_back(self, which: int, expired: bool) -> None:  # noqa: FBT001 -- drawn
        batches = VoucherBatch.objects.order_by("pk")
        how: dict[str, Any] = {"reason": "Unsold", "now": self.till.now, "actor": OWNER}
        with refused():
            if expired:
                resellers.write_off(batch=batches[which % len(batches)], **how)
                return
            gone = resellers.void_codes(batch=batches[which % len(batches)], **how)
            self.came["CNY"] -= gone.amount_minor

    @rule(target=codes, order=orders)
    def show_the_code(self, order: Order) -> Any:
        with refused():
            return gifts.reveal(order=order, now=self.till.now, actor=CUSTOMER)
        return multiple()

    @rule(order=orders, code=codes)
    def redeem(self, order: Order, code: str) -> None:
        with refused():
            self.till.redeem(Order.objects.get(pk=order.pk), code)

    # --- how it ends --------------------------------------------------------------------------

    @rule(order=orders)
    def cancel(self, order: Order) -> None:
        with refused():
            orders.cancel(order=order, now=self.till.now, actor=CUSTOMER)

    @rule(order=orders)
    def send_a_topup_back(self, order: Order) -> None:
        with refused():
            topups.return_topup(order=order, now=self.till.now, actor=CUSTOMER)

    @rule(who=_WHO, share=st.integers(1, 101), by_staff=st.booleans())
    def pay_a_balance_back(self, who: int, share: int, *, by_staff: bool) -> None:
        for found in payback.offers(self.customers[who], with_changes=True):
            most = found.whole if by_staff else found.to_payments
            how: dict[str, Any] = {
                "balance": found.balance,
                "money": Money(most.amount_minor * share // 100, most.currency),
                "seen": found.seen,
                "now": self.till.now,
            }
            with refused():
                if by_staff:
                    payback.pay_out(**how, reason="Asked", actor=OWNER)
                else:
                    payback.ask(**how, with_changes=True, actor=CUSTOMER)

    @somebody_holds
    @rule(which=_WHICH, seconds=st.just(0) | _STEPS)
    def end_early(self, which: int, seconds: int) -> None:
        held = self.held(which)
        with refused():
            orders.end_subscription(
                subscription=held,
                at=self.till.now + timedelta(seconds=seconds),
                reason="Asked",
                now=self.till.now,
                actor=OWNER,
            )

    @somebody_holds
    @rule(which=_WHICH, days=st.integers(1, 30))
    def grant(self, which: int, days: int) -> None:
        held = self.held(which)
        with refused():
            orders.grant_until(
                subscription=held,
                days=days,
                most_days=None,
                reason="Sorry",
                now=self.till.now,
                actor=OWNER,
            )

    @somebody_holds
    @rule(which=_WHICH, days=st.sampled_from([0, 14]), after=st.sampled_from(["none", "pro_rata"]))
    def refund_by_the_rules(self, which: int, days: int, after: str) -> None:
        held = self.held(which)
        now, rules = self.till.now, Rules(full_days=days, after=after)
        orders.freeze_due(now=now, actor=OWNER)
        found = quote(held, at=now, decide=by_rules(held, rules, now=now))
        assert all(part.owed_minor >= 0 for part in found.parts)
        with refused():
            refund_on_request(
                subscription=held,
                at=now,
                quoted=found.owed,
                shares=found.shares,
                rules=rules,
                now=now,
                actor=CUSTOMER,
            )

    @somebody_holds
    @rule(which=_WHICH, days=st.sampled_from([0, 14]))
    def withdraw(self, which: int, days: int) -> None:
        held = self.held(which)
        orders.freeze_due(now=self.till.now, actor=OWNER)
        with refused():
            rules = Rules(full_days=days)
            withdraw(subscription=held, rules=rules, now=self.till.now, actor=CUSTOMER)

    @rule(who=_WHO)
    def account_is_closed(self, who: int) -> None:
        """Its money stays, and more may come to it; the customer comes again under a new number."""
        accounts.close_account(account=self.customers[who], now=self.till.now, actor=OWNER)
        self.customers[who] = self.till.shop.account()

    @rule(table=st.sampled_from(DELETED), which=_WHICH)
    def somebody_deletes(self, table: type[Model], which: int) -> None:
        """What the books lean on stays, also where somebody takes rows out of a table."""
        rows = list(table._default_manager.order_by("pk"))
        if rows:
            with suppress(DatabaseError, RestrictedError, ProtectedError), transaction.atomic():
                rows[which % len(rows)].delete()

    @rule()
    def line_may_not_be_open(self) -> None:
        code = self.till.shop.line.code
        for approval in Approval.objects.filter(state="granted"):
            if approval.lines.filter(line_code=code).exists():
                with refused():
                    fleet.revoke_approval(approval=approval, now=self.till.now, actor=OWNER)

    @where(some(Approval.objects.filter(state="revoked")))
    @rule()
    def line_is_allowed_again(self) -> None:
        with refused():
            self.till.shop.yard.approve(self.till.shop.line)
            fleet.refresh_permits(now=self.till.now, actor=OWNER)

    @where(some(Lapse.objects.filter(ended_at=None)))
    @rule(which=_WHICH, keep_time=st.booleans())
    def move(self, *, which: int, keep_time: bool) -> None:
        held = self.held(which)
        with refused():
            orders.move(
                subscription=held,
                plan=self.dearer.plan,
                keep_time=keep_time,
                now=self.till.now,
                actor=CUSTOMER,
            )

    @where(some(Lapse.objects.filter(ended_at=None)))
    @rule(which=_WHICH)
    def take_the_refund(self, which: int) -> None:
        held = self.held(which)
        with refused():
            orders.refund(subscription=held, now=self.till.now, actor=CUSTOMER)

    @where(some(PAID_BY_NET))
    @rule(
        which=_WHICH,
        words=st.sampled_from([["opened"], ["won"], ["lost"], ["opened", "lost"]]),
        part=st.sampled_from([0, 0, 1, 2]),
    )
    def dispute(self, which: int, words: list[str], part: int) -> None:
        """A payer takes money back: of each payment all of it once, and each of two parts once."""
        paid = PAID_BY_NET.order_by("pk")
        payment = paid[which % len(paid)]
        assert payment.received_minor is not None
        first = payment.received_minor // 3
        minor = [payment.received_minor, first, payment.received_minor - first][part]
        if not minor:
            return
        money = Money(minor, payment.currency)
        for word in words:
            with refused():
                self.counter.say(
                    f"dispute-{word}",
                    payment,
                    self.next(),
                    dispute=f"dp_{payment.pk}_{part}",
                    provider_ref=payment.provider_ref,
                    transaction_id=payment.transaction_id,
                    money=money,
                )

    @where(some(PAID_BY_BANK))
    @rule(which=_WHICH, named=st.booleans())
    def bank_takes_money_back(self, which: int, named: bool) -> None:  # noqa: FBT001 -- drawn
        """Each payment once: by the mark and the reference, or as staff say of the line."""
        came = [one for one in PAID_BY_BANK.order_by("pk") if not recalls.is_taken(one)]
        if not came:
            return
        payment = came[which % len(came)]
        text = payment.reference if named and payment.reference else "outgoing"
        minor = -(payment.received_minor or 0)
        entry = Entry(minor=minor, text=text or "", reference=self.next(), reversal=named)
        (line,) = self.state(entry)
        if line.state == "waits":
            with refused():
                booking.take_back_with(line=line, payment=payment, now=self.till.now, actor=OWNER)

    @where(some(OPEN_RECALLS))
    @rule(which=_WHICH, how=st.sampled_from(["lost", "lost", "again", "suspense", "void", "move"]))
    def recall_is_decided(self, which: int, how: str) -> None:
        still = OPEN_RECALLS.order_by("pk")
        dispute = still[which % len(still)]
        money = Money(dispute.amount_minor, dispute.currency)
        done: dict[str, Any] = {"dispute": dispute, "now": self.till.now, "actor": OWNER}
        with refused():
            if how == "lost":
                disputes.lose(**done)
            elif how in {"again", "suspense"}:
                number = self.next()
                self.said[number] = money
                text = dispute.payment.reference if how == "again" else ""
                came = self.till.receive(text, money.amount_minor, number=number)
                if came.outcome == "unallocated":
                    recalls.win(payment=came.payment, **done)
            elif how == "void":
                recalls.void(account="expenses:other", reason="A fine", **done)
                self.lost[money.currency] += money.amount_minor
            else:
                others = Payment.objects.filter(provider="bank", state="captured")
                recalls.move(payment=others.order_by("-pk")[0], **done)

    # --- what the shop does -------------------------------------------------------------------

    @rule(rate=st.sampled_from([0, 700, 1900]))
    def tax_is_charged_from_now_on(self, rate: int) -> None:
        charge(self.till.now, rate)

    @where(some(Document.objects.filter(tax_minor__gt=0)))
    @rule()
    def pay_the_tax(self) -> None:
        for row in queries.trial_balance():
            if row.name == "liabilities:tax:XD" and row.balance_minor < 0:
                with refused():
                    money = Money(-row.balance_minor, row.currency)
                    taxes.remit_tax(
                        place="XD",
                        money=money,
                        quarter="2026-Q1",
                        reference=self.next(),
                        now=self.till.now,
                        actor=OWNER,
                    )
                    self.lost[row.currency] += money.amount_minor

    @where(some(UNALLOCATED))
    @rule(credited=st.booleans(), who=_WHO)
    def clear_what_no_order_took(self, credited: bool, who: int) -> None:  # noqa: FBT001 -- drawn
        for payment in UNALLOCATED.all():
            with refused():
                if credited:
                    actions.credit_unallocated(
                        payment=payment,
                        account=self.customers[who],
                        now=self.till.now,
                        actor=OWNER,
                    )
                else:
                    actions.refund_unallocated(payment=payment, now=self.till.now, actor=OWNER)

    @where(some(WAITING))
    @rule()
    def pay_what_is_owed(self) -> None:
        for refund in WAITING.all():
            with refused():
                actions.mark_refund_paid(
                    refund=refund, reference=self.next(), now=self.till.now, actor=OWNER
                )

    @where(some(PAID_BY_NET))
    @rule(which=_WHICH, fee=st.integers(0, 30))
    def provider_pays_out(self, which: int, fee: int) -> None:
        """A provider's books tell charge and payout; then the bank's statement shows it."""
        rows = PAID_BY_NET.filter(currency="CNY", received_minor__gt=30)
        left = [one for one in rows.order_by("pk") if one.pk not in self.paid_out]
        if not left:
            return
        payment = left[which % len(left)]
        self.paid_out.add(payment.pk)
        minor = (payment.received_minor or 0) - fee
        row, payout = self.next(), f"po_{self.next()}"
        self.counter.line(row, "charge", payment.transaction_id or "", minor + fee, fee)
        self.counter.line(f"{row}-out", "payout", payout, -minor)
        settlement.read_books(account=self.counter.account, now=self.till.now)
        self.lost["CNY"] += fee
        day = f"{self.till.now:%Y-%m-%d}"
        (line,) = self.state(Entry(minor=minor, text=payout, reference=self.next(), day=day))
        assert line.outcome == "payout"

    @where(lambda machine: queries.month_to_close(machine.till.now))
    @rule()
    def close_the_month(self) -> None:
        month = queries.month_to_close(self.till.now)
        assert month is not None
        with refused():
            close_month(month=month, now=self.till.now, actor=OWNER)
        found = list(verify.read((f"{row}\n".encode() for row in export.chain()), verify.Books()))
        assert found == []

    @where(some(Closing.objects.all()))
    @rule(currency=_CURRENCIES)
    def pay_the_partner(self, currency: str) -> None:
        anna = Partner.objects.get()
        minor = partners.payable_minor(anna, currency)
        if minor > 0:
            with refused():
                payout = ledger.queue_payout(
                    partner=anna, money=Money(minor, currency), now=self.till.now, actor=OWNER
                )
                ledger.note_payout(
                    payout=payout, reference=self.next(), now=self.till.now, actor=OWNER
                )

    @rule(minor=st.integers(1, 900), undone=st.booleans())
    def bring_money_in(self, minor: int, undone: bool) -> None:  # noqa: FBT001 -- drawn
        """The operator pays in; a mistake is reversed."""
        line = ledger.TransferLine("assets:bank", "equity:operator", Money(minor, "CNY"))
        with refused():
            posted = ledger.post(
                source_code=self.next(),
                kind="by-hand",
                transfers=[line],
                description="Paid in",
                now=self.till.now,
            )
            self.came["CNY"] += minor
            if undone:
                one = LedgerTransaction.objects.get(pk=posted.pk)
                reverse(transaction=one, reason="Typed wrong", now=self.till.now, actor=OWNER)
                self.came["CNY"] -= minor

    @rule(seconds=_STEPS)
    def time_passes(self, seconds: int) -> None:
        self.till.now += timedelta(seconds=seconds)
        self.latest = max(self.latest, self.till.now)
        fleet_tasks.run(self.till.now)
        order_tasks.run(self.till.now)
        tasks.run(self.till.now)

    @rule(minutes=st.sampled_from([1, 10]))
    def clock_is_put_back(self, minutes: int) -> None:
        self.till.now -= timedelta(minutes=minutes)
        order_tasks.run(self.till.now)

    # --- what must hold -----------------------------------------------------------------------

    @invariant()
    def books_are_sound(self) -> None:
        assert_sound()

    @invariant()
    def all_that_came_is_somewhere(self) -> None:
        """What came = what is owed, earned and brought in, less what was given and lost, and went.

        received + promotions + partners' shares + lost to disputes
            = unearned + refunds + unallocated + credits + vouchers + tax + partners' + earned
              + what went: refunds paid, disputes lost, tax and shares paid over, fees kept

        What came again after a bank took it was received twice and had gone once. So is what a
        reseller owes again.
        """
        held: Sums[tuple[str, str]] = Sums()
        for row in queries.trial_balance():
            held[row.name.partition(":")[0], row.currency] += row.balance_minor
        booked = Payment.objects.filter(transaction_id__in=self.said, received_minor__gt=0)
        numbers = set(booked.values_list("transaction_id", flat=True))
        for currency in ("CNY", "EUR"):
            came = self.came[currency] + sum(
                money.amount_minor
                for number, money in self.said.items()
                if number in numbers and money.currency == currency
            )
            returned = ResellerReturn.objects.filter(payment__currency=currency)
            came += returned.aggregate(total=Sum("amount_minor"))["total"] or 0
            went = self.lost[currency] + sum(
                rows.filter(currency=currency).aggregate(total=Sum("amount_minor"))["total"] or 0
                for rows in (
                    # What went by a dispute is among the disputes.
                    Refund.objects.filter(state="paid", dispute=None),
                    # What is a reseller's goes out of what they owe.
                    ResellerCredit.objects,
                    Dispute.objects.filter(state="lost"),
                    Dispute.objects.filter(state="won", account=None),
                    Payout.objects.filter(state="paid"),
                )
            )
            assert held["assets", currency] == came - went
            owned = -sum(held[kind, currency] for kind in ("liabilities", "income", "equity"))
            assert came + held["expenses", currency] == owned + went

    @invariant()
    def balances_are_what_came_to_them(self) -> None:
        for head in Balance.objects.annotate(total=Sum("moves__amount_minor")):
            assert head.amount_minor == (head.total or 0)
            assert 0 <= head.reserved_minor <= head.amount_minor

    @invariant()
    def nobody_gets_more_back_than_was_paid(self) -> None:
        """Who takes back by a bank what was paid back before gets nothing that still waits."""
        back, waits, lost = Sums[int](), Sums[int](), Sums[int]()
        for refund in Refund.objects.filter(dispute=None):
            back[refund.payment_id] += refund.amount_minor
            if refund.state in {"queued", "by_hand"}:
                waits[refund.payment_id] += refund.amount_minor
        for dispute in Dispute.objects.filter(state="lost"):
            lost[dispute.payment_id] += dispute.amount_minor
        for payment in Payment.objects.filter(pk__in=[*back, *lost]):
            came = payment.received_minor or 0
            assert back[payment.pk] <= came
            assert back[payment.pk] + lost[payment.pk] <= came or not waits[payment.pk]
        for order in Order.objects.filter(state="fulfilled"):
            assert 0 <= gone_back_of(order) + order.lost_minor <= order.refundable_minor

    @invariant()
    def resellers_owe_what_their_statement_says(self) -> None:
        month = vouchers.month(self.kiosk, self.latest.year, self.latest.month)
        owed = vouchers.held(self.kiosk).owed_minor
        assert month.closing_minor == owed == queries.balance(self.kiosk.receivable, "CNY")

    @invariant()
    def partner_gets_a_third_of_what_was_earned(self) -> None:
        """Counted month by month: net of tax and of what was taken back, losses carried on."""
        flows = MonthFlow.objects.filter(
            Q(debit__name="income:ferry")
            | Q(credit__name="income:ferry")
            | Q(debit__name__startswith="expenses:", credit__name="liabilities:partner:anna")
        ).values_list("month", "debit__currency", "credit__name", "amount_minor")
        earned, shared = Sums[Any](), Sums[Any]()
        for month, currency, credit, minor in flows:
            if credit == "liabilities:partner:anna":
                shared[month, currency] += minor
            else:
                earned[month, currency] += minor if credit == "income:ferry" else -minor
        for currency in ("CNY", "EUR"):
            loss = 0
            for month in Closing.objects.order_by("month").values_list("month", flat=True):
                whole = earned[month, currency] + loss
                loss = min(whole, 0)
                assert abs(shared[month, currency] - Fraction(max(whole, 0) * 3333, 10_000)) < 1

    @invariant()
    def expired_codes_paid_nothing(self) -> None:
        late = Voucher.objects.filter(used_at__gte=F("batch__expires_at"))
        assert not late.exists()

    @invariant()
    def disputes_hold_while_they_are_open(self) -> None:
        """Only what settled a subscription's order is held, and nothing once it is decided."""
        about = Dispute.objects.filter(
            payment__outcome="settled", payment__order__subscription__isnull=False
        )
        still = set(about.filter(state="open").values_list("code", flat=True))
        held = Hold.objects.filter(ended_at=None, source_code__startswith="dsp_")
        assert set(held.values_list("source_code", flat=True)) == still

    @invariant()
    def disputed_money_is_not_free(self) -> None:
        """What of it lies on balances is held, as far as it is free, and never more of it."""
        for claim in BalanceClaim.objects.select_related("order"):
            holds = BalanceHold.objects.filter(source_code=claim.source_code, released_at=None)
            held = dict(holds.values_list("balance", "amount_minor"))
            if claim.released_at is not None:
                assert held == {}
                continue
            assert sum(held.values()) <= claim.most_minor
            left = claim.most_minor - sum(held.values())
            for head, minor in claims.traced(claim):
                free = head.amount_minor - head.reserved_minor
                assert min(minor - held.get(head.pk, 0), free, left) <= 0

    @invariant()
    def places_and_packs_in_force_are_paid_for(self) -> None:
        now = self.till.now
        counting = Order.objects.filter(kind="addon", state="fulfilled", cut_at=None)
        for held in Subscription.objects.select_related("plan"):
            mine = [
                one
                for one in counting.filter(subscription=held)
                if one.frozen_from is None
                and one.period_starts_at + one.frozen <= now < one.period_ends_at + one.frozen
            ]
            places = sum(not one.is_pack for one in mine)
            stopped = held.lapses.filter(ended_at=None).exists()
            if not stopped:
                limit = plan_queries.device_limit(held, now=now)
                assert limit == held.plan.device_limit + places
                bytes_paid = sum(one.quota_bytes or 0 for one in mine)
                used = Order.objects.filter(subscription=held, kind="addon", cut_at__isnull=False)
                kept = used.aggregate(total=Sum("used_bytes"))["total"] or 0
                assert bytes_paid <= quota.packs(held, now) <= bytes_paid + kept

    @invariant()
    def documents_say_what_orders_do(self) -> None:
        written: Sums[tuple[int, str]] = Sums()
        for paper in Document.objects.all():
            written[paper.order_id, f"{paper.kind} gross"] += paper.gross_minor
            written[paper.order_id, f"{paper.kind} tax"] += paper.tax_minor
        for pk in {order for order, _what in written}:
            order = Order.objects.get(pk=pk)
            back = gone_back_of(order)
            tax_back = order.tax_minor - tax.tax_kept(order, back)
            assert written[pk, "invoice gross"] == order.refundable_minor
            assert written[pk, "invoice tax"] == order.tax_minor
            assert (written[pk, "credit gross"], written[pk, "credit tax"]) == (back, tax_back)


def test_books_say_the_whole_truth_whatever_money_does(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = (tmp_path / f"{StandIn.slug}-{number}.db" for number in range(10**6))
    run_state_machine_as_test(  # type: ignore[no-untyped-call] -- hypothesis leaves it so
        lambda: AllMoney(shop, next(files), monkeypatch),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=35,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
