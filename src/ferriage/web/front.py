"""Between the server and Django: no thread is spent on a request before all of it is here.

Django's threads are few. Were they to read bodies and write answers themselves, a handful of
connections that send or take a byte now and then would stop the shop for everybody. Here such
connections wait in the event loop, where they cost a socket each, and end after a while.

What waits here takes memory and disk, and anybody may send it. So a process has one room for all
bodies together, in which whoever came first makes place when it is full; of each the first piece
is free, so that a full room ends uploads, not forms. Gateways have a room apart, and so have the
files of people who are logged in.
"""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, Final

from asgiref.wsgi import WsgiToAsgiInstance

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping

    type Message = MutableMapping[str, Any]
    type Receive = Callable[[], Awaitable[Message]]
    type Send = Callable[[Message], Awaitable[None]]
    type Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
    type Known = Callable[[MutableMapping[str, Any]], bool]

LARGEST_BODY: Final = 3 * 1024 * 1024
"""More than any form without a file takes, and any agent's report, in bytes."""
ROOM: Final = 256 * 1024 * 1024
"""Bytes that all bodies of a process may take together, beyond what is free."""
ROOM_APART: Final = 64 * 1024 * 1024
"""The same for bodies below a path that has a room of its own."""
FREE: Final = 64 * 1024
"""Bytes of each body that are not counted."""
SLOWEST_PACE: Final = 16 * 1024
"""Bytes a second that a body must come with, and an answer be taken, after the first silence."""
LONGEST_SILENCE: Final = 20.0
"""Seconds between two pieces of a body, or until a client takes a piece of its answer."""
LONGEST_BODY: Final = 600.0
"""Seconds for the whole body."""
_IN_MEMORY: Final = 1024 * 1024
_ANSWER_IN_MEMORY: Final = 128 * 1024
"""Answers are in no room, and thousands may wait for clients that take nothing: on disk, then."""
_PIECE: Final = 64 * 1024
_WITHOUT_BODY: Final = {"GET", "HEAD", "OPTIONS"}
_WITHOUT_LENGTH: Final = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


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
        uploads: Mapping[str, int] | None = None,
        known: Known = lambda _scope: False,
        apart: Iterable[str] = (),
        room: int = ROOM,
        silence: float = LONGEST_SILENCE,
        longest: float = LONGEST_BODY,
    ) -> None:
        """Prepare.

        Args:
            application: What answers.
            threads: How many requests it answers at a time.
            uploads: Beginnings of paths that take larger bodies, and how large in bytes.
            known: Tells of a request's scope whether its sender may use `uploads`; runs in a thread
                that may ask the database. Only bodies that announce their length are asked about.
            apart: Beginnings of paths whose bodies have a room of their own.
            room: Bytes that all bodies may take together.
            silence: Seconds that a client may leave between two pieces.
            longest: Seconds that a body may take in all.
        """
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="site")
        self._uploads = dict(uploads or {})
        self._known = known
        self._room, self._room_of_known = _Room(room), _Room(room)
        self._apart = {start: _Room(ROOM_APART) for start in apart}
        self._silence, self._longest = silence, longest

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        with _spool(_ANSWER_IN_MEMORY) as content:
            try:
                answer = await self._ask(scope, receive, content)
            except _Refused as refusal:
                if refusal.status is None:
                    return
                answer = _Answer(content).of(refusal.status)
            # Whoever does not take the answer is not waited for.
            with suppress(TimeoutError):
                await self._give(answer, send)

    async def _ask(
        self, scope: MutableMapping[str, Any], receive: Receive, content: IO[bytes]
    ) -> _Answer:
        """Take the body, let the application answer, and forget the body.

        Raises:
            _Refused: The application is not asked.
        """
        loop = asyncio.get_running_loop()
        largest, room = await self._admit(scope)
        with _spool(_IN_MEMORY) as body, room.share() as share:
            await self._take(receive, body, largest, share)
            environ = _environ(scope, body)
            answer = _Answer(content)
            await loop.run_in_executor(self._threads, answer.fill, self._application, environ)
        return answer

    async def _admit(self, scope: MutableMapping[str, Any]) -> tuple[int, _Room]:
        """Return how many bytes a request may bring, and the room for them.

        Raises:
            _Refused: It announces more.
        """
        path, announced = scope["path"], _announced(scope)
        largest = 0 if scope["method"] in _WITHOUT_BODY else LARGEST_BODY
        if 0 < largest < announced <= _first(self._uploads, path, 0):
            loop = asyncio.get_running_loop()
            if await loop.run_in_executor(self._threads, self._known, scope):
                return announced, self._room_of_known
        if announced > largest:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return largest, _first(self._apart, path, self._room)

    async def _take(self, receive: Receive, body: IO[bytes], largest: int, share: _Share) -> None:
        """Write the whole body into a file.

        Raises:
            _Refused: It is too large, comes too slowly, finds no room, or the client went away.
        """
        pace = _Pace(self._silence)
        more = True
        try:
            async with asyncio.timeout(self._longest) as share.patience:
                while more:
                    async with asyncio.timeout_at(pace.next_by(body.tell())):
                        message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Refused(None)
                    piece = message.get("body", b"")
                    if body.tell() + len(piece) > largest:
                        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                    share.grow_to(body.tell() + len(piece))
                    body.write(piece)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise _Refused(
                HTTPStatus.SERVICE_UNAVAILABLE if share.ended else HTTPStatus.REQUEST_TIMEOUT
            ) from error
        finally:
            share.patience = None
        body.seek(0)

    async def _give(self, answer: _Answer, send: Send) -> None:
        """Send the answer.

        Raises:
            TimeoutError: The client takes nothing, or too little.
        """
        pace = _Pace(self._silence)
        async with asyncio.timeout_at(pace.next_by(0)):
            await send(
                {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
            )
        answer.content.seek(0)
        while piece := answer.content.read(_PIECE):
            message = {"type": "http.response.body", "body": piece, "more_body": True}
            async with asyncio.timeout_at(pace.next_by(answer.content.tell())):
                await send(message)
        async with asyncio.timeout_at(pace.next_by(answer.content.tell())):
            await send({"type": "http.response.body"})


class _Room:
    """How much bodies take together."""

    def __init__(self, size: int) -> None:
        self.left = size
        # In the order in which they came.
        self._shares: dict[int, _Share] = {}

    @contextmanager
    def share(self) -> Iterator[_Share]:
        """Give one body its share, and take it back at the end."""
        share = _Share(self)
        self._shares[id(share)] = share
        try:
            yield share
        finally:
            del self._shares[id(share)]
            self.left += share.size

    def clear(self, size: int, newcomer: _Share) -> None:
        """End bodies that have been coming longest until so much is left, as far as that goes."""
        for share in self._shares.values():
            if self.left >= size:
                return
            if share is not newcomer:
                share.end()


@dataclass
class _Share:
    """What one body takes of the room.

    `patience` is what its sender has left, while it is coming. A body that is `ended` has given
    its place to others.
    """

    room: _Room
    size: int = 0
    patience: asyncio.Timeout | None = None
    ended: bool = False

    def grow_to(self, length: int) -> None:
        """Make room for a body of this length.

        Raises:
            _Refused: There is none, or it was ended.
        """
        more = max(0, length - FREE) - self.size
        if more > self.room.left:
            self.room.clear(more, self)
        if self.ended or more > self.room.left:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE)
        self.room.left -= more
        self.size += more

    def end(self) -> None:
        """Give up its place, if it is coming still and takes any: what is whole is answered."""
        if self.patience is None or not self.size or self.ended:
            return
        self.ended = True
        self.room.left += self.size
        self.size = 0
        self.patience.reschedule(asyncio.get_running_loop().time())


class _Pace:
    """When the next piece is due: after a silence at most, and not later than the slowest pace."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._began = asyncio.get_running_loop().time()

    def next_by(self, done: int) -> float:
        """Return the loop's time until which to wait for what follows the first `done` bytes."""
        now = asyncio.get_running_loop().time()
        return min(now, self._began + done / SLOWEST_PACE) + self._silence


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
        # Without its length an answer that was cut off would look whole.
        if self.status not in _WITHOUT_LENGTH and b"content-length" not in dict(self.headers):
            self.headers.append((b"content-length", str(self.content.tell()).encode()))

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


def _spool(in_memory: int) -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(in_memory)


def _first[Found](by_start: Mapping[str, Found], path: str, otherwise: Found) -> Found:
    """Return what is kept for the first beginning that a path has."""
    return next((found for start, found in by_start.items() if path.startswith(start)), otherwise)


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
    # In WSGI a name with `_` cannot be told from one with `-`, which a proxy may have set.
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    scope = {**scope, "headers": headers}
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
