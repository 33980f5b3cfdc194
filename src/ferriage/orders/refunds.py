"""What ending a subscription on request would owe: computed before anybody commits to it.

The same function is asked by the page that shows the amount and by the action that books it. An
amount depends on the instant of the end and not on when it is asked for, so a page can name an
instant a few minutes ahead and keep its word.

Source: docs/explanation/refunds.md
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from django.db.models import F, Q

from ferriage.core.money import Money
from ferriage.orders import queries
from ferriage.orders.earning import by_payment_of, left_to_owe, unused_bps, unused_of
from ferriage.orders.owedmodels import OwedTo
from ferriage.orders.tax import EU
from ferriage.orders.usedpart import of_running
from ferriage.plans import lapses

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.orders.models import Order
    from ferriage.orders.usedpart import UsedPart
    from ferriage.plans.models import Subscription

    type Decide = Callable[[Order, UsedPart | None], Rule]

Rule = Literal["whole", "pro_rata", "keep"]
"""Owed back whole, owed back as far as it was not used, or kept running to its end."""
LAWFUL_DAYS: Final = 14
"""How long a consumer may withdraw from a contract (Directive 2011/83/EU, article 9)."""
_ANYWHERE: Final = timedelta(hours=12)
"""A day has ended on the whole earth so long after it has in UTC."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator refunds on request: whole for some days, after them by `after`.

    `withdrawal` is where the lawful withdrawal is offered: `everywhere` or `eu`.
    """

    full_days: int = 14
    after: str = "pro_rata"
    withdrawal: str = "everywhere"


@dataclass(frozen=True, slots=True)
class Part:
    """One order of the subscription: what it is owed more than before, and by which rule.

    `used` is what was used of it in the running month of a quota, where that counts;
    `to_balance_minor` is what of it no payment of its own brought: it goes to the balance at once.
    Of a code that was resold no amount is shown, but `unused_bps`, the share that was not used.
    """

    order: Order
    rule: Rule
    owed_minor: int
    used: UsedPart | None = None
    to_balance_minor: int = 0
    unused_bps: int = 0

    @property
    def money(self) -> Money:
        """What is owed."""
        return Money(self.owed_minor, self.order.currency)

    @property
    def to_balance(self) -> Money:
        """What of it goes to the balance."""
        return Money(self.to_balance_minor, self.order.currency)

    @property
    def goes_to(self) -> str:
        """Who gets it, of `OwedTo`: whoever holds the subscription may have been given the term."""
        return OwedTo.GIVER if self.order.recipient_id is not None else self.order.owed_to

    @property
    def counts_data(self) -> bool:
        """Tell whether the data used of it was looked at besides the time."""
        return self.used is not None and self.rule == "pro_rata"

    @property
    def is_whole_price(self) -> bool:
        """Tell whether all that was to be paid is owed, by whichever rule."""
        return 0 < self.owed_minor == self.order.amount_minor


def lost_of(subscription: Subscription, *, now: datetime) -> tuple[Money, ...]:
    """Return what payers took back of what a subscription still has; so much less is owed of it."""
    sums: Counter[str] = Counter()
    for order in queries.running([subscription], at=now):
        sums[order.currency] += order.lost_minor
    return tuple(Money(minor, currency) for currency, minor in sorted(sums.items()) if minor)


@dataclass(frozen=True, slots=True)
class Quote:
    """What an end at an instant comes to. `parts` leaves out the orders that run on."""

    ends_at: datetime
    parts: tuple[Part, ...]

    @property
    def owed(self) -> tuple[Money, ...]:
        """What is owed in all, by currency; empty for nothing. Not what a reseller is to give."""
        sums: Counter[str] = Counter()
        for part in self.parts:
            if part.goes_to != OwedTo.RESELLER:
                sums[part.order.currency] += part.owed_minor
        return tuple(Money(minor, currency) for currency, minor in sorted(sums.items()) if minor)

    @property
    def shares(self) -> tuple[int, ...]:
        """Which shares of terms a reseller is asked for, in basis points, one for each order."""
        resold = (part for part in self.parts if part.goes_to == OwedTo.RESELLER)
        return tuple(part.unused_bps for part in resold if part.owed_minor)

    @property
    def goes_to(self) -> frozenset[str]:
        """Who gets something of it, of `OwedTo`."""
        return frozenset(part.goes_to for part in self.parts if part.owed_minor)

    @property
    def counts_data(self) -> bool:
        """Tell whether the data used counts for one of the parts."""
        return any(part.counts_data for part in self.parts)

    @property
    def whole(self) -> frozenset[str]:
        """Codes of the orders that are owed back whole."""
        return frozenset(part.order.code for part in self.parts if part.rule == "whole")


def quote(subscription: Subscription, *, at: datetime, decide: Decide) -> Quote:
    """Return what ending a subscription comes to, at an instant or when what is kept is over."""
    running = queries.running([subscription], at=at)
    used = of_running(subscription, running, at=at)
    ruled = [(order, decide(order, used.get(order.pk))) for order in running]
    kept = [end for order, rule in ruled if rule == "keep" and (end := order.ends_really_at)]
    ends_at = max([at, *kept])
    if ends_at > at:
        used = of_running(subscription, running, at=ends_at)
    parts = [
        _part(order, rule, ends_at, used.get(order.pk)) for order, rule in ruled if rule != "keep"
    ]
    return Quote(ends_at, tuple(parts))


def by_rules(subscription: Subscription, rules: Rules, *, now: datetime) -> Decide:
    """Return how the operator's rules decide on each order; pro rata always when we stopped."""
    stopped = lapses.open_lapses().filter(subscription=subscription).exists()
    after: Rule = "pro_rata" if stopped or rules.after == "pro_rata" else "keep"
    return lambda order, used: "whole" if _is_whole(order, used, rules, now) else after


