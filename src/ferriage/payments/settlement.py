"""The providers' own books against ours: fees, payouts, and whatever does not agree.

Lines are imported as they are, each once, and posted in the same transaction:

    fee      assets:<provider> -> expenses:fees
    payout   assets:<provider> -> assets:bank

Charges and refunds were posted when they happened; their lines are only compared. What does not
agree is a `Difference`, on staff's worklist until the books agree or staff looked at it.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db.models import Exists, OuterRef, Q

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments.capture import change_once
from ferriage.payments.models import (
    Difference,
    Dispute,
    Payment,
    ProviderAccount,
    Refund,
    SettlementLine,
)
from ferriage.payments.providers import registry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.core.actors import Actor
    from ferriage.payments.providers.contract import SettlementRow

EVERY: Final = timedelta(hours=1)
OVERLAP: Final = timedelta(days=3)
"""Lines may appear late in a provider's books, so the last days are always read again."""
LATEST: Final = timedelta(days=7)
"""So long after it came a payment must be in the provider's books."""
WATCHED: Final = timedelta(days=60)
"""How far back lines are compared again; what differed before is watched until it agrees."""
FEES: Final = "expenses:fees"
Kind = SettlementLine.Kind
UNKNOWN: Final = {
    Kind.CHARGE: Difference.Kind.MONEY_UNKNOWN,
    Kind.REFUND: Difference.Kind.REFUND_UNKNOWN,
    Kind.DISPUTE: Difference.Kind.DISPUTE_UNKNOWN,
}
log = structlog.get_logger()


def read_due(now: datetime) -> int:
    """Read the books of the accounts whose time has come; returns how many lines were new."""
    due = Q(read_books_at=None) | Q(read_books_at__lte=now)
    read = 0
    for account in ProviderAccount.objects.filter(due, slug__in=registry.KINDS).order_by("pk"):
        if not _take(account, now):
            continue
        try:
            read += read_books(account=account, now=now)
        except FerriageError as refusal:
            log.warning("books.not-read", provider=account.slug, reason=refusal.slug)
    return read


def read_books(*, account: ProviderAccount, now: datetime) -> int:
    """Import an account's new lines, post them, and compare; returns how many were new.

    Not to be called in a transaction. Repeated after a crash it goes on where it was.

    Raises:
        ProviderDown: Nobody answers; nothing was imported.
    """
    since = (account.books_read_to_at or account.created_at) - OVERLAP
    rows = registry.opened(account).settlements(since)
    named = [row.row_id for row in rows]
    known = set(
        SettlementLine.objects.filter(account=account, row_id__in=named).values_list(
            "row_id", flat=True
        )
    )
    new = [row for row in rows if row.row_id not in known]
    for row in new:
        _import(account, row, now)
    with writing():
        _compare(account, now)
        ProviderAccount.objects.filter(pk=account.pk).update(books_read_to_at=now)
    return len(new)


def resolve(*, difference: Difference, now: datetime, actor: Actor) -> Difference:
    """Note that staff looked at a difference and knows of it.

    Raises:
        StaleState: It is noted already.
    """
    with writing():
        change_once(
            Difference.objects.filter(pk=difference.pk, resolved_at=None).update(
                resolved_at=now, resolved_by=str(actor)
            )
        )
        audit.record(
            now=now,
            actor=actor,
            action="difference.noted",
            subject=difference.subject[:64],
            kind=difference.kind,
        )
    difference.refresh_from_db()
    return difference


def _take(account: ProviderAccount, now: datetime) -> bool:
    """Move the next reading on before it begins, and tell whether we were first."""
    with writing():
        same = ProviderAccount.objects.filter(pk=account.pk, read_books_at=account.read_books_at)
        return same.update(read_books_at=now + EVERY) == 1


def _import(account: ProviderAccount, row: SettlementRow, now: datetime) -> None:
    """Write a line and post what it alone tells of, in one transaction."""
    with writing():
        line, made = SettlementLine.objects.get_or_create(
            account=account,
            row_id=row.row_id,
            defaults={
                "kind": row.kind,
                "reference": row.reference,
                "gross_minor": row.gross_minor,
                "fee_minor": row.fee_minor,
                "net_minor": row.net_minor,
                "currency": row.currency,
                "payout": row.payout,
                "at": row.at,
                "imported_at": now,
            },
        )
        transfers = list(_transfers(line, account)) if made else []
        if transfers:
            post(
                source_code=line.code,
                kind="settlement",
                transfers=transfers,
                description=f"{account.slug}: {line.kind} {line.row_id}"[:200],
                now=now,
            )


