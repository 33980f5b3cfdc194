"""Stripe as the shop sees it: `ferriage sandbox` in a process, and a customer with a card there.

shop ── start, ask, refund ──> sandbox <── the payment page ── the test's customer
                                  └── callbacks ──> the ear ──> the test delivers them
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import stripe

from ferriage.core import clock
from ferriage.payments.providers.contract import RawEvent
from ferriage.payments.providers.stripe.provider import StripeProvider
from support import eventually

if TYPE_CHECKING:
    from ferriage.payments.models import Payment
    from ferriage.payments.providers.contract import NetProvider
    from running_sandbox import Ear, RunningSandbox

PLACE = "XD"


@dataclass
class StripeWorld:
    sandbox: RunningSandbox
    ear: Ear
    provider: type[NetProvider] = StripeProvider
    choice: str = ""
    taken: int = field(default=0)

    @property
    def secrets(self) -> dict[str, str]:
        settings = self.sandbox.settings
        return {
            "key": settings["secret key"],
            "webhook_secret": settings["webhook signing secret"],
            "wallets": "alipay wechat_pay",
            "address": settings["address"],
        }

    @property
    def stripe(self) -> stripe.StripeClient:
        """Stripe's own SDK, past the shop."""
        address = {"api": self.secrets["address"]}
        return stripe.StripeClient(self.secrets["key"], base_addresses=address)

    def pay(
        self, payment: Payment, now: object, *, means: str = "card", place: str = PLACE
    ) -> list[RawEvent]:
        """Pay on the page; returns what Stripe called back with, in its order."""
        del now
        means = self.choice or means
        answer = self.sandbox.act(payment.pay_url, "pay", means=means, place=place)
        assert answer.status == 303, answer.body
        return self.callbacks()

    def fail(self, payment: Payment, now: object) -> list[RawEvent]:
        """Let the page's time run out."""
        del now
        self.sandbox.control("POST", "/stripe/expire", session=payment.provider_ref)
        return self.callbacks()

    def others(self, payment: Payment, now: object) -> list[RawEvent]:
        """A declined card, and a charge of this payment under every name that is not its own."""
        del now
        self.sandbox.act(payment.pay_url, "decline", means="card", place=PLACE)
        declined = self.callbacks()
        charge = json.loads(declined[1].body)["data"]["object"]
        charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": 1000}
        kinds = ("charge.pending", "charge.updated", "charge.captured", "charge.refunded", "x.y")
        return declined + [self.event(kind, charge) for kind in kinds]

    def forged(self, raw: RawEvent) -> list[RawEvent]:
        body = raw.body.decode()
        return [
            replace(raw, headers={}),
            replace(raw, headers={"stripe-signature": ""}),
            replace(raw, headers={"stripe-signature": "t=1,v1=x"}),
            replace(raw, headers={"stripe-signature": "signed"}),
            replace(raw, headers=signed(body, "whsec_anothers")),
            replace(raw, headers=signed(body, self.secrets["webhook_secret"], seconds_ago=301)),
            replace(raw, body=raw.body + b" "),
            replace(raw, body=b"\xff" + raw.body),
        ]

    # --- more than the contract asks

    def event(self, kind: str, about: dict[str, Any], **more: object) -> RawEvent:
        """Return an event of Stripe's, signed, that the sandbox would not send."""
        number = f"evt_{kind}_{about['id']}"
        body = json.dumps(
            {
                "id": number,
                "object": "event",
                "livemode": False,
                "type": kind,
                "data": {"object": about},
                **more,
            }
        )
        return RawEvent(body.encode(), signed(body, self.secrets["webhook_secret"]), clock.now())

    def callbacks(self) -> list[RawEvent]:
        """Return what was called back since this was asked last."""
        eventually(lambda: self.sandbox.control("GET", "")["waiting"] == 0, within=10)
        heard = self.ear.heard[self.taken :]
        self.taken += len(heard)
        return [
            RawEvent(
                one.body, {name.lower(): text for name, text in one.headers.items()}, clock.now()
            )
            for one in heard
        ]


def signed(body: str, secret: str, *, seconds_ago: int = 0) -> dict[str, str]:
    at = int(time.time()) - seconds_ago
    return {"stripe-signature": stripe.WebhookSignature.generate_signature_header(body, secret, at)}
