from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.core.lengths import lasting
from ferriage.fleet import actions
from ferriage.fleet.models import Alarm, Gateway, PoolChange, PoolGateway
from ferriage.web.backoffice.views import gateways as gateway_pages
from yard import OWNER

if TYPE_CHECKING:
    from django.test import Client

    from yard import Yard

pytestmark = pytest.mark.django_db


def _alarm(gateway: Gateway, now: datetime, kind: Alarm.Kind = Alarm.Kind.METERING) -> Alarm:
    actions.raise_alarm(
        kind=kind, subject=gateway.code, now=now, name=gateway.name, said="3 % too much"
    )
    return Alarm.objects.get(subject=gateway.code, kind=kind)


def test_open_alarm_stands_on_the_first_page_and_the_gateways(
    olga: Client, yard: Yard, now: datetime
) -> None:
    gateway = yard.gateway(yard.open_line()).row
    _alarm(gateway, now)

    for address in (
        reverse("staff-start"),
        reverse("staff-gateway", args=[gateway.code]),
        reverse("staff-alarms"),
    ):
        text = olga.get(address).content.decode()
        assert "bytes do not add up: alpha" in text
        assert "3 % too much" in text
        assert "Nobody is cut by it." in text
    assert "bytes do not add up" in olga.get(reverse("staff-gateways")).content.decode()


def test_partner_sees_no_alarms_of_machines(yard: Yard, now: datetime) -> None:
    _alarm(yard.gateway(yard.open_line()).row, now)
    pia = logged_in(make_staff("pia", "partner"))

    page = pia.get(reverse("staff-start"), follow=True)

    assert page.status_code == 200
    assert "bytes do not" not in page.content.decode()


def _counted(client: Client, page: str = "staff-payments") -> tuple[list[str], int]:
    """Return the numbers beside the menu's link to alarms, on a page that shows none itself."""
    with CaptureQueriesContext(connection) as asked:
        text = client.get(reverse(page)).content.decode()
    queries = [query["sql"] for query in asked if "fleet_alarm" in query["sql"]]
    return re.findall(r'<b aria-hidden="true">(\d+)</b>', text), len(queries)


def test_menu_tells_how_many_alarms_are_open_with_one_query(
    olga: Client, yard: Yard, now: datetime
) -> None:
    assert _counted(olga) == ([], 1)
    gateway = yard.gateway(yard.open_line()).row
    _alarm(gateway, now)
    _alarm(gateway, now, Alarm.Kind.SLOW_BUILD)
    # On the closed menu of a telephone, in it, and at the side of a wide page.
    assert _counted(olga) == (["2", "2", "2"], 1)

    actions.settle_alarms(now=now + timedelta(days=2))
    assert _counted(olga) == ([], 1)


def test_menu_of_a_role_without_alarms_asks_for_none(yard: Yard, now: datetime) -> None:
    _alarm(yard.gateway(yard.open_line()).row, now)

    assert _counted(logged_in(make_staff("pia", "partner")), "staff-plans") == ([], 0)


def test_warning_of_a_gateway_is_told_in_the_reader_s_language(olga: Client, yard: Yard) -> None:
    gateway = yard.gateway(yard.open_line()).row
    Gateway.objects.update(warnings=["watch pool_1: no route to host"])

    for address in (reverse("staff-gateways"), reverse("staff-gateway", args=[gateway.code])):
        told = "Listening for changes (pool_1): no route to host"
        assert told in olga.get(address).content.decode()


def test_whoever_sees_to_an_alarm_is_named(olga: Client, yard: Yard, now: datetime) -> None:
    alarm = _alarm(yard.gateway(yard.open_line()).row, now)
    address = reverse("staff-alarm-acknowledge", args=[alarm.pk])

    assert olga.post(address).status_code == 302
    assert olga.post(address).status_code == 409

    text = olga.get(reverse("staff-alarms")).content.decode()
    assert "olga sees to it." in text
    assert address not in text


def test_alarm_that_ended_is_history(olga: Client, yard: Yard, now: datetime) -> None:
    _alarm(yard.gateway(yard.open_line()).row, now)
    actions.settle_alarms(now=now + timedelta(days=2))

    text = olga.get(reverse("staff-alarms")).content.decode()

    assert "None is open." in text
    assert "bytes do not add up: alpha" in text


def test_gateways_with_an_alarm_come_first_and_the_rest_by_pages(
    olga: Client, yard: Yard, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_pages, "PER_PAGE", 2)
    line = yard.open_line()
    rows = [yard.gateway(line, name=name).row for name in ("alpha", "beta", "gamma")]
    _alarm(rows[2], now)

    first = olga.get(reverse("staff-gateways")).context["rows"]
    second = olga.get(reverse("staff-gateways"), {"page": 2}).context["rows"]

    assert [[row.gateway.name for row in rows] for rows in (first, second)] == [
        ["gamma", "alpha"],
        ["beta"],
    ]


def test_list_asks_as_much_for_gateways_with_alarms(
    olga: Client, yard: Yard, now: datetime
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            olga.get(reverse("staff-gateways"))
        return len(asked)

    line = yard.open_line()
    _alarm(yard.gateway(line, name="one").row, now)
    olga.get(reverse("staff-gateways"))
    of_one = queries()
    for name in ("two", "three"):
        row = yard.gateway(line, yard.open_line(name), name=name).row
        for kind in (Alarm.Kind.METERING, Alarm.Kind.SLOW_BUILD):
            _alarm(row, now, kind)

    assert queries() == of_one


def test_gateway_page_says_how_far_each_line_is(olga: Client, yard: Yard, now: datetime) -> None:
    gateway = yard.gateway(yard.open_line()).row
    member = PoolGateway.objects.get()
    address = reverse("staff-gateway", args=[gateway.code])
    assert "not reported yet" in olga.get(address).content.decode()

    in_step = {"applied_rev": member.pool.revision, "applied_digest": member.pool.digest}
    PoolGateway.objects.update(reported_at=now, applied_epoch="e1", **in_step)
    assert "in step" in olga.get(address).content.decode()
    PoolGateway.objects.update(applied_digest="f" * 64)
    assert "runs something else" in olga.get(address).content.decode()
    PoolGateway.objects.update(applied_rev=0, applied_digest="")
    assert f"{member.pool.revision} behind for" in olga.get(address).content.decode()
    PoolChange.objects.all().delete()
    beyond = f"{member.pool.revision} behind for more than 7 days"
    assert beyond in olga.get(address).content.decode()
    actions.begin_history(witnesses={}, now=now, actor=OWNER)
    text = olga.get(address).content.decode()
    assert "has not taken up the restored records yet" in text
    assert "behind for" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7_199, "119 minutes"),
        (7_200, "2 hours"),
        (172_799, "47 hours"),
        (172_800, "2 days"),
        (604_800, "7 days"),
    ],
)
def test_length_is_told_in_the_unit_people_use(seconds: int, words: str) -> None:
    assert lasting(seconds) == words
