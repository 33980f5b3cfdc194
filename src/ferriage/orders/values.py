"""What is left of a subscription in money: only what was really paid is worth any.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ferriage.core.money import Money
from ferriage.orders.earning import left_to_owe, unused_of
from ferriage.orders.models import Order
from ferriage.orders.owedmodels import OwedTo
from ferriage.orders.queries import has_resold, running
from ferriage.orders.usedpart import of, of_running
from ferriage.plans import terms
from ferriage.plans.queries import held_now, price_for, subscription_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from ferriage.orders.usedpart import UsedPart
    from ferriage.plans.models import Plan, Price, Subscription


_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Quote:
    """What a change to another plan costs at an instant.

    `worth` is what is left of the present plan, in the price's currency, and `others` in other
    ones. `packs` is what quota packs are worth now: they can be used until the change is paid, so
    what is left of them then goes to the balance, and nothing of it pays the price. `free` tells
    that days are left that nobody paid for: they end. `used` is what was used of the present plan
    in the running month of its quota, where that counts.
    """

    price: Price
    worth: Money
    others: tuple[Money, ...]
    packs: tuple[Money, ...]
    free: bool
    ends_at: datetime
    used: UsedPart | None = None

    @property
    def counted_minor(self) -> int:
        """How much of the worth counts against the price."""
        return min(self.worth.amount_minor, self.price.amount_minor)

    @property
    def due(self) -> Money:
        """What is to be paid."""
        return Money(self.price.amount_minor - self.counted_minor, self.price.currency)

    @property
    def to_balance(self) -> tuple[Money, ...]:
        """What goes to the account's balance."""
        over = self.worth.amount_minor - self.counted_minor
        first = (Money(over, self.price.currency),) if over else ()
        return first + self.others


def left_of(order: Order, at: datetime, *, counts_to: datetime | None = None) -> int:
    """Return what is unused of an order, was paid for, and has not gone on or back yet.

    Args:
        counts_to: Where it counts to by its data; without it only time counts.
    """
    return left_to_owe(order, unused_of(order, at, counts_to=counts_to)[0])


def worth(subscription: Subscription, *, at: datetime) -> Counter[str]:
    """Return what time is left of a subscription at an instant, in minor units by currency.

    The data used is not counted: so it is where we stopped.
    """
    return _worth_of(running([subscription], at=at), at, {})


def _worth_of(orders: Iterable[Order], at: datetime, used: Mapping[int, UsedPart]) -> Counter[str]:
    left: Counter[str] = Counter()
    for order in orders:
        part = used.get(order.pk)
        counts_to = part.counts_to if part else order.counts_to_at
        left[order.currency] += left_of(order, at, counts_to=counts_to)
    return left


def _moneys(left: Counter[str]) -> tuple[Money, ...]:
    return tuple(Money(minor, currency) for currency, minor in sorted(left.items()) if minor)


def quote(subscription: Subscription, price: Price, *, now: datetime) -> Quote:
    """Return what changing a subscription to a price's plan and term costs now."""
    orders = running([subscription], at=now)
    used = of_running(subscription, orders, at=now)
    left = _worth_of((order for order in orders if not order.is_pack), now, used)
    packs = _worth_of((order for order in orders if order.is_pack), now, used)
    mine = left.pop(price.currency, 0)
    end = subscription_end(subscription).at
    bought = [order.ends_really_at for order in orders if order.kind != Order.Kind.ADDON]
    given = any(unused_of(order, now)[1] for order in orders)
    last = max((at for at in bought if at is not None), default=now)
    return Quote(
        price=price,
        worth=Money(mine, price.currency),
        others=_moneys(left),
        packs=_moneys(packs),
        free=given or (end is not None and end > last),
        ends_at=terms.boundary(now, price.term_months),
        used=next(iter(used.values()), None),
    )


@dataclass(frozen=True, slots=True)
class ByValue:
    """How long what is left lasts on a dearer plan, at one of its prices."""

    price: Price
    minor: int
    length: timedelta


def by_value(
    subscription: Subscription, plan: Plan, *, at: datetime, now: datetime
) -> ByValue | None:
    """Return how long what is left lasts on a plan, or nothing where that plan is not dearer.

    It is compared for the term that was bought last. Nothing sold, or no price for such a term, is
    not dearer.

    Args:
        at: The instant up to which the present plan counts.
    """
    terms_sold = [one for one in running([subscription], at=at) if one.kind != Order.Kind.ADDON]
    # What was paid for a code that was resold is shown to nobody: such a term goes on whole.
    if not terms_sold or any(one.owed_to == OwedTo.RESELLER for one in terms_sold):
        return None
    last = terms_sold[-1]
    price = price_for(plan=plan, term_months=last.term_months, currency=last.currency, now=now)
    if last.price is None or price is None or price.amount_minor <= last.price.amount_minor:
        return None
    minor = worth(subscription, at=at)[price.currency]
    whole = terms.boundary(now, price.term_months) - now
    return ByValue(price, minor, whole * minor // price.amount_minor)


def still_holds(order: Order, held: Subscription, *, now: datetime) -> bool:
    """Tell whether a change that was ordered can still be made as it was quoted.

    Time that passed is no hindrance, nor is a renewal. It does not hold when what the quote
    counted on was refunded, ended, or used up by another change meanwhile; nor when so much data
    was used that the shop would lose more than the time until the order expires is worth. It counts
    on no pack.
    """
    end = subscription_end(held)
    if held_now([held.pk]):  # its payment is disputed
        return False
    if held.plan_id == order.plan_id or end.is_over(now) or end.at is None:
        return False
    if has_resold(held, at=now):
        return False
    rows = Order.objects.filter(
        subscription=held,
        state=Order.State.FULFILLED,
        currency=order.currency,
        fulfilled_at__lte=order.created_at,
    )
    counted_on = [one for one in rows if not one.is_pack]
    left = sum(left_of(one, order.created_at, counts_to=one.counts_to_at) for one in counted_on)
    if left < order.value_minor:
        return False
    used = of(held, at=now)
    if not used:
        return True
    short = order.value_minor - _worth_of(counted_on, now, used)[order.currency]
    return short <= sum(_borne(order, one) for one in counted_on)


def _borne(order: Order, one: Order) -> int:
    """Return what the shop bears of an order that a change counts on: as long as the change lives.

    Two minor units more, for amounts were rounded.
    """
    assert one.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert one.period_ends_at is not None  # noqa: S101 -- the same
    if one.cut_at is not None or one.period_starts_at > order.expires_at:
        return 0
    whole = one.period_ends_at - one.period_starts_at
    life = min(order.expires_at - order.created_at, whole)
    return one.refundable_minor * (life // _TICK) // (whole // _TICK) + 2