def _transfers(line: SettlementLine, account: ProviderAccount) -> Iterable[TransferLine]:
    fee, payout = line.fee_minor, -line.gross_minor if line.kind == Kind.PAYOUT else 0
    if line.kind == Kind.FEE:
        fee -= line.gross_minor
    for to, minor in ((FEES, fee), (account.bank, payout)):
        money = Money(abs(minor), line.currency)
        if minor > 0:
            yield TransferLine(to, account.asset, money)
        elif minor < 0:  # a fee that is given back, a payout that failed
            yield TransferLine(account.asset, to, money)


def _compare(account: ProviderAccount, now: datetime) -> None:
    """Bring the open differences to what the two books say now, with a fixed number of queries."""
    known = {(one.kind, one.subject): one for one in Difference.objects.filter(account=account)}
    open_subjects = [one.subject for one in known.values() if one.resolved_at is None]
    lines = SettlementLine.objects.filter(
        Q(at__gte=now - WATCHED) | Q(reference__in=open_subjects) | Q(row_id__in=open_subjects),
        account=account,
    )
    found = {
        (str(kind), subject): details
        for kind, subject, details in (
            *_lines_that_differ(account, list(lines)),
            *_missing(account, open_subjects, now),
        )
    }
    Difference.objects.bulk_create(
        [
            Difference(account=account, kind=kind, subject=subject, details=details, found_at=now)
            for (kind, subject), details in found.items()
            if (kind, subject) not in known
        ],
        batch_size=500,
    )
    over = [one.pk for key, one in known.items() if key not in found and not one.resolved_at]
    Difference.objects.filter(pk__in=over).update(resolved_at=now, resolved_by="agrees by now")


def _lines_that_differ(
    account: ProviderAccount, lines: list[SettlementLine]
) -> Iterable[tuple[str, str, str]]:
    """Yield the lines that say something else than our books do."""
    named = [line.reference for line in lines]
    ours = {
        Kind.CHARGE: _moneys(
            Payment.objects.filter(account=account, transaction_id__in=named),
            "transaction_id",
            "received_minor",
        ),
        Kind.REFUND: _moneys(
            Refund.objects.filter(payment__account=account, paid_reference__in=named),
            "paid_reference",
            "amount_minor",
        ),
        Kind.DISPUTE: _moneys(
            Dispute.objects.filter(account=account, reference__in=named),
            "reference",
            "amount_minor",
        ),
    }
    for line in lines:
        if line.kind == Kind.OTHER:
            yield Difference.Kind.OTHER, line.row_id, str(_said(line))
        elif line.kind in ours:
            yield from _judged(line, ours[Kind(line.kind)].get(line.reference))


def _judged(line: SettlementLine, known: Money | None) -> Iterable[tuple[str, str, str]]:
    """Yield what a line says differently from what we know under its reference."""
    said = _said(line)
    if known is None:
        yield UNKNOWN[Kind(line.kind)], line.reference or line.row_id, str(said)
    elif known.currency != said.currency:
        yield Difference.Kind.CURRENCY, line.reference, f"{known} ≠ {said}"
    elif abs(said.amount_minor) != known.amount_minor:
        yield Difference.Kind.AMOUNT, line.reference, f"{known} ≠ {said}"


def _missing(
    account: ProviderAccount, subjects: list[str], now: datetime
) -> Iterable[tuple[str, str, str]]:
    """Yield money that we booked a week ago and the provider's books do not hold."""
    line = SettlementLine.objects.filter(
        account=account, kind=Kind.CHARGE, reference=OuterRef("transaction_id")
    )
    watched = Q(captured_at__gte=now - WATCHED) | Q(transaction_id__in=subjects)
    old = Payment.objects.filter(
        watched, account=account, state=Payment.State.CAPTURED, captured_at__lt=now - LATEST
    )
    for payment in old.filter(~Exists(line)):
        money = Money(payment.received_minor or 0, payment.currency)
        yield Difference.Kind.MONEY_MISSING, payment.transaction_id or payment.code, str(money)


def _said(line: SettlementLine) -> Money:
    return Money(line.gross_minor, line.currency)


def _moneys(rows: QuerySet[Any], name: str, minor: str) -> dict[str, Money]:
    """Return the amounts of rows by the provider's name of them."""
    values = rows.values_list(name, minor, "currency")
    return {reference: Money(amount, currency) for reference, amount, currency in values}
