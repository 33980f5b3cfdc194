"""What disputes hold of balances: all that their payments brought there, as soon as it is free.

Called by `balance.py` whenever money comes to a balance or is no longer reserved.

Source: docs/decisions/0023-disputes.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import F, Q

from ferriage.orders.balancemodels import SPENT
from ferriage.orders.models import Balance, BalanceClaim, BalanceHold, BalanceMove, Order
from ferriage.orders.tracing import Move, Trace

if TYPE_CHECKING:
    from datetime import datetime

_MOVE: Final = ("balance", "source_code", "kind", "amount_minor")


def catch(head: Balance) -> None:
    """Hold what just became free on a balance and came from a disputed payment."""
    claims = BalanceClaim.objects.filter(released_at=None, currency=head.currency)
    if claims.exists():
        givers = _reached({head.account_id}, "recipient", "account")
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
    reached = _reached({claim.account_id}, "account", "recipient")
    heads = list(
        Balance.objects.filter(account__in=reached, currency=claim.currency).order_by("pk")
    )
    mine = Q(account__in=reached) | Q(recipient__in=reached)
    moves = BalanceMove.objects.filter(balance__in=heads).order_by("pk")
    trace = Trace(
        payment=claim.payment_code,
        order=claim.order,
        currency=claim.currency,
        orders=Order.objects.filter(mine, state=Order.State.FULFILLED),
        moves=[Move(*row) for row in moves.values_list(*_MOVE)],
    )
    by_account = {head.account_id: head.pk for head in heads}
    reserving = Order.objects.filter(
        account__in=reached,
        currency=claim.currency,
        state__in=[Order.State.OPEN, Order.State.PAID],
        credit_minor__gt=0,
    ).exclude(code__in=moves.filter(kind=SPENT).values("source_code"))
    for account, minor in reserving.values_list("account", "credit_minor"):
        assert account is not None  # noqa: S101 -- it is one of `reached`
        trace.spend(by_account[account], minor)
    return [(head, trace.left(head.pk)) for head in heads]


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


def _reached(accounts: set[int], near: str, far: str) -> set[int]:
    """Return accounts with all that terms given to others lead to from them, in one direction."""
    found, new = set(accounts), set(accounts)
    given = Order.objects.filter(recipient__isnull=False, account__isnull=False)
    while new:
        new = set(given.filter(**{f"{near}__in": new}).values_list(far, flat=True)) - found
        found |= new
    return found
