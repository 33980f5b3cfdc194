"""One plan takes over from another: what is left of the first one pays for the second.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders import balance, usedpart
from ferriage.orders.actions import cancelling, freezing, papers
from ferriage.orders.actions.service import cut_all
from ferriage.orders.balancemodels import CHANGE
from ferriage.orders.models import Order
from ferriage.orders.tax import basis_of
from ferriage.plans import actions as plans
from ferriage.plans import terms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.orders import values
    from ferriage.plans.models import Subscription

UNALLOCATED: Final = "liabilities:unallocated"
UNEARNED: Final = "liabilities:unearned"
PROMOTIONS: Final = "expenses:promotions"


def change(
    order: Order, held: Subscription, now: datetime, actor: Actor
) -> tuple[plans.Extension, int]:
    """Let a paid change of plan take over; returns the new term and what its value paid of it.

    The value is what is left at this instant. What it is more than the quote counted on goes to
    the account's balance; what it is less, since time passed until the payment, is the shop's.
    What is left of quota packs goes to the balance too: the quote cannot count on them.
    """
    assert order.account is not None  # noqa: S101 -- an order without an account is not settled
    at, moved = end_for_change(held, f"Changed by {order.code}", now=now, actor=actor)
    plans.give_up_planned(subscription=held, now=now)
    left = _by_currency(moved)
    counted = _by_currency((one, minor) for one, minor in moved if not one.is_pack)
    paid_minor = min(counted[order.currency], order.value_minor)
    lines = ((UNALLOCATED, paid_minor), (PROMOTIONS, order.value_minor - paid_minor))
    transfers = [
        TransferLine(source, UNEARNED, Money(minor, order.currency))
        for source, minor in lines
        if minor
    ]
    if transfers:
        text = f"Order {order.code}: value of the plan before"
        post(source_code=order.code, kind="value", transfers=transfers, description=text, now=now)
    left[order.currency] -= paid_minor
    for currency, minor in sorted(left.items()):
        if minor:
            balance.credit(
                account=order.account,
                money=Money(minor, currency),
                source_code=order.code,
                kind=CHANGE if currency == order.currency else f"{CHANGE}-{currency}",
                against=UNALLOCATED,
                now=now,
            )
    extension = plans.extend(
        account=order.account,
        plan=order.plan_sold,
        subscription=held,
        term_months=order.term_months,
        source_code=order.code,
        now=at,
        actor=actor,
    )
    return extension, paid_minor


def move_by_value(
    held: Subscription, found: values.ByValue, *, place: str, now: datetime, actor: Actor
) -> Subscription:
    """Let a dearer plan take over for as long as what is left pays for it; nothing is paid.

    It is sold as an order, so that it is earned, frozen and refunded as every other one.
    """
    at, moved = end_for_change(held, "Moved to a dearer plan", now=now, actor=actor)
    plans.give_up_planned(subscription=held, now=now)
    left = _by_currency(moved)
    price, minor = found.price, left[found.price.currency]
    ends_at = at + (terms.boundary(at, price.term_months) - at) * minor // price.amount_minor
    order = Order.objects.create(
        kind=Order.Kind.CHANGE,
        account=held.account,
        extends=held,
        subscription=held,
        plan=price.plan,
        price=price,
        term_months=price.term_months,
        quota_bytes=price.plan.quota_bytes,
        list_minor=minor,
        amount_minor=minor,
        value_minor=minor,
        refundable_minor=minor,
        currency=price.currency,
        place=place,
        state=Order.State.FULFILLED,
        created_at=now,
        expires_at=now,
        paid_at=now,
        fulfilled_at=now,
        period_starts_at=at,
        period_ends_at=ends_at,
    )
    line = TransferLine(UNALLOCATED, UNEARNED, Money(minor, price.currency))
    text = f"Order {order.code}: value of the plan before"
    post(source_code=order.code, kind="value", transfers=[line], description=text, now=now)
    papers.copy_basis(order, basis_of(place, on=now.date()))
    papers.on_settled(order, now=now)
    for currency, other in sorted(left.items()):
        if other and currency != price.currency:
            balance.credit(
                account=held.account,
                money=Money(other, currency),
                source_code=order.code,
                kind=f"{CHANGE}-{currency}",
                against=UNALLOCATED,
                now=now,
            )
    return plans.go_on(
        subscription=held,
        plan=price.plan,
        starts_at=at,
        ends_at=ends_at,
        source_code=order.code,
        now=now,
        actor=actor,
    )


def end_for_change(
    held: Subscription, reason: str, *, now: datetime, actor: Actor
) -> tuple[datetime, list[tuple[Order, int]]]:
    """End what a subscription holds so that its value goes on; days that stand still go on first.

    Returns:
        The instant, and what each order put into `liabilities:unallocated`.
    """
    lapse = freezing.notice(subscription=held, now=now, actor=actor)
    at = now
    if lapse is not None:
        freezing.thaw(lapses=[lapse], outcome="moved", now=now, actor=actor)
        assert lapse.ended_at is not None  # noqa: S101 -- set by the line before
        at = lapse.ended_at
    used = usedpart.of(held, at=at) if lapse is None else {}  # in a lapse we stopped
    plans.end_at(subscription=held, at=at, reason=reason, now=now, actor=actor)
    cancelling.cancel_onto(held, kinds=[Order.Kind.ADDON], now=now, actor=actor)
    return at, cut_all(held, at, as_value=True, used=used, now=now, actor=actor)


def _by_currency(moved: Iterable[tuple[Order, int]]) -> Counter[str]:
    left: Counter[str] = Counter()
    for one, minor in moved:
        left[one.currency] += minor
    return left
