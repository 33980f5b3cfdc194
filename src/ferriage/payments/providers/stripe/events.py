"""What Stripe says, in the contract's words. Pure: asks nobody.

Only `charge.succeeded` is money, since of all events it alone names the amount that came and where
the means of payment was issued (docs/decisions/0024-sandbox.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ferriage.payments.providers.contract import Event
from ferriage.payments.providers.stripe.amounts import from_stripe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ferriage.payments.providers.contract import EventKind

    Object = Mapping[str, Any]

PAYMENT: Final = "ferriage_payment"
REFUND: Final = "ferriage_refund"
"""Where our codes stand in Stripe's `metadata`."""
PRESUMED: Final = {"alipay": "CN", "wechat_pay": "CN"}
"""Means that say nothing of their payer, and where nearly all who have one are."""
INQUIRY: Final = "warning_"
"""What the status of a bank's question begins with, when no money was taken."""


def read(event: Object, *, livemode: bool) -> Event:
    """Return one of Stripe's events.

    Args:
        livemode: The account's; an event of the other mode does nothing.
    """
    about = event["data"]["object"]
    make = _READERS.get(event["type"])
    if make is None or bool(event["livemode"]) is not livemode:
        return Event(event_id=event["id"], kind="other", reason=event["type"])
    return make(event["id"], about)


def charged(event_id: str, charge: Object) -> Event:
    """Return the money that a charge is; something else where it took none.

    A charge without a code of ours is of other business on the same account, so it is none of
    these books.
    """
    code = _metadata(charge).get(PAYMENT, "")
    if not code:
        return Event(event_id=event_id, kind="other", reason="charge.not-ours")
    if charge["status"] != "succeeded" or not charge["paid"] or not charge["captured"]:
        return Event(event_id=event_id, kind="other", reason="charge.not-captured")
    return Event(
        event_id=event_id,
        kind="paid",
        payment=code,
        transaction_id=charge["payment_intent"] or charge["id"],
        money=from_stripe(charge["amount_captured"], charge["currency"]),
        payer_place=place_of(charge),
    )


def place_of(charge: Object) -> str:
    """Return the country in which a charge's means of payment was issued, as far as it says."""
    details = charge["payment_method_details"] or {}
    means = details.get("type", "")
    country = (details.get(means) or {}).get("country")
    return str(country or PRESUMED.get(means, ""))


def ended(event_id: str, session: Object) -> Event:
    """Return that nobody can pay on a session's page any more."""
    return Event(
        event_id=event_id,
        kind="failed",
        payment=session["client_reference_id"] or "",
        provider_ref=session["id"],
        reason=session["status"],
    )


def declined(event_id: str, intent: Object) -> Event:
    """Return that a means of payment was refused; the session stays open for another one."""
    code = _metadata(intent).get(PAYMENT, "")
    return Event(
        event_id=event_id,
        kind="declined" if code else "other",
        payment=code,
        reason=(intent["last_payment_error"] or {}).get("code") or "",
    )


def disputed(event_id: str, dispute: Object) -> Event:
    """Return where a dispute stands. A question of the bank's alone takes no money."""
    kinds: dict[str, EventKind] = {
        "won": "dispute-won",
        "warning_closed": "dispute-won",
        "lost": "dispute-lost",
    }
    kind = kinds.get(dispute["status"], "dispute-opened")
    if kind == "dispute-opened" and dispute["status"].startswith(INQUIRY):
        kind = "other"
    return Event(
        event_id=event_id,
        kind=kind,
        transaction_id=dispute["payment_intent"] or dispute["charge"],
        money=from_stripe(dispute["amount"], dispute["currency"]),
        dispute=dispute["id"],
        reason=dispute["reason"],
    )


def _look(event_id: str, session: Object) -> Event:
    return Event(
        event_id=event_id,
        kind="look",
        payment=session["client_reference_id"] or "",
        provider_ref=session["id"],
    )


def _refunded(event_id: str, refund: Object) -> Event:
    """Return what became of a refund; one that was made in Stripe's dashboard is not ours."""
    code = _metadata(refund).get(REFUND, "")
    kinds: dict[str, EventKind] = {
        "succeeded": "refunded",
        "failed": "refund-failed",
        "canceled": "refund-failed",
    }
    kind = kinds.get(refund["status"], "other") if code else "other"
    return Event(
        event_id=event_id,
        kind=kind,
        transaction_id=refund["payment_intent"] or "",
        money=from_stripe(refund["amount"], refund["currency"]),
        refund=code,
        reason=refund.get("failure_reason") or refund["status"],
    )


def _metadata(about: Object) -> Object:
    return about["metadata"] or {}


_READERS: Final[dict[str, Callable[[str, Object], Event]]] = {
    "charge.succeeded": charged,
    # That it is complete says not that money came: Stripe is asked which charge it made.
    "checkout.session.completed": _look,
    "checkout.session.async_payment_succeeded": _look,
    "checkout.session.async_payment_failed": ended,
    "checkout.session.expired": ended,
    "payment_intent.payment_failed": declined,
    "refund.created": _refunded,
    "refund.updated": _refunded,
    "refund.failed": _refunded,
    "charge.dispute.created": disputed,
    "charge.dispute.funds_withdrawn": disputed,
    "charge.dispute.closed": disputed,
}
