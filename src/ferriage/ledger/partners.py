"""Reads about partners: what holds, what was settled, what each is owed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import F, Q, Sum

from ferriage.ledger import chart
from ferriage.ledger.models import (
    Agreement,
    LedgerAccount,
    MonthFlow,
    Payout,
    SettledShare,
    Settlement,
    Share,
)

if TYPE_CHECKING:
    from datetime import date

    from django.db.models import QuerySet

    from ferriage.ledger.models import Partner


@dataclass(frozen=True, slots=True)
class Line:
    """One service's month on a partner's statement."""

    settlement: Settlement
    share_bps: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Statement:
    """All that a partner was given of one currency, what was paid out, and what is left.

    `queued_minor` is the part of what is left that waits to be paid.
    """

    partner: Partner
    currency: str
    lines: list[Line]
    payouts: list[Payout]
    earned_minor: int
    paid_minor: int
    queued_minor: int

    @property
    def owed_minor(self) -> int:
        """What the partner is owed: what the account in the books holds."""
        return self.earned_minor - self.paid_minor


def agreements_in_force(month: date) -> dict[str, Agreement]:
    """Return the agreement that holds in a month, by service."""
    found = Agreement.objects.filter(valid_from__lte=month).order_by("valid_from", "pk")
    latest = {agreement.service: agreement for agreement in found}
    return {
        service: agreement
        for service, agreement in latest.items()
        if agreement.valid_to is None or month < agreement.valid_to
    }


def shares_of(agreement: Agreement | None) -> list[Share]:
    """Return an agreement's shares, the operator's first: ties of a split go to the earlier."""
    if agreement is None:
        return []
    shares = Share.objects.filter(agreement=agreement).select_related("partner")
    return list(shares.order_by(F("partner__name").asc(nulls_first=True)))


def agreed_with(partner: Partner) -> list[Share]:
    """Return a partner's shares with their agreements, newest first."""
    shares = Share.objects.filter(partner=partner).select_related("agreement")
    return list(shares.order_by("-agreement__valid_from", "agreement__service", "-pk"))


def carried_over(*, before: date) -> dict[tuple[str, str], int]:
    """Return by service and currency the loss that the last settlement before a month left."""
    rows = Settlement.objects.filter(month__lt=before).order_by("month")
    return {(row.service, row.currency): row.carried_out_minor for row in rows}


def income_of(month: date) -> dict[tuple[str, str], int]:
    """Return what each income account got in a month, net, by name and currency."""
    accounts = {
        account.pk: (account.name, account.currency)
        for account in LedgerAccount.objects.filter(name__startswith="income:")
    }
    flows = MonthFlow.objects.filter(month=month)
    found = Counter[tuple[str, str]]()
    for flow in flows.filter(Q(debit__in=accounts) | Q(credit__in=accounts)):
        if flow.credit_id in accounts:
            found[accounts[flow.credit_id]] += flow.amount_minor
        if flow.debit_id in accounts:
            found[accounts[flow.debit_id]] -= flow.amount_minor
    return dict(found)


def statements(partner: Partner) -> list[Statement]:
    """Return a partner's statements, one a currency; three queries whatever they hold."""
    shares = (
        SettledShare.objects.filter(partner=partner)
        .select_related("settlement")
        .order_by("-settlement__month", "settlement__service")
    )
    lines: dict[str, list[Line]] = {}
    for share in shares:
        line = Line(share.settlement, share.share_bps, share.amount_minor)
        lines.setdefault(share.settlement.currency, []).append(line)
    payouts = list(Payout.objects.filter(partner=partner).order_by("-pk"))
    return [
        _statement(partner, currency, found, [row for row in payouts if row.currency == currency])
        for currency, found in sorted(lines.items())
    ]


def _statement(
    partner: Partner, currency: str, lines: list[Line], payouts: list[Payout]
) -> Statement:
    by_state = Counter[str]()
    for payout in payouts:
        by_state[payout.state] += payout.amount_minor
    return Statement(
        partner=partner,
        currency=currency,
        lines=lines,
        payouts=payouts,
        earned_minor=sum(line.amount_minor for line in lines),
        paid_minor=by_state[Payout.State.PAID],
        queued_minor=by_state[Payout.State.QUEUED],
    )


def owed_minor(partner: Partner, currency: str) -> int:
    """Return what the books owe a partner."""
    account = LedgerAccount.objects.filter(
        name=chart.partner(partner.name), currency=currency
    ).first()
    if account is None:
        return 0
    return _sum(MonthFlow.objects.filter(credit=account)) - _sum(
        MonthFlow.objects.filter(debit=account)
    )


def owed_by_partner() -> dict[str, list[tuple[str, int]]]:
    """Return by partner's name what is owed, as currency and minor units; zeros left out."""
    beginning = chart.partner("")
    found: Counter[tuple[str, str]] = Counter()
    for side, direction in (("credit", 1), ("debit", -1)):
        rows = MonthFlow.objects.filter(**{f"{side}__name__startswith": beginning})
        sums = rows.values_list(f"{side}__name", f"{side}__currency").annotate(
            total=Sum("amount_minor")
        )
        for name, currency, total in sums.order_by():
            found[name.removeprefix(beginning), currency] += direction * total
    owed: dict[str, list[tuple[str, int]]] = {}
    for (name, currency), minor in sorted(found.items()):
        if minor:
            owed.setdefault(name, []).append((currency, minor))
    return owed


def payable_minor(partner: Partner, currency: str) -> int:
    """Return what may be queued for a partner: what is owed and does not wait to be paid yet."""
    waiting = Payout.objects.filter(partner=partner, currency=currency, state=Payout.State.QUEUED)
    return owed_minor(partner, currency) - _sum(waiting)


def _sum(rows: QuerySet[MonthFlow] | QuerySet[Payout]) -> int:
    return rows.aggregate(total=Sum("amount_minor"))["total"] or 0
