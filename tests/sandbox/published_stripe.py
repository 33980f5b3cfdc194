"""Holds an object against what Stripe publishes: its canonical one, and the SDK's annotations.

The canonical objects say which fields there are and of what type; the SDK, which Stripe generates
from its description, says besides what may be null, what is inside, and which words a field takes.
"""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any, ForwardRef, Literal, Union

import stripe

CLASSES: dict[str, type[stripe.StripeObject]] = {
    "balance": stripe.Balance,
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "checkout.session": stripe.checkout.Session,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "payment_intent": stripe.PaymentIntent,
    "payout": stripe.Payout,
    "refund": stripe.Refund,
}


PLAIN = (str, int, bool, float, type(None))


@cache
def canonical() -> dict[str, dict[str, Any]]:
    path = Path(__file__).with_name("published") / "stripe.json"
    resources: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["resources"]
    return resources


def differences(value: dict[str, Any]) -> list[str]:
    """Return where an object is not as published; empty is right."""
    name = value["object"]
    published = canonical()[name]
    found = [f"{name} lacks {field}" for field in sorted(set(published) - set(value))]
    found += [f"{name} invents {field}" for field in sorted(set(value) - set(published))]
    for field in set(value) & set(published):
        found += _other_type(value[field], published[field], f"{name}.{field}")
    return found + _unlike(value, CLASSES[name], name)


def _other_type(value: Any, published: Any, at: str) -> list[str]:
    if value is None or published is None:
        return []
    # What Stripe can expand is a number or the object.
    if type(value) is not type(published) and not (
        isinstance(value, dict) and isinstance(published, str)
    ):
        return [f"{at} is {type(value).__name__}, published is {type(published).__name__}"]
    if isinstance(value, dict) and isinstance(published, dict):
        # What is published of a means of payment is a card's, of an event that of one kind.
        alike = value.get("type", "card") == "card" and not at.startswith("event.data")
        missing = set(published) - set(value) if alike else set()
        return [f"{at} lacks {field}" for field in sorted(missing)] + [
            other
            for field in set(value) & set(published)
            for other in _other_type(value[field], published[field], f"{at}.{field}")
        ]
    return []


def _unlike(value: Any, wanted: Any, at: str) -> list[str]:
    """Return where a value is not what an annotation of the SDK says."""
    wanted = _resolved(wanted)
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in {Union, types.UnionType}:
        return _unlike_all(value, inner, at)
    if origin is list:
        return _unlike_list(value, inner[0], at)
    if origin is Literal:
        return [] if value in inner else [f"{at} is {value!r}, not one of {inner}"]
    if wanted in PLAIN:
        return [] if type(value) is wanted else [f"{at} is {value!r}, not {wanted.__name__}"]
    return [] if wanted is Any else _unlike_object(value, origin or wanted, inner, at)


def _unlike_all(value: Any, choices: tuple[Any, ...], at: str) -> list[str]:
    # The SDK adds `str` to a list of words for those of the future; we speak those of now.
    if any(typing.get_origin(_resolved(choice)) is Literal for choice in choices):
        choices = tuple(choice for choice in choices if choice is not str)
    found = [_unlike(value, choice, at) for choice in choices]
    return [] if not all(found) else min(found, key=len)


def _unlike_list(value: Any, inner: Any, at: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{at} is no list"]
    return [
        other
        for number, item in enumerate(value)
        for other in _unlike(item, inner, f"{at}[{number}]")
    ]


def _unlike_object(value: Any, kind: Any, inner: tuple[Any, ...], at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at} is {value!r}, not an object"]
    if kind is stripe.ListObject:
        return _unlike_list(value.get("data"), inner[0], f"{at}.data")
    if kind.__name__ in {"UntypedStripeObject", "dict"} or kind is stripe.StripeObject:
        return []
    fields = {
        name: wanted
        for base in kind.__mro__[::-1]
        if issubclass(base, stripe.StripeObject)
        for name, wanted in inspect.get_annotations(base).items()
        if not name.startswith("_")
    }
    fields = {name: wanted for name, wanted in fields.items() if name != "OBJECT_NAME"}
    found = [f"{at} invents {name}" for name in value if name not in fields and fields]
    # Whether one is missing, the canonical object says: the SDK may be of a later version.
    for name in set(fields) & set(value):
        found += _unlike(value[name], fields[name], f"{at}.{name}")
    return found


def _resolved(wanted: Any) -> Any:
    if isinstance(wanted, ForwardRef):
        wanted = wanted.__forward_arg__
    if not isinstance(wanted, str):
        return wanted
    listed = re.fullmatch(r"ListObject\[\"?(\w+)\"?\]", wanted)
    if listed:
        return stripe.ListObject[_resolved(listed[1])]  # type: ignore[misc]
    # A class that is not looked into here is any object.
    return getattr(stripe, wanted, stripe.StripeObject)
