"""What an account holds with the shop: money that came and no order took yet.

The ledger holds all of it in `liabilities:credits`; whose it is say the moves of each balance.
An order that is to be paid from it reserves its part, so that two orders cannot spend the same,
and so does a dispute over what brought it.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Count, Sum
from django.utils.translation import gettext_lazy as _

from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders import claims
from ferriage.orders.balancemodels import (
    GIFT_RETURNED,
    PAID_BACK,
    RETURNED,
    SPENT,
    TAKEN_BACK,
    TOPUP_RETURNED,
)
from ferriage.orders.models import Balance, BalanceMove, Order

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.accounts.models import Account

CREDITS: Final = "liabilities:credits"
REFUNDS: Final = "liabilities:refunds"


class BalanceTooLow(FerriageError):
    """The balance holds less than that, or the rest is reserved for open orders."""

    slug = "balance-too-low"


def balance(account: Account, currency: str) -> int:
    """Return what an account holds, in minor units, with what is reserved for open orders."""
    head = Balance.objects.filter(account=account, currency=currency).first()
    return head.amount_minor if head else 0


def available(account: Account, currency: str) -> int:
    """Return what an account can still spend, in minor units."""
    head = Balance.objects.filter(account=account, currency=currency).first()
    return head.amount_minor - head.reserved_minor if head else 0


def balance_of(account: Account, currency: str) -> Balance:
    """Return an account's balance in a currency, in the caller's transaction; a new one is 0."""
    return _head(account, currency)


def balances_of(account: Account) -> QuerySet[Balance]:
    """Return what an account holds in each currency, with what disputes hold of it."""
    mine = Balance.objects.filter(account=account, moves__isnull=False).distinct()
    return mine.prefetch_related("holds").order_by("pk")


def moves_of(account: Account) -> QuerySet[BalanceMove]:
    """Return all moves of an account's balances, newest first."""
    moves = BalanceMove.objects.filter(balance__account=account)
    return moves.select_related("balance").order_by("-pk")


def credit(
    *,
    account: Account,
    money: Money,
    source_code: str,
    kind: str,
    against: str,
    now: datetime,
    sequence: int = 0,
) -> BalanceMove:
    """Move money from an account of the books to a balance, in the caller's transaction.

    Args:
        source_code: What it comes from: an order, a payment.
        kind: What of it; the books know it by the same name, once for each source.
        against: The account of the books that gives it.
        sequence: How often that happened before, where it may happen again.

    Raises:
        AlreadyPosted: This was credited before; nothing was written.
        PostingWrong: The amount is not above zero.
    """
    with writing():
        line = TransferLine(against, CREDITS, money)
        _post(source_code, kind, line, now, sequence=sequence)
        head = _head(account, money.currency)
        move = _move(head, money.amount_minor, source_code, kind, now, sequence=sequence)
        claims.catch(head)
        return move


def spend(
    *,
    account: Account,
    money: Money,
    source_code: str,
    kind: str,
    against: str,
    now: datetime,
    sequence: int = 0,
) -> BalanceMove:
    """Move money that is not reserved from a balance to an account of the books.

    Args:
        source_code: What it is spent on.
        kind: What of it; the books know it by the same name, once for each source.
        against: The account of the books that takes it.
        sequence: How often that happened before, where it may happen again.

    Raises:
        BalanceTooLow: There is not so much; nothing was written.
        AlreadyPosted: This was spent before.
        PostingWrong: The amount is not above zero.
    """
    with writing():
        line = TransferLine(CREDITS, against, money)
        _post(source_code, kind, line, now, sequence=sequence)
        head = _head(account, money.currency)
        if head.amount_minor - head.reserved_minor < money.amount_minor:
            raise _too_low(head)
        return _move(head, -money.amount_minor, source_code, kind, now, sequence=sequence)


def take_held(*, source_code: str, came_by: str, most: Money, against: str, now: datetime) -> int:
    """Take from balances what a dispute holds there; returns how much, in minor units.

    Args:
        source_code: The dispute.
        came_by: Code of the order or the payment that the money came by.
        most: No more than that.
        against: The account of the books that takes it.
    """
    with writing():
        times = BalanceMove.objects.filter(source_code=came_by, kind=TAKEN_BACK).count()
        left = most.amount_minor
        for hold in claims.holds_of(source_code):
            claims.release(hold, now)
            minor = min(hold.amount_minor, left)
            if minor > 0:
                line = TransferLine(CREDITS, against, Money(minor, most.currency))
                _post(came_by, TAKEN_BACK, line, now, sequence=times)
                _move(hold.balance, -minor, came_by, TAKEN_BACK, now, sequence=times)
                times, left = times + 1, left - minor
    return most.amount_minor - left


def return_topup(*, account: Account, money: Money, source_code: str, now: datetime) -> BalanceMove:
    """Move what is left of a top-up from a balance to what is owed back.

    Args:
        source_code: The order of the top-up.

    Raises:
        BalanceTooLow: There is not so much; nothing was written.
    """
    return _owe(account, money, source_code, TOPUP_RETURNED, now)


