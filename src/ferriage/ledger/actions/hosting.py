"""What the hosts of gateways cost, beside what the services on them earn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.money import Money
from ferriage.ledger import chart
from ferriage.ledger.actions.posting import TransferLine, post
from ferriage.ledger.models import HostingBill
from ferriage.ledger.months import month_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from ferriage.core.actors import Actor

PAGE: Final = 100


class BillWrong(FerriageError):
    """A bill that nobody can have sent."""

    slug = "bill-wrong"
    status = 422


def record_bill(
    *,
    gateway: str,
    what: str,
    money: Money,
    monthly: bool = False,
    now: datetime,
    actor: Actor,
) -> HostingBill:
    """Enter what a gateway's host costs: once, or each month from this one on. It is owed at once.

    Args:
        gateway: The gateway's code.

    Raises:
        BillWrong: The amount is not above zero, or it says nothing of what it is for.
    """
    if money.amount_minor <= 0 or not gateway or not what.strip():
        raise BillWrong(_("A bill needs a gateway, a word on what it is for, and an amount."))
    with writing():
        bill = HostingBill.objects.create(
            gateway=gateway,
            what=what.strip(),
            amount_minor=money.amount_minor,
            currency=money.currency,
            first_month=month_of(now),
            is_monthly=monthly,
            created_at=now,
        )
        audit.record(
            now=now,
            actor=actor,
            action="bill.recorded",
            subject=bill.code,
            gateway=gateway,
            amount=str(money),
            monthly=monthly,
        )
        _book(bill, now)
    return bill


def prove_bill(*, bill: HostingBill, sha256: str, now: datetime, actor: Actor) -> HostingBill:
    """Note which file is the bill, once.

    Args:
        sha256: Of the file, which the caller keeps.

    Raises:
        StaleState: It has one.
    """
    with writing():
        if HostingBill.objects.filter(pk=bill.pk, evidence="").update(evidence=sha256) != 1:
            raise StaleState(_("This bill has its file already."), _("Look at it."))
        bill.evidence = sha256
        audit.record(now=now, actor=actor, action="bill.proved", subject=bill.code, sha256=sha256)
    return bill


def book_bills(*, now: datetime) -> int:
    """Book the monthly bills that are due, one month each a call; returns how many."""
    with writing():
        month = month_of(now)
        due = [
            bill
            for bill in HostingBill.objects.filter(is_monthly=True).order_by("pk")
            if months_due(bill, month) > bill.booked
        ][:PAGE]
        for bill in due:
            _book(bill, now)
    return len(due)


def end_bill(*, bill: HostingBill, now: datetime, actor: Actor) -> HostingBill:
    """Let a monthly bill come no more after this month.

    Raises:
        StaleState: It has an end, or is a single one.
    """
    with writing():
        going_on = HostingBill.objects.filter(pk=bill.pk, is_monthly=True, last_month=None)
        if going_on.update(last_month=month_of(now)) != 1:
            raise StaleState(_("This bill comes no more already."))
        bill.last_month = month_of(now)
        audit.record(now=now, actor=actor, action="bill.ended", subject=bill.code)
    return bill


def pay_bill(*, bill: HostingBill, reference: str, now: datetime, actor: Actor) -> HostingBill:
    """Note that the oldest month that is owed of a bill was paid from the bank.

    Raises:
        BillWrong: The bank's number of the payment is missing.
        StaleState: Nothing of it is owed.
    """
    if not reference.strip():
        raise BillWrong(_("A payment needs the bank's number of it."))
    with writing():
        owed = HostingBill.objects.filter(pk=bill.pk, paid=bill.paid, paid__lt=F("booked"))
        if owed.update(paid=bill.paid + 1) != 1:
            raise StaleState(_("Nothing of this bill is owed."), _("Look again."))
        bill.paid += 1
        post(
            source_code=bill.code,
            kind="bill-paid",
            sequence=bill.paid,
            transfers=[TransferLine(chart.PAYABLE, chart.BANK, _money(bill))],
            description=f"{bill.what}: paid, {reference.strip()}"[:200],
            now=now,
        )
        audit.record(now=now, actor=actor, action="bill.paid", subject=bill.code)
    return bill


def months_due(bill: HostingBill, month: date) -> int:
    """Return how many months of a bill have begun by a month."""
    if not bill.is_monthly:
        return 1
    last = min(month, bill.last_month) if bill.last_month else month
    first = bill.first_month
    return max(0, (last.year - first.year) * 12 + last.month - first.month + 1)


def _book(bill: HostingBill, now: datetime) -> None:
    number = bill.booked + 1
    if HostingBill.objects.filter(pk=bill.pk, booked=bill.booked).update(booked=number) != 1:
        raise StaleState(_("This bill was booked just now."), _("Look again."))
    bill.booked = number
    post(
        source_code=bill.code,
        kind="bill",
        sequence=number,
        transfers=[TransferLine(chart.hosting(bill.gateway), chart.PAYABLE, _money(bill))],
        description=f"{bill.what}, {bill.gateway}",
        now=now,
    )


def _money(bill: HostingBill) -> Money:
    return Money(bill.amount_minor, bill.currency)
