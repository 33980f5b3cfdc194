"""What a provider paid out, seen again on the bank's statement: it was booked from the provider.

A provider's own books post `assets:<provider>` to `assets:bank` when they say that a payout left
(payments.settlement). The bank's line of it is no second receipt.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ferriage.payments.models import SettlementLine, StatementLine
from ferriage.payments.providers.bank.actions import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ferriage.payments.models import BankAccount

OUTCOME: Final = "payout"
TRAVELS: Final = timedelta(days=14)
"""So long a payout may be on its way; banks and providers may name its day a day apart."""


def sent(account: BankAccount, days: Sequence[date]) -> list[SettlementLine]:
    """Return the payouts that may arrive on these days and were not seen on a statement yet."""
    if account.book_account != ACCOUNT or not days:
        return []
    seen = StatementLine.objects.filter(account=account, outcome=OUTCOME).values("note")
    return list(
        SettlementLine.objects.filter(
            kind=SettlementLine.Kind.PAYOUT,
            currency=account.currency,
            net_minor__lt=0,
            at__date__range=(min(days) - TRAVELS, max(days) + timedelta(days=1)),
        )
        .exclude(code__in=seen)
        .select_related("account")
        .order_by("pk")
    )


def arrived(
    *, text: str, minor: int, on: date, among: Sequence[SettlementLine]
) -> SettlementLine | None:
    """Return the payout that a line is: of its amount, named by its provider or its reference."""
    said = text.casefold()
    for row in among:
        in_time = row.at.date() - timedelta(days=1) <= on <= row.at.date() + TRAVELS
        named = (row.account.slug, row.reference.casefold())
        if row.net_minor == -minor and in_time and any(name and name in said for name in named):
            return row
    return None
