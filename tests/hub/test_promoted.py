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
from ferriage.config import Config, DatabaseConfig
from ferriage.core import clock
from ferriage.core.models import AuditEntry
from ferriage.fleet import feed
from ferriage.fleet.models import Pool
from postgres_pair import Pair, postgres_pair
from running_hub import Answer, Asker, Replica, running_hub
from yard import device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pytest_django.fixtures import SettingsWrapper
    from pytest_django.plugin import DjangoDbBlocker

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
