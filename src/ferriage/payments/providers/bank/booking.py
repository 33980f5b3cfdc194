"""What a stored line of a statement does in the books: once, in a transaction of its own.

    money that came ──> an order or a reseller by its reference; else suspense
    what a provider paid out ──> nothing: the provider's own books posted it
    money that went ──> a queued refund by its code, the bank's fee; else it waits for staff
    money that came back ──> the refund that could not be delivered is queued again
    money that a bank took back ──> from where it waits; else a recall, which staff decide

Source: docs/decisions/0027-bank-statements.md
"""

from __future__ import annotations

from itertools import batched
from typing import TYPE_CHECKING, Final

import structlog
from django.utils.translation import gettext_lazy as _

from ferriage.approvals.onereading import reading_once
from ferriage.core import audit, codes
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments import actions as payments
from ferriage.payments import recalls, suspense
from ferriage.payments.bounced import bounce_refund
from ferriage.payments.capture import change_once
from ferriage.payments.models import Payment, Refund, Reseller
from ferriage.payments.providers.bank import actions as bank
from ferriage.payments.providers.bank import files, numbers, payouts, returns
from ferriage.payments.providers.bank import reference as references
from ferriage.payments.providers.bank.models import StatementFile, StatementLine
from ferriage.payments.providers.voucher import resellers
from ferriage.payments.providers.voucher.quota import ResellerWrong

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.payments.models import SettlementLine
    from ferriage.payments.providers.bank.models import BankStatement

State = StatementLine.State
WORKER: Final = Actor("system", "worker")
ALREADY: Final = "already"
OWN: Final = "own"
OTHER_ACCOUNTS: Final = ("expenses:fees", "expenses:other", "equity:owner", ALREADY)
"""What staff may book money to that went for no refund; or it is booked already."""
CAME_AS: Final = (OWN, ALREADY)
"""What money may be that came under a number typed by hand with another amount."""
_AT_ONCE: Final = 500
_TOGETHER: Final = 25
"""So few that nobody waits long for the one lock, and so many that the register is read seldom."""
log = structlog.get_logger()


class LineWrong(FerriageError):
    """The line cannot be booked like that."""

    slug = "line-wrong"
    status = 422


def post_file(
    *,
    file: StatementFile,
    take_opening: bool = False,
    take_doubtful: bool = False,
    presumed_place: str = "",
    now: datetime,
    actor: Actor,
) -> list[BankStatement]:
    """Store the lines of a draft and book each; what is refused for now the worker tries again.

    Args:
        take_opening: As `files.store`, like the others.

    Raises:
        StatementRefused: As `files.store`.
        StaleState: It was posted or dropped.
    """
    stored = files.store(
        file=file,
        take_opening=take_opening,
        take_doubtful=take_doubtful,
        presumed_place=presumed_place,
        now=now,
        actor=actor,
    )
    kept = StatementLine.objects.filter(statement__in=stored, state=State.KEPT).order_by("pk")
    _book_all(kept, now, actor)
    return stored


def book_kept(now: datetime) -> int:
    """Book what a crash left; returns how many lines there were."""
    left = StatementLine.objects.filter(state=State.KEPT).order_by("pk")[:_AT_ONCE]
    return _book_all(left, now, WORKER)


def _book_all(lines: Iterable[StatementLine], now: datetime, actor: Actor) -> int:
    """Book lines, so many in one transaction; each whole or not at all. Returns how many."""
    done = 0
    for together in batched(lines, _TOGETHER):
        try:
            with writing(), reading_once():
                done += sum(_try(line, now, actor) for line in together)
        except Exception as fault:  # noqa: BLE001 -- one by one it comes up again, at its line
            log.warning("statement-lines.one-by-one", fault=repr(fault))
            done += sum(_try(line, now, actor) for line in together)
    return done


def _try(line: StatementLine, now: datetime, actor: Actor) -> bool:
    """Book a line; one that is refused for now stays kept and holds up no other."""
    try:
        book(line=line, now=now, actor=actor)
    except FerriageError as refusal:
        log.warning("statement-line.refused", line=line.code, reason=refusal.slug)
        return False
    return True


def book(*, line: StatementLine, now: datetime, actor: Actor) -> StatementLine:
    """Book a kept line, once however often it is called."""
    with writing():
        line = StatementLine.objects.select_related("account").get(pk=line.pk)
        if line.state != State.KEPT:
            return line
        if line.amount_minor > 0:
            _came(line, now, actor)
        else:
            _went(line, now, actor)
    line.refresh_from_db()
    return line


