from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exposition import named_well, samples
from ferriage.config import MetricsConfig
from ferriage.core import clock
from ferriage.fleet import feed
from ferriage.hub.sql import Reader
from running_hub import Asker, running_hub, send
from support import eventually
from yard import Yard, device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ferriage.config import Config
    from ferriage.fleet.models import Pool

TOKEN = {"Authorization": "Bearer of-the-scraper"}


@pytest.fixture
def url(own_database: Config, yard: Yard) -> Iterator[str]:
    del yard
    metered = replace(own_database, metrics=MetricsConfig(token="of-the-scraper"))
    with running_hub(metered) as address:
        yield address


def _scrape(url: str) -> dict[str, float]:
    answer = send(url, "/metrics", TOKEN)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert named_well(answer.body.decode()) == []
    return samples(answer.body.decode())


def test_hub_counts_what_it_answers(asker: Asker, pool: Pool) -> None:
    asker.snapshot(pool.code)
    size = len(asker.watch(pool.code).body)
    pool.refresh_from_db()
    asker.watch(pool.code, after=pool.revision)
    asker.watch(pool.code, epoch="another")

    found = _scrape(asker.url)

    answers = {
        outcome: found[f'ferriage_hub_answers_total{{outcome="{outcome}"}}']
        for outcome in ("snapshot", "delta", "nothing", "epoch")
    }
    assert answers == {"snapshot": 1, "delta": 1, "nothing": 1, "epoch": 1}
    assert found['ferriage_hub_sent_bytes_total{batch="delta"}'] == size
    assert (found["ferriage_hub_database_up"], found["ferriage_hub_database_lost_total"]) == (1, 0)


def test_hub_tells_who_waits_and_how_late_a_change_was_seen(asker: Asker, pool: Pool) -> None:
    pool.refresh_from_db()
    waiting = threading.Thread(target=lambda: asker.watch(pool.code, after=pool.revision, wait=20))
    waiting.start()
    eventually(lambda: _scrape(asker.url)["ferriage_hub_watches_waiting"] == 1, within=10)

    before = _scrape(asker.url)
    feed.append(pool=pool, items=[feed.FeedPut(device(1))], now=clock.now())
    waiting.join(20)

    found = _scrape(asker.url)
    count, total = (f"ferriage_hub_change_latency_seconds_{part}" for part in ("count", "sum"))
    assert found["ferriage_hub_watches_waiting"] == 0
    assert found[count] == before[count] + 1
    assert 0 <= found[total] - before[total] < 10


def test_newest_change_is_read_to_the_instant(own_database: Config, pool: Pool) -> None:
    now = clock.now()
    feed.append(pool=pool, items=[feed.FeedPut(device(1))], now=now)
    reader = Reader(own_database)

    assert reader.newest_change() == pytest.approx(now.timestamp(), abs=1e-5)
    reader.close()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer another"}])
def test_figures_are_for_the_scraper_alone(url: str, headers: dict[str, str]) -> None:
    assert send(url, "/metrics", headers).status == 401


def test_without_a_token_there_are_no_figures(own_database: Config, yard: Yard) -> None:
    del yard
    with running_hub(own_database) as url:
        assert send(url, "/metrics", {"Authorization": "Bearer "}).status == 404
