"""Registering and removing devices, and what the gateways are told of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ferriage import wire
from ferriage.approvals.models import Approval
from ferriage.core.actors import CUSTOMER
from ferriage.core.clock import unix
from ferriage.core.errors import StaleState
from ferriage.core.models import AuditEntry, SiteState
from ferriage.devices import actions, addresses, queries
from ferriage.devices.keys import new_keypair
from ferriage.devices.liveness import liveness
from ferriage.devices.models import Device
from ferriage.fleet import actions as fleet
from ferriage.fleet.models import Pool, PoolChange, PoolCurrent, PoolGateway
from ferriage.plans.queries import subscription_end
from yard import OWNER

if TYPE_CHECKING:
    from ferriage.plans.models import Subscription
    from shop import Shop

DAY = timedelta(days=1)
HOLD = 14 * DAY


def add(subscription: Subscription, now: datetime, key: str = "", name: str = "") -> Device:
    return actions.add_device(
        subscription=subscription,
        public_key=key or new_keypair().public,
        now=now,
        actor=CUSTOMER,
        name=name,
        platform="phone",
    )


def rekey(device: Device, now: datetime) -> Device:
    """Give a device a fresh key, as it is in the database."""
    device.refresh_from_db()
    return actions.replace_key(
        device=device, public_key=new_keypair().public, now=now, actor=CUSTOMER
    )


def told(pool: Pool, device: Device) -> wire.Device | None:
    """Return what the pool holds of a device now."""
    row = PoolCurrent.objects.filter(pool=pool, subject=device.code).first()
    return wire.decode(row.payload, wire.Put).device if row and row.kind == "put" else None


def revisions() -> list[tuple[int, int]]:
    return list(Pool.objects.order_by("pk").values_list("pk", "revision"))


def test_device_is_told_to_the_gateways_as_it_is(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    key = new_keypair().public

    device = add(subscription, now, key)

    end = datetime.fromisoformat("2026-04-01T12:00:00Z")
    assert told(shop.pool, device) == wire.Device(
        id=device.code,
        generation=1,
        slot=2,
        public_key=key,
        ip4="10.64.0.2",
        ip6="fd7a:5eed:1::2",
        rate_down_bps=100_000_000,
        rate_up_bps=100_000_000,
        burst_bytes=1_250_000,
        hold_at=unix(end),
        hold_reason="term",
        remove_at=unix(end + HOLD),
        language="en",
    )
    assert (device.hold_at, device.remove_at, device.created_on) == (end, end + HOLD, now.date())


def test_devices_get_names_and_addresses_of_their_own(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()

    devices = [add(subscription, now) for _ in range(5)]

    assert [device.slot for device in devices] == [2, 3, 4, 5, 6]
    assert [device.ip4 for device in devices] == [f"10.64.0.{last}" for last in range(2, 7)]
    assert [device.ip6 for device in devices] == [f"fd7a:5eed:1::{last}" for last in range(2, 7)]
    assert len({device.name for device in devices}) == 5
    assert queries.devices_of(subscription) == devices


def test_sixth_device_is_refused_and_nothing_changes(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    for _ in range(5):
        add(subscription, now)
    before = (revisions(), SiteState.objects.get().next_slot, AuditEntry.objects.count())

    with pytest.raises(actions.DeviceLimitReached, match="room for 5"):
        add(subscription, now)

    assert (revisions(), SiteState.objects.get().next_slot, AuditEntry.objects.count()) == before
    assert Device.objects.count() == 5


def test_removed_device_leaves_the_gateways_and_makes_room(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    devices = [add(subscription, now) for _ in range(5)]

    actions.remove_device(device=devices[0], now=now, actor=CUSTOMER)
    sixth = add(subscription, now)

    assert told(shop.pool, devices[0]) is None
    assert PoolCurrent.objects.get(subject=devices[0].code).kind == "del"
    assert queries.devices_of(subscription) == [*devices[1:], sixth]
    assert sixth.slot == 7  # the first one's address rests


def test_adding_and_removing_in_a_loop_wastes_no_more_addresses_than_a_day_has(
    shop: Shop, now: datetime
) -> None:
    subscription = shop.holder()
    for _ in range(25):
        actions.remove_device(device=add(subscription, now), now=now, actor=CUSTOMER)

    with pytest.raises(addresses.AddedTooOften, match="25 devices and keys were added") as refused:
        add(subscription, now)
    add(shop.holder(), now)

    assert "again from 2026-03-02 00:00 UTC" in refused.value.remedy
    assert add(subscription, now + DAY).slot == 28


def test_key_is_changed_no_more_often_than_devices_may_be_added(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    first, second = add(subscription, now), add(subscription, now)
    for device in (first, second):
        for _ in range(11):
            rekey(device, now)
    rekey(first, now)
    actions.remove_device(device=second, now=now, actor=CUSTOMER)
    before = (revisions(), AuditEntry.objects.count(), first.public_key, first.generation)

    with pytest.raises(addresses.AddedTooOften, match="25 devices and keys were added"):
        rekey(first, now)
    with pytest.raises(addresses.AddedTooOften):
        add(subscription, now)

    first.refresh_from_db()
    after = (revisions(), AuditEntry.objects.count(), first.public_key, first.generation)
    assert after == before
    assert rekey(first, now + DAY).rekeyed == 1


def test_device_is_removed_once(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())
    actions.remove_device(device=device, now=now, actor=CUSTOMER)
    before = revisions()

    with pytest.raises(StaleState):
        actions.remove_device(device=device, now=now, actor=CUSTOMER)

    assert revisions() == before


@pytest.mark.parametrize("key", ["hello", "A" * 43 + "="])
def test_malformed_key_is_refused(shop: Shop, now: datetime, key: str) -> None:
    with pytest.raises(actions.BadPublicKey):
        add(shop.holder(), now, key)

    assert Device.objects.count() == 0


def test_key_in_use_is_refused_until_its_device_is_removed(shop: Shop, now: datetime) -> None:
    alices = add(shop.holder(), now)
    bob = shop.holder()

    for key in (alices.public_key, shop.gateway.wireguard_key):
        with pytest.raises(actions.KeyInUse):
            add(bob, now, key)
    actions.remove_device(device=alices, now=now, actor=CUSTOMER)

    assert add(bob, now, alices.public_key).public_key == alices.public_key


def test_name_is_kept_and_taken_once_per_subscription(shop: Shop, now: datetime) -> None:
    alice, bob = shop.holder(), shop.holder()
    add(alice, now, name=" Laptop ")

    for name in ("Laptop", "x" * 41):
        with pytest.raises(actions.NameWrong):
            add(alice, now, name=name)

    assert add(bob, now, name="Laptop").name == "Laptop"
    assert [device.name for device in queries.devices_of(alice)] == ["Laptop"]


def test_device_needs_a_running_term(shop: Shop) -> None:
    subscription = shop.holder()
    end = subscription_end(subscription).at
    assert end is not None

    add(subscription, end - timedelta(seconds=1))
    with pytest.raises(actions.NothingBought):
        add(subscription, end)

    assert Device.objects.count() == 1


@pytest.mark.parametrize(
    ("place", "reason"), [("", "place-not-declared"), ("SE", "place-not-on-line")]
)
def test_device_is_refused_where_no_line_may_be_used(
    shop: Shop, now: datetime, place: str, reason: str
) -> None:
    subscription = shop.extend(shop.account(place=place))

    with pytest.raises(actions.NotAllowed) as refused:
        add(subscription, now)

    reasons = [verdict.reasons[0].slug for verdict in refused.value.verdicts.values()]
    assert reasons == [reason]
    assert Device.objects.count() == 0
    assert SiteState.objects.get().next_slot == 2


def test_device_is_refused_while_the_approval_is_revoked(shop: Shop, now: datetime) -> None:
    subscription = shop.holder()
    fleet.revoke_approval(approval=Approval.objects.get(), now=now, actor=OWNER)

    with pytest.raises(actions.NotAllowed, match="section 1"):
        add(subscription, now)

    assert Device.objects.count() == 0


def test_customer_finds_only_devices_of_their_own(shop: Shop) -> None:
    alice, bob = shop.holder(), shop.holder()
    device = shop.device(alice)

    assert queries.device_of(account=alice.account, code=device.code) == device
    assert queries.device_of(account=bob.account, code=device.code) is None


def test_full_network_gives_addresses_that_rested(shop: Shop, now: datetime) -> None:
    SiteState.objects.update(inner4="10.64.0.0/29", next_slot=2)
    subscription = shop.holder(12)
    devices = [add(subscription, now) for _ in range(5)]  # slots 2 to 6, the last host of a /29
    actions.remove_device(device=devices[1], now=now, actor=CUSTOMER)

    with pytest.raises(addresses.NoAddressLeft):
        add(subscription, now + addresses.ADDRESS_REST - timedelta(seconds=1))
    again = add(subscription, now + addresses.ADDRESS_REST)

    assert (again.slot, again.ip4, again.ip6) == (3, "10.64.0.3", "fd7a:5eed:1::3")


def test_change_to_alice_writes_nothing_for_bob(shop: Shop, now: datetime) -> None:
    alice, bob = shop.holder(), shop.holder()
    bobs = shop.device(bob)
    first = PoolChange.objects.latest("rev").rev

    alices = shop.device(alice)
    shop.extend(alice.account, 6)
    actions.remove_device(device=alices, now=now, actor=CUSTOMER)

    later = PoolChange.objects.filter(rev__gt=first)
    assert list(later.order_by("rev").values_list("kind", "subject")) == [
        ("put", alices.code),
        ("put", alices.code),
        ("del", alices.code),
    ]
    assert told(shop.pool, bobs) is not None


def test_device_is_placed_on_every_line_of_its_plan(shop: Shop, now: datetime) -> None:
    second = shop.yard.open_line("XD second")
    elsewhere = shop.yard.open_line("XD elsewhere")
    shop.add_plan("Other", elsewhere)
    from ferriage.plans.actions import add_offer

    add_offer(plan=shop.plan, line=second, now=now, actor=OWNER)

    device = shop.device(shop.holder())

    assert told(second.pools.get(), device) == told(shop.pool, device) is not None
    assert told(elsewhere.pools.get(), device) is None


def test_placements_tell_where_to_connect(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())
    shop.yard.gateway(shop.line, name="beta")
    closed = shop.yard.gateway(shop.line, name="gamma")
    fleet.close_gateway(gateway=closed.row, now=now, actor=OWNER)

    found = queries.placements(device)

    assert [(place.line, place.gateway.name) for place in found] == [
        (shop.line, "alpha"),
        (shop.line, "beta"),
    ]
    assert found[0].server_key == shop.gateway.wireguard_key
    assert found[0].dns == ("10.64.0.1", "fd7a:5eed:1::1")
    row = shop.gateway.row
    member = PoolGateway.objects.get(gateway=row)
    assert (found[0].endpoint_host, found[0].endpoint_port) == (
        row.endpoint_host,
        member.listen_port,
    )


def test_device_is_live_only_where_its_record_was_applied(shop: Shop) -> None:
    first, second = (shop.device(shop.holder()) for _ in range(2))
    shop.yard.gateway(shop.line, name="beta")
    rev = PoolCurrent.objects.get(subject=first.code).rev
    alpha = PoolGateway.objects.filter(gateway=shop.gateway.row)

    def live() -> list[tuple[int, int]]:
        found = liveness([first, second], now=shop.now)
        return [(found[device.code].on, found[device.code].of) for device in (first, second)]

    before = live()
    alpha.update(applied_epoch="e1", applied_rev=rev)
    applied = live()
    alpha.update(refused=[{"device": first.code, "reason": "nonsense"}])
    refused = live()
    alpha.update(refused=[], applied_epoch="another history")

    assert before == [(0, 2), (0, 2)]
    assert applied == [(1, 2), (0, 2)]
    assert refused == live() == [(0, 2), (0, 2)]


def test_audit_of_devices_names_nobody(shop: Shop, now: datetime) -> None:
    device = shop.device(shop.holder())
    actions.remove_device(device=device, now=now, actor=CUSTOMER)

    entries = AuditEntry.objects.filter(action__startswith="device.").order_by("sequence")

    assert [(entry.action, entry.subject, entry.details) for entry in entries] == [
        ("device.added", "", {}),
        ("device.removed", "", {}),
    ]
