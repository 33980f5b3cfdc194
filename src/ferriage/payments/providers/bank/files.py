"""Statement files: uploaded, looked at, posted or dropped. Nothing moves money before `post`.

Posting stores every line once and commits; each line is booked in a transaction of its own after
that, and what a crash leaves is booked by the worker.

Source: docs/decisions/0027-bank-statements.md
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.codes import new_code
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money, is_currency
from ferriage.ledger import queries as ledger
from ferriage.ledger.actions import TransferLine, post
from ferriage.payments.capture import change_once
from ferriage.payments.providers.bank import camt, csvfile, numbers
from ferriage.payments.providers.bank.models import (
    BankAccount,
    BankStatement,
    StatementFile,
    StatementLine,
)
from ferriage.payments.providers.bank.statement import LARGEST_BYTES, StatementUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from ferriage.core.actors import Actor
    from ferriage.payments.providers.bank.statement import Balance, Line, Statement

FORGOTTEN: Final = timedelta(days=30)
_CHUNK: Final = 500
_SHOWN: Final = 40


class AccountWrong(FerriageError):
    """A bank account that cannot be added."""

    slug = "bank-account-wrong"
    status = 422


class StatementRefused(FerriageError):
    """A file that can be read, and must not be posted to this account."""

    slug = "statement-refused"


def add_account(
    *, name: str, number: str, currency: str, now: datetime, actor: Actor
) -> BankAccount:
    """Add an account at a bank; the first one of a currency is `assets:bank` in the books.

    Raises:
        AccountWrong: No name, no such currency, or the same account again.
    """
    plain = "".join(number.split()).upper()
    if not name.strip() or not is_currency(currency) or len(plain) > _SHOWN:
        raise AccountWrong(_("A bank account needs a name and a currency."))
    with writing():
        others = BankAccount.objects.filter(currency=currency)
        if plain and others.filter(number=plain).exists():
            raise AccountWrong(_("This account was added before."))
        code = new_code("bka")
        tail = code.partition("_")[2].lower()
        account = BankAccount.objects.create(
            code=code,
            name=name.strip(),
            number=plain,
            currency=currency,
            book_account=f"assets:bank:{tail}" if others.exists() else "assets:bank",
            added_at=now,
        )
        audit.record(
            now=now, actor=actor, action="bank-account.added", subject=account.code, name=name
        )
    return account


def upload(
    *, account: BankAccount, name: str, data: bytes, now: datetime, actor: Actor
) -> StatementFile:
    """Keep a file as a draft for its preview. A CSV may need its layout set before it reads.

    Raises:
        StatementUnreadable: It is camt that cannot be read, or too large.
        StatementRefused: It is of another account.
    """
    layout = None
    if camt.is_camt(data):
        _check_account(account, camt.read(data))
    else:
        layout = account.layout or _guessed(data, account.currency)
    with writing():
        file = StatementFile.objects.create(
            account=account,
            name=name[:120],
            sha256=hashlib.sha256(data).hexdigest(),
            content=data,
            layout=layout,
            uploaded_by=actor.code,
            uploaded_at=now,
        )
        audit.record(
            now=now, actor=actor, action="statement.uploaded", subject=file.code, sha256=file.sha256
        )
    return file


def set_layout(
    *, file: StatementFile, layout: csvfile.Layout, now: datetime, actor: Actor
) -> StatementFile:
    """Say how a draft's CSV is written; it is kept with the account when the file is posted.

    Raises:
        StatementUnreadable: The file is not written like that.
        StaleState: It is no draft any more.
    """
    csvfile.read(content(file), layout, account="", currency=file.account.currency)
    with writing():
        change_once(
            StatementFile.objects.filter(pk=file.pk, state=StatementFile.State.DRAFT).update(
                layout=layout.as_json()
            )
        )
        audit.record(now=now, actor=actor, action="statement.layout-set", subject=file.code)
    file.refresh_from_db()
    return file


def statements_in(file: StatementFile) -> list[Statement]:
    """Return what a draft says.

    Raises:
        StatementUnreadable: It cannot be read as it is laid out.
    """
    data = content(file)
    if file.layout is None and camt.is_camt(data):
        return camt.read(data)
    if file.layout is None:
        raise StatementUnreadable(
            _("No row of the file names a day and an amount in words that are known here."),
            _("Say below which row and columns they are."),
        )
    layout = csvfile.Layout.from_json(file.layout)
    account = file.account
    return [csvfile.read(data, layout, account=account.number, currency=account.currency)]


def drop(*, file: StatementFile, now: datetime, actor: Actor) -> None:
    """Empty a draft without posting it.

    Raises:
        StaleState: It was posted or dropped.
    """
    with writing():
        _finish(file, StatementFile.State.DROPPED, now, actor)
        audit.record(now=now, actor=actor, action="statement.dropped", subject=file.code)


def drop_forgotten(now: datetime, actor: Actor) -> int:
    """Empty drafts that nobody posted in a month: they hold names of payers."""
    forgotten = StatementFile.objects.filter(
        state=StatementFile.State.DRAFT, uploaded_at__lte=now - FORGOTTEN
    )
    left = list(forgotten.defer("content").order_by("pk")[:_CHUNK])
    for file in left:
        drop(file=file, now=now, actor=actor)
    return len(left)


def store(
    *,
    file: StatementFile,
    take_opening: bool = False,
    take_doubtful: bool = False,
    presumed_place: str = "",
    now: datetime,
    actor: Actor,
) -> list[BankStatement]:
    """Store the lines of a draft, each once, and empty the file. Booking them is the next step.

    Args:
        take_opening: Post what the account held before the first statement with a balance as
            equity.
        take_doubtful: Store lines that the file's own balances do not follow from; somebody looked.
        presumed_place: Country of payers' banks where a line does not say it; empty presumes none.

    Raises:
        StatementRefused: Of another account or currency; its lines do not make its closing
            balance; or files of another format were posted for these days; or they are doubtful.
        StaleState: It was posted or dropped.
    """
    with writing():
        file = StatementFile.objects.select_related("account").get(pk=file.pk)
        if file.state != StatementFile.State.DRAFT:
            change_once(0)
        account, found = file.account, statements_in(file)
        check(account, found)
        if not take_doubtful and any(statement.is_doubtful for statement in found):
            raise StatementRefused(
                _("The balances in this file do not follow from its lines."),
                _("Nothing was posted. Compare each line with your bank, then post it and say so."),
            )
        if take_opening:
            _take_opening(account, found, now)
        _finish(file, StatementFile.State.POSTED, now, actor)
        stored = [_store(file, statement, presumed_place, now) for statement in found]
        if file.layout is not None:
            BankAccount.objects.filter(pk=account.pk).update(layout=file.layout)
        audit.record(
            now=now,
            actor=actor,
            action="statement.posted",
            subject=file.code,
            sha256=file.sha256,
            lines=sum(len(statement.lines) for statement in found),
        )
    return stored


def check(account: BankAccount, found: Sequence[Statement]) -> None:
    """Refuse what must not be posted to an account.

    Raises:
        StatementRefused: As `store`.
    """
    _check_account(account, found)
    for statement in found:
        if not statement.adds_up:
            raise StatementRefused(
                _("The lines of statement %s do not make its closing balance.")
                % (statement.number or statement.format),
                _("Nothing was posted. Fetch the whole statement again, or report this file."),
            )
        _check_format(account, statement)


def content(file: StatementFile) -> bytes:
    """Return what was uploaded; nothing once it was posted or dropped."""
    # PostgreSQL hands out a memoryview.
    return bytes(file.content or b"")


def opening_offered(account: BankAccount, found: Sequence[Statement]) -> Balance | None:
    """Return what the books may take over: from the first statement that carries a balance."""
    told = BankStatement.objects.filter(account=account, opening_minor__isnull=False)
    return found[0].opening if found and not told.exists() else None


def _check_account(account: BankAccount, found: Sequence[Statement]) -> None:
    for statement in found:
        other = statement.account and account.number and statement.account != account.number
        if other or statement.currency != account.currency:
            raise StatementRefused(
                _("This is a statement of account %(other)s in %(currency)s.")
                % {"other": statement.account or "–", "currency": statement.currency},
                _("It was not kept. Upload it to that account."),
            )


def _check_format(account: BankAccount, statement: Statement) -> None:
    """Refuse another kind of file for days that one kind covers: keys would not be the same."""
    if not statement.lines:
        return
    days = [line.booked_on for line in statement.lines]
    family = statement.format[:8]
    others = StatementLine.objects.filter(account=account, booked_on__range=(min(days), max(days)))
    if others.exclude(statement__format__startswith=family).exists():
        raise StatementRefused(
            _("Lines of these days were posted from a file of another kind."),
            _("Keep to one kind, camt.053 or CSV; or each line would be booked twice."),
        )


def _store(
    file: StatementFile, statement: Statement, presumed_place: str, now: datetime
) -> BankStatement:
    days = [line.booked_on for line in statement.lines]
    row = BankStatement.objects.create(
        file=file,
        account=file.account,
        format=statement.format,
        number=statement.number,
        first_on=min(days, default=None),
        last_on=max(days, default=None),
        opening_minor=statement.opening.amount_minor if statement.opening else None,
        closing_minor=statement.closing.amount_minor if statement.closing else None,
        closing_on=statement.closing.on if statement.closing else None,
        posted_at=now,
    )
    StatementLine.objects.bulk_create(
        [
            StatementLine(
                statement=row,
                account=file.account,
                key=line.key,
                booked_on=line.booked_on,
                amount_minor=line.amount_minor,
                currency=line.currency,
                bank_reference=line.reference,
                text=line.text,
                payer_place=_place(line, presumed_place),
                is_fee=line.is_fee,
                is_return=line.is_return,
            )
            for line in statement.lines
            if line.amount_minor
        ],
        batch_size=_CHUNK,
        ignore_conflicts=True,
    )
    return row


def _place(line: Line, presumed: str) -> str:
    return (line.payer_place or presumed) if line.amount_minor > 0 else ""


def _take_opening(account: BankAccount, found: Sequence[Statement], now: datetime) -> None:
    """Post what the bank held before, as far as books and stored lines do not say so already."""
    opening = opening_offered(account, found)
    if opening is None:
        return
    first_on = min((line.booked_on for line in found[0].lines), default=opening.on)
    stored = StatementLine.objects.filter(account=account)
    waiting = stored.exclude(state=StatementLine.State.DONE)
    # Lines from that day on came after the balance, whether they are booked or wait.
    later = stored.filter(booked_on__gte=first_on)
    held = ledger.balance(account.book_account, account.currency) + _sum(waiting) - _sum(later)
    held -= _typed_again(account, found)
    minor = opening.amount_minor - held
    if minor == 0:
        return
    sides = (account.book_account, "equity:opening")
    debit, credit = sides if minor > 0 else sides[::-1]
    post(
        source_code=account.code,
        kind="opening",
        transfers=[TransferLine(debit, credit, Money(abs(minor), account.currency))],
        description=f"Held by {account.code} before its first balance",
        now=now,
    )


def _typed_again(account: BankAccount, found: Sequence[Statement]) -> int:
    """Return what staff typed of these lines: it is in the books, and came after the balance."""
    lines = [line for statement in found for line in statement.lines if line.amount_minor > 0]
    typed = numbers.by_hand([line.reference for line in lines]).values()
    return sum(
        one.money.amount_minor
        for one in typed
        if (one.book_account, one.money.currency) == (account.book_account, account.currency)
    )


def _sum(lines: QuerySet[StatementLine]) -> int:
    return lines.aggregate(total=Sum("amount_minor"))["total"] or 0


def _finish(file: StatementFile, state: str, now: datetime, actor: Actor) -> None:
    change_once(
        StatementFile.objects.filter(pk=file.pk, state=StatementFile.State.DRAFT).update(
            state=state, content=None, done_by=actor.code, done_at=now
        )
    )


def _guessed(data: bytes, currency: str) -> dict[str, object] | None:
    try:
        return csvfile.guess(data, currency=currency).as_json()
    except StatementUnreadable:
        if len(data) > LARGEST_BYTES:
            raise
        return None
