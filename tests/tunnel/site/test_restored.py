"""The database is put back as it was: with real site, hub, agent and packets of four customers."""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import msgspec
import pytest
from django.db import connections

import own_database as databases
from ferriage import config as settings_of
from ferriage.agent import identity
from ferriage.core import clock
from ferriage.core.models import SiteState
from ferriage.fleet import actions, feed
from ferriage.fleet.models import Gateway, Pool, PoolGateway, PoolUsage
from real_site import RealSite, at_home
from support import eventually
from tunnel_world import INTERNET4, steady_ping
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from pytest_django.fixtures import SettingsWrapper

    from ferriage import wire
    from ferriage.config import Config
    from tunnel_world import Client, World
    from yard import Yard

pytestmark = pytest.mark.tunnel

DAY = 86400


@pytest.fixture
def config(own_database: Config, settings: SettingsWrapper) -> Config:
    settings.FERRIAGE = at_home(own_database)
    return settings.FERRIAGE


@pytest.fixture
def pool(config: Config, make_yard: Callable[[datetime], Yard]) -> Pool:  # noqa: ARG001 -- its database
    make_yard(clock.now()).open_line()
    return Pool.objects.get()


def enrolled(world: World, pool: Pool) -> None:
    """Make the gateway of the stand-in the real site's."""
    made = actions.create_gateway(
        name="alpha",
        place="XD",
        endpoint_host="",
        endpoint_port=51820,
        now=clock.now(),
        actor=OWNER,
    )
    actions.assign(gateway=made.gateway, line=pool.line, now=clock.now(), actor=OWNER)
    shutil.rmtree(world.directory / "state")
    with world.gateway.entered():
        identity.enrol(
            settings_of.load(world.config_path, {}),
            token=made.token,
            endpoint_host="198.51.100.1",
            endpoint_port=51820,
        )
    world.site.wireguard_key = Gateway.objects.get().wireguard_key


def put(pool: Pool, *devices: wire.Device) -> None:
    items = [feed.FeedPut(at_site(device)) for device in devices]
    feed.append(pool=pool, items=items, now=clock.now())


def at_site(device: wire.Device) -> wire.Device:
    """Return a record of the stand-in's with the addresses that its slot has at the real site."""
    state = SiteState.objects.get()
    ip4, ip6 = (str(ip_network(text)[device.slot]) for text in (state.inner4, state.inner6))
    return msgspec.structs.replace(device, ip4=ip4, ip6=ip6)


def delete(pool: Pool, device: wire.Device) -> None:
    feed.append(pool=pool, items=[feed.FeedDel(device.id)], now=clock.now())


def renewed(device: wire.Device, hold_at: float, reason: str = "term") -> wire.Device:
    return msgspec.structs.replace(
        device, generation=device.generation + 1, hold_at=int(hold_at), hold_reason=reason
    )


def applied() -> None:
    def check() -> bool:
        member = PoolGateway.objects.select_related("pool").get()
        return (member.applied_epoch, member.applied_rev) == (
            SiteState.objects.get().epoch,
            member.pool.revision,
        )

    eventually(check, within=30)


@contextlib.contextmanager
def backup_of(config: Config, directory: Path) -> Iterator[Config]:
    """Copy the database, to which nobody is connected."""
    connections["default"].close()
    if config.database.url:
        name = databases._name(config)
        with databases._copied_on_server(config, name) as copy:
            yield copy
    else:
        shutil.copytree(config.data_dir, directory / "backup")
        yield replace(config, site=replace(config.site, data_dir=str(directory / "backup")))


def use(config: Config) -> None:
    """Let this process look into another database."""
    connection = connections["default"]
    connection.close()
    connection.settings_dict["NAME"] = databases._name(config)


def reaches(client: Client) -> bool:
    return client.ping(INTERNET4, wait=0.5) == 1


def finals() -> list[tuple[str, int, int]]:
    rows = PoolUsage.objects.filter(final=True).order_by("incarnation")
    return list(rows.values_list("incarnation", "bytes_down", "bytes_up"))


def test_paying_stay_on_and_revoked_stay_off_when_an_old_backup_is_restored(
    world: World, config: Config, pool: Pool
) -> None:
    world.site.stop()
    site = RealSite(config, world.home, world.directory)
    site.start()
    enrolled(world, pool)
    world.start_agent()
    now = clock.now().timestamp()
    alice, bob, carol, dave = (world.client(hold_in=DAY) for _ in range(4))
    put(pool, alice.record, bob.record, carol.record)
    applied()
    assert [reaches(client) for client in (alice, bob, carol, dave)] == [True, True, True, False]

    site.stop()
    with backup_of(config, world.directory) as backup:
        site.start()
        put(pool, dave.record, renewed(alice.record, now + 9 * DAY))
        delete(pool, bob.record)
        put(pool, renewed(carol.record, now - 1, "staff"))
        applied()
        dave.reconnect()
        assert [reaches(client) for client in (alice, bob, carol, dave)] == [
            *(True, False, False, True)
        ]
        world.gateway.run("nft", "delete", "table", "inet", "ferriage")  # ends an incarnation
        told = eventually(finals, within=30)

        site.stop()
        use(backup)
        before = SiteState.objects.get().epoch
        restored = RealSite(backup, world.home, world.directory)
        with (
            steady_ping(alice, INTERNET4, world.directory) as first,
            steady_ping(dave, INTERNET4, world.directory) as second,
        ):
            restored.start()
            eventually(lambda: SiteState.objects.get().epoch != before, within=60, every=0.2)
            applied()
            eventually(lambda: PoolGateway.objects.get().deferred, within=30)
            assert [reaches(client) for client in (bob, carol)] == [False, False]
        for lines in (first, second):
            assert re.search(r" 0% packet loss", "\n".join(lines))
        member = PoolGateway.objects.get()
        assert (member.deferred, member.waiting) == (1, 2)
        assert {(row["device"], row["what"]) for row in member.since} == {
            (alice.record.id, "renewed"),
            (bob.record.id, "off"),
            (carol.record.id, "off"),
            (dave.record.id, "unnamed"),
        }
        eventually(lambda: finals() == told, within=30)

        delete(pool, bob.record)
        eventually(lambda: PoolGateway.objects.get().waiting == 1, within=30)
        member = PoolGateway.objects.get()
        actions.allow_return(
            member=member, digest=member.waiting_digest, now=clock.now(), actor=OWNER
        )
        eventually(lambda: PoolGateway.objects.get().waiting == 0, within=30)
        assert [reaches(client) for client in (alice, bob, carol, dave)] == [
            *(True, False, True, True)
        ]
        assert {row["device"] for row in PoolGateway.objects.get().since} == {
            alice.record.id,
            dave.record.id,
        }
        restored.stop()
        use(config)