# --- money that came --------------------------------------------------------------------------


def _came(line: StatementLine, now: datetime, actor: Actor) -> None:
    typed = numbers.by_hand([line.bank_reference]).get(numbers.plain(line.bank_reference))
    if typed is None:
        _book_money(line, now, actor)
    elif typed.money != _money(line):
        # One of the two amounts is wrong, or the bank gave its number twice: staff know which.
        _wait(line, note=str(typed.money))
    elif typed.payment is not None:
        _done(line, "duplicate", now, payment=typed.payment)
    else:
        _done(line, "duplicate", now, note=typed.code)


def _book_money(line: StatementLine, now: datetime, actor: Actor) -> None:
    if row := _payout(line):
        _done(line, payouts.OUTCOME, now, note=row.code)
        return
    refund = _named_refund(line, Refund.State.PAID) if line.is_return else None
    if refund is not None:
        bounce_refund(refund=refund, into=line.account.book_account, now=now, actor=actor)
        _done(line, "refund-returned", now, refund=refund)
        return
    if _from_reseller(line, now, actor):
        _done(line, "reseller", now)
        return
    captured = bank.book_receipt(
        reference=line.text,
        transaction_id=line.number,
        money=_money(line),
        payer_place=line.payer_place,
        account=line.account.book_account,
        now=now,
        actor=actor,
    )
    _done(line, captured.outcome, now, payment=captured.payment)


def _payout(line: StatementLine) -> SettlementLine | None:
    """Return the payout of a provider that a line is; who quotes a reference pays what they owe."""
    sent = payouts.sent(line.account, [line.booked_on])
    row = payouts.arrived(text=line.text, minor=line.amount_minor, on=line.booked_on, among=sent)
    if row is None:
        return None
    found = references.found_in(line.text)
    quoted = Payment.objects.filter(reference__in=found).exists()
    return None if quoted or Reseller.objects.filter(reference__in=found).exists() else row


def _from_reseller(line: StatementLine, now: datetime, actor: Actor) -> bool:
    """Book what a reseller paid for codes, if the line names one; more than is owed is not."""
    found = references.found_in(line.text)
    named = Reseller.objects.filter(reference__in=found)[:2]
    # Money that names an order too is for the order, or for staff to judge.
    if len(named) != 1 or Payment.objects.filter(reference__in=found).exists():
        return False
    try:
        resellers.book_payment(
            reseller=named[0],
            money=_money(line),
            transaction_id=line.number,
            book_account=line.account.book_account,
            now=now,
            actor=actor,
        )
    except ResellerWrong:
        # It goes to suspense like any other money that nobody asked for.
        return False
    return True


# --- money that went --------------------------------------------------------------------------


def _went(line: StatementLine, now: datetime, actor: Actor) -> None:
    taken = returns.payment_taken_back(line) if line.is_return else None
    refund = None if line.is_return else _named_refund(line, Refund.State.QUEUED)
    if taken is not None:
        _taken_back(line, taken, now, actor)
    elif refund is not None:
        _pay(line, refund, now, actor)
    elif line.is_fee:
        _post(line, "expenses:fees", now)
        _done(line, "fee", now)
    else:
        _wait(line)


def _named_refund(line: StatementLine, state: str) -> Refund | None:
    """Return the one refund of exactly this amount whose code stands in the text."""
    said = codes.normalise(line.text)
    same = Refund.objects.filter(
        # What a provider pays back does not come by this account.
        payment__account=None,
        state=state,
        amount_minor=abs(line.amount_minor),
        currency=line.currency,
    ).select_related("payment__order")
    named = [refund for refund in same if codes.normalise(refund.code.partition("_")[2]) in said]
    return named[0] if len(named) == 1 else None


def _taken_back(line: StatementLine, payment: Payment, now: datetime, actor: Actor) -> None:
    """Book what a bank took: from the refund that waits for it, or as a recall."""
    money = Money(-line.amount_minor, line.currency)
    refund = Refund.objects.filter(
        payment=payment,
        state=Refund.State.QUEUED,
        kind__in=[Refund.Kind.NOT_SETTLED, Refund.Kind.UNALLOCATED],
        amount_minor=money.amount_minor,
    ).first()
    if payment.outcome == "unallocated" and money == suspense.rest(payment):
        refund = payments.refund_unallocated(payment=payment, now=now, actor=actor)
    if refund is not None:
        _pay(line, refund, now, actor)
        return
    recalls.take_back(
        payment=payment,
        money=money,
        reference=line.number,
        from_account=line.account.book_account,
        now=now,
        actor=actor,
    )
    _done(line, "recalled", now)


