"""Between the server and Django: no thread is spent on a request before all of it is here.

Django's threads are few. Were they to read bodies and write answers themselves, a handful of
connections that send or take a byte now and then would stop the shop for everybody. Here such
connections wait in the event loop, where they cost a socket each, and end after a while.
"""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, Final

from asgiref.wsgi import WsgiToAsgiInstance

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    type Message = MutableMapping[str, Any]
    type Receive = Callable[[], Awaitable[Message]]
    type Send = Callable[[Message], Awaitable[None]]
    type Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

LARGEST_BODY: Final = 32 * 1024 * 1024
"""More than any form takes, in bytes."""
LONGEST_SILENCE: Final = 20.0
"""Seconds between two pieces of a body, or until a client takes a piece of its answer."""
LONGEST_BODY: Final = 600.0
"""Seconds for the whole body."""
_IN_MEMORY: Final = 1024 * 1024
_PIECE: Final = 64 * 1024


class _Refused(Exception):
    """A request that is not handed on, answered with a status, or with nothing."""

    def __init__(self, status: HTTPStatus | None) -> None:
        super().__init__(status)
        self.status = status


class Front:
    """An ASGI application over a WSGI one."""

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        silence: float = LONGEST_SILENCE,
        longest: float = LONGEST_BODY,
    ) -> None:
        """Prepare.

        Args:
            application: What answers.
            threads: How many requests it answers at a time.
            silence: Seconds that a client may leave between two pieces.
            longest: Seconds that a body may take in all.
        """
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="site")
        self._silence, self._longest = silence, longest

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        with _spool() as body, _spool() as content:
            try:
                await self._take(scope, receive, body)
                environ = _environ(scope, body)
                answer = _Answer(content)
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, answer.fill, self._application, environ)
            except _Refused as refusal:
                if refusal.status is None:
                    return
                answer = _Answer(content).of(refusal.status)
            # Whoever does not take the answer is not waited for.
            with suppress(TimeoutError):
                await self._give(answer, send)

    async def _take(
        self, scope: MutableMapping[str, Any], receive: Receive, body: IO[bytes]
    ) -> None:
        """Write the whole body into a file.

        Raises:
            _Refused: It is too large, comes too slowly, or the client went away.
        """
        if _announced(scope) > LARGEST_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        more = True
        try:
            async with asyncio.timeout(self._longest):
                while more:
                    message = await asyncio.wait_for(receive(), self._silence)
                    if message["type"] == "http.disconnect":
                        raise _Refused(None)
                    body.write(message.get("body", b""))
                    if body.tell() > LARGEST_BODY:
                        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT) from error
        body.seek(0)

    async def _give(self, answer: _Answer, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        )
        answer.content.seek(0)
        while piece := answer.content.read(_PIECE):
            message = {"type": "http.response.body", "body": piece, "more_body": True}
            await asyncio.wait_for(send(message), self._silence)
        await send({"type": "http.response.body"})


@dataclass
class _Answer:
    """What the application answers, whole."""

    content: IO[bytes]
    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def fill(self, application: Application, environ: dict[str, Any]) -> None:
        """Let the application answer; runs in a thread."""
        chunks = application(environ, self._start)
        try:
            for chunk in chunks:
                self.content.write(chunk)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    def of(self, status: HTTPStatus) -> _Answer:
        """Answer with a status and its name alone."""
        self.status = status
        self.headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
        self.content.write(f"{status.phrase}\n".encode())
        return self

    def _start(
        self, status: str, headers: Iterable[tuple[str, str]], _error: object = None
    ) -> Callable[[bytes], object]:
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers]
        return self.content.write


def _spool() -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(_IN_MEMORY)


def _announced(scope: MutableMapping[str, Any]) -> int:
    """Return the length that the request announces; 0 when it does not, or in no number."""
    values = (value for name, value in scope["headers"] if name == b"content-length")
    text = next(values, b"0")
    return int(text) if text.isdigit() else 0


def _environ(scope: MutableMapping[str, Any], body: IO[bytes]) -> dict[str, Any]:
    """Return the request as WSGI has it.

    Raises:
        _Refused: Its head cannot be read.
    """
    converter = WsgiToAsgiInstance(None)  # type: ignore[no-untyped-call]
    converter.scope = scope
    try:
        environ = converter.build_environ(scope, body)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST) from error
    # Of a body without a length all of it is read: it is here, and ends.
    body.seek(0, 2)
    environ["CONTENT_LENGTH"] = str(body.tell())
    body.seek(0)
    return dict(environ)
