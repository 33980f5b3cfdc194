"""What payers take back of balances: all that their payments brought there, as soon as it is free.

While a dispute is open it is held. What a lost one did not find stays a claim of the shop, and is
taken when it comes. `balance.py` calls `catch` whenever money comes to a balance or is no longer
reserved. A gift's code that nobody used is money that lies there, too: `gifts_of` says which codes
a dispute reaches.

Source: docs/decisions/0023-disputes.md, docs/decisions/0064-claims-on-money.md,
docs/decisions/0076-lost-claims.md
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import StaleState
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.ledger.chart import CREDITS
from ferriage.orders.balancemodels import SPENT, TAKEN_BACK
from ferriage.orders.models import Balance, BalanceClaim, BalanceHold, BalanceMove, Order
from ferriage.orders.tracing import Brought, Move, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.accounts.models import Account

LOSSES: Final = "expenses:disputes"
_MOVE: Final = ("balance", "source_code", "kind", "amount_minor")
_BY_CODE: Final = {"account": "gift__account", "recipient": "account"}
"""Who gave the code that paid an order, and whose the order is; as of a term that was given."""


def catch(head: Balance, now: datetime) -> None:
    """Hold what just became free on a balance and is disputed, and take what was lost of it."""
    claims = _live().filter(currency=head.currency)
    if claims.exists():
        givers = reached({head.account_id}, "recipient", "account")
        for claim in claims.filter(account__in=givers).select_related("order").order_by("pk"):
            if claim.is_lost:
                _take_free(claim, now)
            else:
                hold_free(claim)


def hold_free(claim: BalanceClaim) -> None:
    """Hold as much as is free of what a claim's payment brought to balances, and not more."""
    held = {hold.balance_id: hold for hold in holds_of(claim.source_code)}
    left = claim.most_minor - sum(hold.amount_minor for hold in held.values())
    for head, minor in free_of(claim, left):
        reserve(head.pk, minor)
        if before := held.get(head.pk):
            BalanceHold.objects.filter(pk=before.pk).update(amount_minor=F("amount_minor") + minor)
        else:
            BalanceHold.objects.create(
                balance=head,
                amount_minor=minor,
                source_code=claim.source_code,
                made_at=claim.made_at,
            )


def _take_free(claim: BalanceClaim, now: datetime) -> None:
    """Take what is free of what a lost payment brought, until all that was missing came."""
    came_by = claim.order.code if claim.order else claim.payment_code
    for head, minor in free_of(claim, claim.missing_minor):
        take(head, minor, came_by=came_by, against=LOSSES, now=now)
        found = claim.found_minor + minor
        is_over = found == claim.lost_minor
        changed = _live().filter(pk=claim.pk, found_minor=claim.found_minor)
        if changed.update(found_minor=found, released_at=now if is_over else None) != 1:
            raise StaleState(_("This balance was changed just now."), _("Look again."))
        claim.found_minor = found


def take(head: Balance, minor: int, *, came_by: str, against: str, now: datetime) -> None:
    """Take money from a balance that the payer took back who had brought it.

    Args:
        came_by: Code of the order or the payment that the money came by.
        against: The account of the books that takes it.
    """
    times = BalanceMove.objects.filter(source_code=came_by, kind=TAKEN_BACK).count()
    post(
        source_code=came_by,
        kind=TAKEN_BACK,
        transfers=[TransferLine(CREDITS, against, Money(minor, head.currency))],
        description=f"Balance: {TAKEN_BACK} by {came_by}",
        now=now,
        sequence=times,
    )
    BalanceMove.objects.create(
        balance=head,
        amount_minor=-minor,
        source_code=came_by,
        kind=TAKEN_BACK,
        sequence=times,
        moved_at=now,
    )


def keep(*, source_code: str, minor: int, now: datetime) -> list[tuple[Order, int]]:
    """Let what a lost dispute did not find stay a claim, in the caller's transaction.

    Open orders reserve none of it any more: they are to be paid with other money.

    Returns:
        Those orders, each with what it had reserved of the money.
    """
    claim = _live().filter(source_code=source_code).select_related("order").first()
    if claim is None:
        return []
    claim.lost_minor = minor
    _live().filter(pk=claim.pk).update(lost_minor=minor, released_at=None if minor else now)
    let_go = _let_orders_go(claim)
    # What was held and not taken is free, too; another dispute may hold it.
    held = BalanceHold.objects.filter(source_code=source_code).values("balance")
    accounts = [order.account_id for order, _minor in let_go]
    mine = Q(account__in=accounts, currency=claim.currency)
    for head in Balance.objects.filter(Q(pk__in=held) | mine).order_by("pk"):
        catch(head, now)
    return let_go


def mostly_lost(payment_code: str) -> list[Order]:
    """Return orders that count on and that lost money paid more than half of, the newest first.

    Those only that this payment brought some of. What it settled itself is not among them, nor what
    became of a term that somebody used a gift's code for: that is theirs.
    """
    lost = _live().filter(lost_minor__gt=0).select_related("order").order_by("pk")
    claim = lost.filter(payment_code=payment_code).first()
    if claim is None:
        return []
    trace, _heads = _follow(claim)
    accounts = reached({claim.account_id}, "account", "recipient")
    missing = Counter[str]()
    for one in lost.filter(account__in=accounts, currency=claim.currency):
        missing[one.payment_code] += one.missing_minor
    sold = Order.objects.filter(
        account__in=accounts,
        currency=claim.currency,
        state=Order.State.FULFILLED,
        subscription__isnull=False,
        cut_at=None,
    )
    found = []
    for order in sold.select_related("subscription").order_by("-fulfilled_at", "-pk"):
        shares = {code: trace.share(order.code, code) for code in missing}
        gone = sum(min(minor, missing[code]) for code, minor in shares.items())
        is_mostly = shares[payment_code] and 2 * gone > order.refundable_minor
        if is_mostly and not trace.is_of_code(order.code):
            found.append(order)
    return found


