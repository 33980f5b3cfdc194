from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from ferriage.ledger import queries as ledger
from ferriage.ledger.models import LedgerAccount, LedgerTransaction
from ferriage.ledger.queries import Finding
from ferriage.orders import checks, papercheck
from ferriage.orders import queries as orders
from ferriage.orders.balancemodels import PAID_BACK
from ferriage.orders.models import Order
from ferriage.payments import bounds, gifts, suspense
from ferriage.payments.models import (
    Difference,
    Dispute,
    InboxEvent,
    Payment,
    ProviderAccount,
    Refund,
    Voucher,
)
from ferriage.payments.providers.voucher import queries as resellers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.plans.models import Price


BY_HAND: Final = Q(state=Refund.State.BY_HAND) | Q(state=Refund.State.QUEUED, payment__account=None)
"""Refunds that staff pay, because no provider does."""
OVER: Final = (Refund.State.PAID, Refund.State.PASSED)
"""States of refunds of which nothing is owed any more."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """What waits for staff: transfers awaited, money without an order, refunds to pay, alarms.

    `sent` refunds wait for their provider and for nobody else.
    """

    awaited: list[Payment]
    unallocated: list[Payment]
    refunds: list[Refund]
    sent: list[Refund]
    unhandled: list[InboxEvent]
    disputes: list[Dispute]
    differences: list[Difference]


MOST_PAST: Final = 50


def taken_back(orders: Sequence[Order]) -> dict[str, set[int]]:
    """Return the keys of orders whose payment its payer took back, `whole` or a `part` of it."""
    gone = Payment.objects.filter(
        order__in=orders, outcome="settled", disputes__state=Dispute.State.LOST
    ).annotate(gone_minor=Sum("disputes__amount_minor"))
    found: dict[str, set[int]] = {"whole": set(), "part": set()}
    for order, gone_minor, came in gone.values_list("order", "gone_minor", "received_minor"):
        found["part" if gone_minor < (came or 0) else "whole"].add(order)
    return found


def waits_for_staff() -> int:
    """Return how many payments are disputed or wait without an order: what only staff can end."""
    disputed = Dispute.objects.filter(state=Dispute.State.OPEN)
    # One that does both is one; and no sums of what was taken back are needed here.
    elsewhere = disputed.exclude(payment__outcome="unallocated").count()
    return elsewhere + Payment.objects.filter(outcome="unallocated").count()


def refunds_to_pay() -> QuerySet[Refund]:
    """Return the refunds that staff pay, because no provider does."""
    # What is disputed goes back by the dispute, or afterwards.
    return Refund.objects.filter(BY_HAND, bounds.may_go_by_itself())


def past_disputes() -> list[Dispute]:
    """Return the disputes that are over, the last first, up to `MOST_PAST` of them."""
    closed = Dispute.objects.exclude(state=Dispute.State.OPEN)
    found = closed.select_related("payment__order", "account")
    return list(found.order_by("-closed_at", "-pk")[:MOST_PAST])


def worklist(now: datetime) -> Worklist:
    """Return what waits for staff at an instant."""
    payments = Payment.objects.select_related("order__plan__service")
    refunds = Refund.objects.select_related("payment__order")
    return Worklist(
        awaited=list(
            payments.filter(
                account=None,
                state=Payment.State.PENDING,
                order__state=Order.State.OPEN,
                order__expires_at__gt=now,
            ).order_by("created_at")
        ),
        unallocated=list(
            suspense.waiting().select_related("order__plan__service").order_by("captured_at")
        ),
        refunds=list(refunds_to_pay().select_related("payment__order").order_by("created_at")),
        sent=list(refunds.exclude(BY_HAND).exclude(state__in=OVER).order_by("created_at")),
        unhandled=list(InboxEvent.objects.filter(handled_at=None).order_by("received_at")),
        disputes=list(
            Dispute.objects.filter(state=Dispute.State.OPEN)
            .select_related("payment__order", "account")
            .order_by("opened_at")
        ),
        differences=list(
            Difference.objects.filter(resolved_at=None)
            .select_related("account")
            .order_by("found_at", "pk")
        ),
    )


def orders_that_fit(payment: Payment, now: datetime) -> QuerySet[Order]:
    """Return the open orders that ask for exactly what came, newest first."""
    return (
        Order.objects.filter(
            state=Order.State.OPEN,
            expires_at__gt=now,
            amount_minor=F("credit_minor") + F("value_minor") + (payment.received_minor or 0),
            currency=payment.currency,
        )
        .select_related("plan__service")
        .order_by("-pk")
    )


def has_voucher_for(price: Price) -> bool:
    """Tell whether somebody may hold a voucher that pays a price: one that fits and is unused."""
    return Voucher.objects.filter(
        used_at=None,
        reversal=None,
        batch__plan=price.plan_id,
        batch__term_months=price.term_months,
        batch__currency=price.currency,
    ).exists()


def takes_money() -> list[str]:
    """Return the labels of the providers in use that take money over the net."""
    enabled = ProviderAccount.objects.filter(enabled=True)
    return list(enabled.order_by("pk").values_list("label", flat=True))


def in_test_mode() -> list[str]:
    """Return the labels of the providers in use that move no real money."""
    mode = ProviderAccount.Mode.TEST
    enabled = ProviderAccount.objects.filter(enabled=True, mode=mode)
    return list(enabled.order_by("pk").values_list("label", flat=True))


def ended_without_refund() -> list[Order]:
    """Return orders that were ended early and owe something that is not queued yet."""
    queued = (
        Refund.objects.filter(payment__order=OuterRef("pk"), kind=Refund.Kind.ENDED)
        .order_by()
        .values("payment__order")
        .annotate(total=Sum("amount_minor"))
        .values("total")
    )
    due = orders.refunds_due().annotate(queued=Coalesce(Subquery(queued), 0))
    return list(due.filter(refund_due_minor__gt=F("queued")).order_by("pk")[:500])


def ended_not_queued_minor(order: Order) -> int:
    """Return what an order owes since it was ended early and no refund was queued for."""
    due = Order.objects.values_list("refund_due_minor", flat=True).get(pk=order.pk)
    return due - _sum(Refund.objects.filter(payment__order=order, kind=Refund.Kind.ENDED))


def check() -> list[Finding]:
    """Return where payments, refunds and orders do not agree with the books; empty is right."""
    own = (_unposted(), _unpaid(), _overpaid(), _differences())
    return [*ledger.check(), *chain.from_iterable(own), *checks.check(), *papercheck.check()]


def _unposted() -> Iterator[Finding]:
    kinds = ["receipt", PAID_BACK]
    posted = LedgerTransaction.objects.filter(kind__in=kinds).values("source_code")
    captured = Payment.objects.filter(state=Payment.State.CAPTURED, received_minor__gt=0)
    for payment in captured.exclude(code__in=posted):
        yield Finding(payment.code, "money came and was not posted")
    for order in orders.fulfilled_without_sale():
        yield Finding(order.code, "was fulfilled and not posted")


def _unpaid() -> Iterator[Finding]:
    """Find orders that were fulfilled without exactly what was due, in their currency."""
    exact = Payment.objects.filter(
        order=OuterRef("pk"),
        state=Payment.State.CAPTURED,
        outcome="settled",
        received_minor=OuterRef("asked"),
        currency=OuterRef("currency"),
    )
    due = Order.objects.annotate(
        asked=F("amount_minor") - F("credit_minor") - F("value_minor")
    ).filter(state=Order.State.FULFILLED, asked__gt=0)
    for order in due.filter(~Exists(exact)):
        yield Finding(order.code, "was fulfilled and not paid")


def _overpaid() -> Iterator[Finding]:
    for payment in bounds.overdrawn():
        yield Finding(payment.code, "more is refunded than came")


def _differences() -> Iterator[Finding]:
    currencies = LedgerAccount.objects.values_list("currency", flat=True).distinct().order_by()
    for currency in currencies:
        expected = {
            "liabilities:unallocated": suspense.total_minor(currency),
            "liabilities:refunds": _owed_minor(currency),
            "liabilities:unearned": orders.unearned_minor(currency),
            "liabilities:vouchers": _vouchers_minor(currency),
            "liabilities:credits": orders.balances_minor(currency),
        }
        for account, minor in expected.items():
            held = -ledger.balance(account, currency)
            if held != minor:
                yield Finding(f"{account} {currency}", f"holds {held}, should hold {minor}")
        held, minor = ledger.balance("assets:disputed", currency), _recalled_minor(currency)
        if held != minor:
            yield Finding(f"assets:disputed {currency}", f"holds {held}, should hold {minor}")
    yield from _receivables()


def _receivables() -> Iterator[Finding]:
    """Find resellers who owe something else in the books than by their batches and payments."""
    for account, currency, minor in resellers.owed_by_rows():
        held = ledger.balance(account, currency)
        if held != minor:
            yield Finding(f"{account} {currency}", f"holds {held}, should hold {minor}")


def _recalled_minor(currency: str) -> int:
    """Return what banks took back and may send again."""
    still = Dispute.objects.filter(account=None, state=Dispute.State.OPEN, currency=currency)
    return still.aggregate(total=Sum("amount_minor"))["total"] or 0


def _owed_minor(currency: str) -> int:
    refunds = Refund.objects.filter(currency=currency)
    due = orders.refunds_due().filter(currency=currency).aggregate(total=Sum("refund_due_minor"))
    not_queued = (due["total"] or 0) - _sum(refunds.filter(kind=Refund.Kind.ENDED))
    return _sum(refunds.exclude(state__in=OVER)) + not_queued


def _vouchers_minor(currency: str) -> int:
    """Return what was paid for codes that nobody used yet, and that were not taken back."""
    unused = Voucher.objects.filter(used_at=None, reversal=None, batch__currency=currency)
    paid = unused.aggregate(total=Sum("batch__paid_per_code_minor"))["total"] or 0
    return paid + gifts.unrevealed_minor(currency)


def _sum(refunds: QuerySet[Refund]) -> int:
    return refunds.aggregate(total=Sum("amount_minor"))["total"] or 0
