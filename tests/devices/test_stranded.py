from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage.devices.models import Device
from ferriage.devices.stranded import Concerned, concerned
from ferriage.fleet import actions
from yard import OWNER

if TYPE_CHECKING:
    from shop import Shop


def test_only_gateway_leaves_all_its_devices_alone(shop: Shop) -> None:
    alice, bob = shop.holder(), shop.holder()
    for subscription in (alice, alice, bob):
        shop.device(subscription)

    found = concerned(gateway=shop.gateway.row, line=shop.line)

    assert found == Concerned(devices=3, stranded=3, customers=2)
    assert concerned(gateway=shop.gateway.row) == found


def test_other_gateway_serves_them_unless_it_drains_or_waits(shop: Shop) -> None:
    shop.device(shop.holder())
    beta = shop.yard.gateway(shop.line, name="beta").row
    actions.create_gateway(
        name="gamma",
        place=shop.line.enter_place,
        endpoint_host="",
        endpoint_port=51820,
        line=shop.line,
        now=shop.now,
        actor=OWNER,
    )
    both = concerned(gateway=shop.gateway.row, line=shop.line)

    actions.drain_gateway(gateway=beta, now=shop.now, actor=OWNER)
    draining = concerned(gateway=shop.gateway.row, line=shop.line)

    assert both == Concerned(devices=1, stranded=0, customers=0)
    assert draining == Concerned(devices=1, stranded=1, customers=1)
    assert concerned(gateway=beta) == Concerned(devices=1, stranded=0, customers=0)


def test_removed_and_ended_devices_are_not_counted(shop: Shop) -> None:
    gone, ended = (shop.device(shop.holder()) for _ in range(2))
    Device.objects.filter(pk=gone.pk).update(removed_at=shop.now)
    Device.objects.filter(pk=ended.pk).update(remove_at=None)

    assert concerned(gateway=shop.gateway.row) == Concerned(devices=0, stranded=0, customers=0)


def test_count_takes_two_queries_however_many_devices(shop: Shop) -> None:
    subscription = shop.holder()
    for _ in range(2):
        shop.device(subscription)
        with CaptureQueriesContext(connection) as queries:
            concerned(gateway=shop.gateway.row)
        assert len(queries) == 2
