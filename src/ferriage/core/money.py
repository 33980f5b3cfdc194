"""Money: whole minor units and an ISO 4217 code. Never a float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXPONENTS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD "
        "CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS "
        "GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP "
        "LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
        "NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
        "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST "
        "XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
}
"""Currencies in use (ISO 4217) by their number of decimals; funds and metals are no prices."""

_BY_CODE: Final = {code: exp for exp, codes in _EXPONENTS.items() for code in codes.split()}
_MOST_MINOR: Final = 10**14
"""Nobody types more, and 10,000 vouchers of it still fit a column of the books."""
_AMOUNT: Final = re.compile(r"(-?)(\d+)(?:[.,](\d+))?")


def exponent(currency: str) -> int:
    """Return how many decimals the currency has (ISO 4217); 2 where it is not listed."""
    return _BY_CODE.get(currency, 2)


def is_currency(code: str) -> bool:
    """Tell whether ISO 4217 lists it as a currency that people pay with."""
    return code in _BY_CODE


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units of one currency.

    Raises:
        ValueError: The currency is not three capital letters.
        TypeError: The amount is not a whole number.
    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount_minor, int) or isinstance(self.amount_minor, bool):
            raise TypeError(
                f"an amount is a whole number of minor units, not {self.amount_minor!r}"
            )
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ValueError(f"{self.currency!r} is not a currency code of three capital letters")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount_minor - other.amount_minor, self.currency)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")

    def decimal(self) -> str:
        """Return the amount with its decimals and a point, such as `10.00`."""
        places = exponent(self.currency)
        sign = "-" if self.amount_minor < 0 else ""
        digits = str(abs(self.amount_minor)).rjust(places + 1, "0")
        return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)

    def __str__(self) -> str:
        return f"{self.decimal()} {self.currency}"

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read an amount that a person typed.

        Raises:
            ValueError: Not a number, more than the books take, or with more decimals than the
                currency has.
        """
        match = _AMOUNT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not an amount such as 10 or 10.50")
        sign, whole, decimals = match[1], match[2], match[3] or ""
        places = exponent(currency)
        if len(decimals) > places:
            raise ValueError(f"{currency} has {places} decimals, {text!r} has more")
        minor = int(whole + decimals.ljust(places, "0"))
        if minor > _MOST_MINOR:
            raise ValueError(f"{text!r} is more than any price or payment")
        return cls(-minor if sign else minor, currency)


def split(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Split an amount by weights with the largest remainder; the parts sum exactly.

    Ties go to the earlier part. `total_minor` may not be negative; weights may not all be 0.
    """
    whole = sum(weights)
    if total_minor < 0 or whole <= 0 or min(weights) < 0:
        raise ValueError("a split needs an amount and weights that are not negative")
    parts = [total_minor * weight // whole for weight in weights]
    remainders = [total_minor * weight % whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in by_remainder[: total_minor - sum(parts)]:
        parts[index] += 1
    return parts
