"""One Stripe account: what it knows, and what happens to money in it."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any, Final

from ferriage.sandbox.frame import Refused
from ferriage.sandbox.stripe import moneyback, objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.sandbox.stripe.objects import Object

FEE_BPS: Final = 290
FEE_FIXED: Final = 30
DISPUTE_FEE: Final = 1500
"""Invented, in minor units; a real account's fees are in its contract."""
TABLES: Final = {
    "cs": "sessions",
    "pi": "intents",
    "ch": "charges",
    "re": "refunds",
    "du": "disputes",
    "po": "payouts",
    "txn": "transactions",
    "evt": "events",
}


class Account:
    """Tables of objects by number; methods change them and tell each event.

    Args:
        tell: Called with each event, after the object changed.
    """

    def __init__(self, *, url: str, pages: str, tell: Callable[[Object], None]) -> None:
        self.tables: dict[str, dict[str, Object]] = {name: {} for name in TABLES.values()}
        self.requests: dict[str, dict[str, Any]] = {}
        self.paid_out: dict[str, str] = {}
        """Payouts by the balance transactions in them."""
        self.pending_refunds = False
        self._url, self._pages, self._tell = url, pages, tell

    def find(self, code: str) -> Object | None:
        """Return an object by its number, whatever it is."""
        table = TABLES.get(code.split("_", maxsplit=1)[0])
        return self.tables[table].get(code) if table else None

    def _keep(self, made: Object) -> Object:
        table = TABLES[str(made["id"]).split("_")[0]]
        self.tables[table][made["id"]] = made
        return made

    def _event(self, kind: str, about: Object, changed: Object | None = None) -> None:
        # An event holds the object as it was then.
        event = objects.event(kind, copy.deepcopy(about), changed=changed, key=None, at=_now())
        self._tell(self._keep(event))

    # --- sessions

    def open_session(
        self, *, amount: int, currency: str, given: Object, means: list[str]
    ) -> Object:
        """Open a Checkout Session."""
        session = self._keep(
            objects.session(
                url=self._pages,
                amount=amount,
                currency=currency,
                given=given,
                means=means,
                at=_now(),
            )
        )
        self.requests[session["id"]] = given
        return session

    def expire(self, session: Object) -> Object:
        """End an open session that nobody paid.

        Raises:
            Refused: It is not open.
        """
        if session["status"] != "open":
            raise Refused(
                'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
                f"Session has a status of `{session['status']}`.",
                400,
            )
        session.update(status="expired", url=None)
        intent = self.find(session["payment_intent"] or "")
        if intent is not None:
            intent.update(status="canceled", canceled_at=_now(), cancellation_reason="automatic")
            self._event("payment_intent.canceled", intent)
        self._event("checkout.session.expired", session)
        return session

    def expire_due(self) -> None:
        """End sessions whose time is over."""
        for session in list(self.tables["sessions"].values()):
            if session["status"] == "open" and session["expires_at"] <= _now():
                self.expire(session)

    # --- paying

    def pay(self, session: Object, *, means: str, place: str) -> None:
        """Let the customer pay with a means whose money is there at once."""
        intent = self._intent(session)
        charge = self._charge(intent, means, place, "succeeded")
        session.update(status="complete", payment_status="paid", url=None)
        self._arrived(intent, charge)
        self._event("checkout.session.completed", session)

    def pay_late(self, session: Object, *, means: str, place: str) -> None:
        """Let the customer order a payment whose money comes later; `clear` ends it."""
        intent = self._intent(session)
        charge = self._charge(intent, means, place, "pending")
        intent["status"] = "processing"
        session.update(status="complete", url=None)
        self._event("payment_intent.processing", intent)
        self._event("charge.pending", charge)
        self._event("checkout.session.completed", session)

    def clear(self, session: Object, *, fails: bool = False) -> None:
        """Let money that was to come later arrive, or fail.

        Raises:
            Refused: Nothing is on its way.
        """
        intent = self.find(session["payment_intent"] or "")
        if intent is None or intent["status"] != "processing":
            raise Refused("No money is on its way for this session.")
        charge = self.tables["charges"][intent["latest_charge"]]
        if fails:
            charge.update(status="failed", failure_code="payment_failed")
            intent["status"] = "requires_payment_method"
            self._event("charge.failed", charge)
            self._event("payment_intent.payment_failed", intent)
            self._event("checkout.session.async_payment_failed", session)
            return
        charge.update(
            status="succeeded", paid=True, captured=True, amount_captured=charge["amount"]
        )
        session["payment_status"] = "paid"
        self._arrived(intent, charge)
        self._event("checkout.session.async_payment_succeeded", session)

    def decline(self, session: Object, *, means: str, place: str) -> None:
        """Let the payer's bank say no; the session stays open."""
        intent = self._intent(session)
        charge = self._charge(intent, means, place, "failed")
        intent["last_payment_error"] = {
            "charge": charge["id"],
            "code": "card_declined",
            "decline_code": "generic_decline",
            "message": "Your card was declined.",
            "type": "card_error",
        }
        self._event("charge.failed", charge)
        self._event("payment_intent.payment_failed", intent)

    def _intent(self, session: Object) -> Object:
        found = self.find(session["payment_intent"] or "")
        if found is not None:
            return found
        given = self.requests[session["id"]].get("payment_intent_data", {})
        intent = self._keep(objects.payment_intent(session=session, given=given, at=_now()))
        session["payment_intent"] = intent["id"]
        self._event("payment_intent.created", intent)
        return intent

    def _charge(self, intent: Object, means: str, place: str, status: str) -> Object:
        made = objects.charge(
            intent=intent, means=means, place=place, status=status, url=self._url, at=_now()
        )
        intent.update(latest_charge=made["id"], payment_method=made["payment_method"])
        return self._keep(made)

    def _arrived(self, intent: Object, charge: Object) -> None:
        amount = charge["amount"]
        intent.update(status="succeeded", amount_received=amount, last_payment_error=None)
        self._event("charge.succeeded", charge)
        self._event("payment_intent.succeeded", intent)
        fee = amount * FEE_BPS // 10_000 + FEE_FIXED
        line = self._line("charge", "charge", amount=amount, fee=fee, of=charge)
        charge["balance_transaction"] = line["id"]
        self._event("charge.updated", charge, changed={"balance_transaction": None})

    def _line(self, kind: str, category: str, *, amount: int, fee: int, of: Object) -> Object:
        return self._keep(
            moneyback.balance_transaction(
                kind=kind,
                category=category,
                amount=amount,
                fee=fee,
                currency=of["currency"],
                source=of["id"],
                at=_now(),
            )
        )

    # --- refunds

    def refund(self, charge: Object, *, amount: int, given: Object) -> Object:
        """Pay a charge back, or begin to."""
        status = "pending" if self.pending_refunds else "succeeded"
        made = self._keep(
            moneyback.refund(charge=charge, amount=amount, given=given, status=status, at=_now())
        )
        before = charge["amount_refunded"]
        charge["amount_refunded"] = before + amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        line = self._line("refund", "refund", amount=-amount, fee=0, of=made)
        made["balance_transaction"] = line["id"]
        self._event("refund.created", made)
        self._event("charge.refunded", charge, changed={"amount_refunded": before})
        return made

    def finish_refund(self, refund: Object, *, fails: bool) -> None:
        """End a refund that was pending.

        Raises:
            Refused: It is not pending.
        """
        if refund["status"] != "pending":
            raise Refused("This refund is not pending.")
        refund["status"] = "failed" if fails else "succeeded"
        self._event("refund.updated", refund, changed={"status": "pending"})
        if fails:
            charge = self.tables["charges"][refund["charge"]]
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            amount = refund["amount"]
            self._line("refund_failure", "refund_failure", amount=amount, fee=0, of=refund)
            self._event("refund.failed", refund)

    # --- disputes

    def dispute(self, charge: Object, *, amount: int, reason: str) -> Object:
        """Let the payer's bank take a charge back until it is decided.

        Raises:
            Refused: It is disputed already, or was not paid.
        """
        if charge["disputed"] or not charge["paid"]:
            raise Refused("This charge cannot be disputed.")
        charge["disputed"] = True
        made = self._keep(moneyback.dispute(charge=charge, amount=amount, reason=reason, at=_now()))
        self._event("charge.dispute.created", made)
        line = self._line("adjustment", "dispute", amount=-amount, fee=DISPUTE_FEE, of=made)
        made["balance_transactions"].append(line)
        self._event("charge.dispute.funds_withdrawn", made)
        return made

    def decide(self, dispute: Object, *, won: bool) -> None:
        """Let the bank decide a dispute.

        Raises:
            Refused: It is decided already.
        """
        if dispute["status"] in {"won", "lost"}:
            raise Refused("This dispute is decided.")
        before = dispute["status"]
        dispute["status"] = "won" if won else "lost"
        if won:
            amount = dispute["amount"]
            line = self._line("adjustment", "dispute_reversal", amount=amount, fee=0, of=dispute)
            dispute["balance_transactions"].append(line)
            self._event("charge.dispute.funds_reinstated", dispute)
        self._event("charge.dispute.closed", dispute, changed={"status": before})

    # --- payouts

    def pay_out(self) -> list[Object]:
        """Pay what the balance holds to the shop's bank, one payout a currency."""
        made = []
        lines = self.tables["transactions"].values()
        unpaid = [line for line in lines if line["id"] not in self.paid_out]
        for currency in sorted({line["currency"] for line in unpaid}):
            due = [line for line in unpaid if line["currency"] == currency]
            total = sum(line["net"] for line in due)
            if total > 0:
                made.append(self._pay_out(due, total))
        return made

    def _pay_out(self, lines: list[Object], total: int) -> Object:
        currency = lines[0]["currency"]
        payout = self._keep(moneyback.payout(amount=total, currency=currency, at=_now()))
        own = self._line("payout", "payout", amount=-total, fee=0, of=payout)
        payout["balance_transaction"] = own["id"]
        for line in (*lines, own):
            self.paid_out[line["id"]] = payout["id"]
        for kind in ("payout.created", "payout.paid", "payout.reconciliation_completed"):
            self._event(kind, payout)
        return payout

    def balance(self) -> Object:
        """Return what the account holds, by currency."""
        held: dict[str, int] = {}
        for line in self.tables["transactions"].values():
            held[line["currency"]] = held.get(line["currency"], 0) + line["net"]
        amounts = [
            {"amount": amount, "currency": currency, "source_types": {"card": amount}}
            for currency, amount in sorted(held.items())
        ]
        return {
            "object": "balance",
            "available": amounts,
            "connect_reserved": [],
            "livemode": False,
            "pending": [],
        }


def _now() -> int:
    return int(time.time())
