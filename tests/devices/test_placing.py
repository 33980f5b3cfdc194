"""Devices in the pools of a line: placed once, never above the limit, siblings by themselves."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction

from ferriage import wire
from ferriage.core.actors import CUSTOMER
from ferriage.devices import actions, files, queries
from ferriage.devices.keys import new_keypair
from ferriage.devices.models import Device, DevicePool
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Gateway, Pool, PoolChange, PoolCurrent, PoolGateway
from ferriage.plans import actions as plans
from own_database import at_once
from yard import OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ferriage.config import Config
    from ferriage.fleet.models import Line
    from ferriage.plans.models import Plan, Subscription
    from shop import Shop


def _small(line: Line, limit: int) -> None:
    Pool.objects.filter(line=line).update(size_limit=limit)


def _pool(device: Device) -> int:
    return DevicePool.objects.get(device=device).pool_id


def _is_sound() -> bool:
    """Tell whether every counter is that of the rows, and no pool above its limit."""
    rows = Counter(DevicePool.objects.values_list("pool_id", flat=True))
    pools = list(Pool.objects.all())
    return all(pool.placed == rows[pool.pk] <= pool.size_limit for pool in pools)


def test_full_line_gets_a_sibling_on_all_its_gateways(shop: Shop) -> None:
    shop.yard.gateway(shop.yard.open_line("beta alone"), shop.line, name="beta")
    _small(shop.line, 1)

    first, second = shop.device(shop.holder()), shop.device(shop.holder())

    old, new = Pool.objects.filter(line=shop.line).order_by("pk")
    assert (_pool(first), _pool(second)) == (old.pk, new.pk)
    assert (new.size_limit, new.mtu) == (old.size_limit, old.mtu)
    members = PoolGateway.objects.filter(pool=new).order_by("gateway__name")
    assert [(m.gateway.name, m.interface, m.listen_port) for m in members] == [
        ("alpha", 1, 51901),
        ("beta", 2, 51902),
    ]
    log = PoolChange.objects.filter(pool=new).order_by("rev").values_list("kind", "subject")
    assert list(log) == [("permit", shop.line.code), ("put", second.code)]
    assert _is_sound()


def test_new_devices_go_where_fewest_are_and_old_ones_stay(shop: Shop) -> None:
    _small(shop.line, 2)
    devices = [shop.device(shop.holder()) for _ in range(4)]
    old, new = Pool.objects.filter(line=shop.line).order_by("pk").values_list("pk", flat=True)
    before = [_pool(device) for device in devices]

    actions.remove_device(device=devices[0], now=shop.now, actor=CUSTOMER)
    actions.remove_device(device=devices[3], now=shop.now, actor=CUSTOMER)
    actions.remove_device(device=devices[2], now=shop.now, actor=CUSTOMER)
    added = [shop.device(shop.holder()) for _ in range(3)]
    shop.extend(devices[1].subscription.account)

    assert before == [old, old, new, new]
    assert [_pool(device) for device in added] == [new, old, new]
    assert _pool(devices[1]) == old
    assert _is_sound()


def test_device_that_comes_back_after_its_hold_has_its_old_place(shop: Shop) -> None:
    _small(shop.line, 1)
    holder = shop.holder()
    device = shop.device(holder)
    late = shop.now + timedelta(days=120)

    actions.forget_due(now=late)
    other = shop.device(shop.holder())
    shop.extend(holder.account, at=late)

    assert _pool(device) != _pool(other)
    held = PoolCurrent.objects.filter(subject=device.code).values_list("pool_id", "kind")
    assert list(held) == [(_pool(device), "put")]


def test_plan_with_two_lines_places_in_one_pool_of_each(shop: Shop) -> None:
    other = shop.yard.open_line("other")
    shop.yard.gateway(other, name="beta")
    plan = shop.add_plan("Both", shop.line, other)
    _small(shop.line, 1)
    shop.device(shop.holder())

    device = shop.device(_on(shop, plan))

    places = DevicePool.objects.filter(device=device).select_related("pool").order_by("line")
    assert [place.pool.line_id == place.line_id for place in places] == [True, True]
    assert [place.line_id for place in places] == sorted([shop.line.pk, other.pk])
    shown = [(p.gateway.name, p.endpoint_port) for p in queries.placements(device)]
    assert shown == [("alpha", 51901), ("beta", 51900)]
    assert _is_sound()


def _on(shop: Shop, plan: Plan) -> Subscription:
    return plans.grant(
        account=shop.account(),
        plan=plan,
        subscription=None,
        starts_at=shop.now,
        ends_at=shop.now + timedelta(days=30),
        reason="test",
        source_code="test",
        now=shop.now,
        actor=OWNER,
    )


def test_file_names_the_port_of_the_devices_pool(shop: Shop) -> None:
    _small(shop.line, 1)
    keys = new_keypair()
    devices = [shop.device(shop.holder()) for _ in range(2)]

    text = [
        files.conf(device=device, private_key=keys.private, placement=placement)
        for device in devices
        for placement in queries.placements(device)
    ]

    ends = [next(line for line in conf.splitlines() if "Endpoint" in line) for conf in text]
    assert ends == ["Endpoint = 198.51.100.7:51900", "Endpoint = 198.51.100.7:51901"]


def test_revocation_reaches_every_pool_of_the_line(shop: Shop) -> None:
    _small(shop.line, 1)
    for _ in range(3):
        shop.device(shop.holder())

    fleet.hold_line(line=shop.line, reason="stop", now=shop.now, actor=OWNER)

    rows = PoolCurrent.objects.filter(kind="permit", pool__line=shop.line).order_by("pool")
    items = [wire.decode(row.payload, wire.PermitItem).permit for row in rows]
    assert len(items) == 3
    assert [wire.decode(item.payload, wire.Permit).state for item in items] == ["held"] * 3
    last = PoolChange.objects.order_by("-pk").values_list("pool_id", flat=True)[:3]
    assert list(last) == sorted(last, reverse=True)


def test_line_without_a_port_left_refuses_before_anything_is_added(shop: Shop) -> None:
    _small(shop.line, 1)
    fleet.set_endpoint(
        gateway=shop.gateway.row, host="192.0.2.1", port=65_535, now=shop.now, actor=OWNER
    )
    shop.device(shop.holder())
    holder = shop.holder()

    with pytest.raises(fleet.NoRoom):
        shop.device(holder)

    assert (Device.objects.count(), Pool.objects.count()) == (1, 1)
    assert _is_sound()


def test_gateway_joins_and_leaves_all_pools_of_a_line(shop: Shop) -> None:
    _small(shop.line, 1)
    for _ in range(2):
        shop.device(shop.holder())

    beta = shop.yard.gateway(shop.line, name="beta").row
    joined = list(PoolGateway.objects.filter(gateway=beta).order_by("interface"))
    fleet.unassign(gateway=beta, line=shop.line, now=shop.now, actor=OWNER)

    assert [member.listen_port for member in joined] == [51900, 51901]
    assert not PoolGateway.objects.filter(gateway=beta).exists()
    with pytest.raises(fleet.NotAssignable):
        fleet.unassign(gateway=beta, line=shop.line, now=shop.now, actor=OWNER)


def test_draining_gateway_takes_no_line_until_it_is_undrained(shop: Shop) -> None:
    beta = shop.yard.gateway(name="beta").row
    fleet.drain_gateway(gateway=beta, now=shop.now, actor=OWNER)

    with pytest.raises(fleet.NotAssignable, match="draining"):
        fleet.assign(gateway=beta, line=shop.line, now=shop.now, actor=OWNER)
    fleet.undrain_gateway(gateway=beta, now=shop.now, actor=OWNER)

    assert len(fleet.assign(gateway=beta, line=shop.line, now=shop.now, actor=OWNER)) == 1


def test_size_is_bounded_by_wireguard_and_by_who_is_there(shop: Shop) -> None:
    for _ in range(2):
        shop.device(shop.holder())
    change = partial(fleet.set_size_limit, line=shop.line, now=shop.now, actor=OWNER)

    for limit in (0, 1, 65_536):
        with pytest.raises(fleet.SizeWrong):
            change(limit=limit)
    change(limit=65_535)
    Gateway.objects.update(backend="kernel")
    change(limit=65_536)

    assert Pool.objects.get().size_limit == 65_536


def test_database_holds_the_limit_whoever_writes(shop: Shop) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Pool.objects.filter(line=shop.line).update(size_limit=5, placed=6)


def test_counters_stay_those_of_the_rows(shop: Shop) -> None:
    _small(shop.line, 3)
    dice = random.Random(44)  # noqa: S311 -- a repeatable test
    there = [shop.device(shop.holder())]
    for _ in range(30):
        if there and dice.random() < 0.4:
            gone = there.pop(dice.randrange(len(there)))
            actions.remove_device(device=gone, now=shop.now, actor=CUSTOMER)
        else:
            there.append(shop.device(shop.holder()))
        assert _is_sound()


def test_devices_of_before_keep_the_pool_that_they_had(shop: Shop) -> None:
    devices = [shop.device(shop.holder()) for _ in range(2)]
    DevicePool.objects.all().delete()
    Pool.objects.update(placed=0)

    import_module("ferriage.devices.migrations.0004_placement").place_registered(apps, None)

    assert [_pool(device) for device in devices] == [shop.pool.pk] * 2
    assert _is_sound()


def test_devices_added_at_once_fill_pools_to_the_limit_and_no_further(
    own_database: Config,  # noqa: ARG001 -- rows go there
    make_shop: Callable[[datetime], Shop],
    now: datetime,
) -> None:
    shop = make_shop(now)
    _small(shop.line, 2)
    holders = [shop.holder() for _ in range(7)]

    results = at_once(*(partial(shop.device, holder) for holder in holders))

    assert [type(result) for result in results] == [Device] * 7
    sizes = Pool.objects.filter(line=shop.line).order_by("pk").values_list("placed", flat=True)
    assert list(sizes) == [2, 2, 2, 1]
    assert PoolGateway.objects.filter(pool__line=shop.line).count() == 4
    assert _is_sound()
