"""Our minor units and Stripe's: the same but for currencies where Stripe counts otherwise.

Source: https://docs.stripe.com/currencies#minor-units
"""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from ferriage.core.money import Money
from ferriage.payments.providers.contract import NotByThisMeans

_HUNDREDFOLD: Final = frozenset({"ISK", "UGX"})
"""Without decimals, but Stripe wants two, which must be zero."""
_HUNDREDTH: Final = frozenset({"MGA"})
"""With decimals (ISO 4217), but Stripe takes whole ones."""
_ZERO_AT_END: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Three decimals, of which the last one must be zero."""


def to_stripe(money: Money) -> int:
    """Return an amount as Stripe counts it.

    Raises:
        NotByThisMeans: Stripe cannot take exactly this amount.
    """
    minor = money.amount_minor
    step = 100 if money.currency in _HUNDREDTH else 10 if money.currency in _ZERO_AT_END else 1
    if minor <= 0 or minor % step:
        raise NotByThisMeans(
            _("Stripe cannot take exactly this amount."), _("Choose another way to pay.")
        )
    if money.currency in _HUNDREDFOLD:
        return minor * 100
    return minor // 100 if money.currency in _HUNDREDTH else minor


def from_stripe(amount: int, currency: str) -> Money:
    """Return what Stripe says, in our minor units.

    Raises:
        ValueError: Part of a unit that there is none of.
    """
    code = currency.upper()
    if code in _HUNDREDTH:
        return Money(amount * 100, code)
    if code in _HUNDREDFOLD:
        whole, rest = divmod(amount, 100)
        if rest:
            raise ValueError(f"{amount} is no whole amount of {code}")
        return Money(whole, code)
    return Money(amount, code)
