"""Invoices, coins and pull payments as the played server keeps them, and how it shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from typing import Any, Final

RATE: Final = Decimal(500_000)
"""What one bitcoin costs, in every currency alike: it is only played."""
SATOSHI: Final = Decimal("1e-8")
MINUTES: Final = 15
MONITORING_MINUTES: Final = 1440
METHODS: Final = ("BTC-CHAIN", "BTC-LN")
_ZERO: Final = Decimal(0)


@dataclass(slots=True)
class Coin:
    """One payment to an invoice, in bitcoin."""

    id: str
    method: str
    value: Decimal
    received: int
    destination: str
    status: str = "Processing"


@dataclass(slots=True)
class Invoice:
    """An invoice. `amount` is in its own currency; what is due in bitcoin is rounded up."""

    id: str
    store: str
    amount: Decimal
    currency: str
    metadata: dict[str, Any]
    checkout: dict[str, Any]
    link: str
    created: int
    expires: int
    coins: list[Coin] = field(default_factory=list)
    status: str = "New"
    marked: bool = False
    ran_out: bool = False

    @property
    def due(self) -> Decimal:
        """What is due in bitcoin when nothing was paid yet."""
        return (self.amount / RATE).quantize(SATOSHI, rounding=ROUND_UP)

    @property
    def monitored_until(self) -> int:
        """Until when coins are looked for."""
        return self.expires + MONITORING_MINUTES * 60

    def paid(self, *statuses: str) -> Decimal:
        """Return the bitcoin that came with one of these statuses; without any, in all."""
        wanted = statuses or ("Processing", "Settled")
        return sum((coin.value for coin in self.coins if coin.status in wanted), _ZERO)

    def additional(self) -> str:
        """Return BTCPay's second status, which says why the first is what it is."""
        came = self.paid()
        if self.marked:
            return "Marked"
        if self.status in {"New", "Expired"} and _ZERO < came < self.due:
            return "PaidPartial"
        if came > self.due:
            return "PaidOver"
        if self.status in {"Processing", "Settled"} and any(
            coin.received > self.expires for coin in self.coins
        ):
            return "PaidLate"
        return "None"

    def shown(self) -> dict[str, Any]:
        """Return `InvoiceData`."""
        return {
            "id": self.id,
            "storeId": self.store,
            "amount": str(self.amount),
            "paidAmount": str((self.paid() * RATE).quantize(Decimal("0.01"))),
            "currency": self.currency,
            "type": "Standard",
            "checkoutLink": self.link,
            "createdTime": self.created,
            "expirationTime": self.expires,
            "monitoringExpiration": self.monitored_until,
            "status": self.status,
            "additionalStatus": self.additional(),
            "availableStatusesForManualMarking": ["Settled", "Invalid"],
            "archived": False,
            "metadata": self.metadata,
            "checkout": self.checkout,
            "receipt": {"enabled": None, "showQR": None, "showPayments": None},
        }

    def methods(self) -> list[dict[str, Any]]:
        """Return an `InvoicePaymentMethodDataModel` for each means."""
        return [self._method(method) for method in METHODS]

    def _method(self, method: str) -> dict[str, Any]:
        mine = [coin for coin in self.coins if coin.method == method]
        destination = f"bcrt1q{self.id.lower()}" if method == "BTC-CHAIN" else f"lnbcrt{self.id}"
        return {
            "paymentMethodId": method,
            "currency": "BTC",
            "destination": destination,
            "paymentLink": f"bitcoin:{destination}",
            "rate": str(RATE),
            "paymentMethodPaid": _text(sum((coin.value for coin in mine), _ZERO)),
            "totalPaid": _text(self.paid()),
            "due": _text(self.due - self.paid()),
            "amount": _text(self.due),
            "paymentMethodFee": "0.0",
            "payments": [payment(coin) for coin in mine],
            "activated": True,
            "additionalData": {},
        }


@dataclass(slots=True)
class Payout:
    """One claim of a pull payment."""

    id: str
    destination: str
    amount: Decimal
    made: int
    state: str = "AwaitingApproval"


@dataclass(slots=True)
class Pull:
    """A pull payment: money that somebody may claim."""

    id: str
    name: str
    description: str
    amount: Decimal
    currency: str
    link: str
    archived: bool = False
    payouts: list[Payout] = field(default_factory=list)

    def left(self) -> Decimal:
        """Return what was not claimed yet."""
        claimed = (one.amount for one in self.payouts if one.state != "Cancelled")
        return self.amount - sum(claimed, _ZERO)

    def shown(self) -> dict[str, Any]:
        """Return `PullPaymentData`."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "currency": self.currency,
            "amount": str(self.amount),
            "BOLT11Expiration": "30",
            "autoApproveClaims": False,
            "archived": self.archived,
            "viewLink": self.link,
        }

    def claims(self) -> list[dict[str, Any]]:
        """Return a `PayoutData` for each claim that was not cancelled."""
        return [self.claim(one) for one in self.payouts if one.state != "Cancelled"]

    def claim(self, payout: Payout) -> dict[str, Any]:
        """Return one claim as `PayoutData`."""
        approved = payout.state != "AwaitingApproval"
        return {
            "id": payout.id,
            "revision": 0,
            "pullPaymentId": self.id,
            "date": str(payout.made),
            "destination": payout.destination,
            "originalCurrency": self.currency,
            "originalAmount": str(payout.amount),
            "payoutCurrency": "BTC",
            "payoutAmount": _text((payout.amount / RATE).quantize(SATOSHI)) if approved else None,
            "payoutMethodId": "BTC-CHAIN",
            "state": payout.state,
            "metadata": {},
        }


def payment(coin: Coin) -> dict[str, Any]:
    """Return a coin as `Payment`."""
    return {
        "id": coin.id,
        "receivedDate": coin.received,
        "value": _text(coin.value),
        "fee": "0.0",
        "status": coin.status,
        "destination": coin.destination,
    }


def _text(amount: Decimal) -> str:
    return f"{amount:f}"
