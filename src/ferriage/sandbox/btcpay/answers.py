"""Bodies that are read, and refusals in Greenfield's two forms."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from ferriage.sandbox.frame import Refused


async def read(request: web.Request) -> dict[str, Any]:
    """Return the body, one JSON object.

    Raises:
        Refused: It is none.
    """
    try:
        given = await request.json()
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refused("Send one JSON object.", 400)
    return given


def amount_of(text: object) -> Decimal | None:
    """Return an amount above 0, or nothing."""
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount > 0 else None


def problem(status: int, code: str, message: str) -> web.Response:
    """Refuse with `ProblemDetails`."""
    return web.json_response({"code": code, "message": message}, status=status)


def invalid(path: str, message: str) -> web.Response:
    """Refuse with `ValidationProblemDetails`."""
    return web.json_response([{"path": path, "message": message}], status=400)


def no_invoice() -> web.Response:
    """Refuse what names no invoice."""
    return problem(404, "invoice-not-found", "The invoice was not found")


def no_pull() -> web.Response:
    """Refuse what names no pull payment."""
    return problem(404, "pullpayment-not-found", "The pull payment was not found")
