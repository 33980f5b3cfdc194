from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from ferriage.core.clock import from_unix
from ferriage.core.money import Money
from ferriage.payments.providers.contract import (
    Means,
    NotByThisMeans,
    RefundResult,
    SecretField,
    Started,
    Unverified,
)
from ferriage.payments.providers.stripe import events, settling
from ferriage.payments.providers.stripe.amounts import to_stripe
from ferriage.payments.providers.stripe.client import asking, client
from ferriage.payments.providers.stripe.signature import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from stripe import StripeClient
    from stripe.checkout import Session

    from ferriage.orders.models import Order
    from ferriage.payments.models import Payment, Refund
    from ferriage.payments.providers.contract import (
        AccountSetup,
        Event,
        RawEvent,
        SettlementRow,
        Urls,
    )

WALLETS: Final = {"alipay": _("Alipay"), "wechat_pay": _("WeChat Pay")}
"""Means of their own, offered in CNY alone and judged by where their payers are."""
LONGEST: Final = timedelta(hours=23, minutes=30)
SHORTEST: Final = timedelta(hours=1)
"""A page is open for 30 minutes to 24 hours by Stripe's clock, which is not ours."""
KEYS_LAST: Final = timedelta(hours=23)
"""Stripe forgets idempotency keys after a day."""
_LOOKED_THROUGH: Final = 1000


