"""What the played server does: its API, its checkout page, its webhook, and time that passes."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from ferriage.sandbox.btcpay import answers
from ferriage.sandbox.btcpay.books import MINUTES, Coin, Invoice, Payout, Pull, payment
from ferriage.sandbox.frame import Act, Begun, Bill, Callback, Means, Refused
from ferriage.sandbox.keys import token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ferriage.sandbox.courier import Courier
    from ferriage.sandbox.frame import Choice, Site
    from ferriage.sandbox.keys import Keys

    Handler = Callable[[web.Request], Awaitable[web.Response]]

_MEANS: Final = (Means("BTC-LN", "Lightning"), Means("BTC-CHAIN", "On the chain"))
_PARTS: Final = {
    Act.PAY: Decimal(1),
    Act.LATE: Decimal(1),
    Act.SHORT: Decimal("0.5"),
    Act.OVER: Decimal("1.5"),
}


class BtcpayHalf:
    """One store on one played server."""

    slug = "btcpay"
    title = "BTCPay Server"

    def __init__(self, site: Site, courier: Courier, keys: Keys) -> None:
        self._site, self._courier = site, courier
        self._store = keys.secret("btcpay.store")
        self._key = keys.secret("btcpay.key", length=40)
        self._signing = keys.secret("btcpay.webhook")
        self._webhook = keys.secret("btcpay.webhook_id", length=22)
        self._invoices: dict[str, Invoice] = {}
        self._pulls: dict[str, Pull] = {}

    def settings(self) -> dict[str, str]:
        """Return what the shop's back office asks for."""
        return {
            "BTCPay server": f"{self._site.url}/{self.slug}",
            "BTCPay store": self._store,
            "BTCPay API key": self._key,
            "BTCPay webhook secret": self._signing,
        }

    # --- the API

    def routes(self) -> list[web.RouteDef]:
        """Return the part of Greenfield that is played."""
        store, invoice = "/api/v1/stores/{store}", "/api/v1/invoices/{id}"
        pull = "/api/v1/pull-payments/{id}"
        return [
            web.get(f"{store}/invoices", self._for_key(self._list)),
            web.post(f"{store}/invoices", self._for_key(self._create)),
            web.get(f"{store}/payment-methods", self._for_key(self._store_methods)),
            web.get(f"{store}/pull-payments", self._for_key(self._list_pulls)),
            web.post(f"{store}/pull-payments", self._for_key(self._offer)),
            web.get(invoice, self._for_key(self._get)),
            web.get(f"{invoice}/payment-methods", self._for_key(self._methods)),
            web.post(f"{invoice}/status", self._for_key(self._mark)),
            web.post(f"{invoice}/refund", self._for_key(self._refund)),
            web.get(pull, self._pull),
            web.get(f"{pull}/payouts", self._payouts),
            web.post(f"{pull}/payouts", self._claim_by_api),
        ]

    def _for_key(self, handler: Handler) -> Handler:
        """Answer only to whoever has the API key, and only for this store."""

        async def answered(request: web.Request) -> web.Response:
            given = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, f"token {self._key}".encode()):
                return answers.problem(401, "unauthenticated", "Authentication is required.")
            if request.match_info.get("store", self._store) != self._store:
                return answers.problem(403, "missing-permission", "Insufficient API permissions.")
            return await handler(request)

        return answered

    async def _list(self, request: web.Request) -> web.Response:
        wanted = set(request.query.getall("orderId", []))
        found = [
            one.shown()
            for one in self._invoices.values()
            if not wanted or one.metadata.get("orderId") in wanted
        ]
        return web.json_response(found[::-1])

    async def _create(self, request: web.Request) -> web.Response:
        given = await answers.read(request)
        amount, currency = answers.amount_of(given.get("amount")), given.get("currency") or ""
        if amount is None:
            return answers.invalid("amount", "The amount should be above 0")
        if len(currency) != 3:  # noqa: PLR2004 -- ISO 4217
            return answers.invalid("currency", "Invalid currency")
        checkout = given.get("checkout") or {}
        now = int(time.time())
        name = token(22)
        invoice = Invoice(
            id=name,
            store=self._store,
            amount=amount,
            currency=currency,
            metadata=given.get("metadata") or {},
            checkout=checkout,
            link=self._site.page(self.slug, name),
            created=now,
            expires=now + int(checkout.get("expirationMinutes") or MINUTES) * 60,
        )
        self._invoices[name] = invoice
        self._tell(invoice, "InvoiceCreated")
        return web.json_response(invoice.shown())

    async def _get(self, request: web.Request) -> web.Response:
        invoice = self._invoices.get(request.match_info["id"])
        return web.json_response(invoice.shown()) if invoice else answers.no_invoice()

    async def _methods(self, request: web.Request) -> web.Response:
        invoice = self._invoices.get(request.match_info["id"])
        return web.json_response(invoice.methods()) if invoice else answers.no_invoice()

    async def _mark(self, request: web.Request) -> web.Response:
        invoice = self._invoices.get(request.match_info["id"])
        if invoice is None:
            return answers.no_invoice()
        status = (await answers.read(request)).get("status")
        if status not in {"Settled", "Invalid"}:
            return answers.invalid("status", "Status can only be marked to invalid or settled")
        self._marked(invoice, status)
        return web.json_response(invoice.shown())

    async def _store_methods(self, _request: web.Request) -> web.Response:
        return web.json_response(
            [{"enabled": True, "paymentMethodId": means.slug, "config": {}} for means in _MEANS]
        )

    async def _list_pulls(self, request: web.Request) -> web.Response:
        archived = request.query.get("includeArchived", "false") == "true"
        found = [one.shown() for one in self._pulls.values() if archived or not one.archived]
        return web.json_response(found)

    async def _offer(self, request: web.Request) -> web.Response:
        given = await answers.read(request)
        amount = answers.amount_of(given.get("amount"))
        if amount is None:
            return answers.invalid("amount", "amount should more than 0")
        return web.json_response(
            self._new_pull(
                given.get("name") or "",
                given.get("description") or "",
                amount,
                given.get("currency") or "",
            ).shown()
        )

    async def _refund(self, request: web.Request) -> web.Response:
        invoice = self._invoices.get(request.match_info["id"])
        if invoice is None:
            return answers.no_invoice()
        given = await answers.read(request)
        if given.get("refundVariant") != "Custom":
            return answers.invalid("refundVariant", "The sandbox plays the variant Custom only")
        amount = answers.amount_of(given.get("customAmount"))
        if amount is None:
            return answers.invalid("customAmount", "Amount must be greater than 0")
        name = given.get("name") or f"Refund {invoice.id}"
        currency = given.get("customCurrency") or invoice.currency
        pull = self._new_pull(name, given.get("description") or "", amount, currency)
        return web.json_response(pull.shown())

    async def _pull(self, request: web.Request) -> web.Response:
        pull = self._pulls.get(request.match_info["id"])
        return web.json_response(pull.shown()) if pull else answers.no_pull()

    async def _payouts(self, request: web.Request) -> web.Response:
        pull = self._pulls.get(request.match_info["id"])
        return web.json_response(pull.claims()) if pull else answers.no_pull()

    async def _claim_by_api(self, request: web.Request) -> web.Response:
        pull = self._pulls.get(request.match_info["id"])
        if pull is None:
            return answers.no_pull()
        given = await answers.read(request)
        amount = answers.amount_of(given.get("amount")) or pull.left()
        if pull.archived or amount > pull.left():
            return answers.problem(
                400, "archived" if pull.archived else "overdraft", "No claim is left."
            )
        return web.json_response(pull.claim(self._claimed(pull, str(given["destination"]), amount)))

    def _new_pull(self, name: str, description: str, amount: Decimal, currency: str) -> Pull:
        code = token(22)
        pull = Pull(code, name, description, amount, currency, self._site.page(self.slug, code))
        self._pulls[code] = pull
        return pull

    def _claimed(self, pull: Pull, destination: str, amount: Decimal) -> Payout:
        payout = Payout(token(22), destination, amount, int(time.time()))
        pull.payouts.append(payout)
        return payout

    # --- what people see

    def bill(self, code: str) -> Bill | None:
        """Return the checkout of an invoice, or the claim of a pull payment."""
        if pull := self._pulls.get(code):
            states = ", ".join(f"{one.amount} {one.state}" for one in pull.payouts) or "nothing yet"
            note = f"Claimed so far: {states}."
            claimable = (Act.CLAIM,) if pull.left() and not pull.archived else ()
            return Bill(
                code, "Money for you", f"{pull.amount} {pull.currency}", (), claimable, note
            )
        invoice = self._invoices.get(code)
        if invoice is None:
            return None
        settled = invoice.status in {"Settled", "Invalid"} or bool(invoice.coins)
        acts = (Act.PAY, Act.LATE, Act.SHORT, Act.OVER, Act.ABANDON)
        note = f"{invoice.due} BTC, {invoice.paid()} BTC came. {invoice.status}."
        amount = f"{invoice.amount} {invoice.currency}"
        return Bill(code, "Invoice", amount, _MEANS, () if settled else acts, note)

    def begun(self) -> list[Begun]:
        """Return the invoices."""
        return [
            Begun(one.id, "Invoice", f"{one.amount} {one.currency}", one.status)
            for one in self._invoices.values()
        ]

    async def act(self, code: str, choice: Choice) -> str:
        """Pay an invoice, or claim a pull payment to an invented address."""
        if pull := self._pulls.get(code):
            if not pull.left() or pull.archived:
                raise Refused("Nothing is left to be claimed.")
            self._claimed(pull, f"bcrt1q{token(38).lower()}", pull.left())
            return self._site.page(self.slug, code)
        invoice = self._invoice(code)
        if choice.act in _PARTS:
            if invoice.coins:
                raise Refused("This invoice is being paid already.")
            method = choice.means if choice.means in {one.slug for one in _MEANS} else "BTC-LN"
            coin = self._come(invoice, invoice.due * _PARTS[choice.act], method)
            if choice.act is not Act.LATE:
                self._confirm(invoice, [coin])
        elif choice.act is not Act.ABANDON:
            raise Refused("BTCPay knows no such thing.", 400)
        return str(invoice.checkout.get("redirectURL") or self._site.page(self.slug, code))

    # --- what happens by itself, or in the server's dashboard

    async def command(self, verb: str, given: dict[str, Any]) -> dict[str, Any]:
        """Let coins come, be confirmed or not, let an invoice run out, pay a claim out."""
        code = str(given.get("code", ""))
        if verb in {"complete", "archive"}:
            return self._on_pull(verb, code)
        invoice = self._invoice(code)
        if verb == "pay":
            part = answers.amount_of(given.get("part", 1))
            if part is None:
                raise Refused("part is how much of what is due, above 0.", 400)
            method = str(given.get("means", "BTC-CHAIN"))
            coin = self._come(invoice, (invoice.due * part).quantize(Decimal("1e-8")), method)
            if given.get("confirmed", True):
                self._confirm(invoice, [coin])
        elif verb == "confirm":
            self._confirm(invoice, [one for one in invoice.coins if one.status == "Processing"])
        elif verb == "expire":
            self._expire(invoice)
        elif verb in {"settle", "invalidate"}:
            self._marked(invoice, "Settled" if verb == "settle" else "Invalid")
        else:
            raise Refused("BTCPay's half knows no such verb.", 404)
        return invoice.shown()

    def _on_pull(self, verb: str, code: str) -> dict[str, Any]:
        pull = self._pulls.get(code)
        if pull is None:
            raise Refused("There is no such pull payment.", 404)
        if verb == "archive":
            pull.archived = True
        for payout in pull.payouts:
            if verb == "complete" and payout.state != "Cancelled":
                payout.state = "Completed"
            elif payout.state != "Completed":
                payout.state = "Cancelled"
        return pull.shown()

    def _invoice(self, code: str) -> Invoice:
        invoice = self._invoices.get(code)
        if invoice is None:
            raise Refused("There is no such invoice.", 404)
        return invoice

    def _come(self, invoice: Invoice, value: Decimal, method: str) -> Coin:
        """Let coins come, seen and not confirmed."""
        # Within one second of running out, what comes now is late all the same.
        now = max(int(time.time()), invoice.expires + 1 if invoice.ran_out else 0)
        coin = Coin(token(64).lower() + "-0", method, value, now, f"bcrt1q{invoice.id.lower()}")
        invoice.coins.append(coin)
        self._tell_coin(invoice, coin, "InvoiceReceivedPayment")
        if invoice.status in {"New", "Expired"} and invoice.paid() >= invoice.due:
            invoice.status = "Processing"
            self._tell(invoice, "InvoiceProcessing", overPaid=invoice.paid() > invoice.due)
        return coin

    def _confirm(self, invoice: Invoice, coins: list[Coin]) -> None:
        for coin in coins:
            coin.status = "Settled"
            self._tell_coin(invoice, coin, "InvoicePaymentSettled")
        if invoice.status == "Processing" and invoice.paid("Settled") >= invoice.due:
            invoice.status = "Settled"
            over = invoice.paid() > invoice.due
            self._tell(invoice, "InvoiceSettled", manuallyMarked=False, overPaid=over)

    def _expire(self, invoice: Invoice) -> None:
        if invoice.status != "New":
            raise Refused("Only a new invoice runs out.")
        last = max((coin.received for coin in invoice.coins), default=invoice.created)
        invoice.status, invoice.expires = "Expired", max(last, invoice.created)
        invoice.ran_out = True
        self._tell(invoice, "InvoiceExpired", partiallyPaid=bool(invoice.coins))

    def _marked(self, invoice: Invoice, status: str) -> None:
        invoice.status, invoice.marked = status, True
        over = {"overPaid": invoice.paid() > invoice.due} if status == "Settled" else {}
        self._tell(invoice, f"Invoice{status}", manuallyMarked=True, **over)

    # --- the webhook

    def _tell_coin(self, invoice: Invoice, coin: Coin, kind: str) -> None:
        after = coin.received > invoice.expires
        self._tell(
            invoice, kind, afterExpiration=after, paymentMethodId=coin.method, payment=payment(coin)
        )

    def _tell(self, invoice: Invoice, kind: str, **more: object) -> None:
        delivery = token(22)
        event = {
            "deliveryId": delivery,
            "webhookId": self._webhook,
            "originalDeliveryId": delivery,
            "isRedelivery": False,
            "type": kind,
            "timestamp": int(time.time()),
            "storeId": invoice.store,
            "invoiceId": invoice.id,
            "metadata": invoice.metadata,
            **more,
        }
        # No event names the price: the forged one says that it was settled.
        forged = {**event, "type": "InvoiceSettled", "manuallyMarked": False, "overPaid": True}
        self._courier.send(
            Callback(
                half=self.slug,
                ident=delivery,
                kind=kind,
                url=self._site.hook(self.slug),
                body=json.dumps(event).encode(),
                forged=json.dumps(forged).encode(),
                secret=self._signing,
                sign=sign,
            )
        )


def sign(body: bytes, secret: str) -> dict[str, str]:
    """Return the header that BTCPay signs a body with."""
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"BTCPay-Sig": f"sha256={made}"}
