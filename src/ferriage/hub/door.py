"""Who may stay connected: whoever says nothing, or takes nothing, keeps no gateway out.

Anybody may connect. A connection is a stranger's but while a request is answered on it that a
gateway signed. Strangers end after a silence, and at once when there is no place left: the oldest
of those who ask for nothing, or else of those who ask. So those who are many cost each other their
places, and never a gateway that waits.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ferriage.hub.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    type Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]

PLACES: Final = 32_768
"""Connections of a hub at most, of gateways and strangers, if it may have as many files."""
STRANGERS: Final = 4096
"""Of these, connections on which no gateway waits."""
MOST_OF_ONE: Final = 400
"""Requests of one gateway that are answered at a time: one for each pool, and some."""
LONGEST_SILENCE: Final = 20.0
"""Seconds until a whole head must be there, and until a client takes a piece of its answer.

Agents give up idle connections after 15 seconds (aiohttp's own), so they are never met by its end.
"""
SLOWEST_PACE: Final = 16 * 1024
"""Bytes a second that an answer must be taken with, after the first silence."""
_READY_BYTES: Final = 128 * 1024
"""How much may lie in the kernel for one client."""
_DEAF_MILLISECONDS: Final = 30_000
"""How long a client may take nothing of that."""
_PIECE: Final = 64 * 1024
# A head may have 36 KiB in all; an agent's has less than one.
_LONGEST_LINE: Final = 4096
_LONGEST_FIELD: Final = 1024
_MOST_FIELDS: Final = 32


class Door(web.Server):
    """A server that knows which of its connections a gateway waits on. Lives in the event loop."""

    def __init__(
        self,
        handler: Handler,
        *,
        places: int = PLACES,
        strangers: int = STRANGERS,
        silence: float = LONGEST_SILENCE,
    ) -> None:
        """Prepare.

        Args:
            handler: What answers; it says by `know` that a gateway signed the request.
            places: Connections at most.
            strangers: Of these, such as no gateway waits on.
            silence: As `LONGEST_SILENCE`.
        """
        super().__init__(
            self._answer,
            handler_cancellation=True,
            access_log=None,
            logger=_logger(),
            # From the arrival, or the last answer, until the next head is whole.
            keepalive_timeout=silence,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_FIELD,
            max_headers=_MOST_FIELDS,
        )
        self._handler = handler
        self._places, self._most_strangers, self._silence = places, strangers, silence
        self._strangers: dict[web.RequestHandler, asyncio.Transport] = {}
        """Who asks for nothing, in order of their arrival, or of their last answer."""
        self._asking: dict[web.RequestHandler, asyncio.Transport] = {}
        """Who was not answered yet, and signed nothing that was looked at."""
        self._waiting: dict[web.RequestHandler, str] = {}
        self._of_gateway: Counter[str] = Counter()

    def know(self, request: web.BaseRequest, gateway: str) -> None:
        """Let the request's connection be the gateway's until it is answered.

        Raises:
            Refusal: 429 when the gateway asks for too much at a time.
        """
        if self._of_gateway[gateway] >= MOST_OF_ONE:
            raise Refusal(429, "busy", f"This gateway has {MOST_OF_ONE} requests here already.")
        if self._asking.pop(request.protocol, None) is not None:
            self._waiting[request.protocol] = gateway
            self._of_gateway[gateway] += 1

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take a stranger in, and let the oldest go if that is one too many."""
        super().connection_made(handler, transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _READY_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAF_MILLISECONDS)
        self._admit(handler, transport)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Forget who is gone."""
        self._strangers.pop(handler, None)
        self._leave(handler)
        super().connection_lost(handler, exc)

    def _admit(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._strangers[handler] = transport
        places = min(self._most_strangers, self._places - len(self._waiting))
        while len(self._strangers) + len(self._asking) > max(0, places):
            # Whoever has just come is the newest of the silent: let ask if anybody else can go.
            silent = len(self._strangers) > 1 or not self._asking
            those = self._strangers if silent else self._asking
            those.pop(next(iter(those))).abort()

    def _leave(self, handler: web.RequestHandler) -> bool:
        """Forget what was asked on a connection, and return whether anything was."""
        gateway = self._waiting.pop(handler, None)
        if gateway is None:
            return self._asking.pop(handler, None) is not None
        self._of_gateway[gateway] -= 1
        if not self._of_gateway[gateway]:
            del self._of_gateway[gateway]
        return True

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = request.protocol
        transport = self._strangers.pop(handler, None)
        if transport is not None:
            self._asking[handler] = transport
        try:
            return await self._hand_over(request, await self._handler(request))
        finally:
            if self._leave(handler) and request.transport is not None:
                self._admit(handler, request.transport)

    async def _hand_over(
        self, request: web.BaseRequest, response: web.Response
    ) -> web.StreamResponse:
        """Send a long answer piece by piece, and hang up on whoever takes it too slowly.

        A short one fits into what lies in the kernel, which bounds it itself.
        """
        body = response.body
        if not isinstance(body, bytes) or len(body) <= _PIECE:
            return response
        answer = web.StreamResponse(status=response.status, headers=response.headers)
        answer.content_length = len(body)
        pace = _Pace(self._silence)
        pieces = memoryview(body)
        try:
            await answer.prepare(request)
            for sent in range(0, len(body), _PIECE):
                async with asyncio.timeout_at(pace.next_by(sent)):
                    await answer.write(pieces[sent : sent + _PIECE])
        except TimeoutError:
            with suppress(AttributeError):  # It went away meanwhile.
                request.transport.abort()  # type: ignore[union-attr]
        return answer


class _Ours(logging.Filter):
    """Lets through what went wrong in this program, without who asked for it.

    What strangers send that is no request is none of our faults, and would fill the log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is kept."""
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            return False
        record.msg, record.args = "A request was not answered.", ()
        return True


def _logger() -> logging.Logger:
    logger = logging.getLogger(__name__)
    logger.addFilter(_OURS)
    return logger


_OURS: Final = _Ours()


class _Pace:
    """When the next piece must be taken: after a silence at most, and not below the pace."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._began = asyncio.get_running_loop().time()

    def next_by(self, done: int) -> float:
        """Return the loop's time until which to wait once `done` bytes were taken."""
        now = asyncio.get_running_loop().time()
        return min(now, self._began + done / SLOWEST_PACE) + self._silence
