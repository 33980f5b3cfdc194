"""The frame with a provider that is nobody's: one bill, one event each time it is paid."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from ferriage.sandbox.faults import Faults
from ferriage.sandbox.frame import Act, Begun, Bill, Callback, Choice, Means, Refused
from ferriage.sandbox.server import Options, Sandbox
from running_sandbox import Ear, RunningSandbox, running_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp import web

    from ferriage.sandbox.courier import Courier
    from ferriage.sandbox.frame import Site
    from ferriage.sandbox.keys import Keys

SECRET = "true-secret"


class NobodysHalf:
    slug = "nobody"
    title = "Nobody"

    def __init__(self, site: Site, courier: Courier, _keys: Keys) -> None:
        self._site, self._courier = site, courier
        self.number = 0

    def routes(self) -> list[web.RouteDef]:
        return []

    def settings(self) -> dict[str, str]:
        return {}

    def bill(self, code: str) -> Bill | None:
        if code != "one":
            return None
        means = (Means("card", "Card", asks_place=True), Means("<b>", "A <b>strange</b> one"))
        return Bill("one", "A month & a day", "10.00 CNY", means, (Act.PAY, Act.DECLINE))

    def begun(self) -> list[Begun]:
        return [Begun("bill_1", "A month & a day", "10.00 CNY", "paid")]

    async def act(self, _code: str, choice: Choice) -> str:
        if choice.act is not Act.PAY:
            raise Refused("The card was declined.", 402)
        await self.command("event", {})
        return f"{self._site.shop_url}/thanks"

    async def command(self, verb: str, _given: dict[str, Any]) -> dict[str, Any]:
        if verb != "event":
            raise Refused("Nobody knows this.", 404)
        self.number += 1
        event = {"number": self.number, "amount": 1000}
        self._courier.send(
            Callback(
                half=self.slug,
                ident=f"evt_{self.number}",
                kind="paid",
                url=self._site.hook(self.slug),
                body=json.dumps(event).encode(),
                forged=json.dumps({**event, "amount": 1}).encode(),
                secret=SECRET,
                sign=lambda _body, secret: {"Signature": secret},
            )
        )
        return {"number": self.number}


@contextmanager
def _in_thread(options: Options, say: Callable[[str], None]) -> Iterator[RunningSandbox]:
    loop, started, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        sandbox = Sandbox(options, (NobodysHalf,), say=say)
        try:
            await sandbox.start()
            urls.append(sandbox.site.url)
            started.set()
            await stop.wait()
        finally:
            await sandbox.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(10)
        yield RunningSandbox(urls[0])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear() as listening:
        yield listening


@pytest.fixture
def complaints() -> list[str]:
    """What the sandbox says on its terminal after it has started."""
    return []


@pytest.fixture
def sandbox(ear: Ear, complaints: list[str]) -> Iterator[RunningSandbox]:
    options = Options(0, ear.url, Faults(), retries_seconds=(0.01, 0.01))
    with _in_thread(options, complaints.append) as running:
        yield running


@pytest.fixture
def stripe_sandbox(ear: Ear) -> Iterator[RunningSandbox]:
    with running_sandbox(ear.url) as running:
        yield running


@pytest.fixture
def client(stripe_sandbox: RunningSandbox) -> stripe.StripeClient:
    settings = stripe_sandbox.settings
    return stripe.StripeClient(
        settings["secret key"],
        base_addresses={"api": settings["address"]},
        max_network_retries=0,
    )


@pytest.fixture
def open_session(client: stripe.StripeClient) -> Callable[..., stripe.checkout.Session]:
    """Open a session for one month at 10.00."""

    def open_one(currency: str = "cny", amount: int = 1000, **more: Any) -> stripe.checkout.Session:
        data = {"currency": currency, "unit_amount": amount, "product_data": {"name": "One month"}}
        given: Any = {
            "mode": "payment",
            "success_url": "http://localhost/done",
            "line_items": [{"price_data": data, "quantity": 1}],
            **more,
        }
        return client.v1.checkout.sessions.create(given)

    return open_one
