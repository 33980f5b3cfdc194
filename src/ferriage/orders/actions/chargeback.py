"""An order whose money was taken back by its payer: its term ends, and its income is reversed.

Source: docs/decisions/0023-disputes.md, docs/decisions/0076-lost-claims.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.devices import actions as devices
from ferriage.ledger.actions import Posting, TransferLine, post_all
from ferriage.orders import balance, claims, queries
from ferriage.orders.actions import cancelling, packs, papers
from ferriage.orders.actions.service import cut_these
from ferriage.orders.balancemodels import CREDITED
from ferriage.orders.earning import gone_back_of, left_to_owe, own_time
from ferriage.orders.models import BalanceClaim, BalanceMove, Order
from ferriage.orders.tax import tax_part
from ferriage.plans import actions as plans
from ferriage.plans import queries as plan_queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.orders.queries import Books
    from ferriage.plans.models import Subscription

    type _Line = tuple[str, str, int]

UNEARNED: Final = "liabilities:unearned"
LOSSES: Final = "expenses:disputes"


def charge_back(
    *,
    order: Order,
    money: Money,
    whole: bool,
    asset: str,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> int:
    """Let an order end now and give up what its payer took back, earned or not.

    What is not earned goes first, then what was: so the books show income lower, and so do the
    shares that are counted from it. What was paid from the balance stays earned, and what was
    refunded before the payer took it back a second time is a loss. A part of the price that is
    taken back is a loss too, and the term goes on; it is not owed any more, and where the term ends
    early it is no loss as far as that is unused. A place and what is unused of a pack end; what
    other money added to a term that ends is owed back. A top-up gives up what is left on the
    balance. A gift's code stays good for whoever used it: what was paid for it is a loss, but for
    what a change of the plan that it paid puts on a balance, now or later.

    Args:
        money: What is taken now; less than was disputed where refunds that waited went by it.
        whole: Whether nothing is left of what the order's payment brought.
        asset: The account of the books that the money leaves.
        source_code: The dispute.

    Returns:
        What was found nowhere and may come to a balance later, for `keep_claim`. What an order that
        goes on notes as lost does not.

    Raises:
        StaleState: Another writer changed the order first.
    """
    missing = 0
    with writing():
        order = Order.objects.select_related("plan__service", "subscription", "account").get(
            pk=order.pk
        )
        if order.kind in {Order.Kind.TOPUP, Order.Kind.GIFT}:
            missing = _take_from_balance(order, money, asset, source_code, now)
        else:
            missing = _take_from_order(order, money, asset, source_code, now, actor, whole=whole)
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
    return missing


def note_lost(*, order: Order, minor: int) -> int:
    """Owe so much less of an order that goes on, in the caller's transaction; returns how much.

    For what was paid with money that its payer took back on the way: the loss is booked there.
    """
    order = Order.objects.get(pk=order.pk)
    more = min(minor, left_to_owe(order, order.refundable_minor))
    Order.objects.filter(pk=order.pk).update(lost_minor=order.lost_minor + more)
    return more


def hold(
    *,
    order: Order | None,
    payment_code: str,
    money: Money,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> None:
    """Let nobody spend what a disputed payment brought to balances, until the dispute is over.

    What is spent, or reserved by open orders, is held when it comes back.

    Args:
        order: What the payment settled; None where it was credited to a balance.
        payment_code: The payment.
        money: No more is held than that.
        source_code: The dispute.
    """
    account_id = order.account_id if order else _credited_to(payment_code)
    if account_id is None or (order and order.state != Order.State.FULFILLED):
        return
    with writing():
        claim = BalanceClaim.objects.create(
            source_code=source_code,
            payment_code=payment_code,
            order=order,
            account_id=account_id,
            most_minor=money.amount_minor,
            currency=money.currency,
            made_at=now,
        )
        claims.hold_free(claim)
        held = sum(one.amount_minor for one in claims.holds_of(source_code))
        if held:
            audit.record(
                now=now,
                actor=actor,
                action="balance.held",
                subject=source_code,
                amount=str(Money(held, money.currency)),
            )


def _credited_to(payment_code: str) -> int | None:
    moves = BalanceMove.objects.filter(source_code=payment_code, kind=CREDITED)
    return moves.values_list("balance__account", flat=True).first()


def let_go(*, source_code: str, now: datetime) -> None:
    """Give back to balances what a dispute still holds, in the transaction that ends it."""
    claims.let_go(source_code=source_code, now=now)


def keep_claim(*, source_code: str, minor: int, now: datetime, actor: Actor) -> None:
    """Let what a lost dispute did not find be taken as soon as it comes to a balance.

    Open orders that were to be paid with it are to be paid otherwise.
    """
    for order, let_go in claims.keep(source_code=source_code, minor=minor, now=now):
        audit.record(
            now=now,
            actor=actor,
            action="order.credit-lost",
            subject=order.code,
            source=source_code,
            amount=str(Money(let_go, order.currency)),
        )


def end_bought(*, payment_code: str, source_code: str, now: datetime, actor: Actor) -> None:
    """Let orders end that a payment paid from a balance, where most of their price is lost.

    As an order ends that the payment paid itself; but what was used of it stays earned, and what
    other money paid of the rest goes back. In the transaction that loses the whole payment.
    """
    for lost in claims.mostly_lost(payment_code):
        assert lost.subscription is not None  # noqa: S101 -- asked for
        running = queries.running([lost.subscription], at=now)
        order = next((one for one in running if one.pk == lost.pk and one.cut_at is None), None)
        if order is None:
            continue
        since, ends_at = _stretch(order, now)
        _take_away(order, lost.subscription, since, ends_at, source_code, now, actor)
        ending = [order, *_added_to(order, running)]
        cut_these(lost.subscription, ending, now, as_value=False, now=now, actor=actor)
        audit.record(
            now=now,
            actor=actor,
            action="order.ended-by-loss",
            subject=order.code,
            source=source_code,
        )
        devices.refresh(subscription=lost.subscription, now=now, actor=actor)


def take_credited(
    *, payment_code: str, money: Money, asset: str, source_code: str, now: datetime
) -> int:
    """Take back from the balance what staff had credited to it; returns how much was there."""
    return balance.take_held(
        source_code=source_code, came_by=payment_code, most=money, against=asset, now=now
    )


def _take_from_balance(
    order: Order, money: Money, asset: str, source_code: str, now: datetime
) -> int:
    """Take back from balances what is left of a top-up or a gift; returns the rest: a loss."""
    taken = balance.take_held(
        source_code=source_code, came_by=order.code, most=money, against=asset, now=now
    )
    post_all(_loss(source_code, asset, money, money.amount_minor - taken), now=now)
    return money.amount_minor - taken


def _take_from_order(
    order: Order,
    money: Money,
    asset: str,
    source_code: str,
    now: datetime,
    actor: Actor,
    *,
    whole: bool,
) -> int:
    """Take back what the order is still worth, and let it end; the rest is a loss.

    With the last part the order is worth what was taken as a loss before, too. Returns what of the
    loss the order does not note, since it went on to another or to a balance.
    """
    books = queries.books_of([order])[order.code]
    gone_before = gone_back_of(order)
    taken = lost_before = 0
    if order.state == Order.State.FULFILLED and whole:
        worth = order.amount_minor - _gone(books)
        taken = min(money.amount_minor, worth)
        lost_before = min(order.lost_minor, worth - taken)
        _end(order, source_code, now, actor)
        order.lost_minor = 0
    out = taken + lost_before
    order.charged_back_minor += min(out, order.refundable_minor - gone_before)
    # A change of plan may have put some of it on a balance.
    most = Money(money.amount_minor - taken, money.currency)
    held = balance.take_held(
        source_code=source_code, came_by=order.code, most=most, against=asset, now=now
    )
    lost = most.amount_minor - held
    noted = min(lost, order.refundable_minor - gone_back_of(order) - order.lost_minor)
    order.lost_minor += noted
    Order.objects.filter(pk=order.pk).update(
        charged_back_minor=order.charged_back_minor, lost_minor=order.lost_minor
    )
    lines = [(UNEARNED, asset, taken), (UNEARNED, LOSSES, lost_before)]
    postings = [
        *papers.on_cut(order, gone_before, gone_back_of(order), now=now),
        *_postings(order, books, money.currency, lines),
        *_loss(source_code, asset, money, lost),
    ]
    post_all(postings, now=now)
    return lost - noted


def _end(order: Order, source_code: str, now: datetime, actor: Actor) -> None:
    """Let the order count no further, and its stretch of the subscription be gone from now on."""
    assert order.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert order.period_ends_at is not None  # noqa: S101 -- the same
    assert order.subscription is not None  # noqa: S101 -- the same
    before = order.cut_at
    since, ends_at = _stretch(order, now)
    cut = max(own_time(order, now), order.period_starts_at)
    order.cut_at = cut if before is None else min(before, cut)
    changed = Order.objects.filter(pk=order.pk, cut_at=before).update(
        cut_at=order.cut_at, earned_to_at=now, earned_fully_at=now
    )
    if changed != 1:
        raise StaleState(_("This order was changed just now."), _("Look again."))
    if since >= ends_at:
        return
    _take_away(order, order.subscription, since, ends_at, source_code, now, actor)
    if order.is_pack:
        packs.keep_used(order.subscription, [order], at=since, now=now, actor=actor)
    # What was added to the term goes with it, and other money paid for that.
    added = _added_to(order, queries.running([order.subscription], at=now))
    cut_these(order.subscription, added, now, as_value=False, now=now, actor=actor)


def _stretch(order: Order, now: datetime) -> tuple[datetime, datetime]:
    """Return what is left of an order in real time; its end is first where nothing is."""
    assert order.period_starts_at is not None  # noqa: S101 -- a constraint of fulfilled orders
    assert order.period_ends_at is not None  # noqa: S101 -- the same
    since = max(min(now, order.frozen_from or now), order.period_starts_at + order.frozen)
    return since, (order.cut_at or order.period_ends_at) + order.frozen


def _take_away(
    order: Order,
    subscription: Subscription,
    since: datetime,
    ends_at: datetime,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> None:
    how = {"reason": "The payment was taken back", "now": now, "actor": actor}
    taken: dict[str, Any] = {"starts_at": since, "ends_at": ends_at, **how}
    # A term and a change are stretches of the subscription; an addition lies within one.
    if order.kind == Order.Kind.ADDON:
        plans.revoke(subscription=subscription, source_code=order.code, **taken)
        return
    plans.take_back(subscription=subscription, source_code=source_code, **taken)
    cancelling.cancel_added(order, now=now, actor=actor)
    if plan_queries.subscription_end(subscription).is_over(now):
        cancelling.cancel_onto(subscription, now=now, actor=actor)


def _added_to(order: Order, running: list[Order]) -> list[Order]:
    return [one for one in running if one.with_term_id == order.pk and one.cut_at is None]


def _postings(order: Order, books: Books, currency: str, lines: list[_Line]) -> Iterator[Posting]:
    """Yield what the books must say of an order that gives up some lines, earned or not."""
    taken = sum(minor for _debit, _credit, minor in lines)
    if not taken:
        return
    tax_kept = tax_part(order.refundable_minor - gone_back_of(order), order.tax_rate)
    kept = order.amount_minor - _gone(books) - taken - tax_kept
    if books.earned_minor > kept:
        line = (_income(order), UNEARNED, books.earned_minor - kept)
        yield _posting(order.code, "earned-back", [line], currency, books.times_taken_back)
    elif books.earned_minor < kept:
        line = (UNEARNED, _income(order), kept - books.earned_minor)
        yield _posting(order.code, "earned", [line], currency, books.times_earned)
    yield _posting(order.code, "ended", lines, currency, books.times_ended)


def _gone(books: Books) -> int:
    """Return what left an order before: to refunds, to another order, or to the balance."""
    return books.ended_minor + books.returned_minor


def _loss(source_code: str, asset: str, money: Money, minor: int) -> list[Posting]:
    if not minor:
        return []
    return [_posting(source_code, "dispute-loss", [(LOSSES, asset, minor)], money.currency, 0)]


def _posting(source: str, kind: str, lines: list[_Line], currency: str, sequence: int) -> Posting:
    transfers = tuple(
        TransferLine(debit, credit, Money(minor, currency))
        for debit, credit, minor in lines
        if minor
    )
    return Posting(source, kind, transfers, f"{source}: taken back by its payer", sequence)


def _income(order: Order) -> str:
    return f"income:{order.plan_sold.service.slug}"
