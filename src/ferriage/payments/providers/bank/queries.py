"""What the back office asks of bank accounts and their statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Count, Sum

from ferriage.ledger import queries as ledger
from ferriage.payments.models import Refund
from ferriage.payments.providers.bank import csvfile, files
from ferriage.payments.providers.bank.foreseeing import Draft
from ferriage.payments.providers.bank.models import BankStatement, StatementLine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from django.db.models import QuerySet

    from ferriage.payments.providers.bank.foreseeing import PreviewLine
    from ferriage.payments.providers.bank.models import BankAccount, StatementFile
    from ferriage.payments.providers.bank.statement import Statement

_FEW: Final = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the bank says that an account holds, and what the books say.

    Attributes:
        waiting_minor: Lines that are stored and not booked; they make a part of the difference.
        bank_minor: Closing balance of the newest statement that has one; None without.
        gaps: Statements that do not open with what the one before closed with.
    """

    book_minor: int
    waiting_minor: int
    bank_minor: int | None
    newest: BankStatement | None
    gaps: tuple[BankStatement, ...]

    @property
    def difference_minor(self) -> int | None:
        """What nobody can explain yet; 0 is right, None where no statement has a balance."""
        if self.bank_minor is None:
            return None
        return self.book_minor + self.waiting_minor - self.bank_minor


@dataclass(frozen=True, slots=True)
class Preview:
    """One statement of a draft. `refusal` says why it cannot be posted; empty where it can."""

    statement: Statement
    lines: list[PreviewLine]

    @property
    def new(self) -> int:
        """How many lines are not stored yet."""
        return sum(line.expected != "known" for line in self.lines)


def comparison(account: BankAccount) -> Comparison:
    """Hold an account's books against its newest statement."""
    closed = list(
        BankStatement.objects.filter(account=account, closing_minor__isnull=False).order_by(
            "closing_on", "pk"
        )
    )
    lines = StatementLine.objects.filter(account=account).exclude(state=StatementLine.State.DONE)
    newest = closed[-1] if closed else None
    return Comparison(
        book_minor=ledger.balance(account.book_account, account.currency),
        waiting_minor=lines.aggregate(total=Sum("amount_minor"))["total"] or 0,
        bank_minor=newest.closing_minor if newest else None,
        newest=newest,
        gaps=tuple(_gaps(closed)),
    )


def _gaps(closed: Sequence[BankStatement]) -> list[BankStatement]:
    """Return the statements before which one is missing.

    Statements may overlap, so one may open with any balance that was opened or closed with before.
    A CSV begins at any line: one that begins within the days of another is no sign of a gap.
    """
    seen: set[int | None] = {None}
    missing = []
    for number, statement in enumerate(closed):
        within = statement.format == "csv" and _reaches(closed[:number], statement.first_on)
        if number and statement.opening_minor not in seen and not within:
            missing.append(statement)
        seen |= {statement.opening_minor, statement.closing_minor}
    return missing


def _reaches(before: Sequence[BankStatement], day: date | None) -> bool:
    last = max((one.last_on for one in before if one.last_on), default=None)
    return last is not None and day is not None and day <= last


def waiting_lines() -> QuerySet[StatementLine]:
    """Return the lines that wait for staff, oldest first."""
    return (
        StatementLine.objects.filter(state=StatementLine.State.WAITS)
        .select_related("account")
        .order_by("booked_on", "pk")
    )


def refunds_that_fit(line: StatementLine) -> QuerySet[Refund]:
    """Return the queued refunds of exactly what a line paid out, oldest first."""
    return (
        Refund.objects.filter(
            payment__account=None,
            state=Refund.State.QUEUED,
            amount_minor=-line.amount_minor,
            currency=line.currency,
        )
        .select_related("payment__order")
        .order_by("created_at")
    )


def preview(file: StatementFile, *, presumed_place: str = "", now: datetime) -> list[Preview]:
    """Return what a draft says and what each line would come to.

    A fixed number of queries, and a few for each plan and place that money comes from, for each
    change of plan and add-on that is paid, and for each line that takes money back.

    Args:
        presumed_place: As `files.store`.

    Raises:
        StatementUnreadable: It cannot be read as it is laid out.
    """
    found = files.statements_in(file)
    lines = [line for statement in found for line in statement.lines]
    draft = Draft(file.account, lines, presumed_place=presumed_place, now=now)
    return [
        Preview(statement, [draft.foresee(line) for line in statement.lines]) for statement in found
    ]


def tallied(stored: Sequence[BankStatement]) -> list[tuple[str, str, int]]:
    """Return how many lines of statements have which state and outcome, the most first."""
    lines = StatementLine.objects.filter(statement__in=stored).values_list("state", "outcome")
    return list(lines.annotate(count=Count("pk")).order_by("-count", "state", "outcome"))


def unread_columns(file: StatementFile, previews: Sequence[Preview]) -> list[tuple[int, str]]:
    """Return the columns of a draft's CSV that may hold what payers wrote, and were not read.

    Empty where a line names an order or a reseller: then the right column is read.
    """
    expected = [
        shown.expected for one in previews for shown in one.lines if shown.line.amount_minor > 0
    ]
    if file.layout is None or set(expected) - {"unallocated", "known"} or not expected:
        return []
    return csvfile.unread(files.content(file), csvfile.Layout.from_json(file.layout))
