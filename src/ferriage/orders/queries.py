from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Sum

from ferriage.core.money import Money
from ferriage.ledger.models import LedgerTransaction
from ferriage.ledger.queries import posted, posted_in_all
from ferriage.orders.balancemodels import RETURNED, SPENT, TOPUP
from ferriage.orders.earning import unused_of
from ferriage.orders.models import Balance, Order
from ferriage.orders.owedmodels import OwedTo
from ferriage.orders.tax import in_tax_minor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.accounts.models import Account
    from ferriage.plans.models import Subscription


@dataclass(frozen=True, slots=True)
class Books:
    """What was posted of one order: earned, net of what was taken back, and moved out at its end.

    `returned_minor` is what of it went to the account's balance.

    `times_*` is in how many transactions, so the next one's sequence.
    """

    earned_minor: int
    times_earned: int
    times_taken_back: int
    ended_minor: int
    times_ended: int
    returned_minor: int


def books_of(orders: Sequence[Order]) -> dict[str, Books]:
    """Return by order code what the books hold of fulfilled orders."""
    codes = [order.code for order in orders]
    earned, back, ended, returned = (
        posted(source_codes=codes, kind=kind)
        for kind in ("earned", "earned-back", "ended", RETURNED)
    )
    return {
        code: Books(
            earned_minor=earned[code].total_minor - back[code].total_minor,
            times_earned=earned[code].count,
            times_taken_back=back[code].count,
            ended_minor=ended[code].total_minor,
            times_ended=ended[code].count,
            returned_minor=returned[code].total_minor,
        )
        for code in codes
    }


def orders_of(account: Account) -> QuerySet[Order]:
    """Return an account's orders, newest first."""
    return (
        Order.objects.filter(account=account)
        .select_related("account", "plan__service", "price", "coupon")
        .order_by("-pk")
    )


def place_of(account: Account) -> str:
    """Return where a customer says to be: what they declared, else the place of their last order.

    A gift code is ordered without declaring a place for oneself, and still says one.
    """
    if account.place:
        return account.place
    placed = Order.objects.filter(account=account, recipient=None).exclude(place="")
    return placed.order_by("-pk").values_list("place", flat=True).first() or ""


def order_of(*, account: Account, code: str) -> Order | None:
    """Return an order if it belongs to the account."""
    return orders_of(account).filter(code=code).first()


def fulfilled() -> QuerySet[Order]:
    """Return fulfilled orders with `ends_at` and `cuts_at`, which are in real time."""
    moved = {
        f"{name}s_at": ExpressionWrapper(F(own) + F("frozen"), output_field=DateTimeField())
        for name, own in (("end", "period_ends_at"), ("cut", "cut_at"))
    }
    return Order.objects.filter(state=Order.State.FULFILLED).annotate(**moved)


def running(subscriptions: Iterable[Subscription], *, at: datetime) -> list[Order]:
    """Return the orders of subscriptions that count beyond the instant, the frozen ones too."""
    beyond = Q(ends_at__gt=at) & (Q(cut_at=None) | Q(cuts_at__gt=at))
    return list(
        fulfilled()
        .filter(beyond | Q(frozen_from__isnull=False))
        .filter(subscription__in=[subscription.pk for subscription in subscriptions])
        .select_related("plan__service", "account", "price")
        .order_by("period_starts_at", "pk")
    )


def owed_if_ended(subscription: Subscription, *, at: datetime) -> list[Money]:
    """Return what a customer would be owed if a subscription ended at an instant, by currency."""
    owed: Counter[str] = Counter()
    for order in running([subscription], at=at):
        if order.owed_to == OwedTo.RESELLER:
            continue  # they are asked for it, and say what it is worth
        gone = order.moved_minor + order.charged_back_minor + order.lost_minor
        unused, _given = unused_of(order, at, counts_to=order.counts_to_at)
        owed[order.currency] += max(unused - gone, 0)
    return [Money(minor, currency) for currency, minor in sorted(owed.items()) if minor]


def has_gifts(subscription: Subscription, *, at: datetime) -> bool:
    """Tell whether something that runs beyond an instant was given, so its giver is owed it."""
    found = running([subscription], at=at)
    return any(one.owed_to == OwedTo.GIVER or one.recipient_id is not None for one in found)


def has_resold(subscription: Subscription, *, at: datetime) -> bool:
    """Tell whether a code of a reseller's paid something that runs beyond an instant."""
    return any(one.owed_to == OwedTo.RESELLER for one in running([subscription], at=at))


def to_earn(now: datetime) -> QuerySet[Order]:
    """Return the orders with something to earn: a UTC day has passed, or the term is over."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day_passed = Q(earned_to_at__lt=today) | Q(earned_to_at=None, period_starts_at__lt=today)
    over = Q(frozen_from=None) & (Q(ends_at__lte=now) | Q(cuts_at__lte=now))
    return (
        fulfilled()
        .filter(day_passed | over, earned_fully_at=None)
        .select_related("plan__service")
        .order_by("pk")
    )


def refunds_due() -> QuerySet[Order]:
    """Return the orders that were ended early with something owed to the customer."""
    return Order.objects.filter(cut_at__isnull=False, refund_due_minor__gt=0)


def unearned_minor(currency: str) -> int:
    """Return what the books must hold as unearned, from the orders and what was posted of them."""
    orders = Order.objects.filter(state=Order.State.FULFILLED, currency=currency).exclude(
        kind__in=[Order.Kind.TOPUP, Order.Kind.GIFT]
    )
    sold = orders.aggregate(total=Sum("amount_minor"))["total"] or 0
    out = posted_in_all(kinds=("earned", "ended", RETURNED), currency=currency)
    back = posted_in_all(kinds=("earned-back",), currency=currency)
    return sold - out + back - in_tax_minor(currency)


def balances_minor(currency: str) -> int:
    """Return what the books must hold as credits, from the balances of all accounts."""
    held = Balance.objects.filter(currency=currency).aggregate(total=Sum("amount_minor"))
    return held["total"] or 0


def fulfilled_without_sale() -> QuerySet[Order]:
    """Return fulfilled orders that the books know nothing of; there may be none."""
    sold = LedgerTransaction.objects.filter(kind__in=["sale", "value", SPENT, TOPUP]).values(
        "source_code"
    )
    return Order.objects.filter(state=Order.State.FULFILLED, amount_minor__gt=0).exclude(
        code__in=sold
    )
