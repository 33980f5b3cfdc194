"""What an agent believes of site and hub: site time comes from the site's answers alone."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import aiohttp
import pytest

import feed
from ferriage import wire
from ferriage.agent.client import Client
from ferriage.agent.clock import SiteClock
from ferriage.agent.errors import Declined
from running_hub import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

GATEWAY = "gw_0000000000000001"
DAY = 86400


@pytest.fixture
def site() -> Iterator[feed.Site]:
    port = free_port()
    made = feed.Site(f"http://127.0.0.1:{port}", feed.ASSIGNMENT)
    serving = threading.Thread(target=made.serve, args=("127.0.0.1", port))
    serving.start()
    made.wait_started()
    yield made
    made.stop()
    serving.join(10)


def _ask(
    site: feed.Site, clock: SiteClock, *questions: Callable[[Client], Awaitable[object]]
) -> None:
    key = wire.new_private_key()
    site.gateway_key = wire.public_key(key)

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            client = Client(session, gateway=GATEWAY, signing_key=key, clock=clock)
            for question in questions:
                await question(client)

    asyncio.run(run())


def _snapshot(site: feed.Site) -> Callable[[Client], Awaitable[object]]:
    key = wire.public_key(site.feed_key)
    return lambda client: client.snapshot(site.url, key=key, pool=feed.POOL)


def _report(site: feed.Site) -> Callable[[Client], Awaitable[object]]:
    report = wire.Report(
        format=wire.FEED_FORMAT,
        instance="one",
        fence=0,
        sequence=1,
        boot_id="boot",
        agent_version="1",
        backend="userspace",
        pools=(),
        usage=(),
        warnings=(),
    )
    key = wire.public_key(site.permit_key)
    return lambda client: client.report(site.url, key=key, report=report)


@pytest.mark.parametrize("lie", [-200, 200])
def test_hubs_answers_teach_no_time(site: feed.Site, lie: int) -> None:
    truth = site.now()
    clock = SiteClock(site_time=truth)
    site.clock_offset = lie

    _ask(site, clock, _snapshot(site))

    assert abs(clock.now() - site.now() + lie) < 1


@pytest.mark.parametrize("off", [-9 * DAY, 9 * DAY])
def test_hub_that_refuses_our_clock_is_asked_once_and_teaches_nothing(
    site: feed.Site, off: int
) -> None:
    clock = SiteClock(site_time=site.now() + off)

    with pytest.raises(Declined) as refused:
        _ask(site, clock, _snapshot(site))

    assert refused.value.slug == wire.CLOCK_REFUSED
    assert site.calls == ["/gateway/v1/snapshot"]
    assert abs(clock.now() - site.now() - off) < 1


@pytest.mark.parametrize("off", [-9 * DAY, 9 * DAY])
def test_sites_refusal_of_our_clock_heals_it_for_the_hub_too(site: feed.Site, off: int) -> None:
    clock = SiteClock(site_time=site.now() + off)

    _ask(site, clock, _report(site), _snapshot(site))

    assert site.calls == ["/gateway/v1/report"] * 2 + ["/gateway/v1/snapshot"]
    assert abs(clock.now() - site.now()) < 1
