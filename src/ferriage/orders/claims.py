"""What disputes hold of balances: all that their payments brought there, as soon as it is free.

Called by `balance.py` whenever money comes to a balance or is no longer reserved. A gift's code
that nobody used is money that lies there, too: `gifts_of` says which codes a dispute reaches.

Source: docs/decisions/0023-disputes.md, docs/decisions/0064-claims-on-money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import F, Q

from ferriage.orders.balancemodels import SPENT
from ferriage.orders.models import Balance, BalanceClaim, BalanceHold, BalanceMove, Order
from ferriage.orders.tracing import Brought, Move, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

_MOVE: Final = ("balance", "source_code", "kind", "amount_minor")


def catch(head: Balance) -> None:
    """Hold what just became free on a balance and came from a disputed payment."""
    claims = _open_claims().filter(currency=head.currency)
    if claims.exists():
        givers = reached({head.account_id}, "recipient", "account")
        for claim in claims.filter(account__in=givers).select_related("order").order_by("pk"):
            hold_free(claim)


def hold_free(claim: BalanceClaim) -> None:
    """Hold as much as is free of what a claim's payment brought to balances, and not more."""
    held = {hold.balance_id: hold for hold in holds_of(claim.source_code)}
    left = claim.most_minor - sum(hold.amount_minor for hold in held.values())
    for head, wanted in traced(claim):
        before = held.get(head.pk)
        more = wanted - (before.amount_minor if before else 0)
        minor = min(more, head.amount_minor - head.reserved_minor, left)
        if minor <= 0:
            continue
        left -= minor
        reserve(head.pk, minor)
        if before:
            BalanceHold.objects.filter(pk=before.pk).update(amount_minor=F("amount_minor") + minor)
        else:
            BalanceHold.objects.create(
                balance=head,
                amount_minor=minor,
                source_code=claim.source_code,
                made_at=claim.made_at,
            )


def traced(claim: BalanceClaim) -> list[tuple[Balance, int]]:
    """Return the balances that a claim's money may be on, each with how much of it is there.

    What open orders are to be paid with is not: it is counted when they let it go.
    """
    trace, heads = _follow(claim)
    let_orders_spend(trace, heads)
    return [(head, trace.left(head.pk)[claim.payment_code]) for head in heads]


def let_orders_spend(trace: Trace, heads: Sequence[Balance]) -> None:
    """Let what open orders are to be paid with be gone from balances of one currency."""
    by_account = {head.account_id: head.pk for head in heads}
    spent = BalanceMove.objects.filter(balance__in=heads, kind=SPENT).values("source_code")
    reserving = Order.objects.filter(
        account__in=by_account,
        currency__in={head.currency for head in heads},
        state__in=[Order.State.OPEN, Order.State.PAID],
        credit_minor__gt=0,
    ).exclude(code__in=spent)
    for account, minor in reserving.values_list("account", "credit_minor"):
        assert account is not None  # noqa: S101 -- it is one of `by_account`
        trace.spend(by_account[account], minor)


def gifts_of(source_code: str) -> tuple[list[tuple[Order, int]], int]:
    """Return the gifts' codes that an open dispute's money paid, and what no balance holds of it.

    Newest first, each with how much of the money is in it, whether somebody used it or not. None
    where balances hold all that is disputed.
    """
    claim = _open_claims().filter(source_code=source_code).select_related("order").first()
    held = sum(hold.amount_minor for hold in holds_of(source_code))
    if claim is None or claim.most_minor <= held:
        return [], 0
    trace, heads = _follow(claim)
    sold = Order.objects.filter(
        kind=Order.Kind.GIFT,
        state=Order.State.FULFILLED,
        account__in=[head.account_id for head in heads],
        currency=claim.currency,
        credit_minor__gt=0,
    )
    found = [(order, trace.inside(order.code)) for order in sold.order_by("-fulfilled_at", "-pk")]
    return [(order, minor) for order, minor in found if minor], claim.most_minor - held


def holds_gift(order: Order) -> bool:
    """Tell whether an open dispute's money is in a gift's code, by way of a balance."""
    if not order.credit_minor or order.account_id is None:
        return False
    claims = _open_claims().filter(currency=order.currency)
    if not claims.exists():
        return False
    givers = reached({order.account_id}, "recipient", "account")
    codes = claims.filter(account__in=givers).order_by("pk").values_list("source_code", flat=True)
    return any(order == found for code in codes for found, _minor in gifts_of(code)[0])


def _follow(claim: BalanceClaim) -> tuple[Trace, list[Balance]]:
    """Follow a claim's money through the balances that it may have come to."""
    found = reached({claim.account_id}, "account", "recipient")
    heads = list(Balance.objects.filter(account__in=found, currency=claim.currency).order_by("pk"))
    mine = Q(account__in=found) | Q(recipient__in=found)
    trace = Trace(
        brought=[Brought(claim.payment_code, claim.order)],
        currency=claim.currency,
        orders=Order.objects.filter(mine, state=Order.State.FULFILLED),
        moves=moves_in(heads),
    )
    return trace, heads


def moves_in(heads: Sequence[Balance]) -> list[Move]:
    """Return all moves of balances in their order."""
    moves = BalanceMove.objects.filter(balance__in=heads).order_by("pk")
    return [Move(*row) for row in moves.values_list(*_MOVE)]


def _open_claims() -> QuerySet[BalanceClaim]:
    return BalanceClaim.objects.filter(released_at=None)


def let_go(*, source_code: str, now: datetime) -> None:
    """Give back to balances what a dispute holds, in the caller's transaction; once."""
    claims = BalanceClaim.objects.filter(source_code=source_code, released_at=None)
    if not claims.update(released_at=now):
        return
    for hold in holds_of(source_code):
        release(hold, now)
        hold.balance.refresh_from_db()
        catch(hold.balance)


def release(hold: BalanceHold, now: datetime) -> None:
    """End one hold, so that its money can be spent or taken back."""
    BalanceHold.objects.filter(pk=hold.pk, released_at=None).update(released_at=now)
    reserve(hold.balance_id, -hold.amount_minor)


def reserve(balance: int, minor: int) -> None:
    """Let so much more of a balance be free for nothing else, or less of it."""
    Balance.objects.filter(pk=balance).update(reserved_minor=F("reserved_minor") + minor)


def holds_of(source_code: str) -> list[BalanceHold]:
    """Return what a dispute holds, each with its balance."""
    still = BalanceHold.objects.filter(source_code=source_code, released_at=None)
    return list(still.select_related("balance").order_by("pk"))


def reached(accounts: set[int], near: str, far: str) -> set[int]:
    """Return accounts with all that terms given to others lead to from them, in one direction."""
    found, new = set(accounts), set(accounts)
    given = Order.objects.filter(recipient__isnull=False, account__isnull=False)
    while new:
        new = set(given.filter(**{f"{near}__in": new}).values_list(far, flat=True)) - found
        found |= new
    return found
