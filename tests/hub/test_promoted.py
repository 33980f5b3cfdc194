"""The primary is lost and its replica promoted: gateways wait a little longer, and lose nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, close_old_connections, connections
from django.db.utils import load_backend

import lawbook
from ferriage import wire
from ferriage.cli.demo.browser import Browser
from ferriage.config import Config, DatabaseConfig
from ferriage.core import clock
from ferriage.core.models import AuditEntry, WorkerRun
from ferriage.core.money import Money
from ferriage.devices.models import Device
from ferriage.fleet import feed
from ferriage.fleet.models import Pool
from ferriage.orders.models import Order
from ferriage.payments import actions as payments
from ferriage.payments import queries
from ferriage.payments.models import Voucher
from own_process import own_process
from postgres_pair import Pair, postgres_pair
from running_hub import Answer, Asker, Replica, free_port, running_hub
from shop import open_shop
from support import eventually
from yard import OWNER, device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pytest_django.fixtures import SettingsWrapper
    from pytest_django.plugin import DjangoDbBlocker

    from ferriage.cli.demo.browser import Page
    from shop import Shop
    from yard import Yard

pytestmark = pytest.mark.long
LONGEST_WAIT = 50


@pytest.fixture
def pair() -> Iterator[Pair]:
    with postgres_pair() as both:
        yield both


@pytest.fixture
def config(
    pair: Pair, settings: SettingsWrapper, django_db_blocker: DjangoDbBlocker
) -> Iterator[Config]:
    """Use a shop on both servers, opened as several-hosts.md says."""
    before: Config = django_settings.FERRIAGE
    config = replace(before, database=DatabaseConfig(url=pair.url))
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "ferriage.core.settings",
        "FERRIAGE_DATABASE_URL": pair.url,
    }
    migrate = [sys.executable, "-W", "ignore", "-m", "django", "migrate", "--verbosity=0"]
    subprocess.run(migrate, env=environment, check=True, timeout=300)
    settings.FERRIAGE = config
    with django_db_blocker.unblock(), _connected(config):
        lawbook.accept(*lawbook.everyday())
        yield config


@contextmanager
def _connected(config: Config) -> Iterator[None]:
    """Let the suite's connection be one as `core.settings` makes it for this shop."""
    shared = connections["default"]
    given = config.database.parameters()
    known = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    described = {
        **shared.settings_dict,
        "ENGINE": "django.db.backends.postgresql",
        "PASSWORD": "",
        **{name: given.pop(key) for key, name in known.items() if key in given},
        "OPTIONS": given,
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 60,
    }
    mine = load_backend(described["ENGINE"]).DatabaseWrapper(described, "default")
    connections["default"] = mine
    try:
        yield
    finally:
        connections["default"] = shared
        mine.close()


@pytest.fixture
def yard(config: Config, make_yard: Callable[[datetime], Yard]) -> Yard:  # noqa: ARG001 -- rows go there
    return make_yard(clock.now())


def put(pool: Pool, number: int, yard: Yard) -> None:
    """Write a device's record as a page of the site does: on a connection that was tried first."""
    close_old_connections()
    feed.append(
        pool=Pool.objects.get(pk=pool.pk), items=[feed.FeedPut(device(number))], now=yard.now
    )


def test_gateways_notice_no_more_than_a_late_answer(pair: Pair, config: Config, yard: Yard) -> None:
    yard.open_line()
    pool = Pool.objects.get()
    key = wire.public_key(config.read_secret(config.feed_key_path))
    with running_hub(config) as url:
        asker = Asker(url, yard.gateway(pool.line), key)
        put(pool, 1, yard)
        held = Replica()
        held.apply(asker.snapshot(pool.code))
        put(pool, 2, yard)
        answers: list[Answer] = []

        def wait(rev: int) -> None:
            answers.append(asker.watch(pool.code, epoch=held.epoch, after=rev, wait=LONGEST_WAIT))

        held.apply(
            wire.open_batch(key, asker.watch(pool.code, epoch=held.epoch, after=held.rev).body)
        )
        audited = AuditEntry.objects.count()
        waiting = threading.Thread(target=wait, args=(held.rev,))
        waiting.start()

        pair.lose_primary()
        late = threading.Thread(target=wait, args=(held.rev,))
        late.start()
        with pytest.raises(OperationalError):
            put(pool, 3, yard)
        pair.promote_replica()
        put(pool, 4, yard)
        for thread in (waiting, late):
            thread.join(LONGEST_WAIT + 10)

        assert [answer.status for answer in answers] == [200, 200]
        batches = [wire.open_batch(key, answer.body) for answer in answers]
        assert [(one.begin.epoch, one.begin.after, one.begin.rev) for one in batches] == [
            (held.epoch, held.rev, held.rev + 1)
        ] * 2
        held.apply(batches[0])
        assert sorted(held.devices) == [device(number).id for number in (1, 2, 4)]
        whole = Replica()
        whole.apply(asker.snapshot(pool.code))
        assert (whole.rev, whole.devices) == (held.rev, held.devices)
        assert AuditEntry.objects.count() == audited, "what was acknowledged is there"


