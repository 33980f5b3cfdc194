"""What gateways are told as terms end, are renewed, cut, and as the register changes its mind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ferriage import wire
from ferriage.accounts.actions import declare_place, open_account
from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.clock import unix
from ferriage.devices import actions, tasks
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import PoolChange, PoolCurrent
from ferriage.plans import actions as plans
from ferriage.plans.models import Offer, Subscription
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.devices.models import Device
    from shop import Shop

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
HOLD = 14 * DAY
# The shop's `now` is 1 March 2026, noon; its approval ends with 28 February 2027.
END = datetime(2026, 4, 1, 12, tzinfo=UTC)
LAPSE = datetime(2027, 3, 1, tzinfo=UTC)


def told(device: Device) -> tuple[datetime, str, datetime] | None:
    """Return hold_at, its reason and remove_at as the pool holds them."""
    row = PoolCurrent.objects.get(subject=device.code)
    if row.kind == "del":
        return None
    record = wire.decode(row.payload, wire.Put).device
    hold_at, remove_at = (
        datetime.fromtimestamp(at, UTC) for at in (record.hold_at, record.remove_at)
    )
    return hold_at, record.hold_reason, remove_at


def refresh(subscription: Subscription, now: datetime) -> None:
    actions.refresh(subscription=subscription, now=now, actor=OWNER)


def changes() -> int:
    return PoolChange.objects.filter(kind__in=["put", "del"]).count()


def newest_approval() -> Approval:
    return Approval.objects.latest("pk")


@pytest.mark.parametrize("later", [timedelta(0), 3 * DAY, 31 * DAY, 44 * DAY])
def test_refresh_writes_nothing_when_nothing_changed(
    shop: Shop, now: datetime, later: timedelta
) -> None:
    device = shop.device(shop.holder())
    before = changes()

    refresh(device.subscription, now + later)

    assert changes() == before


def test_early_renewal_moves_the_hold_and_keeps_the_rest(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())
    before = wire.decode(PoolCurrent.objects.get(subject=device.code).payload, wire.Put).device

    shop.extend(device.subscription.account, 6, at=now + DAY)

    after = wire.decode(PoolCurrent.objects.get(subject=device.code).payload, wire.Put).device
    end = datetime(2026, 10, 1, 12, tzinfo=UTC)
    assert after == wire.Device(
        **{
            **{field: getattr(before, field) for field in before.__struct_fields__},
            "hold_at": unix(end),
            "remove_at": unix(end + HOLD),
        }
    )


def test_renewal_in_the_hold_opens_from_now(shop: Shop) -> None:
    device = shop.device(shop.holder())
    now = END + 3 * DAY

    shop.extend(device.subscription.account, at=now)

    end = datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert told(device) == (end, "term", end + HOLD)


def test_early_end_is_told_to_the_second(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())
    soon = now + timedelta(seconds=15, microseconds=700_000)

    plans.end_at(subscription=device.subscription, at=soon, reason="Asked", now=now, actor=OWNER)
    refresh(device.subscription, now)

    floor = soon.replace(microsecond=0)
    assert told(device) == (floor, "term", floor + HOLD)


def test_peer_goes_after_the_hold_and_comes_back_with_a_renewal(shop: Shop) -> None:
    device = shop.device(shop.holder())

    assert tasks.run(END + HOLD - SECOND) == 0
    assert told(device) == (END, "term", END + HOLD)
    assert tasks.run(END + HOLD) == 1
    assert told(device) is None
    assert tasks.run(END + HOLD + DAY) == 0

    shop.extend(device.subscription.account, at=END + 20 * DAY)

    end = datetime(2026, 5, 21, 12, tzinfo=UTC)
    assert told(device) == (end, "term", end + HOLD)


def test_removed_peer_is_removed_from_every_pool_at_once(shop: Shop, now: datetime) -> None:
    second = shop.yard.open_line("XD second")
    plans.add_offer(plan=shop.plan, line=second, now=now, actor=OWNER)
    device = shop.device(shop.holder())

    tasks.run(END + HOLD)

    assert list(
        PoolCurrent.objects.filter(subject=device.code).order_by("pool").values_list("kind")
    ) == [("del",), ("del",)]


def test_long_term_is_held_where_the_approval_ends(shop: Shop) -> None:
    device = shop.device(shop.holder(24))

    assert told(device) == (LAPSE, "staff", LAPSE + HOLD)


def test_grant_without_end_is_open_as_long_as_the_approval(shop: Shop, now: datetime) -> None:
    account = open_account(
        now=now, actor=OWNER, account_class="own_staff", place="XD", label="Otto"
    ).account
    subscription = plans.grant(
        account=account,
        plan=shop.plan,
        subscription=None,
        starts_at=now,
        ends_at=None,
        reason="Own devices",
        source_code="own",
        now=now,
        actor=OWNER,
    )

    device = shop.device(subscription)

    assert told(device) == (LAPSE, "staff", LAPSE + HOLD)


def test_revoked_approval_holds_and_a_new_one_opens_again(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())
    revoked, follow, again = now + DAY, now + DAY + SECOND, now + 2 * DAY

    fleet.revoke_approval(approval=newest_approval(), now=revoked, actor=OWNER)
    tasks.run(follow)
    held = told(device)
    written = changes()
    tasks.run(again)  # the hold stays where it began, and is written once
    same = changes()
    shop.yard.approve(shop.line)
    tasks.run(again + SECOND)

    assert held == (follow, "staff", follow + HOLD)
    assert same == written
    assert told(device) == (END, "term", END + HOLD)


def test_paid_device_comes_back_even_after_a_long_lapse(shop: Shop, now: datetime) -> None:
    subscription = shop.holder(6)
    device = shop.device(subscription)
    end = datetime(2026, 9, 1, 12, tzinfo=UTC)
    fleet.revoke_approval(approval=newest_approval(), now=now, actor=OWNER)
    tasks.run(now)
    tasks.run(now + HOLD)
    gone = told(device)
    written = changes()
    for day in (15, 16):
        refresh(subscription, now + day * DAY)
        tasks.run(now + day * DAY)
    still_gone = changes() == written
    shop.yard.approve(shop.line)

    tasks.run(now + 30 * DAY)

    assert (gone, still_gone) == (None, True)
    assert told(device) == (end, "term", end + HOLD)


def test_customer_who_moves_is_held_where_the_line_may_not_be_sold(
    shop: Shop, now: datetime
) -> None:
    alice, bob = shop.device(shop.holder()), shop.device(shop.holder())
    account = alice.subscription.account

    declare_place(account=account, place="SE", now=now, actor=CUSTOMER)
    tasks.run(now + SECOND)

    assert told(alice) == (now + SECOND, "staff", now + SECOND + HOLD)
    assert told(bob) == (END, "term", END + HOLD)


def test_customer_who_has_not_said_where_is_served_by_no_line(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())

    declare_place(account=device.subscription.account, place="", now=now, actor=CUSTOMER)
    tasks.run(now)

    assert told(device) == (now, "staff", now + HOLD)


def test_line_that_a_plan_loses_loses_its_devices(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())

    plans.withdraw_offer(offer=Offer.objects.get(), now=now, actor=OWNER)
    tasks.run(now)

    assert told(device) is None


def test_worker_costs_the_same_queries_for_one_and_three(shop: Shop, now: datetime) -> None:
    def cost_of_a_lapse(at: datetime) -> int:
        fleet.revoke_approval(approval=newest_approval(), now=at, actor=OWNER)
        with CaptureQueriesContext(connection) as captured:
            done = tasks.run(at)
        assert done == Subscription.objects.count()
        return len(captured)

    shop.device(shop.holder())
    tasks.run(now)  # the first one notes that each part ran
    for_one = cost_of_a_lapse(now + DAY)
    shop.yard.approve(shop.line)
    tasks.run(now + DAY)
    for _ in range(2):
        shop.device(shop.holder())
    for_three = cost_of_a_lapse(now + 2 * DAY)

    assert for_three == for_one
