from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core.clock import from_unix
from ferriage.core.money import Money
from ferriage.payments.providers.btcpay import money
from ferriage.payments.providers.btcpay.client import Client, is_safe
from ferriage.payments.providers.contract import (
    Event,
    Means,
    ProviderDown,
    RefundResult,
    SecretField,
    Started,
    Unverified,
)

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment, Refund
    from ferriage.payments.providers.contract import AccountSetup, RawEvent, SettlementRow, Urls

_CHANGED: Final = frozenset(
    {"InvoiceSettled", "InvoicePaymentSettled", "InvoiceExpired", "InvoiceInvalid"}
)
"""Events after which an invoice is looked at. None is money by itself: no event names an amount."""


class BtcpayProvider:
    """A BTCPay Server of the operator's own. The shop holds no coins and no key to any."""

    slug: ClassVar[str] = "btcpay"
    kind: ClassVar[object] = "BTCPay Server"
    secret_fields: ClassVar[tuple[SecretField, ...]] = (
        SecretField("server", _("Server"), _("such as https://pay.example"), is_secret=False),
        SecretField("store", _("Store ID"), is_secret=False),
        SecretField("api_key", _("API key")),
        SecretField("webhook_secret", _("Webhook's secret")),
    )

    def __init__(self, setup: AccountSetup) -> None:
        self.title: object = setup.title
        self.is_test_mode = setup.is_test_mode
        self._server = setup.secrets["server"]
        self._store = setup.secrets["store"]
        self._signing = setup.secrets["webhook_secret"]
        self._client = Client(self._server, setup.secrets["api_key"])

    def offered(self, order: Order, now: datetime) -> list[Means]:
        """Return bitcoin, unless the server's address is not https. It says of no place."""
        del order, now
        if not is_safe(self._server):
            return []
        return [Means(self.slug, self.title, is_test_mode=self.is_test_mode)]

    def start(self, payment: Payment, order: Order, urls: Urls, now: datetime) -> Started:
        """Make an invoice, or find the one that was made: the server knows no idempotency key."""
        del order, now
        found = self._invoices(payment)
        invoice = found[0] if found else self._make(payment, urls)
        try:
            url, until = str(invoice["checkoutLink"]), from_unix(int(invoice["expirationTime"]))
            started = Started(_checked(url), str(invoice["id"]), expires_at=until)
        except (KeyError, TypeError, ValueError) as error:
            raise _strange(error) from error
        return started

    def verify(self, raw: RawEvent) -> list[Event]:
        """Check the HMAC of the body, and say that there is something to look at."""
        signed = hmac.new(self._signing.encode(), raw.body, hashlib.sha256).hexdigest()
        given = raw.headers.get("btcpay-sig", "")
        if not hmac.compare_digest(given.encode(), f"sha256={signed}".encode()):
            raise Unverified(_("This callback is not signed by the BTCPay Server."))
        try:
            said = json.loads(raw.body)
            kind, store = str(said["type"]), said.get("storeId")
            name = str(said.get("originalDeliveryId") or said["deliveryId"])
            code = (said.get("metadata") or {}).get("orderId")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unverified(_("This callback is no event of a BTCPay Server.")) from error
        if kind.startswith("Invoice") and store != self._store:
            raise Unverified(_("This callback is of another store."))
        return [
            Event(
                event_id=name,
                kind="look" if kind in _CHANGED else "other",
                payment=code if isinstance(code, str) else "",
                provider_ref=str(said.get("invoiceId") or ""),
                reason=kind,
            )
        ]

    def ask(self, payment: Payment) -> list[Event]:
        """Return what came for every invoice of this payment, by the server's own books."""
        said: list[Event] = []
        for invoice in self._invoices(payment):
            methods = self._client.get("invoices", str(invoice["id"]), "payment-methods")
            try:
                said += money.events(invoice, methods, payment=payment.code)
            except money.NotUnderstood as error:
                raise _strange(error) from error
        paid = [event for event in said if event.kind == "paid"]
        return paid or said

    def refund(self, refund: Refund) -> RefundResult:
        """Offer the money for the customer to claim, and tell whether it was paid out.

        Nobody knows where a payer wants coins back, so the customer says it on the server's page.
        """
        offer = self._offer(refund)
        try:
            name, url = str(offer["id"]), _checked(str(offer["viewLink"]))
            payouts = self._client.get("pull-payments", name, "payouts")
            paid = sum(
                (Decimal(one["originalAmount"]) for one in payouts if one["state"] == "Completed"),
                Decimal(0),
            )
            archived = bool(offer.get("archived"))
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise _strange(error) from error
        if paid >= Decimal(Money(refund.amount_minor, refund.currency).decimal()):
            return RefundResult("paid", name)
        if archived:
            return RefundResult("by-hand", name, "archived on the BTCPay Server")
        return RefundResult("pending", name, claim_url=url)

    def settlements(self, since: datetime) -> list[SettlementRow]:
        """Return nothing: coins lie in the operator's own wallet, and nobody pays them out."""
        del since
        return []

    def _invoices(self, payment: Payment) -> list[dict[str, Any]]:
        """Return the invoices of a payment: one, or two where starting it was cut off."""
        found = self._client.get("stores", self._store, "invoices", orderId=payment.code)
        try:
            mine = [one for one in found if one["metadata"]["orderId"] == payment.code]
            return sorted(mine, key=lambda one: (one["createdTime"], one["id"]))
        except (KeyError, TypeError) as error:
            raise _strange(error) from error

    def _make(self, payment: Payment, urls: Urls) -> dict[str, Any]:
        asked = Money(payment.amount_minor, payment.currency)
        made: dict[str, Any] = self._client.post(
            "stores",
            self._store,
            "invoices",
            body={
                "amount": asked.decimal(),
                "currency": asked.currency,
                "metadata": {"orderId": payment.code},
                "checkout": {
                    "redirectURL": urls.back,
                    "redirectAutomatically": True,
                    "paymentTolerance": 0,
                },
            },
        )
        return made

    def _offer(self, refund: Refund) -> dict[str, Any]:
        """Return the pull payment of a refund; made where there is none by its code."""
        listed = self._client.get("stores", self._store, "pull-payments", includeArchived="true")
        try:
            mine: list[dict[str, Any]] = [one for one in listed if one["name"] == refund.code]
        except (KeyError, TypeError) as error:
            raise _strange(error) from error
        if mine:
            return mine[0]
        back = Money(refund.amount_minor, refund.currency)
        made: dict[str, Any] = self._client.post(
            "stores",
            self._store,
            "pull-payments",
            body={
                "name": refund.code,
                "description": refund.code,
                "amount": back.decimal(),
                "currency": back.currency,
                "autoApproveClaims": False,
            },
        )
        return made


def _checked(url: str) -> str:
    if not is_safe(url):
        raise ValueError("an address that is not https")
    return url


def _strange(error: Exception) -> ProviderDown:
    return ProviderDown(
        _("The BTCPay Server answers in a way that this release does not understand: %s.") % error,
        _("Nothing was lost. Tell the operator of this shop."),
    )
