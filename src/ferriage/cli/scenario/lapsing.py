"""The story of a lapse: what becomes of customers' days and money when a line may not be open."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ferriage.approvals.queries import questions_left
from ferriage.cli.words import say
from ferriage.core import clock
from ferriage.core.actors import CUSTOMER
from ferriage.core.money import Money
from ferriage.fleet import tasks as fleet_tasks
from ferriage.fleet.queries import line_facts, newest_permits
from ferriage.ledger.queries import trial_balance
from ferriage.orders import actions as orders
from ferriage.orders import tasks as order_tasks
from ferriage.payments import queries as payments
from ferriage.payments import tasks as payment_tasks
from ferriage.plans import queries as plans
from ferriage.plans.models import Lapse

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.approvals.facts import Question
    from ferriage.cli.scenario.stage import Stage
    from ferriage.fleet.models import Line
    from ferriage.orders.models import Order

_DAY: Final = timedelta(days=1)
_MONTHS: Final = 12


def lapse(stage: Stage) -> None:
    """Play a lapse by date that nobody notices for three days, a refund, and a line come back."""
    seller = stage.party("A seller in Stockholm (invented)", "SE")
    stage.step("A line in Sweden, opened on conclusions that lapse after six months")
    line = stage.line("Stockholm", seller, enter="SE", leave="SE")
    plan = stage.sell(line)
    asked = questions_left(line=line_facts(line), at=clock.now())
    stage.conclude(line)
    stage.opened(line)
    stage.step("Wen and Li buy a year each")
    wen, li = (stage.order(plan, "SE", months=_MONTHS) for _name in ("Wen", "Li"))
    if wen is None or li is None:
        stage.must(held=False, text="both have an order")
        return
    for number, order in enumerate((wen, li), start=1):
        stage.pay(order, f"INVENTED-{number}")
    lapsed_at = newest_permits([line])[line.pk].open_until
    end = _end(wen)
    _lapse_unseen(stage, lapsed_at)
    _refund(stage, li, lapsed_at + 5 * _DAY)
    _come_back(stage, line, asked, lapsed_at + 10 * _DAY)
    stage.must(_end(wen) == end + 10 * _DAY, "Wen's year ends ten days later: no day is lost")
    stage.must(_end(li) < lapsed_at + _DAY, "Li, who was refunded, does not come back")
    stage.step("Months later the books are looked at")
    _work(end + 11 * _DAY)
    for row in trial_balance():
        if row.balance_minor:
            say(f"   {row.name}: {Money(abs(row.balance_minor), row.currency)}")
    stage.must(payments.check() == [], "refunds and earnings sum to what came")


def _lapse_unseen(stage: Stage, lapsed_at: datetime) -> None:
    stage.step(f"{_day(lapsed_at)}: the conclusions lapse. The worker sleeps for three days")
    _work(lapsed_at + 3 * _DAY)
    lapses = list(Lapse.objects.all())
    since = {lapse.lapsed_at for lapse in lapses}
    stage.must(
        (len(lapses), since) == (2, {lapsed_at}),
        "the days of both stand still from the instant of the lapse, not from when it was seen",
    )


def _refund(stage: Stage, order: Order, now: datetime) -> None:
    stage.step(f"{_day(now)}: Li has the unused time refunded")
    order.refresh_from_db()
    assert order.subscription is not None  # noqa: S101 -- it was paid
    orders.refund(subscription=order.subscription, now=now, actor=CUSTOMER)
    _work(now)
    order.refresh_from_db()
    paid, owed = order.amount_minor, order.refund_due_minor
    money = [Money(minor, order.currency) for minor in (paid, owed, paid - owed)]
    stage.must(0 < owed < paid, "of {} paid {} go back, and {} are earned".format(*money))


def _come_back(stage: Stage, line: Line, asked: tuple[Question, ...], now: datetime) -> None:
    stage.step(f"{_day(now)}: the seller concludes anew; Wen has waited and does nothing")
    stage.determine(line, asked, at=now)
    _work(now)


def _work(now: datetime) -> None:
    """Do a round of the worker, which asks what is due."""
    fleet_tasks.run(now)
    order_tasks.run(now)
    payment_tasks.run(now)


def _end(order: Order) -> datetime:
    order.refresh_from_db()
    assert order.subscription is not None  # noqa: S101 -- it was paid
    end = plans.subscription_end(order.subscription).at
    assert end is not None  # noqa: S101 -- a bought term ends
    return end


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
