"""The sandbox's process: halves of providers, payment pages, and the control address."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import signal
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from ferriage.sandbox import pages
from ferriage.sandbox.courier import RETRIES_SECONDS, Courier
from ferriage.sandbox.faults import Faults
from ferriage.sandbox.frame import PLACE, Act, Choice, Refused, Site
from ferriage.sandbox.halves import HALVES, Maker
from ferriage.sandbox.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from ferriage.sandbox.frame import Half

ADDRESS: Final = "127.0.0.1"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Options:
    """How a sandbox is started.

    Args:
        port: 0 takes a free one.
        keys_path: Where keys are kept for the next start; None makes new ones each time.
    """

    port: int
    shop_url: str
    faults: Faults = field(default_factory=Faults)
    keys_path: Path | None = None
    retries_seconds: tuple[float, ...] = RETRIES_SECONDS


class CannotStart(Exception):
    """The sandbox does not start; the message says why."""


def main(options: Options, say: Callable[[str], None]) -> int:
    """Serve until a signal ends it; return an exit code.

    Args:
        say: Prints one line; told where the sandbox is and what the shop must know.
    """
    try:
        asyncio.run(_until_signal(options, say))
    except CannotStart as error:
        print(error, file=sys.stderr)  # noqa: T201 -- for whoever started the command
        return 1
    return 0


async def _until_signal(options: Options, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sandbox = Sandbox(options, say=say)
    try:
        await sandbox.start()
        say(f"The sandbox is at {sandbox.site.url}/ and calls back to {sandbox.site.shop_url}")
        for half in sandbox.halves.values():
            say(f"{half.title}:")
            for name, value in half.settings().items():
                say(f"  {name}: {value}")
        say("Ready.")
        await stop.wait()
    finally:
        await sandbox.close()


class Sandbox:
    """One sandbox for one shop. All it knows is in memory and ends with it."""

    site: Site
    halves: dict[str, Half]

    def __init__(
        self,
        options: Options,
        makers: tuple[Maker, ...] = HALVES,
        *,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Prepare a sandbox.

        Args:
            say: Prints one line; told when the shop does not take what is called back.

        Raises:
            CannotStart: The shop is not on this machine.
        """
        _check_here(options.shop_url)
        self._options = options
        self._makers = makers
        self._runner: web.AppRunner | None = None
        self.courier = Courier(
            options.faults, retries_seconds=options.retries_seconds, complain=say
        )

    async def start(self) -> None:
        """Listen, on loopback alone.

        Raises:
            CannotStart: The port is taken.
        """
        try:
            listening = socket.create_server((ADDRESS, self._options.port))
        except OSError as error:
            raise CannotStart(
                f"The sandbox cannot listen: {error}. Choose another --port."
            ) from None
        # Only now the port is known, and halves tell shops where they are.
        url = f"http://{ADDRESS}:{listening.getsockname()[1]}"
        self.site = Site(url, self._options.shop_url.rstrip("/"))
        keys = Keys(self._options.keys_path)
        made = [make(self.site, self.courier, keys) for make in self._makers]
        self.halves = {half.slug: half for half in made}
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=2)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self) -> None:
        """End; callbacks under way are lost."""
        await self.courier.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_guard])
        router = application.router
        router.add_get("/", self._front)
        router.add_get("/sandbox.css", _style)
        router.add_get("/page/{half}/{code}", self._show)
        router.add_post("/page/{half}/{code}", self._act)
        router.add_get("/control", self._state)
        router.add_put("/control/faults", self._set_faults)
        router.add_post("/control/flush", self._flush)
        router.add_get("/control/sent", self._sent)
        router.add_post("/control/{half}/{verb}", self._command)
        for half in self.halves.values():
            for route in half.routes():
                router.add_route(route.method, f"/{half.slug}{route.path}", route.handler)
        return application

    # --- what people see

    async def _front(self, _request: web.Request) -> web.Response:
        begun = {half.title: half.begun() for half in self.halves.values()}
        return _html(pages.front(begun=begun, faults=self.courier.faults, sent=self.courier.sent()))

    async def _show(self, request: web.Request) -> web.Response:
        return self._bill(request)

    async def _act(self, request: web.Request) -> web.Response:
        origin = request.headers.get("Origin", "null")
        if origin not in {"null", f"http://{request.host}"}:
            return _html(pages.message("Another site sent this form."), 403)
        half, code = self._half(request), request.match_info["code"]
        try:
            choice = _choice(await request.post())
            target = await half.act(code, choice)
        except Refused as refusal:
            return self._bill(request, problem=str(refusal), status=refusal.status)
        return web.Response(status=303, headers={"Location": target})

    def _bill(self, request: web.Request, *, problem: str = "", status: int = 200) -> web.Response:
        half = self._half(request)
        bill = half.bill(request.match_info["code"])
        if bill is None:
            return _html(pages.message("There is nothing to pay here."), 404)
        return _html(pages.payment(bill, provider=half.title, problem=problem), status)

    # --- the control address

    async def _state(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "faults": self.courier.faults.as_dict(),
                "halves": sorted(self.halves),
                "waiting": self.courier.waiting(),
            }
        )

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            faults = self.courier.faults.changed(await _json(request))
        except ValueError as error:
            raise Refused(str(error), 400) from error
        self.courier.set_faults(faults)
        return web.json_response(faults.as_dict())

    async def _flush(self, request: web.Request) -> web.Response:
        await _json(request)
        return web.json_response({"flushed": self.courier.flush()})

    async def _sent(self, _request: web.Request) -> web.Response:
        return web.json_response({"sent": self.courier.sent()})

    async def _command(self, request: web.Request) -> web.Response:
        given = await _json(request)
        return web.json_response(
            await self._half(request).command(request.match_info["verb"], given)
        )

    def _half(self, request: web.Request) -> Half:
        half = self.halves.get(request.match_info["half"])
        if half is None:
            raise Refused("The sandbox plays no such provider.", 404)
        return half


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer only to a loopback name, so that no web page elsewhere can be led here by DNS."""
    try:
        _check_host(request.host)
        response = await handler(request)
    except Refused as refusal:
        response = web.json_response({"error": str(refusal)}, status=refusal.status)
    response.headers.update(_HEADERS)
    return response


def _check_host(host: str) -> None:
    if not _is_loopback(urlsplit(f"//{host}").hostname or ""):
        raise Refused("The sandbox answers to localhost only.", 421)


async def _style(_request: web.Request) -> web.Response:
    return web.Response(text=pages.STYLE, content_type="text/css")


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)


def _choice(form: Mapping[str, object]) -> Choice:
    act, means, place = (str(form.get(name, "")) for name in ("act", "means", "place"))
    if act not in set(Act):
        raise Refused("Choose one of the buttons.", 400)
    if place and not PLACE.fullmatch(place):
        raise Refused("The place is two capital letters, such as SE.", 400)
    return Choice(Act(act), means, place)


async def _json(request: web.Request) -> dict[str, Any]:
    # A form of a strange web page cannot send this type without being asked about first.
    if request.content_type != "application/json":
        raise Refused("Send application/json.", 415)
    try:
        given = json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise Refused(f"This is no JSON: {error}", 400) from error
    if not isinstance(given, dict):
        raise Refused("Send one JSON object.", 400)
    return given


def _check_here(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not (_is_loopback(host) or _is_own(host)):
        raise CannotStart(
            f"The sandbox calls back to this machine only, and {url} is not known to be on it."
            " Give --shop-url localhost or an address of this machine, such as"
            " http://localhost:8000."
        )


def _is_own(host: str) -> bool:
    """Tell whether an address, not a name, is of this machine: only such a one can be bound."""
    try:
        address = ipaddress.ip_address(host)
        if address.is_unspecified or address.is_multicast:
            return False
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 -- of IP
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (ValueError, OSError):
        return False
    return True


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
