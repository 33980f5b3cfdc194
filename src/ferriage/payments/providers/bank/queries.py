"""What the back office asks of bank accounts and their statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Sum

from ferriage.core import codes
from ferriage.ledger import queries as ledger
from ferriage.payments.models import Payment, Refund, Reseller
from ferriage.payments.providers.bank import csvfile, files, payouts
from ferriage.payments.providers.bank import reference as references
from ferriage.payments.providers.bank.models import BankStatement, StatementLine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from django.db.models import QuerySet

    from ferriage.payments.models import SettlementLine
    from ferriage.payments.providers.bank.models import BankAccount, StatementFile
    from ferriage.payments.providers.bank.statement import Line, Statement

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
class PreviewLine:
    """A line of a draft, and what posting it would do, as far as one can tell."""

    line: Line
    expected: str
    payment: Payment | None = None
    refund: Refund | None = None


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


def preview(file: StatementFile) -> list[Preview]:
    """Return what a draft says and what each line would come to; a fixed number of queries.

    Raises:
        StatementUnreadable: It cannot be read as it is laid out.
    """
    found = files.statements_in(file)
    lines = [line for statement in found for line in statement.lines]
    known = _known(file.account, lines)
    payments = _asked_for(lines)
    resellers = set(Reseller.objects.values_list("reference", flat=True))
    sent = payouts.sent(file.account, [line.booked_on for line in lines])
    refunds = list(
        Refund.objects.filter(
            payment__account=None,
            state__in=[Refund.State.QUEUED, Refund.State.PAID],
            currency=file.account.currency,
        )
    )
    return [
        Preview(
            statement,
            [
                _expected(line, known, payments, resellers, refunds, sent)
                for line in statement.lines
            ],
        )
        for statement in found
    ]


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


def _known(account: BankAccount, lines: Sequence[Line]) -> set[str]:
    days = [line.booked_on for line in lines]
    if not days:
        return set()
    stored = StatementLine.objects.filter(account=account, booked_on__range=(min(days), max(days)))
    return set(stored.values_list("key", flat=True))


def _asked_for(lines: Sequence[Line]) -> dict[str, Payment]:
    """Return by their reference the payments that any of the lines names."""
    named = {found for line in lines for found in references.found_in(line.text)}
    ordered = sorted(named)
    payments: dict[str, Payment] = {}
    # SQLite takes some ten thousand parameters at once; a file may name more by chance.
    for start in range(0, len(ordered), 5000):
        part = Payment.objects.filter(reference__in=ordered[start : start + 5000])
        for payment in part.select_related("order__plan__service"):
            payments[payment.reference or ""] = payment
    return payments


def _expected(
    line: Line,
    known: set[str],
    payments: dict[str, Payment],
    resellers: set[str],
    refunds: Sequence[Refund],
    sent: Sequence[SettlementLine],
) -> PreviewLine:
    if line.key in known:
        return PreviewLine(line, "known")
    if payouts.arrived(text=line.text, minor=line.amount_minor, on=line.booked_on, among=sent):
        return PreviewLine(line, "payout")
    if line.amount_minor > 0 and not line.is_return:
        return _expected_in(line, payments, resellers)
    taken = _taken_back(line, payments)
    return PreviewLine(line, "recall", payment=taken) if taken else _expected_out(line, refunds)


def _taken_back(line: Line, payments: dict[str, Payment]) -> Payment | None:
    """Return the settled payment of exactly this amount that a bank says it took back."""
    if line.amount_minor > 0 or not line.is_return:
        return None
    found = [payments[name] for name in references.found_in(line.text) if name in payments]
    same = [one for one in found if one.received_minor == -line.amount_minor]
    return same[0] if len(same) == 1 and same[0].outcome == "settled" else None


def _expected_in(line: Line, payments: dict[str, Payment], resellers: set[str]) -> PreviewLine:
    found = references.found_in(line.text)
    named = [payments[reference] for reference in found if reference in payments]
    if len(named) == 1:
        return PreviewLine(line, _of_payment(line, named[0]), payment=named[0])
    by_reseller = not named and not resellers.isdisjoint(found)
    return PreviewLine(line, "reseller" if by_reseller else "unallocated")


def _expected_out(line: Line, refunds: Sequence[Refund]) -> PreviewLine:
    """Say what money that went, or came back, would do."""
    said = codes.normalise(line.text)
    for refund in refunds:
        same = refund.amount_minor == abs(line.amount_minor)
        if same and codes.normalise(refund.code.partition("_")[2]) in said:
            return PreviewLine(line, "refund", refund=refund)
    if line.amount_minor > 0:
        return PreviewLine(line, "unallocated")
    return PreviewLine(line, "fee" if line.is_fee else "waits")


def _of_payment(line: Line, payment: Payment) -> str:
    order = payment.order
    if order is None or order.state != "open":
        return "not-open"
    exact = (line.amount_minor, line.currency) == (order.due.amount_minor, order.due.currency)
    return "settles" if exact else "other-amount"
