"""The agent's own enrolment and calls against the real site and hub, each its own process."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest

from ferriage import wire
from ferriage.agent import doctor, identity
from ferriage.agent.client import Client
from ferriage.agent.clock import SiteClock
from ferriage.agent.errors import Declined
from ferriage.core import clock
from ferriage.fleet import actions, feed
from ferriage.fleet.models import Gateway, Pool, PoolGateway
from own_process import own_process
from running_hub import free_port
from yard import OWNER, Yard, device, report_of, status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from ferriage.agent.checks import Finding
    from ferriage.config import Config


@pytest.fixture
def config(own_database: Config, settings: SettingsWrapper, tmp_path: Path) -> Config:
    """One shop's settings, for the site's processes and for the agent."""
    site, hub = (f"127.0.0.1:{free_port()}" for _ in range(2))
    settings.FERRIAGE = replace(
        own_database,
        site=replace(own_database.site, url=f"http://{site}", listen=(site,)),
        hub=replace(own_database.hub, url=f"http://{hub}", listen=hub),
        agent=replace(own_database.agent, state_dir=str(tmp_path / "agent")),
    )
    return settings.FERRIAGE


@pytest.fixture
def pool(config: Config, make_yard: Callable[[datetime], Yard]) -> Pool:  # noqa: ARG001 -- its database
    make_yard(clock.now()).open_line()
    return Pool.objects.get()


@pytest.fixture
def processes(config: Config, pool: Pool) -> Iterator[None]:  # noqa: ARG001 -- the hub needs a shop
    with ExitStack() as stack:
        stack.enter_context(own_process(config, "site", config.site.url))
        stack.enter_context(own_process(config, "hub", config.hub.url))
        yield


def _token(pool: Pool) -> str:
    made = actions.create_gateway(
        name="alpha",
        place="XD",
        endpoint_host="",
        endpoint_port=51820,
        now=clock.now(),
        actor=OWNER,
    )
    actions.assign(gateway=made.gateway, line=pool.line, now=clock.now(), actor=OWNER)
    return made.token


def _enrolled(config: Config, token: str) -> identity.Identity:
    identity.enrol(config, token=token, endpoint_host="192.0.2.1", endpoint_port=51820)
    return identity.load(config)


def _call[T](
    who: identity.Identity, call: Callable[[Client], Awaitable[T]], *, off: float = 0
) -> T:
    async def run() -> T:
        async with aiohttp.ClientSession() as session:
            site_clock = SiteClock(site_time=clock.now().timestamp() + off)
            client = Client(
                session, gateway=who.gateway, signing_key=who.signing_key, clock=site_clock
            )
            return await call(client)

    return asyncio.run(run())


def _snapshot(config: Config, who: identity.Identity, pool: Pool) -> wire.Batch:
    data = _call(who, lambda c: c.snapshot(config.hub.url, key=who.feed_key, pool=pool.code))
    return wire.open_batch(who.feed_key, data)


def _report(who: identity.Identity, report: wire.Report) -> wire.ReportAnswer:
    return _call(who, lambda c: c.report(who.site_url, key=who.permit_key, report=report))


@pytest.mark.usefixtures("processes")
def test_agent_with_a_wild_clock_enrols_and_reads_its_open_permit(
    config: Config, pool: Pool
) -> None:
    who = _enrolled(config, _token(pool))

    async def asked(client: Client) -> bytes:
        with pytest.raises(Declined, match="away from the site's"):
            await client.snapshot(config.hub.url, key=who.feed_key, pool=pool.code)
        report = report_of(instance=who.instance)
        await client.report(who.site_url, key=who.permit_key, report=report)
        return await client.snapshot(config.hub.url, key=who.feed_key, pool=pool.code)

    batch = wire.open_batch(who.feed_key, _call(who, asked, off=9e8))

    item = batch.items[0]
    assert isinstance(item, wire.PermitItem)
    assert wire.open_permit(who.permit_key, item.permit).state == "open"


@pytest.mark.usefixtures("processes")
def test_agent_hears_of_a_device_and_reports_it_and_no_second_one_may(
    config: Config, pool: Pool
) -> None:
    who = _enrolled(config, _token(pool))
    begin = _snapshot(config, who, pool).begin
    feed.append(pool=pool, items=[feed.FeedPut(device(1))], now=clock.now())

    data = _call(
        who,
        lambda c: c.watch(
            config.hub.url, key=who.feed_key, pool=pool.code, epoch=begin.epoch, after=begin.rev
        ),
    )
    assert data is not None
    delta = wire.open_batch(who.feed_key, data).begin
    own = status(pool.code, epoch=delta.epoch, rev=delta.rev, digest=delta.digest)
    answer = _report(who, report_of(own, instance=who.instance))
    with pytest.raises(Declined) as declined:
        _report(who, report_of(instance="second"))

    member = PoolGateway.objects.select_related("pool").get()
    assert answer.hub_url == config.hub.url
    assert member.applied_rev == member.pool.revision
    assert member.applied_digest == member.pool.digest
    assert declined.value.slug == "lease"


@pytest.mark.usefixtures("processes")
def test_agent_is_told_of_a_sibling_pool_and_in_the_end_that_it_was_closed(
    config: Config, pool: Pool
) -> None:
    who = _enrolled(config, _token(pool))
    Pool.objects.update(size_limit=1)
    actions.place(line=pool.line, count=2, now=clock.now())

    told = _report(who, report_of(instance=who.instance)).pools
    siblings = Pool.objects.filter(line=pool.line).order_by("pk")
    permits = [_snapshot(config, who, sibling).items[0] for sibling in siblings]
    actions.close_gateway(gateway=Gateway.objects.get(), now=clock.now(), actor=OWNER)
    with pytest.raises(Declined) as by_hub:
        _snapshot(config, who, pool)
    with pytest.raises(Declined) as by_site:
        _report(who, report_of(instance=who.instance, sequence=2))

    assert [(each.line, each.listen_port) for each in told] == [
        (pool.line.code, 51820),
        (pool.line.code, 51821),
    ]
    assert [isinstance(item, wire.PermitItem) for item in permits] == [True, True]
    assert {by_hub.value.slug, by_site.value.slug} == {wire.GATEWAY_CLOSED}


def _doctor(config: Config) -> list[Finding]:
    """Return what the doctor finds out by asking, not what it finds on this host."""
    who = identity.load(config)
    at = SiteClock(site_time=clock.now().timestamp())
    return asyncio.run(doctor.ask(who, config.hub.url, (), at))


@pytest.mark.usefixtures("processes")
def test_doctor_says_what_staff_decided_about_the_gateway_and_since_when(
    config: Config, pool: Pool
) -> None:
    _enrolled(config, _token(pool))
    gateway, since = Gateway.objects.get(), clock.now()

    serving = _doctor(config)
    actions.drain_gateway(gateway=gateway, now=since, actor=OWNER)
    draining = _doctor(config)
    actions.close_gateway(gateway=gateway, now=since, actor=OWNER)
    closed = _doctor(config)

    assert [finding.slug for finding in serving] == ["site", "line"]
    at = f"{since:%Y-%m-%d %H:%M} UTC"
    assert draining[1].said == f"this gateway is draining since {at}: no new file names it"
    assert (draining[1].failed, draining[1].remedy) == (False, "draining")
    assert [finding.slug for finding in closed] == ["site", "gateway"]
    assert closed[1].said == f"staff closed this gateway for good at {at}: it serves nobody"
    assert closed[1].failed
    assert closed[1].to_do.startswith("Nothing brings it back.")