def by_law(rules: Rules, *, now: datetime) -> Decide:
    """Return how a withdrawal decides: whole where the rules are so kind, else what was unused.

    Orders from which nobody may withdraw any more run on.
    """

    def decide(order: Order, used: UsedPart | None) -> Rule:
        if not _within(order, LAWFUL_DAYS, now) or not is_offered(order, rules):
            return "keep"
        return "whole" if _is_whole(order, used, rules, now) else "pro_rata"

    return decide


def is_offered(order: Order, rules: Rules) -> bool:
    """Tell whether the shop offers withdrawal to customers of the order's place."""
    return rules.withdrawal == "everywhere" or order.place[:2] in EU


def window_ends(order: Order, days: int) -> datetime:
    """Return when a window closes: after the last of its days has ended on the whole earth."""
    assert order.fulfilled_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    last = order.fulfilled_at + timedelta(days=days + 1)
    return last.replace(hour=0, minute=0, second=0, microsecond=0) + _ANYWHERE


def _is_whole(order: Order, used: UsedPart | None, rules: Rules, now: datetime) -> bool:
    """Tell whether an order is owed back whole: within the window, and once for an account.

    Or somebody could use the service for nothing for ever, a window at a time. A quota pack is
    owed back whole only as long as nothing of it was used, and a term with a quota as long as it
    was only tried.
    """
    if order.used_bytes or not _within(order, rules.full_days, now):
        return False
    if used is not None and not used.only_tried:
        return False
    before = type(order).objects.filter(account=order.account_id, cut_at=F("period_starts_at"))
    before = before.filter(period_starts_at__lte=F("fulfilled_at"))  # not one bought ahead
    given = before.exclude(pk=order.pk).filter(Q(refund_due_minor__gt=0) | Q(moved_minor__gt=0))
    return not given.exists()


def _within(order: Order, days: int, now: datetime) -> bool:
    return days > 0 and now < window_ends(order, days)


def _part(order: Order, rule: Rule, at: datetime, used: UsedPart | None) -> Part:
    if rule == "whole":
        unused, share = order.refundable_minor, 10_000
    else:
        counts_to = used.counts_to if used else order.counts_to_at
        unused = unused_of(order, at, counts_to=counts_to)[0]
        share = unused_bps(order, at, counts_to=counts_to)
    owed = left_to_owe(order, unused)
    return Part(order, rule, owed, used, owed - by_payment_of(order, unused, owed), share)
