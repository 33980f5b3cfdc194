"""A plan is sold only where its devices will find room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Pool
from ferriage.orders.models import Order
from yard import OWNER

if TYPE_CHECKING:
    from till import Till


def _narrow(till: Till, limit: int) -> None:
    """Leave the line's only gateway the port it has, and its pool so many places."""
    fleet.set_endpoint(
        gateway=till.shop.gateway.row, host="192.0.2.1", port=65_535, now=till.now, actor=OWNER
    )
    Pool.objects.filter(line=till.shop.line).update(size_limit=limit)


def test_plan_is_not_sold_where_its_devices_would_find_no_room(till: Till) -> None:
    _narrow(till, till.shop.plan.device_limit - 1)

    with pytest.raises(fleet.NoRoom, match="no room"):
        till.order()

    assert not Order.objects.exists()


def test_plan_is_sold_while_there_is_just_room_and_renewed_when_there_is_none(till: Till) -> None:
    _narrow(till, till.shop.plan.device_limit)
    account = till.shop.account()
    till.shop.extend(account)
    till.order(account=till.shop.account())
    Pool.objects.filter(line=till.shop.line).update(size_limit=1)

    renewal = till.order(account=account)

    assert renewal.extends is not None
    with pytest.raises(fleet.NoRoom):
        till.order(account=till.shop.account())
