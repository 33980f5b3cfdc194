"""Partners, what was agreed with them, and the split of a month's income.

Source: docs/decisions/0033-partners-shares.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.codes import new_code
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money, split
from ferriage.ledger import chart, partners
from ferriage.ledger.actions.posting import TransferLine, post
from ferriage.ledger.models import (
    Agreement,
    Closing,
    Partner,
    SettledShare,
    Settlement,
    Share,
)
from ferriage.ledger.months import begins_at, last_instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from ferriage.core.actors import Actor

WHOLE_BPS: Final = 10_000
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class AgreementWrong(FerriageError):
    """Shares that do not sum to the whole, or months that cannot be meant."""

    slug = "agreement-wrong"
    status = 422


@dataclass(frozen=True, slots=True)
class _Income:
    """What a service earned in a month in one currency, net of what was taken back."""

    service: str
    currency: str
    minor: int


def add_partner(*, name: str, login: str = "", now: datetime, actor: Actor) -> Partner:
    """Enter a partner.

    Args:
        name: Short and plain, since it names an account of the books: `liabilities:partner:…`.
        login: The member of staff who sees the partner's statements; empty for none.

    Raises:
        AgreementWrong: The name does not fit or is taken, or the log-in is another partner's.
    """
    if not _NAME.fullmatch(name):
        raise AgreementWrong(
            _("“%s” cannot name an account of the books.") % name,
            _("Use small letters, digits and hyphens, at most 40."),
        )
    with writing():
        if Partner.objects.filter(name=name).exists():
            raise AgreementWrong(
                _("%s is entered already.") % name,
                _("Another log-in is given on the partner's own page."),
            )
        _check_login(login, name)
        partner = Partner.objects.create(name=name, login=login, created_at=now)
        audit.record(now=now, actor=actor, action="partner.entered", subject=name, login=login)
    return partner


def give_login(*, partner: Partner, login: str, now: datetime, actor: Actor) -> Partner:
    """Let a member of staff see a partner's statements, in the place of who did before.

    Args:
        login: The member of staff; empty for nobody.

    Raises:
        AgreementWrong: The log-in is another partner's.
    """
    with writing():
        _check_login(login, partner.name)
        Partner.objects.filter(pk=partner.pk).update(login=login)
        audit.record(
            now=now, actor=actor, action="partner.login_given", subject=partner.name, login=login
        )
    partner.refresh_from_db()
    return partner


def _check_login(login: str, name: str) -> None:
    if login and Partner.objects.filter(login=login).exclude(name=name).exists():
        raise AgreementWrong(_("%s is the log-in of another partner.") % login)


def agree(
    *,
    service: str,
    shares: Mapping[str, int],
    valid_from: date,
    valid_to: date | None = None,
    now: datetime,
    actor: Actor,
) -> Agreement:
    """Record who gets which share of a service from a month on.

    It is never edited; another one replaces it from its own month on.

    Args:
        service: The short name that is in `income:<service>`.
        shares: Basis points by partner's name; the operator's own stands under the empty name.
        valid_from: The first day of a month that is open.
        valid_to: The first day of the month from which it holds no more.

    Raises:
        AgreementWrong: The shares do not sum to 10,000, a partner is unknown, or the months do
            not fit.
    """
    _check_months(valid_from, valid_to)
    if sum(shares.values()) != WHOLE_BPS or min(shares.values()) <= 0:
        raise AgreementWrong(
            _("The shares come to %(sum)s %%.") % {"sum": sum(shares.values()) / 100},
            _("With the operator's own they have to come to 100 %."),
        )
    with writing():
        if Closing.objects.filter(until__gt=begins_at(valid_from)).exists():
            raise AgreementWrong(
                _("%(month)s is closed and settled.") % {"month": f"{valid_from:%Y-%m}"},
                _("Let it begin with a month that is open."),
            )
        known = {row.name: row for row in Partner.objects.filter(name__in=shares)}
        if unknown := set(shares) - set(known) - {""}:
            raise AgreementWrong(
                _("There is no partner called %s.") % ", ".join(sorted(unknown)),
                _("Add the partner first, or write the name as it was added."),
            )
        code = new_code("agr")
        # Shares first: the database takes the agreement only when they sum to the whole.
        Share.objects.bulk_create(
            Share(agreement_id=code, partner=known.get(name), share_bps=bps)
            for name, bps in shares.items()
        )
        agreement = Agreement.objects.create(
            code=code, service=service, valid_from=valid_from, valid_to=valid_to, created_at=now
        )
        audit.record(
            now=now,
            actor=actor,
            action="agreement.recorded",
            subject=code,
            service=service,
            valid_from=valid_from.isoformat(),
            shares=dict(shares),
        )
    return agreement


def settle(*, month: date, now: datetime, actor: Actor) -> list[Settlement]:
    """Split what each service earned in a month among those who share it, once.

    Joins the closing of the month. A month that was settled is left as it is. Shares are booked
    with the month's last instant, so the month's books hold what its income cost.

    Returns:
        What was settled now: none a second time.
    """
    with writing():
        settled = set(Settlement.objects.filter(month=month).values_list("service", "currency"))
        carried = partners.carried_over(before=month)
        earned = {(row.service, row.currency): row for row in _incomes(month)}
        for key, minor in carried.items():
            if minor:
                earned.setdefault(key, _Income(*key, 0))
        agreements = partners.agreements_in_force(month)
        made = [
            _settle(row, carried.get(key, 0), agreements.get(row.service), month, now)
            for key, row in sorted(earned.items())
            if key not in settled and (row.service in agreements or carried.get(key))
        ]
        for settlement in made:
            audit.record(now=now, actor=actor, action="share.settled", subject=settlement.code)
    return made


def _check_months(valid_from: date, valid_to: date | None) -> None:
    if valid_from.day != 1 or (valid_to is not None and valid_to.day != 1):
        raise AgreementWrong(
            _("An agreement holds for whole months."), _("Begin and end it with a first day.")
        )
    if valid_to is not None and valid_to <= valid_from:
        raise AgreementWrong(_("The agreement would end before it begins."))


def _incomes(month: date) -> list[_Income]:
    """Return the net income of a month by service: what came to it less what was taken back."""
    return [
        _Income(name.partition(":")[2], currency, minor)
        for (name, currency), minor in partners.income_of(month).items()
    ]


def _settle(
    income: _Income, carried: int, agreement: Agreement | None, month: date, now: datetime
) -> Settlement:
    whole = income.minor + carried
    settlement = Settlement.objects.create(
        service=income.service,
        currency=income.currency,
        month=month,
        agreement=agreement,
        income_minor=income.minor,
        carried_in_minor=carried,
        split_minor=max(whole, 0),
        carried_out_minor=min(whole, 0),
        settled_at=now,
    )
    shares = _parts(settlement, _in_turn(partners.shares_of(agreement), month))
    SettledShare.objects.bulk_create(shares)
    lines = [
        TransferLine(
            chart.partner_share(income.service),
            chart.partner(share.partner.name),
            Money(share.amount_minor, income.currency),
        )
        for share in shares
        if share.partner is not None and share.amount_minor
    ]
    if lines:
        post(
            source_code=settlement.code,
            kind="shares",
            transfers=lines,
            description=f"Shares of {income.service}, {month:%Y-%m}",
            now=last_instant(month),
        )
    return settlement


def _in_turn(agreed: list[Share], month: date) -> list[Share]:
    """Let another share be the first each month: of equal ones the first gets the odd unit."""
    first = (month.year * 12 + month.month) % len(agreed) if agreed else 0
    return agreed[first:] + agreed[:first]


def _parts(settlement: Settlement, agreed: Sequence[Share]) -> list[SettledShare]:
    """Split by largest remainder; without an agreement all of it is the operator's."""
    if not agreed:
        whole = SettledShare(
            settlement=settlement, share_bps=WHOLE_BPS, amount_minor=settlement.split_minor
        )
        return [whole]
    amounts = split(settlement.split_minor, [share.share_bps for share in agreed])
    return [
        SettledShare(
            settlement=settlement,
            partner=share.partner,
            share_bps=share.share_bps,
            amount_minor=minor,
        )
        for share, minor in zip(agreed, amounts, strict=True)
    ]
