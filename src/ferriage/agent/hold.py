"""`ferriage hold`: answers held customers' plain http requests. Knows no site and no database.

Status 511 (Network Authentication Required, RFC 6585) tells programs that the answer is not what
they asked for, so nothing stores it as the real page; browsers show its body all the same. Never
a redirect: a remembered one would outlive the renewal.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog
from aiohttp import web

from ferriage.agent import holdfile
from ferriage.agent.clock import boot_seconds
from ferriage.agent.holdpage import View, language_of, render
from ferriage.agent.logs import configure_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.agent.holdfile import Content, Head
    from ferriage.config import AgentConfig, Config

log = structlog.get_logger()

_LOOK_SECONDS: Final = 0.5
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def view(
    content: Content, interface: str, address: str, *, accept_language: str, now: float
) -> View:
    """Return what the page says to the device behind an inner address on an interface.

    A closed line comes before a device's own reason: renewing would not open it.
    """
    line = content.head.lines.get(interface)
    device = content.devices.get((interface, _plain(address))) if line else None
    wishes = [part.split(";")[0] for part in accept_language.split(",")]
    if line is None or device is None:
        shops = [line.shop_url for line in content.head.lines.values()]
        return View("unknown", language_of(*wishes), 0, "", shops[0] if shops else "")
    language = language_of(*wishes, device.language)
    words = line.reason.get(language) or line.reason.get("en", "")
    if line.open_until <= now:
        reason = "line"
    else:
        reason = device.reason if device.hold_at <= now else "open"
    return View(
        reason,
        language,
        device.hold_at,
        words,
        line.shop_url,
        line.open_until,
        device.resets_at,
    )


def _plain(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


class Place(NamedTuple):
    """Where the server listens; an interface that was made anew has another number."""

    interface: str
    number: int
    address: str


class Holder:
    """The server: bound to the tunnels' interfaces and inner addresses only, as they are now."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._file = holdfile.Reader(config)
        self._missed = ""
        self._sites: dict[Place, web.SockSite] = {}

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer until `stop` is set; follow the agent's file and its addresses meanwhile."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=0)
        await runner.setup()
        while not stop.is_set():
            self._look()
            await self._listen(runner)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)
        await runner.cleanup()
        self._file.close()

    async def _answer(self, request: web.Request) -> web.Response:
        self._look()
        content = self._file.content
        if content is None or request.remote is None:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, headers=_HEADERS)
        page = view(
            content,
            _interface(request),
            request.remote,
            accept_language=request.headers.get("Accept-Language", ""),
            now=boot_seconds() + content.head.site_offset,
        )
        return web.Response(
            status=HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED,
            text=render(page),
            content_type="text/html",
            charset="utf-8",
            headers=_HEADERS | {"Content-Language": page.language},
        )

    def _look(self) -> None:
        """Read the agent's file when it changed; an unreadable one leaves the last in force."""
        try:
            self._file.look()
            self._missed = ""
        except (OSError, msgspec.DecodeError) as error:
            if str(error) != self._missed:  # asked twice a second, so only news are told
                self._missed = str(error)
                log.info("file.missed", reason=self._missed)

    async def _listen(self, runner: web.AppRunner) -> None:
        wanted = set(_places(self._file.content.head)) if self._file.content else set()
        for gone in self._sites.keys() - wanted:
            await self._sites.pop(gone).stop()
        for place in sorted(wanted - self._sites.keys()):
            try:
                listening = _bound(place, self._config.hold_port)
            except OSError:  # its address is not there yet; the next look tries again
                continue
            self._sites[place] = web.SockSite(runner, listening)
            await self._sites[place].start()
            log.info("address.served", interface=place.interface, address=place.address)


def _places(head: Head) -> Iterator[Place]:
    """Yield where to listen: on every interface that is there, at every address."""
    for name in head.lines:
        with contextlib.suppress(OSError):
            number = socket.if_nametoindex(name)
            yield from (Place(name, number, address) for address in head.listen)


def _bound(place: Place, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, place.interface.encode())
        listening.bind((place.address, port))
    except OSError:
        listening.close()
        raise
    return listening


def _interface(request: web.Request) -> str:
    """Return the interface a request came in by: its socket is bound to it."""
    connection = request.get_extra_info("socket")
    if connection is None:
        return ""
    name: bytes = connection.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
    return name.rstrip(b"\0").decode()


def main(config: Config) -> int:
    """Serve the hold page until SIGTERM or SIGINT and return the exit code."""
    configure_log()
    asyncio.run(_serve(config.agent))
    return 0


async def _serve(config: AgentConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Holder(config).serve(stop)
