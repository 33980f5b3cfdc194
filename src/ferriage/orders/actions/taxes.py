"""What the operator says about tax: regime, rates, what was paid to an authority."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.core.money import Money
from ferriage.ledger import queries as ledger
from ferriage.ledger.actions import TransferLine, post
from ferriage.orders import tax
from ferriage.orders.actions.papers import copy_basis
from ferriage.orders.models import Buyer, Order, TaxRate, TaxRemittance, TaxSetup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from ferriage.approvals.models import Party
    from ferriage.core.actors import Actor

_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_QUARTER: Final = re.compile(r"\d{4}-Q[1-4]")
_MOST_BPS: Final = 5000


class TaxWrong(FerriageError):
    """Something about tax that cannot be right as it was typed."""

    slug = "tax-wrong"
    status = 422


class BuyerWrong(FerriageError):
    """An invoice cannot be made out like this, or not any more."""

    slug = "buyer-wrong"
    status = 422


@dataclass(frozen=True, slots=True)
class ProposedRate:
    """A row of the table that comes with the software; nothing is charged by it yet."""

    place: str
    rate_bps: int
    from_on: date
    source: str


@cache
def _table() -> dict[str, Any]:
    text = resources.files("ferriage.orders").joinpath("taxrates.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def proposed_rates() -> tuple[ProposedRate, ...]:
    """Return the table that comes with the software, by place."""
    table = _table()
    source = f"{table['source']}, compared {table['compared_on']}"
    union = [
        ProposedRate(place, bps, since, source) for place, (bps, since) in table["rates"].items()
    ]
    others = [
        ProposedRate(place, row["bps"], row["since"], f"{row['source']}, {table['compared_on']}")
        for place, row in table["elsewhere"].items()
    ]
    return tuple(sorted([*union, *others], key=lambda row: row.place))


def compared_on() -> date:
    """Return the day that the table which comes with the software is of."""
    day: date = _table()["compared_on"]
    return day


def set_up_tax(  # noqa: PLR0913 -- what the operator has to say
    *,
    party: Party,
    regime: str,
    home_place: str,
    address: str,
    tax_id: str,
    also_places: Sequence[str] = (),
    reverse_charge: bool = False,
    exempt_sentence: str = "",
    paper_language: str = "",
    now: datetime,
    actor: Actor,
) -> TaxSetup:
    """Say who sells, where from, and how that is taxed; it holds for orders placed from now on.

    Raises:
        TaxWrong: No address, a home that is no country, no tax number where tax is charged, or no
            sentence where none is.
    """
    _check_setup(regime, home_place, address, tax_id, also_places, exempt_sentence)
    with writing():
        setup = TaxSetup.objects.create(
            party=party,
            regime=regime,
            home_place=home_place,
            address=address.strip(),
            tax_id=tax_id.strip(),
            also_places=list(also_places),
            reverse_charge=reverse_charge,
            exempt_sentence=exempt_sentence.strip(),
            paper_language=paper_language,
            set_at=now,
            set_by=str(actor),
        )
        audit.record(
            now=now,
            actor=actor,
            action="tax.set-up",
            subject=setup.code,
            regime=regime,
            home=home_place,
            reverse_charge=reverse_charge,
        )
    return setup


def confirm_rate(
    *, place: str, rate_bps: int, from_on: date, source: str, now: datetime, actor: Actor
) -> TaxRate:
    """Confirm the rate of a place from a day on; orders placed from now on are charged by it.

    Raises:
        TaxWrong: No country, a rate nobody has, or no source.
    """
    if not _COUNTRY.fullmatch(place) or not 0 <= rate_bps <= _MOST_BPS or not source.strip():
        raise TaxWrong(
            _("A rate needs a country's code, up to 50 percent, and where you read it."),
            _("Nothing was confirmed."),
        )
    with writing():
        rate = TaxRate.objects.create(
            place=place,
            rate_bps=rate_bps,
            from_on=from_on,
            source=source.strip(),
            confirmed_at=now,
            confirmed_by=str(actor),
        )
        audit.record(
            now=now,
            actor=actor,
            action="tax-rate.confirmed",
            subject=place,
            rate_bps=rate_bps,
            from_on=from_on.isoformat(),
        )
    return rate


def remit_tax(
    *, place: str, money: Money, quarter: str, reference: str, now: datetime, actor: Actor
) -> TaxRemittance:
    """Book tax that was paid to the authority out of the bank account.

    Args:
        quarter: What it was paid for, such as 2026-Q1.
        reference: The bank's number of the payment; one is booked once.

    Raises:
        TaxWrong: More than the books owe there, a quarter that is none, or a number booked before.
    """
    with writing():
        account = f"liabilities:tax:{place}"
        owed = -ledger.balance(account, money.currency)
        if not 0 < money.amount_minor <= owed:
            raise TaxWrong(
                _("The books owe %(money)s there.") % {"money": Money(owed, money.currency)},
                _("Nothing was booked."),
            )
        plausible = _QUARTER.fullmatch(quarter) and reference.strip()
        if not plausible or TaxRemittance.objects.filter(reference=reference.strip()).exists():
            raise TaxWrong(
                _("It needs a quarter such as 2026-Q1 and a number not booked before."),
                _("Nothing was booked."),
            )
        paid = TaxRemittance.objects.create(
            place=place,
            amount_minor=money.amount_minor,
            currency=money.currency,
            quarter=quarter,
            reference=reference.strip(),
            paid_at=now,
        )
        post(
            source_code=paid.code,
            kind="tax-paid",
            transfers=[TransferLine(account, "assets:bank", money)],
            description=f"Tax of {quarter} paid to {place}",
            now=now,
        )
        audit.record(
            now=now, actor=actor, action="tax.remitted", subject=paid.code, amount=str(money)
        )
    return paid


def name_buyer(
    *, order: Order, name: str, address: str, vat_id: str, now: datetime, actor: Actor
) -> Buyer:
    """Note who the invoice of an open order is made out to; the tax it bears may change with it.

    Raises:
        BuyerWrong: The order is not open any more, no name or address, or a VAT id that is none of
            the order's place.
    """
    vat_id = "".join(vat_id.split()).upper()
    if not name.strip() or not address.strip():
        raise BuyerWrong(
            _("An invoice with a name needs an address too."), _("Leave it for one without either.")
        )
    if vat_id and not tax.is_vat_id(vat_id, order.place):
        raise BuyerWrong(
            _("This is not a VAT number of the place of the order."),
            _("Write it with its country, such as DE136695976, or leave it empty."),
        )
    with writing():
        order = Order.objects.get(pk=order.pk)
        if order.state != Order.State.OPEN:
            raise BuyerWrong(
                _("This order is not open any more, so its invoice is written."),
                _("Give your name before you pay the next one."),
            )
        given = {"name": name.strip(), "address": address.strip(), "vat_id": vat_id}
        buyer = Buyer.objects.update_or_create(order=order, defaults={**given, "given_at": now})[0]
        copy_basis(order, tax.basis_of(order.place, vat_id=vat_id, on=now.date()))
        audit.record(now=now, actor=actor, action="order.buyer-named", subject=order.code)
    return buyer


def forget_buyers() -> int:
    """Forget names that were given for orders which came to nothing; returns how many."""
    came_to_nothing = (Order.State.EXPIRED, Order.State.CANCELLED)
    with writing():
        return Buyer.objects.filter(order__state__in=came_to_nothing).delete()[0]


def _check_setup(
    regime: str,
    home: str,
    address: str,
    tax_id: str,
    also_places: Sequence[str],
    exempt_sentence: str,
) -> None:
    places = (home, *also_places)
    if regime not in TaxSetup.Regime.values or not all(map(_COUNTRY.fullmatch, places)):
        raise TaxWrong(_("Places are codes of countries, such as SE or DE."))
    if not address.strip():
        raise TaxWrong(_("An invoice needs the seller’s address."))
    small = regime == TaxSetup.Regime.SMALL
    if small and not exempt_sentence.strip():
        raise TaxWrong(_("Write the sentence that says why no tax is charged; it is printed."))
    if not small and not tax_id.strip():
        raise TaxWrong(_("Whoever charges tax has a number for it; it is printed."))
    if regime == TaxSetup.Regime.OSS and home not in tax.EU:
        raise TaxWrong(_("The one stop shop is for sellers who are in a member of the Union."))