def _pay(line: StatementLine, refund: Refund, now: datetime, actor: Actor) -> None:
    payments.mark_refund_paid(
        refund=refund,
        reference=line.number,
        from_account=line.account.book_account,
        now=now,
        actor=actor,
    )
    _done(line, "refund-paid", now, refund=refund)


# --- by staff ---------------------------------------------------------------------------------


def pay_with(*, line: StatementLine, refund: Refund, now: datetime, actor: Actor) -> StatementLine:
    """Say that a line that waits paid a queued refund.

    Raises:
        LineWrong: Another amount or currency.
        StaleState: The line was booked, or the refund paid.
    """
    with writing():
        line = _waiting(line)
        if (refund.amount_minor, refund.currency) != (-line.amount_minor, line.currency):
            raise LineWrong(_("The refund is of another amount."), _("Nothing was booked."))
        _pay(line, refund, now, actor)
        _record(line, actor, now, refund=refund.code)
    line.refresh_from_db()
    return line


def take_back_with(
    *, line: StatementLine, payment: Payment, now: datetime, actor: Actor
) -> StatementLine:
    """Say that a line that waits took a payment back: its service is held until it is decided.

    Raises:
        LineWrong: Money that came, or a payment that no bank transfer brought.
        RecallWrong: More than the payment brought.
        StaleState: The line was booked.
    """
    with writing():
        line = _waiting(line)
        if line.amount_minor > 0 or payment.provider != bank.PROVIDER or not payment.outcome:
            raise LineWrong(
                _("This line did not take that payment back."), _("Nothing was booked.")
            )
        _taken_back(line, payment, now, actor)
        _record(line, actor, now, payment=payment.code)
    line.refresh_from_db()
    return line


def post_other(
    *, line: StatementLine, account: str, reason: str, now: datetime, actor: Actor
) -> StatementLine:
    """Book a line that waits to an account of the books, with a reason.

    What was posted on another page, such as a partner's payout, is noted and not posted again.
    Money that came is that, or money of its own, booked as if nobody had typed its number.

    Raises:
        LineWrong: No reason, or an account that such lines are not booked to.
        StaleState: The line was booked.
    """
    offered = choices_for(line)
    if account not in offered or not 0 < len(reason.strip()) <= 200:  # noqa: PLR2004 -- the column's length
        raise LineWrong(_("Say what it was for, in at most 200 characters."))
    with writing():
        line = _waiting(line)
        if account == OWN:
            StatementLine.objects.filter(pk=line.pk).update(note="")
            _book_money(line, now, actor)
        elif account == ALREADY:
            _done(line, "noted", now, note=reason.strip())
        else:
            _post(line, account, now)
            _done(line, "other", now, note=reason.strip())
        _record(line, actor, now, account=account, reason=reason.strip())
    line.refresh_from_db()
    return line


def choices_for(line: StatementLine) -> tuple[str, ...]:
    """Return what staff may say that a line was."""
    return CAME_AS if line.amount_minor > 0 else OTHER_ACCOUNTS


def _waiting(line: StatementLine) -> StatementLine:
    line = StatementLine.objects.select_related("account").get(pk=line.pk)
    change_once(int(line.state == State.WAITS))
    return line


def _record(line: StatementLine, actor: Actor, now: datetime, **how: str) -> None:
    audit.record(now=now, actor=actor, action="statement-line.booked", subject=line.code, **how)


def _post(line: StatementLine, account: str, now: datetime) -> None:
    went = Money(-line.amount_minor, line.currency)
    post(
        source_code=line.code,
        kind="bank-line",
        transfers=[TransferLine(account, line.account.book_account, went)],
        description=f"Line {line.code} of {line.booked_on}",
        now=now,
    )


def _wait(line: StatementLine, *, note: str = "") -> None:
    kept = StatementLine.objects.filter(pk=line.pk, state=State.KEPT)
    change_once(kept.update(state=State.WAITS, note=note))


def _done(line: StatementLine, outcome: str, now: datetime, **found: object) -> None:
    change_once(
        StatementLine.objects.filter(pk=line.pk)
        .exclude(state=State.DONE)
        .update(state=State.DONE, outcome=outcome, done_at=now, **found)
    )


def _money(line: StatementLine) -> Money:
    return Money(line.amount_minor, line.currency)
