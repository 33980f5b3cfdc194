"""A BTCPay Server in the sandbox, a customer who pays there, and what it calls back with."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from published_btcpay import event_types

from ferriage.payments.providers.btcpay.provider import BtcpayProvider
from ferriage.payments.providers.contract import RawEvent
from support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.payments.models import Payment
    from ferriage.payments.providers.contract import NetProvider
    from running_sandbox import Ear, RunningSandbox

_SETTINGS = {
    "server": "BTCPay server",
    "store": "BTCPay store",
    "api_key": "BTCPay API key",
    "webhook_secret": "BTCPay webhook secret",
}


@dataclass
class BtcpayWorld:
    """The test's side of the played server."""

    sandbox: RunningSandbox
    ear: Ear
    provider: type[NetProvider] = BtcpayProvider
    choice: str = ""
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def secrets(self) -> dict[str, str]:
        return {name: self.sandbox.settings[told] for name, told in _SETTINGS.items()}

    def pay(self, payment: Payment, now: object) -> list[RawEvent]:
        return self.act(payment, "pay", now)

    def act(self, payment: Payment, act: str, now: object) -> list[RawEvent]:
        """Press a button on the checkout page."""
        before = len(self.ear.heard)
        assert self.sandbox.act(payment.pay_url, act).status == 303
        return self._called_back(before, now)

    def do(self, payment: Payment, verb: str, now: object, **given: object) -> list[RawEvent]:
        """Let something happen to the invoice that no button does."""
        before = len(self.ear.heard)
        self.sandbox.control("POST", f"/btcpay/{verb}", code=payment.provider_ref, **given)
        return self._called_back(before, now)

    def fail(self, payment: Payment, now: object) -> list[RawEvent]:
        return self.do(payment, "expire", now)

    def others(self, payment: Payment, now: object) -> list[RawEvent]:
        """Return one event of every published type, and one of none, all without coins."""
        return [self.say(kind, payment, now) for kind in (*event_types(), "Unheard")]

    def say(self, kind: str, payment: Payment, now: object, **more: object) -> RawEvent:
        """Return a signed event, whatever the invoice is like."""
        event = {
            "deliveryId": f"delivery-{next(self.numbers)}",
            "type": kind,
            "storeId": self.secrets["store"],
            "invoiceId": payment.provider_ref,
            "metadata": {"orderId": payment.code},
            "manuallyMarked": False,
            "overPaid": False,
            **more,
        }
        return self.signed(json.dumps(event).encode(), now)

    def signed(self, body: bytes, now: object, secret: str = "") -> RawEvent:
        assert isinstance(now, datetime)
        key = (secret or self.secrets["webhook_secret"]).encode()
        made = hmac.new(key, body, hashlib.sha256).hexdigest()
        return RawEvent(body, {"btcpay-sig": f"sha256={made}"}, now)

    def forged(self, raw: RawEvent) -> list[RawEvent]:
        said: dict[str, Any] = json.loads(raw.body)
        other_store = json.dumps(said | {"storeId": "another"}).encode()
        return [
            replace(raw, headers={}),
            replace(raw, headers={"btcpay-sig": ""}),
            replace(raw, headers={"btcpay-sig": "sha256=ü"}),
            replace(raw, body=raw.body.replace(b"false", b"true") + b" "),
            self.signed(raw.body, raw.received_at, secret="another's"),
            self.signed(other_store, raw.received_at),
            self.signed(b"[]", raw.received_at),
            self.signed(b"{}", raw.received_at),
            self.signed(b"\xff", raw.received_at),
        ]

    def _called_back(self, before: int, now: object) -> list[RawEvent]:
        """Wait until the sandbox has nothing under way, and return what it called back with."""
        assert isinstance(now, datetime)
        eventually(lambda: self.sandbox.control("GET", "")["waiting"] == 0, within=10)
        return [
            RawEvent(one.body, {name.lower(): text for name, text in one.headers.items()}, now)
            for one in self.ear.heard[before:]
        ]
