"""What lies on a balance goes back: to the payments that brought it, else as staff find right.

    balance ──of a payment──> a refund of it: the provider or staff pay it, never above what came
          └──of none────────> a refund of a payment by `balance`: staff alone begin and pay it

What came by a payment that its payer may be taking back stays, and so does what open orders are to
be paid with. What was given away is never on a balance.

Source: docs/decisions/0069-balances-paid-back.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.money import Money
from ferriage.orders import balance as balances
from ferriage.orders import claims
from ferriage.orders.balancemodels import CREDITED
from ferriage.orders.models import Balance, BalanceMove, Order
from ferriage.orders.tracing import UNKNOWN, Brought, Trace
from ferriage.payments import bounds
from ferriage.payments.models import Payment, Refund

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor

PROVIDER: Final = "balance"
"""The provider of a payment that stands for what no payment of the customer's brought."""
REASON: Final = "balance paid back"


class NotPaidBack(FerriageError):
    """More than what can go back of a balance now, or nothing."""

    slug = "not-paid-back"
    status = 422


@dataclass(frozen=True, slots=True)
class Part:
    """What of a balance goes back to one payment."""

    payment: Payment
    minor: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What of a balance can go back now.

    `parts` go to payments of its customer, the newest first; `by_hand_minor` came otherwise, so
    only staff can say how it goes. `seen` is the last move of the balance that this counts.
    """

    balance: Balance
    parts: tuple[Part, ...]
    by_hand_minor: int
    seen: int

    @property
    def to_payments(self) -> Money:
        """What goes back the way it came."""
        return Money(sum(part.minor for part in self.parts), self.balance.currency)

    @property
    def by_hand(self) -> Money:
        """What only staff can send, by another way."""
        return Money(self.by_hand_minor, self.balance.currency)

    @property
    def whole(self) -> Money:
        """All that can go back."""
        return self.to_payments + self.by_hand


def offers(account: Account, *, with_changes: bool) -> list[Offer]:
    """Return what can go back of each balance of an account that holds anything."""
    held = balances.balances_of(account).filter(amount_minor__gt=0)
    return [offer(balance, with_changes=with_changes) for balance in held]


def offer(balance: Balance, *, with_changes: bool) -> Offer:
    """Return what of a balance can go back now.

    Args:
        with_changes: Whether what a change of plan left over goes back to the payment of the plan
            before. A shop that refunds nothing after some days does not owe that by this way.
    """
    free = balance.amount_minor - balance.reserved_minor
    lots, payments = _traced(balance, with_changes=with_changes)
    left, parts, strange = free, [], lots[UNKNOWN]
    may_go, own = _may_go(payments), _own(payments, balance)
    for payment in payments:
        minor = min(lots[payment.code], may_go[payment.pk], left)
        if minor <= 0:
            continue
        if payment in own:
            parts.append(Part(payment, minor))
            left -= minor
        else:
            # Who gave the customer a term paid it: nobody sends them what is the customer's now.
            strange += minor
    seen = balance.moves.order_by("-pk").values_list("pk", flat=True).first()
    return Offer(balance, tuple(parts), max(min(strange, left), 0), seen or 0)


def ask(
    *, balance: Balance, money: Money, seen: int, with_changes: bool, now: datetime, actor: Actor
) -> list[Refund]:
    """Queue what a customer asks back of their balance, to the payments that brought it.

    Args:
        seen: The last move that the page counted; so the same form pays once.
        with_changes: As of `offer`.

    Raises:
        NotPaidBack: Not so much came by payments that it can go back to.
        StaleState: The balance was changed since the page was made.
    """
    with writing():
        found = _found(balance, seen, with_changes=with_changes)
        _check(money, found.to_payments)
        return _queue(found, money, note="", now=now, actor=actor)


def pay_out(
    *, balance: Balance, money: Money, seen: int, reason: str, now: datetime, actor: Actor
) -> list[Refund]:
    """Queue what staff pay back of a balance: to its payments first, the rest by their own hand.

    Args:
        seen: As of `ask`.
        reason: Why, and how what no payment brought is to go.

    Raises:
        NotPaidBack: Not so much can go back now, or no reason.
        StaleState: The balance was changed since the page was made.
    """
    with writing():
        found = check_payable(balance=balance, money=money, seen=seen, reason=reason)
        return _queue(found, money, note=reason.strip(), now=now, actor=actor)


def check_payable(*, balance: Balance, money: Money, seen: int, reason: str) -> Offer:
    """Return what staff may pay back now, or refuse an amount as `pay_out` does.

    Raises:
        NotPaidBack: Not so much can go back now, or no reason.
        StaleState: The balance was changed since the page was made.
    """
    if not reason.strip():
        raise NotPaidBack(_("Say why, and how it is to be paid."), _("Nothing was queued."))
    found = _found(balance, seen, with_changes=True)
    _check(money, found.whole)
    return found


def going_back(account: Account) -> list[Refund]:
    """Return what was paid back, or is on its way, from balances of an account, newest first."""
    mine = Refund.objects.filter(kind=Refund.Kind.BALANCE, balance__account=account)
    return list(mine.order_by("-pk"))


def _found(balance: Balance, seen: int, *, with_changes: bool) -> Offer:
    found = offer(
        Balance.objects.select_related("account").get(pk=balance.pk), with_changes=with_changes
    )
    if found.seen != seen:
        raise StaleState(
            _("The balance was changed just now."),
            _("Look at it again; nothing more was queued."),
        )
    return found


def _check(money: Money, most: Money) -> None:
    same = money.currency == most.currency
    if not same or not 0 < money.amount_minor <= most.amount_minor:
        raise NotPaidBack(
            _("No more than %(most)s can go back now.") % {"most": most},
            _("Choose an amount above nothing and up to that; nothing was queued."),
        )


def _queue(found: Offer, money: Money, *, note: str, now: datetime, actor: Actor) -> list[Refund]:
    left, refunds = money.amount_minor, []
    for part in found.parts:
        minor = min(part.minor, left)
        if minor:
            left -= minor
            refunds.append(_owe(found.balance, part.payment, minor, note, now))
    if left:
        payment = _payment_by_balance(Money(left, money.currency), now)
        refunds.append(_owe(found.balance, payment, left, note, now))
    audit.record(
        now=now,
        actor=actor,
        action="balance.paid-back",
        subject=refunds[0].code,
        refunds=" ".join(refund.code for refund in refunds),
        amount=str(money),
        reason=note,
    )
    return refunds


def _owe(balance: Balance, payment: Payment, minor: int, note: str, now: datetime) -> Refund:
    order = _order_of(payment)
    balances.pay_back(
        account=balance.account,
        money=Money(minor, balance.currency),
        source_code=order.code if order else payment.code,
        now=now,
    )
    return Refund.objects.create(
        payment=payment,
        kind=Refund.Kind.BALANCE,
        balance=balance,
        amount_minor=minor,
        currency=balance.currency,
        reason=REASON,
        note=note,
        created_at=now,
    )


def _payment_by_balance(money: Money, now: datetime) -> Payment:
    """Return a payment that stands for money of a balance that no payment brought.

    So what goes back of it is a refund like any other, for the queue, the bank's statement, and
    the rule that no more goes back than came.
    """
    return Payment.objects.create(
        provider=PROVIDER,
        state=Payment.State.CAPTURED,
        outcome="refund",
        amount_minor=money.amount_minor,
        received_minor=money.amount_minor,
        currency=money.currency,
        created_at=now,
        captured_at=now,
    )


# --- whose money it is ------------------------------------------------------------------------


def _traced(balance: Balance, *, with_changes: bool) -> tuple[Counter[str], list[Payment]]:
    """Return what lies on a balance by the payments that brought it, and those, newest first.

    Terms that others gave to its customer may have brought some of it, so theirs are followed, too.
    """
    givers = claims.reached({balance.account_id}, "recipient", "account")
    same = Balance.objects.filter(account__in=givers, currency=balance.currency)
    heads = list(same.order_by("pk"))
    payments = _payments(givers, heads)
    theirs = Q(account__in=givers) | Q(recipient__in=givers)
    trace = Trace(
        brought=[Brought(one.code, _order_of(one)) for one in payments],
        currency=balance.currency,
        orders=Order.objects.filter(theirs, state=Order.State.FULFILLED),
        moves=claims.moves_in(heads),
        through_changes=with_changes,
    )
    claims.let_orders_spend(trace, heads)
    return trace.left(balance.pk), payments


def _payments(accounts: set[int], heads: Sequence[Balance]) -> list[Payment]:
    """Return what accounts paid, newest first."""
    credited = BalanceMove.objects.filter(balance__in=heads, kind=CREDITED).values("source_code")
    settled = Q(outcome="settled", order__account__in=accounts, order__state="fulfilled")
    came = Payment.objects.filter(settled | Q(outcome="credited", code__in=credited))
    return list(came.select_related("order").order_by("-pk"))


def _order_of(payment: Payment) -> Order | None:
    """Return what a payment settled; money that was credited may only have been meant for one."""
    return payment.order if payment.outcome == "settled" else None


def _own(payments: list[Payment], balance: Balance) -> set[Payment]:
    """Return which of payments the customer of a balance made."""
    moves = balance.moves.filter(kind=CREDITED)
    credited = set(moves.values_list("source_code", flat=True))
    found = set()
    for payment in payments:
        order = _order_of(payment)
        if payment.code in credited or (order and order.account_id == balance.account_id):
            found.add(payment)
    return found


def _may_go(payments: list[Payment]) -> dict[int, int]:
    """Return what of each payment may go back: nothing where its payer may be taking it back."""
    keys = [payment.pk for payment in payments]
    steady = Payment.objects.filter(bounds.may_go_by_itself("pk", "order"), pk__in=keys)
    return dict.fromkeys(keys, 0) | bounds.lefts_of(steady)
