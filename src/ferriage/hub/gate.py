"""Who may ask: a gateway's signature, its clock, and no request twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage import wire
from ferriage.hub.errors import Refusal

if TYPE_CHECKING:
    from aiohttp import web

_KEPT_SECONDS: Final = 2 * wire.CLOCK_TOLERANCE_SECONDS


class Gate:
    """Remembers nonces as long as their requests could be repeated."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}

    def admit(self, request: web.BaseRequest, key: str | None, *, body: bytes, now: int) -> str:
        """Return the code of the gateway that signed the request.

        Args:
            key: The signing key of the active gateway that the request names, if there is one.

        Raises:
            Refusal: 401 with slug signature, clock or replay.
        """
        if key is None:
            raise Refusal(401, "signature", "No active gateway signs with this name.")
        try:
            nonce = wire.check_request(
                key,
                request.headers,
                method=request.method,
                target=request.raw_path,
                body=body,
                now=now,
            )
        except wire.Unauthentic as error:
            raise Refusal(401, error.slug, str(error)) from error
        gateway = request.headers[wire.HEADER_GATEWAY]
        self._once((gateway, nonce), now)
        return gateway

    def _once(self, name: tuple[str, str], now: int) -> None:
        self._forget(now)
        if name in self._seen:
            raise Refusal(401, "replay", "This request was made before.")
        self._seen[name] = now

    def _forget(self, now: int) -> None:
        # Only signed requests get here, in order of their arrival, so the oldest come first.
        while self._seen:
            oldest = next(iter(self._seen))
            if now - self._seen[oldest] <= _KEPT_SECONDS:
                break
            del self._seen[oldest]
