"""Paying partners: queued by one person, noted with the bank's number of the payment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.money import Money
from ferriage.ledger import chart, partners
from ferriage.ledger.actions.posting import TransferLine, post
from ferriage.ledger.models import Payout

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.ledger.models import Partner

LONGEST_NUMBER: Final = 100


class PayoutWrong(FerriageError):
    """More than the partner is owed, or no number of the bank's."""

    slug = "payout-wrong"
    status = 422


class SecondPersonNeeded(FerriageError):
    """Above the limit somebody else notes the payment than queued it."""

    slug = "second-person-needed"
    status = 403


def queue_payout(
    *,
    partner: Partner,
    money: Money,
    second_person_above_minor: int | None = None,
    now: datetime,
    actor: Actor,
) -> Payout:
    """Queue money for a partner, at most what is owed and does not wait yet.

    Args:
        second_person_above_minor: Above this amount whoever queues it may not note it as paid.

    Raises:
        PayoutWrong: It is more than that, or not above zero.
    """
    with writing():
        payable = partners.payable_minor(partner, money.currency)
        if not 0 < money.amount_minor <= payable:
            raise PayoutWrong(
                _("%(name)s can be paid %(money)s at most.")
                % {"name": partner, "money": Money(payable, money.currency)},
                _("A month's shares are owed once the month is closed; nothing was queued."),
            )
        payout = Payout.objects.create(
            partner=partner,
            amount_minor=money.amount_minor,
            currency=money.currency,
            needs_second=_is_above(money, second_person_above_minor),
            queued_at=now,
            queued_by=str(actor),
        )
        audit.record(
            now=now,
            actor=actor,
            action="payout.queued",
            subject=payout.code,
            partner=partner.name,
            amount=str(money),
        )
    return payout


def note_payout(*, payout: Payout, reference: str, now: datetime, actor: Actor) -> Payout:
    """Note a payout as paid, and post it.

    Args:
        reference: The bank's number of the payment.

    Raises:
        PayoutWrong: No number, or too long a one.
        SecondPersonNeeded: It is above the limit and was queued by the same person, or by somebody
            whose name differs in capitals only.
        StaleState: It was paid or cancelled before.
    """
    reference = reference.strip()
    if not 0 < len(reference) <= LONGEST_NUMBER:
        raise PayoutWrong(
            _("A payout needs the bank's number of the payment."),
            _("Copy it from the statement; nothing was noted."),
        )
    with writing():
        _kind, _colon, queued_by = payout.queued_by.partition(":")
        if payout.needs_second and (actor.kind != "staff" or actor.is_called(queued_by)):
            raise SecondPersonNeeded(
                _("This payout is above the limit, and you queued it yourself."),
                _("Let a second member of staff note it."),
            )
        _change(
            payout,
            state=Payout.State.PAID,
            paid_at=now,
            paid_by=str(actor),
            paid_reference=reference,
        )
        post(
            source_code=payout.code,
            kind="payout",
            transfers=[
                TransferLine(
                    chart.partner(payout.partner.name),
                    chart.BANK,
                    Money(payout.amount_minor, payout.currency),
                )
            ],
            description=f"Payout to {payout.partner.name}",
            now=now,
        )
        audit.record(now=now, actor=actor, action="payout.paid", subject=payout.code)
    return payout


def cancel_payout(*, payout: Payout, now: datetime, actor: Actor) -> Payout:
    """Take a payout off the queue; the money stays owed.

    Raises:
        StaleState: It was paid or cancelled before.
    """
    with writing():
        _change(payout, state=Payout.State.CANCELLED)
        audit.record(now=now, actor=actor, action="payout.cancelled", subject=payout.code)
    return payout


def _is_above(money: Money, limit_minor: int | None) -> bool:
    return limit_minor is not None and money.amount_minor > limit_minor


def _change(payout: Payout, **values: object) -> None:
    """Change a queued payout by compare-and-set, in the database and on the object."""
    waiting = Payout.objects.filter(pk=payout.pk, state=Payout.State.QUEUED)
    if waiting.update(**values) != 1:
        raise StaleState(_("This payout was paid or cancelled before."), _("Look again."))
    for name, value in values.items():
        setattr(payout, name, value)
