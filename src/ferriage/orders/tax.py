"""Which tax an order bears, and how its amounts split into net and tax. Whole minor units.

Prices include tax. Tax is owed on what somebody really paid, so a free voucher bears none. The tax
of any part of an amount is computed from that part alone, by one rounding, and the net is the
rest: whatever is earned or refunded in whatever steps, net and tax sum to the gross.

Source: docs/explanation/tax.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Sum
from stdnum.eu import vat as vat_numbers

from ferriage.core.compiled import Compiled
from ferriage.core.money import Money
from ferriage.ledger.actions import Posting, TransferLine
from ferriage.ledger.queries import posted, posted_in_all
from ferriage.orders.earning import earned_of, gone_back_of, unused_of
from ferriage.orders.models import Order, TaxRate, TaxSetup

if TYPE_CHECKING:
    from datetime import date, datetime

WHOLE: Final = 10_000
"""Basis points of the whole."""
EU: Final = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"}
    | {"IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)
_NOT_IN_ITS_STATE: Final = frozenset({"ES-CN", "ES-CE", "ES-ML", "FI-01"})
"""Parts of members where the Union's VAT does not hold: Canaries, Ceuta, Melilla, Aaland."""

State = Order.TaxState
_UNEARNED: Final = "liabilities:unearned"


@dataclass(frozen=True, slots=True)
class Basis:
    """What is copied into an order: whether it bears tax, whose, and at which rate."""

    state: str
    place: str = ""
    rate_bps: int = 0


def tax_part(gross_minor: int, rate_bps: int) -> int:
    """Return the tax in an amount that includes it, rounded to the nearest unit, a half up.

    Never falls when the amount grows, and grows by at most as much.
    """
    divisor = WHOLE + rate_bps
    return (2 * gross_minor * rate_bps + divisor) // (2 * divisor)


_SETUP: Final = Compiled(0, lambda: TaxSetup.objects.select_related("party").order_by("-pk")[:1])


def setup_now() -> TaxSetup | None:
    """Return what holds now, if the operator said anything."""
    return _SETUP.first()


def basis_of(place: str, *, vat_id: str = "", on: date) -> Basis:
    """Return the tax that a sale to a customer in a place bears on a day.

    Args:
        place: ISO 3166, with a subdivision or without; where the customer says to be.
        vat_id: A number that `is_vat_id` took; empty for a consumer.
    """
    setup = setup_now()
    if setup is None:
        return Basis(State.UNSET)
    if setup.regime == TaxSetup.Regime.SMALL:
        return Basis(State.EXEMPT)
    country = place[:2]
    if setup.reverse_charge and vat_id and _is_other_member(setup, country):
        return Basis(State.REVERSE, country)
    taxed_in = _taxed_in(setup, place)
    if not taxed_in:
        return Basis(State.OUTSIDE if country else State.UNKNOWN, country)
    rate = rate_of(taxed_in, on=on)
    if rate is None:
        return Basis(State.UNKNOWN, taxed_in)
    return Basis(State.TAXED, taxed_in, rate)


def rate_of(place: str, *, on: date) -> int | None:
    """Return the confirmed rate of a place on a day in basis points; None where there is none."""
    rows = TaxRate.objects.filter(place=place, from_on__lte=on).order_by("-from_on", "-pk")
    return rows.values_list("rate_bps", flat=True).first()


def is_vat_id(number: str, place: str) -> bool:
    """Tell whether a number has the form of a VAT id of the member that a place lies in.

    The form and the check digits only: whether it was given to anybody is known to the authority.
    """
    country = vat_numbers.guess_country(number) if vat_numbers.is_valid(number) else []
    return place[:2].lower() in country or ("gr" in country and place[:2] == "GR")


def tax_kept(order: Order, owed_minor: int) -> int:
    """Return the tax in what the shop keeps of an order when so much of it is owed back."""
    return tax_part(order.refundable_minor - owed_minor, order.tax_rate)


def net_earned_of(order: Order, at: datetime) -> int:
    """Return what is earned of an order at an instant, without the tax in it."""
    earned = earned_of(order, at)
    if not order.tax_minor:
        return earned
    owed, _given = unused_of(order, at)
    return earned - tax_kept(order, owed)


def sale_posting(order: Order) -> list[Posting]:
    """Return the posting that takes the tax out of a settled order's amount, if it bears any."""
    line = TransferLine(_UNEARNED, _account(order), Money(order.tax_minor, order.currency))
    text = f"Order {order.code}: tax of the sale"
    return [Posting(order.code, "tax", (line,), text)] if order.tax_minor else []


def back_posting(order: Order, minor: int) -> list[Posting]:
    """Return the posting that puts tax back which is not owed any more, if there is any."""
    if not minor:
        return []
    sequence = posted(source_codes=[order.code], kind="tax-back")[order.code].count
    line = TransferLine(_account(order), _UNEARNED, Money(minor, order.currency))
    text = f"Order {order.code}: tax of the unused part"
    return [Posting(order.code, "tax-back", (line,), text, sequence)]


def in_tax_minor(currency: str) -> int:
    """Return what went from unearned to tax in all, less what came back."""
    taxed = posted_in_all(kinds=("tax",), currency=currency)
    return taxed - posted_in_all(kinds=("tax-back",), currency=currency)


def owed_to_authorities(currency: str) -> int:
    """Return the tax of all fulfilled orders in a currency, refunded parts taken off."""
    rows = Order.objects.filter(state=Order.State.FULFILLED, currency=currency, tax_minor__gt=0)
    whole = rows.aggregate(total=Sum("tax_minor"))["total"] or 0
    ended = rows.filter(cut_at__isnull=False)
    back = sum(
        order.tax_minor - tax_kept(order, gone_back_of(order))
        for order in ended.iterator(chunk_size=2000)
    )
    return whole - back


def _account(order: Order) -> str:
    return f"liabilities:tax:{order.tax_place}"


def _is_other_member(setup: TaxSetup, country: str) -> bool:
    return country in EU and setup.home_place in EU and country != setup.home_place


def _taxed_in(setup: TaxSetup, place: str) -> str:
    """Return the country whose tax a consumer in a place pays; empty where the shop owes none."""
    country = place[:2]
    if place in _NOT_IN_ITS_STATE:
        return ""
    if country == setup.home_place or country in setup.also_places:
        return country
    if country not in EU or setup.home_place not in EU:
        return ""
    return country if setup.regime == TaxSetup.Regime.OSS else setup.home_place
