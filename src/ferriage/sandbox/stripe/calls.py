"""What each call of Stripe's API does, apart from HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ferriage.sandbox.frame import Refused
from ferriage.sandbox.stripe import form
from ferriage.sandbox.stripe.form import ApiError
from ferriage.sandbox.stripe.objects import MEANS_PLACES, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ferriage.sandbox.stripe.account import Account
    from ferriage.sandbox.stripe.objects import Object

_NAMES: Final = {
    "sessions": "checkout.session",
    "intents": "payment_intent",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "payouts": "payout",
    "transactions": "balance_transaction",
    "events": "event",
}
_SESSION: Final[dict[str, Any]] = {
    "adaptive_pricing": {"enabled": None},
    "cancel_url": None,
    "client_reference_id": None,
    "excluded_payment_method_types": [None],
    "expand": [None],
    "expires_at": None,
    "line_items": [
        {
            "price_data": {
                "currency": None,
                "product_data": {"name": None, "description": None},
                "unit_amount": None,
            },
            "quantity": None,
        }
    ],
    "locale": None,
    "metadata": ...,
    "mode": None,
    "payment_intent_data": {"description": None, "metadata": ...},
    "payment_method_options": ...,
    "payment_method_types": [None],
    "success_url": None,
}
_REFUND: Final[dict[str, Any]] = {
    "amount": None,
    "charge": None,
    "expand": [None],
    "metadata": ...,
    "payment_intent": None,
    "reason": None,
}
_LIST: Final[dict[str, Any]] = {
    "created": {"gt": None, "gte": None, "lt": None, "lte": None},
    "ending_before": None,
    "expand": [None],
    "limit": None,
    "starting_after": None,
}
_CURRENCIES: Final = {"sepa_debit": {"eur"}}
"""Means that Stripe takes in some currencies only; Alipay and WeChat Pay depend on the account."""
_LEAST_SECONDS: Final = 30 * 60
_MOST_SECONDS: Final = 24 * 60 * 60
_LONGEST_PAGE: Final = 100


class Calls:
    """The calls that are played. `means` are those that the account has enabled."""

    def __init__(self, account: Account, means: list[str]) -> None:
        self._account = account
        self._means = means

    # --- sessions

    def create_session(self, given: Object) -> Object:
        """Open a Checkout Session in payment mode."""
        form.check(given, _SESSION)
        if form.needed(given, "mode") != "payment":
            raise ApiError("The sandbox plays payment mode only.", param="mode")
        form.needed(given, "success_url")
        amount, currency = _total(form.items(form.needed(given, "line_items"), "line_items"))
        given = dict(given)
        if "expires_at" in given:
            given["expires_at"] = _expiry(given["expires_at"])
        if "adaptive_pricing" in given:
            enabled = form.truth(given["adaptive_pricing"]["enabled"], "adaptive_pricing[enabled]")
            given["adaptive_pricing"] = {"enabled": enabled}
        means = self._session_means(given, currency)
        return self._account.open_session(
            amount=amount, currency=currency, given=given, means=means
        )

    def _session_means(self, given: Object, currency: str) -> list[str]:
        named = given.get("payment_method_types")
        for means in named or []:
            if means not in self._means:
                raise ApiError(
                    f"The payment method type provided: {means} is invalid. Please ensure the "
                    "provided type is activated in your dashboard.",
                    param="payment_method_types",
                )
        if "wechat_pay" in (named or []):
            client = given.get("payment_method_options", {}).get("wechat_pay", {}).get("client")
            if client != "web":
                raise ApiError(
                    "You must provide `payment_method_options[wechat_pay][client]`.",
                    param="payment_method_options[wechat_pay][client]",
                )
        excluded = given.get("excluded_payment_method_types", [])
        found = [
            means
            for means in (named or self._means)
            if means not in excluded and currency in _CURRENCIES.get(means, {currency})
        ]
        if not found:
            raise ApiError(
                "No valid payment method types for this Checkout Session.",
                param="payment_method_types",
            )
        return found

    def expire_session(self, code: str) -> Object:
        """End a session."""
        try:
            return self._account.expire(self.one("sessions", code))
        except Refused as refusal:
            raise ApiError(str(refusal)) from refusal

    # --- refunds

    def create_refund(self, given: Object) -> Object:
        """Pay a charge back, whole or in part."""
        form.check(given, _REFUND)
        charge = self._charge_of(given)
        reason = given.get("reason", "requested_by_customer")
        if reason not in {"duplicate", "fraudulent", "requested_by_customer"}:
            raise ApiError(f"Invalid reason: {reason}", param="reason")
        left = charge["amount"] - charge["amount_refunded"]
        if not charge["paid"]:
            raise ApiError(f"Charge {charge['id']} was not paid.")
        if charge["disputed"]:
            raise ApiError(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                code="charge_disputed",
            )
        if left == 0:
            raise ApiError(
                f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
            )
        amount = form.whole(given.get("amount", str(left)), "amount", least=1)
        if amount > left:
            raise ApiError(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                param="amount",
            )
        return self._account.refund(charge, amount=amount, given=given)

    def _charge_of(self, given: Object) -> Object:
        if ("charge" in given) == ("payment_intent" in given):
            raise ApiError("One of the following params should be provided: payment_intent, charge")
        if "charge" in given:
            return self.one("charges", given["charge"], param="charge")
        intent = self.one("intents", given["payment_intent"], param="payment_intent")
        if intent["latest_charge"] is None:
            raise ApiError(f"This PaymentIntent ({intent['id']}) does not have a successful charge")
        return self.one("charges", intent["latest_charge"])

    # --- reading

    def one(self, table: str, code: str, *, param: str = "id") -> Object:
        """Return one object."""
        self._account.expire_due()
        found = self._account.tables[table].get(code)
        if found is None:
            raise ApiError(
                f"No such {_NAMES[table]}: '{code}'",
                status=404,
                code="resource_missing",
                param=param,
            )
        return found

    def many(
        self, table: str, given: Object, url: str, filters: Mapping[str, Callable[..., bool]]
    ) -> Object:
        """Return a page of a table, newest first.

        Args:
            filters: By parameter: whether a row fits its value.
        """
        form.check(given, {**_LIST, **dict.fromkeys(filters, ...)})
        self._account.expire_due()
        rows = list(self._account.tables[table].values())[::-1]
        for name, fits in filters.items():
            if name in given:
                rows = [row for row in rows if fits(row, given[name])]
        rows = [row for row in rows if _was_created(row, given.get("created", {}))]
        limit = form.whole(given.get("limit", "10"), "limit", least=1)
        if limit > _LONGEST_PAGE:
            raise ApiError("This value must be less than or equal to 100.", param="limit")
        rows, more = self._page(table, rows, given, limit)
        return listed(rows, url, more=more)

    def _page(
        self, table: str, rows: list[Object], given: Object, limit: int
    ) -> tuple[list[Object], bool]:
        codes = [row["id"] for row in rows]
        if "ending_before" in given:
            before = self.one(table, given["ending_before"], param="ending_before")["id"]
            newer = rows[: codes.index(before)] if before in codes else []
            return newer[-limit:], len(newer) > limit
        if "starting_after" in given:
            after = self.one(table, given["starting_after"], param="starting_after")["id"]
            rows = rows[codes.index(after) + 1 :] if after in codes else []
        return rows[:limit], len(rows) > limit

    def expanded(self, answer: Object, paths: list[str]) -> Object:
        """Return an answer with the objects behind some of its numbers in it.

        Raises:
            ApiError: A path that leads to nothing that can be expanded.
        """
        for path in paths:
            answer = self._expand(answer, path.split("."), path)
        return answer

    def _expand(self, value: Any, path: list[str], whole: str) -> Any:
        if not path:
            return value
        if isinstance(value, list):
            return [self._expand(item, path, whole) for item in value]
        if not isinstance(value, dict) or path[0] not in value:
            raise ApiError(f"This property cannot be expanded ({whole}).", param="expand")
        inner = value[path[0]]
        if isinstance(inner, str):
            inner = self._account.find(inner)
            if inner is None:
                raise ApiError(f"This property cannot be expanded ({whole}).", param="expand")
        if inner is None:
            return value
        return {**value, path[0]: self._expand(inner, path[1:], whole)}


def _total(lines: list[Any]) -> tuple[int, str]:
    total, found = 0, ""
    for number, line in enumerate(lines):
        at = f"line_items[{number}]"
        data = form.needed(line, "price_data")
        currency = form.currency(form.needed(data, "currency"), f"{at}[price_data][currency]")
        form.needed(form.needed(data, "product_data"), "name")
        unit = form.whole(
            form.needed(data, "unit_amount"), f"{at}[price_data][unit_amount]", least=1
        )
        total += unit * form.whole(line.get("quantity", "1"), f"{at}[quantity]", least=1)
        if found and currency != found:
            raise ApiError("All line items must have the same currency.", param=at)
        found = currency
    return total, found


def _expiry(text: Any) -> int:
    at = form.whole(text, "expires_at")
    ahead = at - int(time.time())
    if not _LEAST_SECONDS - 1 <= ahead <= _MOST_SECONDS:
        raise ApiError(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.",
            param="expires_at",
        )
    return at


def _was_created(row: Object, bounds: Any) -> bool:
    compare: dict[str, Callable[[int, int], bool]] = {
        "gt": lambda at, bound: at > bound,
        "gte": lambda at, bound: at >= bound,
        "lt": lambda at, bound: at < bound,
        "lte": lambda at, bound: at <= bound,
    }
    return all(
        compare[name](row["created"], form.whole(bound, f"created[{name}]"))
        for name, bound in bounds.items()
    )


def enabled(names: list[str]) -> list[str]:
    """Return means of payment that the sandbox plays.

    Raises:
        ValueError: One that it does not.
    """
    unknown = sorted(set(names) - set(MEANS_PLACES))
    if unknown:
        raise ValueError(f"the sandbox does not play {', '.join(unknown)}")
    return names
