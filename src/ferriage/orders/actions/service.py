"""Serving what was sold: its price is earned by the second, or owed back when it ends early.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core.db import writing
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.devices import actions as devices
from ferriage.ledger.actions import Posting, TransferLine, post_all
from ferriage.ledger.months import months_over
from ferriage.ledger.queries import closed_until
from ferriage.orders import balance, queries, usedpart
from ferriage.orders.actions import cancelling, freezing, packs, papers
from ferriage.orders.earning import (
    by_payment_of,
    gone_back_of,
    left_to_owe,
    own_time,
    unused_of,
)
from ferriage.orders.models import Order
from ferriage.orders.tax import net_earned_of
from ferriage.plans import actions as plans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.orders.queries import Books
    from ferriage.orders.usedpart import UsedPart
    from ferriage.plans.models import Subscription

PAGE: Final = 500
_UNEARNED: Final = "liabilities:unearned"
_UNALLOCATED: Final = "liabilities:unallocated"
_LOSSES: Final = "expenses:disputes"


def recognise(*, now: datetime) -> int:
    """Post earned service by the second used, a page of orders a call; returns how many.

    What is earned up to now less what was posted, so missed days are caught up and a repeated
    call posts nothing. An order's last posting takes the rest. What a month earned is dated in it,
    unless it is closed: then it is dated in the first one that is open.
    """
    with writing():
        due = list(queries.to_earn(now)[:PAGE])
        books = queries.books_of(due)
        open_from = closed_until()
        postings: dict[datetime, list[Posting]] = {}
        for order in due:
            for dated, posting in _earnings(order, books[order.code], open_from, now):
                postings.setdefault(dated, []).append(posting)
            end = order.cut_at or order.period_ends_at
            order.earned_to_at = now
            order.earned_fully_at = now if end and end <= own_time(order, now) else None
        for dated in sorted(postings):
            post_all(postings[dated], now=dated)
        Order.objects.bulk_update(due, ["earned_to_at", "earned_fully_at"], batch_size=PAGE)
    return len(due)


def end_subscription(
    *, subscription: Subscription, at: datetime, reason: str, now: datetime, actor: Actor
) -> plans.Ended:
    """End a subscription early; what is unused of its orders is owed back from that instant.

    What nobody really paid (free vouchers) goes back to `expenses:promotions`. It may be ended
    again at an earlier instant; then what more is unused is owed too. While its days stand still
    it ends now, with what was left when they began to.

    Raises:
        TermWrong: No reason, or an instant that has passed.
        NothingToEnd: It holds nothing after that instant.
    """
    return end_with(
        subscription=subscription, at=at, reason=reason, outcome="ended", now=now, actor=actor
    )


def end_with(
    *,
    subscription: Subscription,
    at: datetime,
    reason: str,
    outcome: str,
    whole: frozenset[str] = frozenset(),
    by_data: bool = False,
    now: datetime,
    actor: Actor,
) -> plans.Ended:
    """End a subscription as `end_subscription` does, and its lapse, if there is one, so.

    Orders for it that are not paid are cancelled.

    Args:
        whole: Codes of orders that are owed back whole, whatever was used of them.
        by_data: Its customer ends it, so the data used counts, where that is more than the time.
            Not in a lapse: then we stopped.
    """
    with writing():
        lapse = freezing.notice(subscription=subscription, now=now, actor=actor)
        if lapse is not None:
            freezing.thaw(lapses=[lapse], outcome=outcome, now=now, actor=actor)
            assert lapse.ended_at is not None  # noqa: S101 -- set by the line before
            at = lapse.ended_at
        used = usedpart.of(subscription, at=at) if by_data and lapse is None else {}
        ended = plans.end_at(subscription=subscription, at=at, reason=reason, now=now, actor=actor)
        cancelling.cancel_onto(subscription, now=now, actor=actor)
        cut_all(subscription, at, as_value=False, whole=whole, used=used, now=now, actor=actor)
        devices.refresh(subscription=subscription, now=now, actor=actor)
    return ended


def cut_all(
    subscription: Subscription,
    at: datetime,
    *,
    as_value: bool,
    whole: frozenset[str] = frozenset(),
    used: Mapping[int, UsedPart] | None = None,
    now: datetime,
    actor: Actor,
) -> list[tuple[Order, int]]:
    """Let the orders of a subscription count up to an instant, in the caller's transaction.

    Args:
        as_value: What is unused and was paid for goes on into another order, from
            `liabilities:unallocated`. Otherwise it goes back: to the payment as far as one was
            made for this order, and the rest to the account's balance.
        whole: Codes of orders that count for nothing and go back whole.
        used: What was used of orders by their data, read before the subscription was ended.

    Returns:
        Each order with what of it went on.
    """
    running = queries.running([subscription], at=at)
    return cut_these(
        subscription,
        running,
        at,
        as_value=as_value,
        whole=whole,
        used=used,
        now=now,
        actor=actor,
    )


def cut_these(
    subscription: Subscription,
    running: Sequence[Order],
    at: datetime,
    *,
    as_value: bool,
    whole: frozenset[str] = frozenset(),
    used: Mapping[int, UsedPart] | None = None,
    now: datetime,
    actor: Actor,
) -> list[tuple[Order, int]]:
    """Do for some orders of a subscription what `cut_all` does for all that run at an instant."""
    ending = [order for order in running if order.is_pack and order.cut_at is None]
    books = queries.books_of(running)
    postings: list[Posting] = []
    moved = []
    for order in running:
        before = order.moved_minor
        begun = order.period_starts_at if order.code in whole else None
        until = begun or own_time(order, at)
        part = used.get(order.pk) if used else None
        if begun:
            order.counts_to_at = None
        elif part and part.by_data:
            order.counts_to_at = part.counts_to
        postings += _cut(order, books[order.code], at, until, as_value=as_value, now=now)
        moved.append((order, order.moved_minor - before))
    if postings:
        post_all(postings, now=now)
    packs.keep_used(subscription, ending, at=at, now=now, actor=actor)
    return moved


def _cut(
    order: Order, books: Books, at: datetime, until: datetime, *, as_value: bool, now: datetime
) -> list[Posting]:
    """Let an order end at an instant; return what the books must say of it.

    What the order's own payment did not bring goes to the balance at once. What its payer took back
    before was a loss while the order went on: what is unused of that was never the customer's.

    Args:
        until: How far it counts, in its own time.
    """
    assert order.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    cut_before, gone_before = order.cut_at, gone_back_of(order)
    given_before = books.ended_minor - (gone_before - books.returned_minor)
    order.cut_at = max(until, order.period_starts_at)
    earned = net_earned_of(order, at)
    unused, given = unused_of(order, at)
    left = left_to_owe(order, unused)
    never_owed = max(unused - gone_before, 0) - left
    back = 0 if as_value else by_payment_of(order, unused, left)
    as_returned = 0 if as_value else left - back
    balance.give_back_unused(
        order=order, minor=books.returned_minor + as_returned, against=_UNEARNED, now=now
    )
    order.refund_due_minor += back
    order.moved_minor += left - back
    order.charged_back_minor += never_owed
    order.lost_minor -= never_owed
    changed = Order.objects.filter(pk=order.pk, cut_at=cut_before).update(
        cut_at=order.cut_at,
        counts_to_at=order.counts_to_at,
        refund_due_minor=order.refund_due_minor,
        moved_minor=order.moved_minor,
        charged_back_minor=order.charged_back_minor,
        lost_minor=order.lost_minor,
    )
    if changed != 1:
        raise StaleState(_("This order was changed just now."), _("Look again."))
    return [
        # A clock that ran ahead earned too much: the customer is not to pay for that.
        *_posting(
            order,
            "earned-back",
            [(_income(order), _UNEARNED, books.earned_minor - earned)],
            sequence=books.times_taken_back,
        ),
        *_posting(
            order,
            "ended",
            [
                (_UNEARNED, "liabilities:refunds", back),
                (_UNEARNED, _UNALLOCATED, left - back - as_returned),
                (_UNEARNED, _LOSSES, never_owed),
                (_UNEARNED, "expenses:promotions", given - given_before),
            ],
            sequence=books.times_ended,
        ),
        *papers.on_cut(order, gone_before, gone_back_of(order), now=now),
    ]


def _earnings(
    order: Order, books: Books, open_from: datetime | None, now: datetime
) -> Iterator[tuple[datetime, Posting]]:
    """Yield what an order earned since it was last looked at, each month's part with its date."""
    earned, times = books.earned_minor, books.times_earned
    since = order.earned_to_at or order.period_starts_at
    assert since is not None  # noqa: S101 -- a constraint of fulfilled orders
    for at, dated in [*months_over(since, now, open_from=open_from), (now, now)]:
        grown = net_earned_of(order, at) - earned
        if grown > 0:
            yield dated, _earning(order, grown, times)
            earned, times = earned + grown, times + 1


def _earning(order: Order, minor: int, sequence: int) -> Posting:
    lines = [(_UNEARNED, _income(order), minor)]
    return _posting(order, "earned", lines, sequence=sequence)[0]


def _posting(
    order: Order, kind: str, lines: list[tuple[str, str, int]], *, sequence: int
) -> list[Posting]:
    """Return a posting of the lines that move something, or nothing."""
    transfers = tuple(
        TransferLine(debit, credit, Money(minor, order.currency))
        for debit, credit, minor in lines
        if minor > 0
    )
    text = f"Order {order.code}: {_TEXTS[kind]}"
    return [Posting(order.code, kind, transfers, text, sequence)] if transfers else []


_TEXTS: Final = {
    "earned": "service earned",
    "earned-back": "earned ahead of time, taken back",
    "ended": "ended early, unused part",
}


def _income(order: Order) -> str:
    return f"income:{order.plan_sold.service.slug}"
