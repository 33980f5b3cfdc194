"""What the device page says: live, held, waiting or on none, by what gateways really run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ferriage import wire
from ferriage.devices.liveness import Live, Refusal, liveness
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import PoolCurrent, PoolGateway
from ferriage.plans import actions as plans
from ferriage.plans.models import Plan
from metered import QUOTA, Agent
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.devices.models import Device
    from shop import Shop


def _apply() -> None:
    """Let every gateway have applied all that was written."""
    for member in PoolGateway.objects.select_related("pool"):
        member.pool.refresh_from_db()
        member.applied_epoch, member.applied_rev = "e1", member.pool.revision
        member.save()


def _live(shop: Shop, device: Device, *, days: int = 0) -> Live:
    device.refresh_from_db()
    return liveness([device], now=shop.now + timedelta(days=days))[device.code]


def test_device_waits_then_is_live_then_held(shop: Shop) -> None:
    for name in ("beta", "gamma"):
        shop.yard.gateway(shop.line, name=name)
    device = shop.device(shop.holder())
    said = [_live(shop, device)]
    _apply()
    said += [_live(shop, device), _live(shop, device, days=60)]
    PoolGateway.objects.filter(gateway__name="beta").update(applied_rev=0)
    said += [_live(shop, device), _live(shop, device, days=60)]

    assert [(live.state, live.on, live.of) for live in said] == [
        ("waiting", 0, 3),
        ("live", 3, 3),
        ("held", 3, 3),
        ("waiting", 2, 3),
        ("waiting", 2, 3),
    ]


def test_device_whose_data_is_used_up_is_held(shop: Shop) -> None:
    device = shop.device(shop.holder())
    _apply()
    Plan.objects.update(quota_bytes=QUOTA)
    shop.plan.refresh_from_db()
    agent = Agent(shop)
    agent.tell(agent.row(device, QUOTA - 1), at=shop.now + timedelta(minutes=1))
    _apply()
    before = _live(shop, device, days=1).state

    agent.tell(agent.row(device, QUOTA), at=shop.now + timedelta(minutes=2))
    _apply()

    assert (before, _live(shop, device, days=1).state) == ("live", "held")


def test_device_of_a_held_line_is_held(shop: Shop) -> None:
    device = shop.device(shop.holder())
    fleet.hold_line(line=shop.line, reason="stop", now=shop.now, actor=OWNER)
    _apply()

    assert _live(shop, device).state == "held"


def test_refused_record_is_never_live_and_the_reason_is_known(shop: Shop) -> None:
    beta = shop.yard.gateway(shop.line, name="beta").row
    device = shop.device(shop.holder())
    _apply()
    entry = {"device": device.code, "reason": "slot is held by dev_1"}
    PoolGateway.objects.filter(gateway=beta).update(refused=[entry])

    live = _live(shop, device)

    assert (live.state, live.on, live.of) == ("waiting", 1, 2)
    assert live.refusals == (Refusal(beta, "slot is held by dev_1"),)


def test_gateway_that_refuses_more_than_it_lists_has_nobody_live(shop: Shop) -> None:
    device = shop.device(shop.holder())
    _apply()
    others = [{"device": f"dev_{number}", "reason": "x"} for number in range(wire.MOST_TOLD)]
    PoolGateway.objects.update(refused=others)

    assert _live(shop, device).state == "waiting"


def test_gateway_of_two_lines_counts_once_and_only_with_both(shop: Shop) -> None:
    other = shop.yard.open_line("other")
    fleet.assign(gateway=shop.gateway.row, line=other, now=shop.now, actor=OWNER)
    plans.add_offer(plan=shop.plan, line=other, now=shop.now, actor=OWNER)
    device = shop.device(shop.holder())
    _apply()
    both = _live(shop, device)
    PoolGateway.objects.filter(pool__line=other).update(applied_rev=0)

    assert (both.state, both.on, both.of) == ("live", 1, 1)
    assert (_live(shop, device).on, _live(shop, device).of) == (0, 1)


def test_forgotten_device_is_on_no_gateway(shop: Shop) -> None:
    device = shop.device(shop.holder())
    PoolCurrent.objects.filter(subject=device.code).update(kind="del")

    assert _live(shop, device).state == "none"
