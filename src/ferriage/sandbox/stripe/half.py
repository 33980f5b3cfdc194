"""Stripe's half of the sandbox: API, payment page, dashboard."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any, Final

from ferriage.sandbox.frame import Act, Begun, Bill, Callback, Choice, Means, Refused
from ferriage.sandbox.stripe.account import Account
from ferriage.sandbox.stripe.api import Api, Trouble
from ferriage.sandbox.stripe.calls import Calls
from ferriage.sandbox.stripe.objects import MEANS_PLACES

if TYPE_CHECKING:
    from aiohttp import web

    from ferriage.sandbox.courier import Courier
    from ferriage.sandbox.frame import Site
    from ferriage.sandbox.keys import Keys
    from ferriage.sandbox.stripe.objects import Object

_TITLES: Final = {
    "card": "Card",
    "alipay": "Alipay",
    "wechat_pay": "WeChat Pay",
    "sepa_debit": "SEPA direct debit (the money comes later)",
}
_LATE: Final = "sepa_debit"
_ZERO_DECIMALS: Final = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THREE_DECIMALS: Final = "bhd jod kwd omr tnd"
_NOTES: Final = {
    "complete": "This was paid.",
    "expired": "This payment page has expired. Begin again in the shop.",
}


class StripeHalf:
    """One Stripe account in test mode, with every played means of payment enabled."""

    slug = "stripe"
    title = "Stripe"

    def __init__(self, site: Site, courier: Courier, keys: Keys) -> None:
        self._site, self._courier = site, courier
        self._key = keys.secret("stripe.key", "sk_test_")
        self._hook_secret = keys.secret("stripe.webhook", "whsec_")
        url = f"{site.url}/{self.slug}"
        self._account = Account(url=url, pages=site.page(self.slug, ""), tell=self._tell)
        self._api = Api(self._account, Calls(self._account, list(MEANS_PLACES)), self._key)

    def routes(self) -> list[web.RouteDef]:
        """Return the API."""
        return self._api.routes()

    def settings(self) -> dict[str, str]:
        """Return what a shop's Stripe account is told."""
        return {
            "address": f"{self._site.url}/{self.slug}",
            "secret key": self._key,
            "webhook signing secret": self._hook_secret,
        }

    # --- the payment page

    def bill(self, code: str) -> Bill | None:
        """Return what a session's page shows."""
        self._account.expire_due()
        session = self._account.tables["sessions"].get(code)
        if session is None:
            return None
        means = tuple(
            Means(name, _TITLES[name], asks_place=bool(MEANS_PLACES[name]))
            for name in session["payment_method_types"]
        )
        lines = self._account.requests[code]["line_items"]
        return Bill(
            code=code,
            title=lines[0]["price_data"]["product_data"]["name"],
            amount=amount_text(session["amount_total"], session["currency"]),
            means=means if session["status"] == "open" else (),
            acts=_acts(session),
            note=_NOTES.get(session["status"], ""),
        )

    def begun(self) -> list[Begun]:
        """Return the payments that customers tried, with their disputes."""
        tables = self._account.tables
        charges = {dispute["charge"]: dispute for dispute in tables["disputes"].values()}
        rows = []
        for intent in tables["intents"].values():
            dispute = charges.get(intent["latest_charge"])
            told = f", {dispute['id']} {dispute['status']}" if dispute else ""
            amount = amount_text(intent["amount"], intent["currency"])
            title = intent["description"] or intent["latest_charge"] or ""
            rows.append(Begun(intent["id"], title, amount, intent["status"] + told))
        return rows

    async def act(self, code: str, choice: Choice) -> str:
        """Do what the customer chose; return where the browser goes next."""
        session = self._account.tables["sessions"].get(code)
        if session is None or choice.act not in _acts(session):
            raise Refused("This cannot be done now.")
        if choice.act is Act.ABANDON:
            return str(session["cancel_url"] or self._site.shop_url)
        means = choice.means or session["payment_method_types"][0]
        if means not in session["payment_method_types"]:
            raise Refused("Choose one of the means of payment.", 400)
        place = choice.place if MEANS_PLACES[means] else ""
        if choice.act is Act.DECLINE:
            self._account.decline(session, means=means, place=place)
            raise Refused("Your card was declined. Try another one.", 402)
        pay = self._account.pay_late if means == _LATE else self._account.pay
        pay(session, means=means, place=place)
        return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", code)

    # --- callbacks

    def _tell(self, event: Object) -> None:
        forged = json.loads(json.dumps(event))
        for name in ("amount", "amount_captured", "amount_received", "amount_total"):
            if isinstance(forged["data"]["object"].get(name), int):
                forged["data"]["object"][name] = 1
        self._courier.send(
            Callback(
                half=self.slug,
                ident=event["id"],
                kind=event["type"],
                url=self._site.hook(self.slug),
                body=json.dumps(event, indent=2).encode(),
                forged=json.dumps(forged, indent=2).encode(),
                secret=self._hook_secret,
                sign=sign,
            )
        )

    # --- the dashboard

    async def command(self, verb: str, given: dict[str, Any]) -> dict[str, Any]:
        """Do what a person does in the dashboard, or what Stripe and banks do by themselves."""
        commands = {
            "clear": self._clear,
            "decide": self._decide,
            "dispute": self._dispute,
            "expire": self._expire,
            "payout": self._payout,
            "refund": self._finish_refund,
            "trouble": self._trouble,
        }
        if verb not in commands:
            raise Refused(f"Stripe's half does not know {verb}.", 404)
        return commands[verb](given)

    def _clear(self, given: dict[str, Any]) -> dict[str, Any]:
        session = self._named(given, "session", "sessions")
        self._account.clear(session, fails=bool(given.get("fails")))
        return {"payment_status": session["payment_status"]}

    def _expire(self, given: dict[str, Any]) -> dict[str, Any]:
        session = self._account.expire(self._named(given, "session", "sessions"))
        return {"status": session["status"]}

    def _dispute(self, given: dict[str, Any]) -> dict[str, Any]:
        intent = self._named(given, "payment_intent", "intents")
        charge = self._account.tables["charges"][intent["latest_charge"]]
        made = self._account.dispute(
            charge,
            amount=int(given.get("amount") or charge["amount"]),
            reason=str(given.get("reason", "fraudulent")),
        )
        return {"dispute": made["id"]}

    def _decide(self, given: dict[str, Any]) -> dict[str, Any]:
        dispute = self._named(given, "dispute", "disputes")
        self._account.decide(dispute, won=bool(given.get("won")))
        return {"status": dispute["status"]}

    def _finish_refund(self, given: dict[str, Any]) -> dict[str, Any]:
        refund = self._named(given, "refund", "refunds")
        self._account.finish_refund(refund, fails=bool(given.get("fails")))
        return {"status": refund["status"]}

    def _payout(self, _given: dict[str, Any]) -> dict[str, Any]:
        return {"payouts": [made["id"] for made in self._account.pay_out()]}

    def _trouble(self, given: dict[str, Any]) -> dict[str, Any]:
        self._account.pending_refunds = bool(given.get("pending_refunds"))
        self._api.trouble = Trouble(
            cut=int(given.get("cut", 0)),
            slow_seconds=float(given.get("slow_seconds", 0)),
            down=bool(given.get("down")),
        )
        return given

    def _named(self, given: dict[str, Any], name: str, table: str) -> Object:
        found = self._account.tables[table].get(str(given.get(name)))
        if found is None:
            raise Refused(f"Name a {name} that there is.", 404)
        return found


def sign(body: bytes, secret: str) -> dict[str, str]:
    """Return the header with which Stripe signs an event now."""
    at = int(time.time())
    made = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={made}"}


def amount_text(amount: int, currency: str) -> str:
    """Return an amount as Stripe's page shows it."""
    places = 0 if currency in _ZERO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2
    digits = str(amount).rjust(places + 1, "0")
    shown = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"{shown} {currency.upper()}"


def _acts(session: Object) -> tuple[Act, ...]:
    if session["status"] != "open":
        return ()
    return (Act.PAY, Act.DECLINE, Act.ABANDON)