class StripeProvider:
    """Stripe Checkout, with every means that the account has enabled for the currency."""

    slug: ClassVar[str] = "stripe"
    kind: ClassVar[object] = "Stripe"
    secret_fields: ClassVar[tuple[SecretField, ...]] = (
        SecretField(
            "key",
            _("Secret key"),
            _("Of the account's mode: sk_test_… or sk_live_…; better a restricted one, rk_…"),
            begins={"test": ("sk_test_", "rk_test_"), "live": ("sk_live_", "rk_live_")},
        ),
        SecretField(
            "webhook_secret",
            _("Signing secret of the webhook"),
            _("Stripe shows it where the webhook's address is entered: whsec_…"),
            begins={"test": ("whsec_",), "live": ("whsec_",)},
        ),
        SecretField(
            "wallets",
            _("Alipay and WeChat Pay"),
            _("Those of alipay and wechat_pay that the account has enabled; offered in CNY only."),
            is_secret=False,
            is_required=False,
        ),
        SecretField(
            "address",
            _("Address of the API"),
            _("Empty for Stripe itself; another one for a sandbox."),
            is_secret=False,
            is_required=False,
            begins={
                "test": ("https://", "http://127.0.0.1:", "http://localhost:"),
                "live": ("https://",),
            },
        ),
    )

    def __init__(self, setup: AccountSetup) -> None:
        self._secrets = setup.secrets
        self.title: object = setup.title
        self.is_test_mode = setup.is_test_mode

    def offered(self, order: Order, now: datetime) -> list[Means]:
        """Return Stripe's page; in CNY the wallets besides, each with the place of its payers."""
        del now
        try:
            to_stripe(order.due)
        except NotByThisMeans:
            return []
        ways = [Means(self.slug, self.title, is_test_mode=self.is_test_mode)]
        if order.currency == "CNY":
            ways += [
                Means(
                    self.slug,
                    WALLETS[wallet],
                    choice=wallet,
                    payer_place=events.PRESUMED[wallet],
                    is_test_mode=self.is_test_mode,
                )
                for wallet in WALLETS
                if wallet in self._secrets.get("wallets", "").split()
            ]
        return ways

    def start(self, payment: Payment, order: Order, urls: Urls, now: datetime) -> Started:
        """Open a Checkout Session, or find the one that was opened for this payment."""
        import stripe

        given = _session(payment, order, urls)
        if now - payment.created_at > KEYS_LAST and (found := self._found(payment)):
            return _started(found)
        with asking():
            try:
                made = self._client().v1.checkout.sessions.create(
                    given, {"idempotency_key": payment.code}
                )
            except stripe.IdempotencyError:
                made = None
            except (stripe.InvalidRequestError, stripe.CardError) as error:
                raise _refused(error) from error
        # The shop's own address may have changed since the same payment was begun.
        made = made or self._found(payment)
        if made is None:
            raise NotByThisMeans(
                _("This payment was begun otherwise and cannot be found at Stripe."),
                _("Choose another way to pay."),
            )
        return _started(made)

    def verify(self, raw: RawEvent) -> list[Event]:
        """Return what a signed callback says."""
        event = opened(raw, self._secrets["webhook_secret"])
        try:
            return [events.read(event, livemode=not self.is_test_mode)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unverified(_("This is no event of Stripe's as it documents them.")) from error

    def ask(self, payment: Payment) -> list[Event]:
        """Return what became of the payment's session: money, disputes, or its end."""
        session = self._session_of(payment)
        if session is None:
            return []
        said = session.to_dict()
        intent = said["payment_intent"] or {}
        charge = intent.get("latest_charge")
        found = []
        if charge and said["payment_status"] == "paid":
            found.append(events.charged(f"{charge['id']}:asked", charge))
            if charge["disputed"]:
                found += self._disputes(intent["id"])
        elif said["status"] == "expired" or _came_to_nothing(said):
            found.append(events.ended(f"{said['id']}:asked", said))
        elif charge and intent.get("last_payment_error"):
            found.append(events.declined(f"{charge['id']}:declined", intent))
        return found

    def refund(self, refund: Refund) -> RefundResult:
        """Pay back, or tell what became of it; found by its code where it was made before."""
        import stripe

        intent = refund.payment.transaction_id or ""
        given: Any = {
            "payment_intent": intent,
            "amount": to_stripe(Money(refund.amount_minor, refund.currency)),
            "metadata": {events.REFUND: refund.code},
        }
        with asking():
            service = self._client().v1.refunds
            try:
                for known in service.list(
                    {"payment_intent": intent, "limit": 100}
                ).auto_paging_iter():
                    if _metadata(known).get(events.REFUND) == refund.code:
                        return _result(known)
                return _result(service.create(given, {"idempotency_key": refund.code}))
            except (stripe.InvalidRequestError, stripe.IdempotencyError) as error:
                return RefundResult("failed", reason=_reason(error))

    def settlements(self, since: datetime) -> list[SettlementRow]:
        """Return the lines of Stripe's payouts."""
        return settling.rows(self._client(), since)

    # --- asking Stripe

    def _client(self) -> StripeClient:
        return client(self._secrets["key"], self._secrets.get("address", ""))

    def _session_of(self, payment: Payment) -> Session | None:
        """Return a payment's session with its charge; None where there is none."""
        import stripe

        ref = payment.provider_ref
        if not ref and (found := self._found(payment)):
            ref = found.id
        if not ref:
            return None
        with asking():
            try:
                return self._client().v1.checkout.sessions.retrieve(
                    ref, {"expand": ["payment_intent.latest_charge"]}
                )
            except stripe.InvalidRequestError:
                return None

    def _found(self, payment: Payment) -> Session | None:
        """Look for a session that was opened and not noted, as a crash between the two leaves."""
        begun = int(payment.created_at.timestamp())
        given: Any = {"created": {"gte": begun - 600}, "limit": 100}
        with asking():
            pages = self._client().v1.checkout.sessions.list(given).auto_paging_iter()
            for number, session in enumerate(pages):
                if session.client_reference_id == payment.code:
                    return session
                if number == _LOOKED_THROUGH:
                    break
        return None

    def _disputes(self, intent: str) -> Iterator[Event]:
        with asking():
            found = self._client().v1.disputes.list({"payment_intent": intent}).data
        for dispute in reversed(found):
            said = dispute.to_dict()
            yield events.disputed(f"{dispute.id}:{dispute.status}:asked", said)


def _session(payment: Payment, order: Order, urls: Urls) -> Any:
    """Return what a session is opened with; the same for the same payment, whenever it is asked."""
    wallet = payment.choice if payment.choice in WALLETS else ""
    means: dict[str, Any] = {"excluded_payment_method_types": list(WALLETS)}
    if wallet:
        means = {"payment_method_types": [wallet]}
    if wallet == "wechat_pay":
        means["payment_method_options"] = {"wechat_pay": {"client": "web"}}
    amount = to_stripe(Money(payment.amount_minor, payment.currency))
    # Not in the customer's language: the same key must come with the same words again.
    name = f"{settings.FERRIAGE.site.name} {order.code}"
    return {
        "mode": "payment",
        "client_reference_id": payment.code,
        "line_items": [
            {
                "price_data": {
                    "currency": payment.currency.lower(),
                    "product_data": {"name": name},
                    "unit_amount": amount,
                },
                "quantity": 1,
            }
        ],
        # Stripe would else show, and take, other currencies than the order's.
        "adaptive_pricing": {"enabled": False},
        "payment_intent_data": {"metadata": {events.PAYMENT: payment.code}},
        "expires_at": int(_closes_at(payment, order).timestamp()),
        "success_url": urls.back,
        "cancel_url": urls.cancelled,
        **means,
    }


def _closes_at(payment: Payment, order: Order) -> datetime:
    soonest, latest = payment.created_at + SHORTEST, payment.created_at + LONGEST
    return max(soonest, min(order.expires_at, latest))


def _started(session: Session) -> Started:
    return Started(
        url=session.url or "",
        provider_ref=session.id,
        expires_at=from_unix(session.expires_at),
    )


def _came_to_nothing(session: Mapping[str, Any]) -> bool:
    """Tell whether a debit was ordered on the page and the bank did not pay it."""
    intent = session["payment_intent"] or {}
    return session["status"] == "complete" and intent.get("status") in {
        "requires_payment_method",
        "canceled",
    }


def _result(refund: Any) -> RefundResult:
    if refund.status == "succeeded":
        return RefundResult("paid", refund.id)
    if refund.status in {"failed", "canceled"}:
        reason = refund.to_dict().get("failure_reason") or refund.status
        return RefundResult("failed", refund.id, str(reason))
    return RefundResult("pending", refund.id)


def _metadata(about: Any) -> Mapping[str, Any]:
    kept: Mapping[str, Any] = about.to_dict().get("metadata") or {}
    return kept


def _refused(error: Any) -> NotByThisMeans:
    return NotByThisMeans(
        _("Stripe does not take this payment (%s).") % _reason(error),
        _("Nothing was charged. Choose another way to pay."),
    )


def _reason(error: Any) -> str:
    """Return Stripe's short word for a refusal, never its sentence: that may quote what we sent."""
    return str(error.code or error.param or type(error).__name__)