@pytest.fixture
def served(config: Config, yard: Yard) -> Iterator[Config]:  # noqa: ARG001 -- the hub needs a shop
    """Let site, hub and worker run on the two servers, each a process of its own."""
    site, hub = (f"127.0.0.1:{free_port()}" for _ in range(2))
    config = replace(
        config,
        site=replace(config.site, url=f"http://{site}", listen=(site,)),
        hub=replace(config.hub, url=f"http://{hub}", listen=hub),
    )
    with (
        own_process(config, "site", config.site.url),
        own_process(config, "hub", config.hub.url),
        own_process(config, "worker"),
    ):
        yield config


def sold_vouchers(shop: Shop, count: int) -> list[str]:
    worth = Money(shop.prices[1].amount_minor, "CNY")
    return payments.issue_vouchers(
        name="test",
        plan=shop.plan,
        term_months=1,
        money=worth,
        count=count,
        kind="sold",
        paid_per_code=worth,
        now=clock.now(),
        actor=OWNER,
    ).codes


def ordered(browser: Browser, shop: Shop) -> Page:
    opened = browser.submit(browser.get("/"), "/open/", price=shop.prices[1].code)
    return browser.submit(opened, "/orders/", place="XD", consent="yes")


def paid(browser: Browser, order: Page, voucher: str) -> bool:
    """Type a voucher as a customer does who reloads a page that was not there, and look."""
    browser.submit(order, "/voucher/", code=voucher)
    return "To my devices" in browser.get(order.url).text


def add_device(browser: Browser) -> None:
    answer = browser.submit(browser.get("/account/"), "/devices/", name="laptop")
    assert answer.status == 200


def test_site_says_that_it_cannot_sell_and_then_sells_and_records(
    pair: Pair, served: Config, yard: Yard
) -> None:
    shop = open_shop(yard)
    shop.approve_for_years()
    key = wire.public_key(served.read_secret(served.feed_key_path))
    first, second, third = sold_vouchers(shop, 3)
    alice, bob, charlie = (Browser(served.site.url) for _ in range(3))
    assert paid(alice, ordered(alice, shop), first)
    add_device(alice)
    waiting = ordered(bob, shop)
    asker, pool = Asker(served.hub.url, shop.gateway, key), shop.pool.code
    held = Replica()
    held.apply(asker.snapshot(pool))
    assert len(held.devices) == 1
    audited = AuditEntry.objects.count()
    answers: list[Answer] = []

    def watch() -> None:
        answers.append(asker.watch(pool, epoch=held.epoch, after=held.rev, wait=LONGEST_WAIT))

    late = threading.Thread(target=watch)
    late.start()

    pair.lose_primary()
    refused = bob.submit(waiting, "/voucher/", code=second)
    assert refused.status >= 500
    lost_at = clock.now()
    pair.promote_replica()
    close_old_connections()
    assert (AuditEntry.objects.count(), Voucher.objects.exclude(used_at=None).count()) == (
        audited,
        1,
    ), "what was acknowledged is there, and nothing of what was refused"

    eventually(lambda: paid(bob, waiting, second), within=20)
    add_device(bob)
    late.join(LONGEST_WAIT + 10)
    (answer,) = answers
    assert answer.status == 200
    held.apply(wire.open_batch(key, answer.body))
    assert set(held.devices) == set(Device.objects.values_list("code", flat=True))
    assert len(held.devices) == 2
    assert paid(charlie, ordered(charlie, shop), third)
    eventually(lambda: WorkerRun.objects.filter(ran_at__gt=lost_at, failure="").exists(), within=40)
    assert Order.objects.filter(state="fulfilled").count() == 3
    assert Voucher.objects.exclude(used_at=None).count() == 3
    assert queries.check() == []
