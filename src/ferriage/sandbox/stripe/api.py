"""Stripe's API over HTTP: who asks, what was asked before, and errors in Stripe's shape."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from ferriage.sandbox.keys import token
from ferriage.sandbox.stripe import form
from ferriage.sandbox.stripe.form import ApiError
from ferriage.sandbox.stripe.objects import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from ferriage.sandbox.stripe.account import Account
    from ferriage.sandbox.stripe.calls import Calls
    from ferriage.sandbox.stripe.objects import Object

    Call = Callable[[str, Object], Object]

_LONGEST_KEY: Final = 255
_KEY_SECONDS: Final = 24 * 60 * 60
_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class _Kept:
    """The first answer to an idempotency key."""

    path: str
    given: Object
    status: int
    body: bytes
    at: float


@dataclass(slots=True)
class Trouble:
    """What goes wrong with answers: the next `cut` calls are done and never answered."""

    cut: int = 0
    slow_seconds: float = 0.0
    down: bool = False


class Api:
    """The calls below `/v1`, for whoever knows the secret key."""

    def __init__(self, account: Account, calls: Calls, secret_key: str) -> None:
        self._account, self._calls = account, calls
        self._secret_key = secret_key
        self._kept: dict[str, _Kept] = {}
        self.trouble = Trouble()

    def routes(self) -> list[web.RouteDef]:
        """Return every call that is played."""
        calls = self._calls
        made: list[web.RouteDef] = [
            self._post("/v1/checkout/sessions", lambda _, given: calls.create_session(given)),
            self._post(
                "/v1/checkout/sessions/{code}/expire", lambda code, _: calls.expire_session(code)
            ),
            self._post("/v1/refunds", lambda _, given: calls.create_refund(given)),
            self._get("/v1/balance", lambda _code, _given: self._account.balance()),
        ]
        for path, (table, filters) in self._tables().items():
            made.append(self._get(path, self._list(path, table, filters)))
            made.append(self._get(f"{path}/{{code}}", self._retrieve(table)))
        made.append(web.route("*", "/{anything:.*}", self._nothing))
        return made

    def _tables(self) -> dict[str, tuple[str, dict[str, Callable[..., bool]]]]:
        of_intent, of_charge = _same("payment_intent"), _same("charge")
        return {
            "/v1/checkout/sessions": (
                "sessions",
                {"payment_intent": of_intent, "status": _same("status")},
            ),
            "/v1/payment_intents": ("intents", {}),
            "/v1/charges": ("charges", {"payment_intent": of_intent}),
            "/v1/refunds": ("refunds", {"charge": of_charge, "payment_intent": of_intent}),
            "/v1/disputes": ("disputes", {"charge": of_charge, "payment_intent": of_intent}),
            "/v1/payouts": ("payouts", {"status": _same("status")}),
            "/v1/balance_transactions": (
                "transactions",
                {
                    "payout": lambda row, code: self._account.paid_out.get(row["id"]) == code,
                    "source": _same("source"),
                    "type": _same("type"),
                },
            ),
            "/v1/events": (
                "events",
                {"type": _same("type"), "types": lambda row, kinds: row["type"] in kinds},
            ),
        }

    def _list(self, path: str, table: str, filters: dict[str, Callable[..., bool]]) -> Call:
        return lambda _, given: self._calls.many(table, given, path, filters)

    def _retrieve(self, table: str) -> Call:
        def retrieve(code: str, given: Object) -> Object:
            form.check(given, {"expand": [None]})
            return self._calls.one(table, code)

        return retrieve

    # --- HTTP

    def _get(self, path: str, call: Call) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, call, "", request.query_string)

        return web.get(path, handle)

    def _post(self, path: str, call: Call) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            key = request.headers.get("Idempotency-Key", "")
            return await self._answer(request, call, key, await request.text())

        return web.post(path, handle)

    async def _answer(
        self, request: web.Request, call: Call, key: str, text: str
    ) -> web.StreamResponse:
        await asyncio.sleep(self.trouble.slow_seconds)
        headers = {"Request-Id": f"req_{token(14)}", "Stripe-Version": API_VERSION}
        try:
            self._admit(request)
            given = form.decode(parse_qsl(text, keep_blank_values=True))
            status, body, replayed = self._once(request, call, key, given)
        except ApiError as error:
            status, body, replayed = error.status, _bytes(error.body), False
        if self.trouble.cut > 0:
            self.trouble.cut -= 1
            if request.transport is not None:
                request.transport.abort()
        if key:
            headers["Idempotency-Key"] = key
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        return web.Response(
            status=status, body=body, headers=headers, content_type="application/json"
        )

    def _admit(self, request: web.Request) -> None:
        if self.trouble.down:
            raise ApiError("An error occurred on our side.", status=500, kind="api_error")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not given:
            raise ApiError(
                "You did not provide an API key. You need to provide your API key in the "
                "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
                "YOUR_SECRET_KEY').",
                status=401,
            )
        if not hmac.compare_digest(given.encode(), self._secret_key.encode()):
            raise ApiError(f"Invalid API Key provided: {_hidden(given)}", status=401)

    def _once(
        self, request: web.Request, call: Call, key: str, given: Object
    ) -> tuple[int, bytes, bool]:
        """Do a call, or give the first answer again where its key was used before."""
        if len(key) > _LONGEST_KEY:
            raise ApiError("Idempotency keys are at most 255 characters.")
        kept = self._kept.get(key)
        if kept is not None and time.time() - kept.at < _KEY_SECONDS:
            if (kept.path, kept.given) != (request.path, given):
                raise ApiError(
                    "Keys for idempotent requests can only be used with the same parameters they "
                    f"were first used with. Try using a key other than '{key}' if you meant to "
                    "execute a different request.",
                    kind="idempotency_error",
                )
            return kept.status, kept.body, True
        # What is refused before anything was done is not kept: the same key may try again.
        answer = call(request.match_info.get("code", ""), given)
        body = _bytes(self._calls.expanded(answer, given.get("expand", [])))
        if key:
            self._kept[key] = _Kept(request.path, given, 200, body, time.time())
        return 200, body, False

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        def call(_code: str, _given: Object) -> Object:
            raise ApiError(
                f"Unrecognized request URL ({request.method}: {request.path}).", status=404
            )

        return await self._answer(request, call, "", "")


def _same(field: str) -> Callable[[Object, Any], bool]:
    return lambda row, value: bool(row[field] == value)


def _bytes(body: Object) -> bytes:
    return json.dumps(body, indent=2).encode()


def _hidden(key: str) -> str:
    """Return a key as Stripe quotes one in an error: its kind and its last letters."""
    kind = "_".join(key.split("_")[:2])
    return f"{kind}_{'*' * 8}{key[-_SHOWN:]}"
