"""Bytes that were set aside, in the back office: shown, counted or dropped by an owner."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse
from people import logged_in, make_staff

from ferriage.devices import setaside
from ferriage.devices.models import Incarnation, UsageDay
from metered import Agent, agent, quota

if TYPE_CHECKING:
    from datetime import datetime

    from django.test import Client
    from pytest_django import DjangoAssertNumQueries

    from shop import Shop

__all__ = ["agent", "quota"]

MUCH = 5_000_000_000_000
LIST = "staff-asides"


def _set_aside(shop: Shop, agent: Agent, count: int, now: datetime) -> list[Incarnation]:
    devices = [shop.device(shop.holder()) for _ in range(count)]
    agent.tell(*(agent.row(device, 1000) for device in devices), at=now + timedelta(minutes=1))
    much = [agent.row(device, MUCH) for device in devices]
    agent.tell(*much, at=now + timedelta(seconds=61))
    return list(setaside.waiting())


def _send(client: Client, row: Incarnation, ruling: str, reason: str = "a bug") -> int:
    typed = {"waits": row.aside_down - row.dropped_down, "ruling": ruling, "reason": reason}
    return client.post(reverse("staff-aside", args=[row.pk]), typed).status_code


def test_owner_counts_one_and_drops_another(
    olga: Client, shop: Shop, agent: Agent, now: datetime
) -> None:
    first, second = _set_aside(shop, agent, 2, now)
    shown = olga.get(reverse(LIST)).content.decode()
    page = olga.get(reverse("staff-aside", args=[first.pk])).content.decode()

    assert shown.count("4.9 TB") == 2
    assert "there is no way back" in page
    assert _send(olga, first, "count") == 302
    assert _send(olga, second, "drop") == 302

    assert UsageDay.objects.get(device=first.device).bytes_down == MUCH
    assert UsageDay.objects.get(device=second.device).bytes_down == 1000
    assert "Nothing waits." in olga.get(reverse(LIST)).content.decode()
    assert _send(olga, first, "drop") == 404


def test_no_reason_and_other_bytes_change_nothing(
    olga: Client, shop: Shop, agent: Agent, now: datetime
) -> None:
    (row,) = _set_aside(shop, agent, 1, now)

    assert _send(olga, row, "drop", reason="") == 422
    row.aside_down -= 1
    assert _send(olga, row, "drop") == 409

    assert setaside.waiting().count() == 1


@pytest.mark.parametrize(("role", "looks"), [("support", 200), ("auditor", 200), ("partner", 403)])
def test_others_look_and_do_not_rule(
    shop: Shop, agent: Agent, now: datetime, role: str, looks: int
) -> None:
    (row,) = _set_aside(shop, agent, 1, now)
    client = logged_in(make_staff("otto", role))

    assert client.get(reverse(LIST)).status_code == looks
    assert _send(client, row, "drop") == 403


@pytest.mark.parametrize("count", [1, 3])
def test_list_costs_the_same_however_long(
    olga: Client,
    shop: Shop,
    agent: Agent,
    now: datetime,
    count: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    _set_aside(shop, agent, count, now)
    olga.get(reverse(LIST))

    with django_assert_num_queries(12):
        olga.get(reverse(LIST))
