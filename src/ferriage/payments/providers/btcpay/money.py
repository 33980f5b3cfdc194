"""What money an invoice brought, as the same events however often it is asked. Pure.

Coins that came before the invoice ran out and cover it are **one** money, named as the invoice:
BTCPay lets a customer pay in parts. Every other coin (late, too little, too much) is a money of its
own under its own name, so that it waits for staff and is booked once whatever comes after it. Which
of both it is rests on when coins came, which never changes.

Source: docs/decisions/0025-bitcoin.md
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from ferriage.core.money import Money, exponent
from ferriage.payments.providers.contract import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SMALLEST_COIN: Final = Decimal("1e-8")


class NotUnderstood(ValueError):
    """An answer that is not as BTCPay documents it."""


@dataclass(frozen=True, slots=True)
class _Coin:
    """One payment to an invoice; `worth` is in the invoice's currency at the invoice's rate."""

    id: str
    received: int
    worth: Decimal
    slack: Decimal
    settled: bool


@dataclass(frozen=True, slots=True)
class _Bill:
    """An invoice and its coins, oldest first."""

    id: str
    amount: Decimal
    currency: str
    status: str
    marked: bool
    expires: int
    coins: tuple[_Coin, ...]


def events(
    invoice: Mapping[str, Any], methods: Sequence[Mapping[str, Any]], *, payment: str
) -> list[Event]:
    """Return what an invoice says, oldest first; nothing while it may still be paid as it should.

    Args:
        invoice: `InvoiceData`.
        methods: Its `InvoicePaymentMethodDataModel`s, with their payments.
        payment: The code of our payment.

    Raises:
        NotUnderstood: It is not as documented.
    """
    try:
        bill = _bill(invoice, methods)
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise NotUnderstood(str(error)) from error
    if bill.status in {"New", "Processing"}:
        return []
    said = [
        Event(
            event_id=f"{bill.id}/{name}",
            kind="paid",
            payment=payment,
            provider_ref=bill.id,
            transaction_id=name,
            money=Money(minor, bill.currency),
        )
        for name, minor in _moneys(bill)
        if minor
    ]
    if not said and bill.status in {"Expired", "Invalid"}:
        failed = f"{bill.id}/failed"
        return [Event(event_id=failed, kind="failed", payment=payment, provider_ref=bill.id)]
    return said


def _moneys(bill: _Bill) -> Iterator[tuple[str, int]]:
    """Yield each money's name and minor units."""
    settled = [coin for coin in bill.coins if coin.settled]
    timely = [coin for coin in settled if coin.received <= bill.expires]
    # Whoever marks an invoice as paid by hand has seen no more coins than there are.
    if bill.status != "Settled" or bill.marked or not _cover(timely, bill.amount):
        yield from ((coin.id, _minor(_near(coin, bill.amount), bill)) for coin in settled)
        return
    yield bill.id, _minor(bill.amount, bill)
    if not any(coin.received <= bill.expires and not coin.settled for coin in bill.coins):
        yield from _surplus(timely, bill)
    late = [coin for coin in settled if coin.received > bill.expires]
    yield from ((coin.id, _minor(_near(coin, bill.amount), bill)) for coin in late)


def _surplus(coins: Iterable[_Coin], bill: _Bill) -> Iterator[tuple[str, int]]:
    """Yield what each coin brought beyond the amount, when those before it are counted first."""
    before = Decimal(0)
    for coin in coins:
        after = before + coin.worth
        over = max(after - bill.amount, Decimal(0)) - max(before - bill.amount, Decimal(0))
        if over > coin.slack:
            yield coin.id, _minor(over, bill)
        before = after


def _cover(coins: Sequence[_Coin], amount: Decimal) -> bool:
    slack = max((coin.slack for coin in coins), default=Decimal(0))
    return sum((coin.worth for coin in coins), Decimal(0)) + slack >= amount


def _near(coin: _Coin, amount: Decimal) -> Decimal:
    """Return a coin's worth; the amount itself where only rounding lies between."""
    return amount if abs(coin.worth - amount) <= coin.slack else coin.worth


def _minor(amount: Decimal, bill: _Bill) -> int:
    scaled = amount.scaleb(exponent(bill.currency))
    return int(scaled.to_integral_value(rounding=ROUND_FLOOR))


def _bill(invoice: Mapping[str, Any], methods: Sequence[Mapping[str, Any]]) -> _Bill:
    currency = Money(0, invoice["currency"]).currency
    amount = _decimal(invoice["amount"])
    smallest = Decimal(1).scaleb(-exponent(currency))
    if amount <= 0 or amount % smallest:
        raise ValueError(f"an invoice of {amount} {currency}")
    coins = [
        _coin(found, _decimal(method["rate"]), smallest)
        for method in methods
        for found in method["payments"]
        if found["status"] != "Invalid"
    ]
    return _Bill(
        id=str(invoice["id"]),
        amount=amount,
        currency=currency,
        status=str(invoice["status"]),
        marked=invoice["additionalStatus"] == "Marked",
        expires=int(invoice["expirationTime"]),
        # Those of one second stay in the server's own order: one by chance would name a surplus
        # after another coin each time that one more comes.
        coins=tuple(sorted(coins, key=lambda coin: coin.received)),
    )


def _coin(found: Mapping[str, Any], rate: Decimal, smallest: Decimal) -> _Coin:
    # A fee that the invoice added for this means was paid on top of the price.
    worth = (_decimal(found["value"]) - _decimal(found.get("fee") or "0")) * rate
    return _Coin(
        id=str(found["id"]),
        received=int(found["receivedDate"]),
        worth=max(worth, Decimal(0)),
        slack=smallest + rate * _SMALLEST_COIN,
        settled=found["status"] == "Settled",
    )


def _decimal(text: object) -> Decimal:
    value = Decimal(str(text))
    if not value.is_finite():
        raise ValueError(f"{text!r} is no amount")
    return value
