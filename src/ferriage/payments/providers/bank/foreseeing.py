"""What posting a line of a draft would do: `booking` as far as one can tell before it is posted.

Whoever changes what a line comes to changes it here too, or the preview promises what does not
happen.

Source: docs/decisions/0027-bank-statements.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ferriage.core import codes
from ferriage.core.money import Money
from ferriage.orders.foreseeing import Foresight
from ferriage.payments.models import (
    Dispute,
    Payment,
    Refund,
    Reseller,
    StatementLine,
)
from ferriage.payments.providers.bank import numbers, payouts, returns
from ferriage.payments.providers.bank import reference as references
from ferriage.payments.providers.voucher import queries as resellers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.payments.providers.bank.models import BankAccount
    from ferriage.payments.providers.bank.statement import Line

_OF_ORDER: Final = (
    "order__plan__service",
    "order__account",
    "order__recipient",
    "order__with_term__subscription__plan",
)


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """A line of a draft, and what posting it would do, as far as one can tell.

    `why` is the reason for which an order would not take the money; empty where it would.
    """

    line: Line
    expected: str
    payment: Payment | None = None
    refund: Refund | None = None
    why: str = ""


class Draft:
    """What the lines of a draft meet, asked for all of them at once; `foresee` goes in order."""

    def __init__(
        self, account: BankAccount, lines: Sequence[Line], *, presumed_place: str, now: datetime
    ) -> None:
        self._account, self._presumed = account, presumed_place
        self._known = _known(account, lines)
        self._payments = _asked_for(lines)
        asked = [payment.order for payment in self._payments.values() if payment.order]
        self._orders = Foresight(asked, now)
        self._by_hand = numbers.by_hand([line.reference for line in lines])
        self._sent = payouts.sent(account, [line.booked_on for line in lines])
        everybody = list(Reseller.objects.filter(currency=account.currency))
        held = resellers.holdings(everybody)
        self._owed = {one.reference: held[one.pk].owed_minor for one in everybody}
        states = [Refund.State.QUEUED, Refund.State.PAID]
        self._refunds = list(
            Refund.objects.filter(
                payment__account=None, state__in=states, currency=account.currency
            )
        )
        recalls = Dispute.objects.filter(account=None, state=Dispute.State.OPEN)
        self._recalls = list(recalls.select_related("payment"))
        self._brought: dict[int, PreviewLine] = {}
        """By payment, the line of this draft that brings its money."""

    def foresee(self, line: Line) -> PreviewLine:
        """Return what a line would do after those that were asked for before."""
        if line.key in self._known:
            return PreviewLine(line, "known")
        if line.amount_minor < 0:
            return self._taken_back(line) if line.is_return else self._went(line)
        typed = self._by_hand.get(numbers.plain(line.reference))
        return self._came(line) if typed is None else self._was_typed(line, typed)

    # --- money that came ----------------------------------------------------------------------

    def _came(self, line: Line) -> PreviewLine:
        found = references.found_in(line.text)
        named = [self._payments[reference] for reference in found if reference in self._payments]
        owing = [reference for reference in found if reference in self._owed]
        if not named and not owing and self._is_payout(line):
            return PreviewLine(line, "payout")
        back = self._named_refund(line, Refund.State.PAID) if line.is_return else None
        if back is not None:
            return PreviewLine(line, "refund", refund=back)
        if len(named) == 1:
            return self._of_payment(line, named[0])
        if not named and len(owing) == 1 and line.amount_minor <= self._owed[owing[0]]:
            self._owed[owing[0]] -= line.amount_minor
            return PreviewLine(line, "reseller")
        return PreviewLine(line, "unallocated")

    def _was_typed(self, line: Line, typed: numbers.Typed) -> PreviewLine:
        """Say what becomes of a line that staff booked by hand; one line is that, and no second."""
        if typed.money != Money(line.amount_minor, line.currency):
            return PreviewLine(line, "waits")
        del self._by_hand[numbers.plain(line.reference)]
        return PreviewLine(line, "duplicate")

    def _is_payout(self, line: Line) -> bool:
        row = payouts.arrived(
            text=line.text, minor=line.amount_minor, on=line.booked_on, among=self._sent
        )
        if row is not None:
            self._sent.remove(row)
        return row is not None

    def _of_payment(self, line: Line, payment: Payment) -> PreviewLine:
        order, money = payment.order, Money(line.amount_minor, line.currency)
        if order is None:
            return PreviewLine(line, "unallocated", payment)
        is_open = order.state == order.State.OPEN
        exact = money == (order.due if is_open else Money(payment.amount_minor, payment.currency))
        if not (is_open and exact) and self._answers_recall(payment, money):
            return PreviewLine(line, "returned", payment)
        if not exact:
            return PreviewLine(line, "other-amount" if is_open else "not-open", payment)
        before = self._brought.get(payment.pk)
        if before is not None and not before.why:
            return PreviewLine(line, "refused", payment, why="order-fulfilled")
        why = self._orders.refusal(order, line.payer_place or self._presumed)
        told = PreviewLine(line, "refused" if why else "settles", payment, why=why)
        self._brought[payment.pk] = told
        return told

    def _answers_recall(self, payment: Payment, money: Money) -> bool:
        for recall in self._recalls:
            mine = payment.pk == recall.payment_id or (
                payment.order_id is not None and payment.order_id == recall.payment.order_id
            )
            if mine and money == Money(recall.amount_minor, recall.currency):
                self._recalls.remove(recall)
                return True
        return False

    # --- money that went ----------------------------------------------------------------------

    def _went(self, line: Line) -> PreviewLine:
        refund = self._named_refund(line, Refund.State.QUEUED)
        if refund is not None:
            self._refunds.remove(refund)
            return PreviewLine(line, "refund", refund=refund)
        return PreviewLine(line, "fee" if line.is_fee else "waits")

    def _named_refund(self, line: Line, state: str) -> Refund | None:
        said = codes.normalise(line.text)
        named = [
            refund
            for refund in self._refunds
            if refund.state == state
            and refund.amount_minor == abs(line.amount_minor)
            and codes.normalise(refund.code.partition("_")[2]) in said
        ]
        return named[0] if len(named) == 1 else None

    def _taken_back(self, line: Line) -> PreviewLine:
        """Say what a bank takes back: from what waits to go back anyway, or as a recall."""
        stored = StatementLine(
            account=self._account,
            booked_on=line.booked_on,
            amount_minor=line.amount_minor,
            currency=line.currency,
            text=line.text,
            is_return=True,
        )
        payment = returns.payment_taken_back(stored)
        if payment is None:
            return self._brought_here(line)
        kinds = [Refund.Kind.NOT_SETTLED, Refund.Kind.UNALLOCATED]
        for refund in self._refunds:
            queued = refund.state == Refund.State.QUEUED and refund.kind in kinds
            same = (refund.payment_id, refund.amount_minor) == (payment.pk, -line.amount_minor)
            if queued and same:
                return PreviewLine(line, "sent-back", payment, refund)
        waits = payment.outcome == "unallocated"
        return PreviewLine(line, "sent-back" if waits else "recall", payment)

    def _brought_here(self, line: Line) -> PreviewLine:
        """Say what a line takes back that an earlier one of this draft brings."""
        found = references.found_in(line.text)
        named = [self._payments[reference] for reference in found if reference in self._payments]
        brought = self._brought.get(named[0].pk) if len(named) == 1 else None
        if brought is None or brought.line.amount_minor != -line.amount_minor:
            return PreviewLine(line, "fee" if line.is_fee else "waits")
        return PreviewLine(line, "sent-back" if brought.why else "recall", named[0])


def _known(account: BankAccount, lines: Sequence[Line]) -> set[str]:
    days = [line.booked_on for line in lines]
    if not days:
        return set()
    stored = StatementLine.objects.filter(account=account, booked_on__range=(min(days), max(days)))
    return set(stored.values_list("key", flat=True))


def _asked_for(lines: Sequence[Line]) -> dict[str, Payment]:
    """Return by their reference the payments that any of the lines names."""
    named = {found for line in lines for found in references.found_in(line.text)}
    payments: dict[str, Payment] = {}
    for part in numbers.parts(named):
        rows = Payment.objects.filter(reference__in=part)
        for payment in rows.select_related(*_OF_ORDER):
            payments[payment.reference or ""] = payment
    return payments
