"""Who waits for a line, who left it, and what will have to be refunded when, as staff see it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count

from ferriage.core.money import Money
from ferriage.orders.earning import unused_of
from ferriage.orders.models import Order
from ferriage.plans.models import Lapse, Offer

if TYPE_CHECKING:
    from datetime import date

    from ferriage.fleet.models import Line


@dataclass(frozen=True, slots=True)
class DueDay:
    """What is refunded on a day (UTC) if its customers choose nothing and the line stays held."""

    on: date
    customers: int
    owed: tuple[Money, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLapses:
    """How the customers of a line's plans stand. Who waits without a due day paid nothing."""

    waiting: int
    chose_to_wait: int
    resumed: int
    moved: int
    refunded: int
    due: tuple[DueDay, ...]

    def __bool__(self) -> bool:
        """Tell whether there ever was a lapse."""
        return any((self.waiting, self.resumed, self.moved, self.refunded))


def lapses_of(line: Line) -> LineLapses:
    """Count the lapses of every plan that is or was offered on a line, with three queries."""
    lapses = Lapse.objects.filter(plan__in=Offer.objects.filter(line=line).values("plan"))
    rows = lapses.values_list("outcome", "choice").annotate(number=Count("pk")).order_by()
    outcomes: Counter[str] = Counter()
    chose = 0
    for outcome, choice, number in rows:
        outcomes[outcome] += number
        chose += number if not outcome and choice else 0
    return LineLapses(
        waiting=outcomes[Lapse.Outcome.OPEN],
        chose_to_wait=chose,
        resumed=outcomes[Lapse.Outcome.RESUMED],
        moved=outcomes[Lapse.Outcome.MOVED],
        refunded=outcomes[Lapse.Outcome.REFUNDED],
        due=_due({lapse.subscription_id: lapse for lapse in lapses.filter(ended_at=None)}),
    )


def _due(waiting: dict[int, Lapse]) -> tuple[DueDay, ...]:
    owed: defaultdict[date, Counter[str]] = defaultdict(Counter)
    customers: Counter[date] = Counter()
    days = {pk: lapse.due_at.date() for pk, lapse in waiting.items() if lapse.due_at}
    customers.update(days.values())
    # All that stand still, whatever their line: a list of subscriptions could be too long to send.
    for order in Order.objects.filter(frozen_from__isnull=False).iterator(chunk_size=2000):
        pk = order.subscription_id
        if pk in days and order.frozen_from is not None:
            owed[days[pk]][order.currency] += unused_of(order, order.frozen_from)[0]
    return tuple(
        DueDay(
            on,
            customers[on],
            tuple(Money(minor, currency) for currency, minor in sorted(owed[on].items()) if minor),
        )
        for on in sorted(customers)
    )
