"""Correcting the books: a posting is undone by its mirror image, once, and never edited.

Source: docs/decisions/0029-corrections.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger.actions import AlreadyPosted, TransferLine, post
from ferriage.ledger.models import LedgerTransaction

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.ledger.models import Transfer

REVERSAL: Final = "reversal"
FOLLOWING: Final = (
    "liabilities:unallocated",
    "liabilities:unearned",
    "liabilities:refunds",
    "liabilities:vouchers",
    "liabilities:credits",
    "assets:disputed",
)
"""What `ferriage ledger check` compares with orders, payments, refunds, balances and recalls."""
KEEPERS: Final = {
    "reseller-paid": _("What a reseller paid is corrected with the reseller."),
    "reseller-returned": _("What a reseller paid is corrected with the reseller."),
    "reseller-credited": _("What a reseller owes is corrected with the reseller."),
    "dispute-loss": _("A dispute decides it: look at the payment that it is of."),
    "dispute-lost": _("A dispute decides it: look at the payment that it is of."),
    "shares": _("The month is closed: settle the difference with the partner in a later month."),
    "payout": _("It was paid out: settle the difference with the partner in a later month."),
    "settlement": _("It follows what the provider settled: book a difference by hand."),
    "tax-paid": _("It was paid over: set the difference off against the next payment of tax."),
}
"""Kinds of posting that a row of its own stands for, and what to do instead of undoing them."""
LONGEST_REASON: Final = 120


class NotReversible(FerriageError):
    """The posting cannot be undone in the books alone."""

    slug = "not-reversible"


def reverse(
    *, transaction: LedgerTransaction, reason: str, now: datetime, actor: Actor
) -> LedgerTransaction:
    """Post the mirror image of a transaction, which then counts for nothing; both stay.

    What follows orders and payments is corrected there, or the books would say something else
    than they do: end the subscription, refund, assign.

    Raises:
        NotReversible: No reason; it is a reversal, was reversed, or follows orders and payments.
    """
    why = reason.strip()
    if not 0 < len(why) <= LONGEST_REASON:
        raise NotReversible(
            _("A correction needs a reason of at most %(most)d characters.")
            % {"most": LONGEST_REASON}
        )
    if transaction.kind == REVERSAL:
        raise NotReversible(
            _("This is a correction itself."), _("Post what is right anew; it is not undone.")
        )
    if instead := KEEPERS.get(transaction.kind):
        raise NotReversible(_("This follows what is kept outside the books."), instead)
    rows = list(transaction.transfers.select_related("debit", "credit").order_by("pk"))
    if any(name in FOLLOWING for row in rows for name in (row.debit.name, row.credit.name)):
        raise NotReversible(
            _("This follows an order, a payment or a balance."),
            _("Correct it there: end the subscription, refund it, assign it, or decide a recall."),
        )
    try:
        with writing():
            made = post(
                source_code=transaction.code,
                kind=REVERSAL,
                transfers=[
                    TransferLine(
                        row.credit.name, row.debit.name, Money(row.amount_minor, row.currency)
                    )
                    for row in rows
                ],
                description=f"Undoes {transaction.kind} {transaction.source_code}: {why}",
                now=now,
            )
            audit.record(
                now=now,
                actor=actor,
                action="ledger.reversed",
                subject=transaction.code,
                by=made.code,
                reason=why,
            )
    except AlreadyPosted as error:
        raise NotReversible(
            _("This was undone before."), _("Look at the entries of it.")
        ) from error
    return made


def reversal_of(transaction: LedgerTransaction) -> LedgerTransaction | None:
    """Return what undid a transaction, if something did."""
    return LedgerTransaction.objects.filter(source_code=transaction.code, kind=REVERSAL).first()


def undoable(rows: Iterable[Transfer]) -> list[LedgerTransaction]:
    """Return the transactions of transfers that can be undone, in order of posting."""
    found = {row.transaction: True for row in rows}
    for row in rows:
        follows = {row.debit.name, row.credit.name}.intersection(FOLLOWING)
        if follows or row.transaction.kind in {REVERSAL, *KEEPERS}:
            found[row.transaction] = False
    undone = set(
        LedgerTransaction.objects.filter(
            source_code__in=[transaction.code for transaction in found], kind=REVERSAL
        ).values_list("source_code", flat=True)
    )
    return [one for one, may in found.items() if may and one.code not in undone]
