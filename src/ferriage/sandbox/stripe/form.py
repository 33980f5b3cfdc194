"""Reads Stripe's nested form encoding, `a[b][0][c]=value`, and checks it as Stripe does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PARTS: Final = re.compile(r"\[([^\]]*)\]")
_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_CURRENCY: Final = re.compile(r"[a-z]{3}")


class ApiError(Exception):
    """An answer that is an error, in Stripe's words."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        body = {"code": code, "message": message, "param": param, "type": kind}
        self.body = {"error": {name: value for name, value in body.items() if value is not None}}


def decode(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the nested parameters of a form or a query.

    Raises:
        ApiError: A name that is none.
    """
    top: dict[str, Any] = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None:
            raise ApiError(f"Invalid parameter name: {name}")
        _put(top, [match[1], *_PARTS.findall(match[2])], value)
    return {name: _listed(value) for name, value in top.items()}


def _put(into: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = into.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ApiError(f"Invalid parameter: {part}")
        into = inner
    last = path[-1]
    into[str(len(into)) if last == "" else last] = value


def _listed(value: Any) -> Any:
    """Return a dict whose keys are numbers as a list, all the way down."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(item) for name, item in value.items()}
    if inner and all(name.isdecimal() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def check(given: Any, allowed: Mapping[str, Any], at: str = "") -> None:
    """Refuse a parameter that is not played.

    Args:
        allowed: Names; the value says what may be inside: None is a plain value, `...` anything.

    Raises:
        ApiError: In Stripe's words; that the real one may know it, the reference says.
    """
    if not isinstance(given, dict):
        raise ApiError(f"Invalid object: {at}", param=at)
    for name, value in given.items():
        full = f"{at}[{name}]" if at else name
        if name not in allowed:
            raise ApiError(
                f"Received unknown parameter: {full}", code="parameter_unknown", param=full
            )
        inside = allowed[name]
        if inside is None and isinstance(value, dict | list):
            raise ApiError(f"Invalid string: {full}", param=full)
        if isinstance(inside, dict):
            check(value, inside, full)
        elif isinstance(inside, list):
            for number, item in enumerate(items(value, full)):
                if inside[0] is not None:
                    check(item, inside[0], f"{full}[{number}]")


def items(value: Any, at: str) -> list[Any]:
    """Return a parameter that is a list.

    Raises:
        ApiError: It is none.
    """
    if not isinstance(value, list):
        raise ApiError(f"Invalid array: {at}", param=at)
    return value


def needed(given: Mapping[str, Any], name: str) -> Any:
    """Return a parameter that must be there.

    Raises:
        ApiError: It is not.
    """
    if name not in given or given[name] == "":
        raise ApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return given[name]


def whole(text: Any, at: str, *, least: int = 0) -> int:
    """Return a whole number.

    Raises:
        ApiError: It is none, or below `least`.
    """
    if not isinstance(text, str) or not re.fullmatch(r"-?\d{1,18}", text):
        raise ApiError(f"Invalid integer: {text}", code="parameter_invalid_integer", param=at)
    number = int(text)
    if number < least:
        raise ApiError(
            f"This value must be greater than or equal to {least}.",
            code="parameter_invalid_integer",
            param=at,
        )
    return number


def truth(text: Any, at: str) -> bool:
    """Return a boolean.

    Raises:
        ApiError: It is none.
    """
    if text not in {"true", "false"}:
        raise ApiError(f"Invalid boolean: {text}", param=at)
    return bool(text == "true")


def currency(text: Any, at: str) -> str:
    """Return a currency code in small letters.

    Raises:
        ApiError: It is none.
    """
    small = str(text).lower()
    if not _CURRENCY.fullmatch(small):
        raise ApiError(f"Invalid currency: {text}", param=at)
    return small