def pay_back(*, account: Account, money: Money, source_code: str, now: datetime) -> BalanceMove:
    """Move money from a balance to what is owed back, by whatever way it came.

    Args:
        source_code: What brought it: the order that a payment settled, else the payment.

    Raises:
        BalanceTooLow: There is not so much; nothing was written.
    """
    return _owe(account, money, source_code, PAID_BACK, now)


def _owe(account: Account, money: Money, source_code: str, kind: str, now: datetime) -> BalanceMove:
    with writing():
        times = BalanceMove.objects.filter(source_code=source_code, kind=kind).count()
        head = _head(account, money.currency)
        if head.amount_minor - head.reserved_minor < money.amount_minor:
            raise _too_low(head)
        line = TransferLine(CREDITS, REFUNDS, money)
        _post(source_code, kind, line, now, sequence=times)
        return _move(head, -money.amount_minor, source_code, kind, now, sequence=times)


def return_gift(*, order: Order, money: Money, now: datetime) -> None:
    """Move what is owed of a gift that was not used up to the balance of whoever gave it.

    Args:
        order: By which the gift's code was bought; its account may not be gone.
    """
    assert order.account is not None  # noqa: S101 -- the caller looked
    with writing():
        times = BalanceMove.objects.filter(source_code=order.code, kind=GIFT_RETURNED).count()
        line = TransferLine(REFUNDS, CREDITS, money)
        _post(order.code, GIFT_RETURNED, line, now, sequence=times)
        head = _head(order.account, order.currency)
        _move(head, money.amount_minor, order.code, GIFT_RETURNED, now, sequence=times)
        claims.catch(head)


def reserve(*, order: Order, minor: int) -> None:
    """Set how much of an open order is paid from the balance of its account; 0 gives it back.

    Raises:
        BalanceTooLow: The balance holds less.
        StaleState: The order is not open any more, or was changed just now.
    """
    with writing():
        assert order.account is not None  # noqa: S101 -- who pays from a balance has an account
        head = _head(order.account, order.currency)
        more = minor - order.credit_minor
        if head.amount_minor - head.reserved_minor < more:
            raise _too_low(head)
        changed = Order.objects.filter(
            pk=order.pk, state=Order.State.OPEN, credit_minor=order.credit_minor
        ).update(credit_minor=minor)
        if changed != 1:
            raise StaleState(_("This order was changed just now."), _("Look again."))
        _reserve(head, more)
        order.credit_minor = minor
        if more < 0:
            claims.catch(head)


def release(*, order: Order) -> None:
    """Give back what an order had reserved that is not going to be paid any more.

    The order keeps on record what was to be paid from the balance.
    """
    if order.credit_minor and order.account is not None:
        head = _head(order.account, order.currency)
        _reserve(head, -order.credit_minor)
        claims.catch(head)


def settle_reserved(*, order: Order, against: str, now: datetime) -> None:
    """Spend what an order has reserved, in the transaction that settles it.

    Args:
        against: The account of the books that takes it.
    """
    if order.credit_minor and order.account is not None:
        head = _head(order.account, order.currency)
        money = Money(order.credit_minor, order.currency)
        _reserve(head, -order.credit_minor)
        _post(order.code, SPENT, TransferLine(CREDITS, against, money), now)
        _move(head, -order.credit_minor, order.code, SPENT, now)


def give_back_unused(*, order: Order, minor: int, against: str, now: datetime) -> None:
    """Let all that goes back to the balance of an order that was ended early be an amount.

    Called again for an earlier end, it moves what more that is; repeated, nothing.

    Args:
        against: The account of the books that gives it.
    """
    moves = BalanceMove.objects.filter(source_code=order.code, kind=RETURNED)
    before = moves.aggregate(total=Sum("amount_minor"), times=Count("pk"))
    more = minor - (before["total"] or 0)
    if more > 0 and order.account is not None:
        money = Money(more, order.currency)
        line = TransferLine(against, CREDITS, money)
        _post(order.code, RETURNED, line, now, sequence=before["times"])
        head = _head(order.account, order.currency)
        _move(head, more, order.code, RETURNED, now, sequence=before["times"])
        claims.catch(head)


def _head(account: Account, currency: str) -> Balance:
    return Balance.objects.get_or_create(account=account, currency=currency)[0]


def _move(
    head: Balance, minor: int, source_code: str, kind: str, now: datetime, *, sequence: int = 0
) -> BalanceMove:
    """Write a move; a trigger adds it to the balance, and a constraint keeps that above 0."""
    return BalanceMove.objects.create(
        balance=head,
        amount_minor=minor,
        source_code=source_code,
        kind=kind,
        sequence=sequence,
        moved_at=now,
    )


def _reserve(head: Balance, minor: int) -> None:
    claims.reserve(head.pk, minor)


def _post(
    source_code: str, kind: str, line: TransferLine, now: datetime, *, sequence: int = 0
) -> None:
    post(
        source_code=source_code,
        kind=kind,
        transfers=[line],
        description=f"Balance: {kind} by {source_code}",
        now=now,
        sequence=sequence,
    )


def _too_low(head: Balance) -> BalanceTooLow:
    left = Money(head.amount_minor - head.reserved_minor, head.currency)
    return BalanceTooLow(
        _("Your balance has %(left)s left.") % {"left": left},
        _("Pay less of the order from it, and the rest another way."),
    )
