"""What one member of staff may not do alone with money above the limit: it waits for another one.

Undoing a posting, crediting money to a balance, sending money back, also from a balance, and what a
customer brings along from another shop. Receipts and payouts have the same rule where they are
entered.

Source: docs/decisions/0058-second-person-for-corrections.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from ferriage.arrivals import openings
from ferriage.arrivals import queries as arrivals
from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import StaleState
from ferriage.core.money import Money, exponent
from ferriage.ledger.models import LedgerTransaction, Transfer
from ferriage.ledger.reversing import reverse
from ferriage.orders.balance import balance_of
from ferriage.payments import actions, payback, suspense
from ferriage.payments.capture import change_once
from ferriage.payments.models import Payment, Proposal
from ferriage.payments.providers.bank.receipts import SecondPersonNeeded

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.orders.models import Balance, BalanceMove, Order

Kind = Proposal.Kind


def correct(
    *, transaction: LedgerTransaction, reason: str, limit: int, now: datetime, actor: Actor
) -> Proposal | None:
    """Undo a posting; above the limit only propose it.

    Args:
        limit: Whole units of each currency that it moves.

    Raises:
        NotReversible: As `reverse`, at once or when it is confirmed.
        StaleState: It was proposed before, and waits.
    """
    largest = _largest(transaction, limit)
    if largest is None:
        reverse(transaction=transaction, reason=reason, now=now, actor=actor)
        return None
    return _propose(Kind.CORRECTION, transaction.code, largest, now, actor, reason=reason.strip())


def credit(
    *, payment: Payment, order: Order, limit: int, now: datetime, actor: Actor
) -> Proposal | None:
    """Give money that no order took to the balance of an order's account, or propose it.

    Raises:
        NotAssignable: Its payer may be taking it back.
        StaleState: It is not unallocated any more, or it was proposed before.
    """
    money = suspense.free(payment)
    if _is_above(money, limit):
        return _propose(Kind.CREDIT, payment.code, money, now, actor, order=order)
    _credit(payment, order, now, actor)
    return None


def send_back(*, payment: Payment, limit: int, now: datetime, actor: Actor) -> Proposal | None:
    """Queue the refund of money that no order took, or propose it.

    Raises:
        NotAssignable: Its payer may be taking it back.
        StaleState: It is not unallocated any more, or it was proposed before.
    """
    money = suspense.free(payment)
    if _is_above(money, limit):
        return _propose(Kind.REFUND, payment.code, money, now, actor)
    actions.refund_unallocated(payment=payment, now=now, actor=actor)
    return None


def bring(  # noqa: PLR0913 -- what an opening balance is made of
    *,
    account: Account,
    order: Order | None = None,
    money: Money,
    source: str,
    number: str,
    reason: str,
    limit: int,
    now: datetime,
    actor: Actor,
) -> Proposal | None:
    """Owe a customer what they held in another shop, or propose it.

    What was credited to the account this way before counts: a sum in parts is the sum.

    Args:
        order: By which of their orders the customer was found, for the second person to look at.
        source: The other shop, by the name that its import has.
        number: The customer's number there; it is kept as a hash.

    Raises:
        OpeningWrong: Something of it is missing.
        CameBefore: What they held came over before.
        StaleState: It was proposed before, and waits.
    """
    reason = reason.strip()
    code = openings.named(source=source, number=number, money=money, reason=reason)
    with writing():
        before = Money(openings.brought(account, money.currency), money.currency)
        if _is_above(before + money, limit):
            return _propose(
                Kind.OPENING, code, money, now, actor, order=order, account=account, reason=reason
            )
        openings.bring(account=account, money=money, code=code, reason=reason, now=now, actor=actor)
    return None


def take_back(
    *, move: BalanceMove, reason: str, limit: int, now: datetime, actor: Actor
) -> Proposal | None:
    """Take back an opening balance that was typed by mistake, or propose it.

    Raises:
        OpeningWrong, OpeningSpent: As `openings.check_unspent`, at once or when it is confirmed.
        StaleState: It was taken back before, or it was proposed and waits.
    """
    money = openings.check_unspent(move, reason)
    if _is_above(money, limit):
        account = move.balance.account
        return _propose(
            Kind.TAKE_BACK,
            move.source_code,
            money,
            now,
            actor,
            account=account,
            reason=reason.strip(),
        )
    openings.take_back(move=move, reason=reason, now=now, actor=actor)
    return None


def pay_back(
    *,
    balance: Balance,
    order: Order | None = None,
    money: Money,
    seen: int,
    reason: str,
    limit: int,
    now: datetime,
    actor: Actor,
) -> Proposal | None:
    """Queue what staff pay back of a balance, or propose it.

    Args:
        order: By which of their orders the customer was found, for the second person to look at.
        seen: The last move of the balance that the page counted.

    Raises:
        NotPaidBack: Not so much can go back now, or no reason.
        StaleState: The balance was changed since the page was made, or it was proposed before.
    """
    if _is_above(money, limit):
        payback.check_payable(balance=balance, money=money, seen=seen, reason=reason)
        return _propose(
            Kind.PAYBACK,
            f"balance {balance.pk}",
            money,
            now,
            actor,
            order=order,
            account=balance.account,
            reason=reason.strip(),
        )
    payback.pay_out(balance=balance, money=money, seen=seen, reason=reason, now=now, actor=actor)
    return None


def confirm(*, proposal: Proposal, now: datetime, actor: Actor) -> None:
    """Do what was proposed, as another member of staff; refused whole where it cannot be done.

    Raises:
        SecondPersonNeeded: The actor proposed it, or is no member of staff.
        NotAssignable: The payer may be taking the money back, or took a part of it.
        StaleState: It was confirmed or dropped, or the money waits no more.
        NotReversible: The posting cannot be undone.
        CameBefore: The opening balance came over meanwhile.
        OpeningSpent: A part of what is to be taken back was spent meanwhile.
        NotPaidBack: Not so much can go back of the balance any more.
    """
    if actor.kind != "staff" or actor.is_called(proposal.entered_by):
        raise SecondPersonNeeded(
            _("This is confirmed by another person than the one who proposed it."),
            _("Ask a second member of staff. Nothing was booked."),
        )
    with writing():
        waits = Proposal.objects.filter(pk=proposal.pk, confirmed_at=None, dropped_at=None)
        change_once(waits.update(confirmed_by=actor.code, confirmed_at=now))
        if proposal.kind == Kind.CORRECTION:
            posted = LedgerTransaction.objects.get(code=proposal.subject)
            reverse(transaction=posted, reason=proposal.reason, now=now, actor=actor)
        elif proposal.kind == Kind.TAKE_BACK:
            _take_back(proposal, now, actor)
        elif proposal.kind == Kind.PAYBACK:
            _pay_back(proposal, now, actor)
        elif proposal.balance is not None:
            openings.bring(
                account=proposal.balance.account,
                money=Money(proposal.amount_minor, proposal.currency),
                code=proposal.subject,
                reason=proposal.reason,
                now=now,
                actor=actor,
            )
        else:
            payment = Payment.objects.get(code=proposal.subject)
            _check_left(payment, proposal)
            if proposal.order is not None:
                _credit(payment, proposal.order, now, actor)
            else:
                actions.refund_unallocated(payment=payment, now=now, actor=actor)
        _record(proposal, "confirmed", now, actor)


def _take_back(proposal: Proposal, now: datetime, actor: Actor) -> None:
    move = arrivals.opening_of(proposal.subject)
    change_once(int(move is not None))
    assert move is not None  # noqa: S101 -- the line before
    openings.take_back(move=move, reason=proposal.reason, now=now, actor=actor)


def _check_left(payment: Payment, proposal: Proposal) -> None:
    """Refuse another amount than the first person proposed."""
    if suspense.rest(payment) != Money(proposal.amount_minor, proposal.currency):
        raise suspense.NotAssignable(
            _("The payer took a part of this money back."),
            _("Drop this, and propose what is left. Nothing was booked."),
        )


def drop(*, proposal: Proposal, now: datetime, actor: Actor) -> None:
    """Drop what waits; any one member of staff may.

    Raises:
        StaleState: It was confirmed or dropped.
    """
    with writing():
        waits = Proposal.objects.filter(pk=proposal.pk, confirmed_at=None, dropped_at=None)
        change_once(waits.update(dropped_by=actor.code, dropped_at=now))
        _record(proposal, "dropped", now, actor)


def waiting() -> list[Proposal]:
    """Return what waits for a second person, oldest first."""
    still = Proposal.objects.filter(confirmed_at=None, dropped_at=None)
    return list(still.select_related("order", "balance__account").order_by("pk"))


def _propose(
    kind: str,
    subject: str,
    money: Money,
    now: datetime,
    actor: Actor,
    *,
    order: Order | None = None,
    account: Account | None = None,
    reason: str = "",
) -> Proposal:
    try:
        with writing():
            balance = balance_of(account, money.currency) if account else None
            proposal = Proposal.objects.create(
                kind=kind,
                subject=subject,
                order=order,
                balance=balance,
                reason=reason,
                amount_minor=money.amount_minor,
                currency=money.currency,
                entered_by=actor.code,
                entered_at=now,
            )
            _record(proposal, "entered", now, actor)
    except IntegrityError as error:
        raise StaleState(
            _("Something was proposed for this before, and waits."),
            _("Look at the list of payments; nothing was entered."),
        ) from error
    return proposal


def _credit(payment: Payment, order: Order, now: datetime, actor: Actor) -> None:
    change_once(int(order.account is not None))
    assert order.account is not None  # noqa: S101 -- the line before
    actions.credit_unallocated(payment=payment, account=order.account, now=now, actor=actor)


def _pay_back(proposal: Proposal, now: datetime, actor: Actor) -> None:
    """Pay back what was proposed, of the balance as it is by now."""
    assert proposal.balance is not None  # noqa: S101 -- a constraint of such proposals
    payback.pay_out(
        balance=proposal.balance,
        money=Money(proposal.amount_minor, proposal.currency),
        seen=payback.offer(proposal.balance, with_changes=True).seen,
        reason=proposal.reason,
        now=now,
        actor=actor,
    )


def _largest(transaction: LedgerTransaction, limit: int) -> Money | None:
    """Return the largest amount of a posting that lies above the limit, if one does."""
    rows = Transfer.objects.filter(transaction=transaction).values_list("currency").order_by()
    found = [Money(minor, currency) for currency, minor in rows.annotate(Max("amount_minor"))]
    return next((money for money in found if _is_above(money, limit)), None)


def _is_above(money: Money, limit: int) -> bool:
    return bool(money.amount_minor > limit * 10 ** exponent(money.currency))


def _record(proposal: Proposal, verb: str, now: datetime, actor: Actor) -> None:
    audit.record(
        now=now,
        actor=actor,
        action=f"proposal.{verb}",
        subject=proposal.code,
        kind=proposal.kind,
        of=proposal.subject,
        amount=str(Money(proposal.amount_minor, proposal.currency)),
    )
