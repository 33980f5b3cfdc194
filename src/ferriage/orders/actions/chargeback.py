"""An order whose money was taken back by its payer: its term ends, and its income is reversed.

Source: docs/decisions/0023-disputes.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.devices import actions as devices
from ferriage.ledger.actions import Posting, TransferLine, post_all
from ferriage.orders import queries
from ferriage.orders.earning import own_time
from ferriage.orders.models import Order
from ferriage.plans import actions as plans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.orders.queries import Books

UNEARNED: Final = "liabilities:unearned"
LOSSES: Final = "expenses:disputes"


def charge_back(
    *, order: Order, money: Money, asset: str, source_code: str, now: datetime, actor: Actor
) -> None:
    """Let an order end now and give up what its payer took back, earned or not.

    What is not earned goes first, then what was: so the books show income lower, and so do the
    shares that are counted from it. What was paid from the balance stays earned, and what was
    refunded before the payer took it back a second time is a loss. A part of the price that is
    taken back is a loss too, and the term goes on.

    Args:
        asset: The account of the books that the money leaves.
        source_code: The dispute.

    Raises:
        StaleState: Another writer changed the order first.
    """
    with writing():
        order = Order.objects.select_related("plan__service", "subscription").get(pk=order.pk)
        books = queries.books_of([order])[order.code]
        taken = 0
        if order.state == Order.State.FULFILLED and money.amount_minor >= order.due_minor:
            taken = min(money.amount_minor, order.amount_minor - books.ended_minor)
            _end(order, source_code, now, actor)
        post_all(list(_postings(order, books, money, taken, asset, source_code)), now=now)
        audit.record(
            now=now,
            actor=actor,
            action="order.charged-back",
            subject=order.code,
            source=source_code,
            amount=str(money),
        )
        if order.subscription is not None:
            devices.refresh(subscription=order.subscription, now=now, actor=actor)


def _end(order: Order, source_code: str, now: datetime, actor: Actor) -> None:
    """Let the order count no further, and its stretch of the subscription be gone from now on."""
    assert order.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert order.period_ends_at is not None  # noqa: S101 -- the same
    assert order.subscription is not None  # noqa: S101 -- the same
    before = order.cut_at
    ends_at = order.period_ends_at + order.frozen
    begins_at = order.period_starts_at + order.frozen
    since = max(min(now, order.frozen_from or now), begins_at)
    cut = max(own_time(order, now), order.period_starts_at)
    changed = Order.objects.filter(pk=order.pk, cut_at=before).update(
        cut_at=cut if before is None else min(before, cut), earned_to_at=now, earned_fully_at=now
    )
    if changed != 1:
        raise StaleState(_("This order was changed just now."), _("Look again."))
    if since < ends_at:
        plans.take_back(
            subscription=order.subscription,
            starts_at=since,
            ends_at=ends_at,
            source_code=source_code,
            reason="The payment was taken back",
            now=now,
            actor=actor,
        )


def _postings(
    order: Order, books: Books, money: Money, taken: int, asset: str, source_code: str
) -> Iterator[Posting]:
    """Yield what the books must say; `taken` comes from the order, the rest of it is a loss."""
    kept = order.amount_minor - books.ended_minor - taken
    if taken and books.earned_minor > kept:
        line = (_income(order), UNEARNED, books.earned_minor - kept)
        yield _posting(order.code, "earned-back", line, money, books.times_taken_back)
    elif taken and books.earned_minor < kept:
        line = (UNEARNED, _income(order), kept - books.earned_minor)
        yield _posting(order.code, "earned", line, money, books.times_earned)
    if taken:
        yield _posting(order.code, "ended", (UNEARNED, asset, taken), money, books.times_ended)
    if loss := money.amount_minor - taken:
        yield _posting(source_code, "dispute-loss", (LOSSES, asset, loss), money, 0)


def _posting(
    source: str, kind: str, line: tuple[str, str, int], money: Money, sequence: int
) -> Posting:
    debit, credit, minor = line
    transfer = TransferLine(debit, credit, Money(minor, money.currency))
    return Posting(source, kind, (transfer,), f"{source}: taken back by its payer", sequence)


def _income(order: Order) -> str:
    return f"income:{order.plan_sold.service.slug}"
