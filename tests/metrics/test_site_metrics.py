from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from exposition import named_well, samples
from ferriage import wire
from ferriage.config import MetricsConfig
from ferriage.core import rounds
from ferriage.fleet import actions
from ferriage.fleet.feed import FeedPut, append
from ferriage.fleet.models import Alarm, Gateway, Permit
from yard import device, report_of, status

if TYPE_CHECKING:
    from pytest_django.fixtures import SettingsWrapper

    from shop import Shop
    from till import Till
    from yard import Yard

pytestmark = pytest.mark.django_db

BEARER = {"Authorization": "Bearer of-the-scraper"}
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def _text() -> str:
    answer = Client().get("/metrics", headers=BEARER)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer of-another"}])
def test_figures_are_for_the_scraper_alone(headers: dict[str, str]) -> None:
    answer = Client().get("/metrics", headers=headers)

    assert (answer.status_code, answer.content) == (401, b"token\n")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_without_a_token_there_is_no_page(settings: SettingsWrapper) -> None:
    settings.FERRIAGE = replace(settings.FERRIAGE, metrics=MetricsConfig())

    assert Client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_empty_shop_has_every_figure_at_nought() -> None:
    answer = Client().get("/metrics", headers=BEARER)

    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer.headers["Cache-Control"]
    text = answer.content.decode()
    assert named_well(text) == []
    found = samples(text)
    assert found['ferriage_alarms_open{kind="hub_away"}'] == 0
    assert found['ferriage_orders{state="paid"}'] == 0
    assert found['ferriage_worker_failing{task="fleet"}'] == 1


def test_gateway_and_pool_say_how_far_they_are(yard: Yard, now: datetime) -> None:
    line = yard.open_line()
    gateway = yard.gateway(line)
    pool = line.pools.get()
    pool.refresh_from_db()
    had = {"rev": pool.revision, "digest": pool.digest}
    refused = (wire.Refused(device="dev_1", reason="slot is taken"),)
    checks = (wire.Check(slug="resolver", state="failed", remedy="resolver-silent"),)
    report = report_of(
        status(pool.code, refused=refused, **had), warnings=("disk full",), checks=checks
    )
    actions.take_report(gateway=gateway.row, report=report, now=now - 5 * SECOND)
    append(pool=pool, items=[FeedPut(device(1)), FeedPut(device(2))], now=now - 90 * SECOND)

    found = samples(_text())

    of_pool = f'{{gateway="alpha",pool="{pool.code}"}}'
    assert {
        name: found[f"ferriage_pool_{name}{of_pool}"]
        for name in ("behind_revisions", "behind_seconds", "refused_records", "peers", "differs")
    } == {
        "behind_revisions": 2,
        "behind_seconds": 90,
        "refused_records": 1,
        "peers": 2,
        "differs": 0,
    }
    assert found['ferriage_gateway_report_age_seconds{gateway="alpha"}'] == 5
    assert found['ferriage_gateway_warnings{gateway="alpha"}'] == 1
    assert found['ferriage_gateway_lacks{gateway="alpha"}'] == 1
    assert found['ferriage_gateways{state="active"}'] == 1
    permit = Permit.objects.latest("serial")
    left = (permit.open_until - now).total_seconds()
    assert found[f'ferriage_permit_left_seconds{{line="{line.code}"}}'] == left
    assert found['ferriage_permits{state="open"}'] == 1


def test_worker_and_alarms_are_told(now: datetime) -> None:
    rounds.note([rounds.Run(name="fleet", seconds=0.5)], now=now - 30 * SECOND)
    rounds.note([rounds.Run(name="hub", seconds=3, failure="away")], now=now)
    actions.raise_alarm(kind=Alarm.Kind.HUB_AWAY, subject="hub", now=now)

    found = samples(_text())

    assert found['ferriage_worker_run_age_seconds{task="fleet"}'] == 30
    assert found['ferriage_worker_run_seconds{task="fleet"}'] == 0.5
    assert found['ferriage_worker_failing{task="fleet"}'] == 0
    assert found['ferriage_worker_failing{task="hub"}'] == 1
    assert found['ferriage_alarms_open{kind="hub_away"}'] == 1
    assert found["ferriage_alarms_unacknowledged"] == 1


def test_books_and_money_that_waits_are_told(till: Till) -> None:
    till.sell()
    till.transfer(till.order())
    till.receive(None, 250)

    found = samples(_text())

    assert {state: found[f'ferriage_orders{{state="{state}"}}'] for state in ("open", "paid")} == {
        "open": 1,
        "paid": 0,
    }
    assert found["ferriage_payments_waiting"] == 1
    assert found["ferriage_inbox_unhandled"] == 0
    assert found['ferriage_ledger_imbalance_minor{currency="CNY"}'] == 0
    assert found['ferriage_suspense_minor{currency="CNY"}'] == 250


def test_no_customer_is_named(shop: Shop) -> None:
    subscription = shop.holder()
    device = shop.device(subscription)
    names = [subscription.code, device.code, device.public_key, str(device.ip4)]

    text = _text()

    assert named_well(text) == []
    assert [name for name in names if name in text] == []


def test_scrape_costs_the_same_for_three_gateways_as_for_one(yard: Yard) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            _text()
        return len(asked)

    yard.gateway(yard.open_line("one"), name="one")
    _text()
    of_one = queries()
    for name in ("two", "three"):
        yard.gateway(yard.open_line(name), name=name)

    assert queries() == of_one
    assert of_one <= 28
    assert Gateway.objects.count() == 3