def lost_of(account: Account) -> list[BalanceClaim]:
    """Return what an account's lost payments brought and the shop still misses, oldest first."""
    lost = _live().filter(account=account, lost_minor__gt=0)
    return list(lost.select_related("order").order_by("pk"))


def free_of(claim: BalanceClaim, most: int) -> Iterator[tuple[Balance, int]]:
    """Yield balances, each with what is free there of a claim's money and nothing holds.

    Args:
        most: No more than that altogether.
    """
    for head, there in _there(claim):
        minor = min(there, head.amount_minor - head.reserved_minor, most)
        if minor > 0:
            most -= minor
            yield head, minor


def _there(claim: BalanceClaim) -> Iterator[tuple[Balance, int]]:
    """Yield balances, each with what lies there of a claim's money and no dispute of it holds."""
    held = Counter[int]()
    same = BalanceClaim.objects.filter(payment_code=claim.payment_code).values("source_code")
    for hold in BalanceHold.objects.filter(source_code__in=same, released_at=None):
        held[hold.balance_id] += hold.amount_minor
    for head, there in traced(claim):
        yield head, there - held[head.pk]


def traced(claim: BalanceClaim) -> list[tuple[Balance, int]]:
    """Return the balances that a claim's money may be on, each with how much of it is there.

    What open orders are to be paid with is not: it is counted when they let it go. But of what is
    lost none is theirs, and other money pays them.
    """
    trace, heads = _follow(claim)
    if not claim.is_lost:
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


def _let_orders_go(claim: BalanceClaim) -> list[tuple[Order, int]]:
    """Let open orders reserve so much less that what is lost is free, the newest ones first."""
    left, let_go = claim.missing_minor, []
    for head, there in _there(claim):
        minor = min(there, left)
        left -= max(minor, 0)
        more = minor - (head.amount_minor - head.reserved_minor)
        mine = Order.objects.filter(account=head.account_id, currency=head.currency)
        for order in mine.filter(state=Order.State.OPEN, credit_minor__gt=0).order_by("-pk"):
            less = min(order.credit_minor, more)
            if less > 0:
                more -= less
                Order.objects.filter(pk=order.pk).update(credit_minor=order.credit_minor - less)
                reserve(head.pk, -less)
                let_go.append((order, less))
    return let_go


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
    newest = sold.order_by("-fulfilled_at", "-pk")
    found = [(order, trace.share(order.code, claim.payment_code)) for order in newest]
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
    """Follow a claim's money through the balances that it may have come to.

    With that of other claims there, so that no money is of two, and of those that still miss some
    first.
    """
    found = reached({claim.account_id}, "account", "recipient")
    heads = list(Balance.objects.filter(account__in=found, currency=claim.currency).order_by("pk"))
    mine = Q(account__in=found) | Q(recipient__in=found)
    trace = Trace(
        brought=[Brought(code, order) for code, order in _claimed(found, claim.currency).items()],
        currency=claim.currency,
        orders=Order.objects.filter(mine, state=Order.State.FULFILLED).select_related("gift"),
        moves=moves_in(heads),
    )
    return trace, heads


def moves_in(heads: Sequence[Balance]) -> list[Move]:
    """Return all moves of balances in their order."""
    moves = BalanceMove.objects.filter(balance__in=heads).order_by("pk")
    return [Move(*row) for row in moves.values_list(*_MOVE)]


def _claimed(accounts: set[int], currency: str) -> dict[str, Order | None]:
    """Return the payments that accounts made and took back, or may be, with what they settled."""
    about = BalanceClaim.objects.filter(account__in=accounts, currency=currency)
    still_or_lost = about.filter(Q(released_at=None) | Q(lost_minor__gt=0))
    found = still_or_lost.select_related("order").order_by("pk")
    ordered = sorted(found, key=lambda one: one.released_at is not None)
    return {one.payment_code: one.order for one in ordered}


def _live() -> QuerySet[BalanceClaim]:
    return BalanceClaim.objects.filter(released_at=None)


def _open_claims() -> QuerySet[BalanceClaim]:
    return _live().filter(lost_minor=0)


def let_go(*, source_code: str, now: datetime) -> None:
    """Give back to balances what an open dispute holds, in the caller's transaction; once."""
    if not _open_claims().filter(source_code=source_code).update(released_at=now):
        return
    for hold in holds_of(source_code):
        release(hold, now)
        hold.balance.refresh_from_db()
        catch(hold.balance, now)


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
    """Return accounts with all that gifts to others lead to from them, in one direction."""
    found, new = set(accounts), set(accounts)
    given = Order.objects.filter(recipient__isnull=False, account__isnull=False)
    by_code = Order.objects.filter(gift__account__isnull=False, account__isnull=False)
    while new:
        next_ones = given.filter(**{f"{near}__in": new}).values_list(far, flat=True)
        users = by_code.filter(**{f"{_BY_CODE[near]}__in": new})
        new = {*next_ones, *users.values_list(_BY_CODE[far], flat=True)} - found
        found |= new
    return found
