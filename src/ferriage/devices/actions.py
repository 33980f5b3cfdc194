from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ferriage import wire
from ferriage.approvals.queries import load_register
from ferriage.approvals.reasons import sentences
from ferriage.core import audit
from ferriage.core.db import joining, writing
from ferriage.core.errors import FerriageError, StaleState
from ferriage.devices import placing, site, state
from ferriage.devices.addresses import refuse_waste, rekeyed, take_address
from ferriage.devices.keys import is_public_key
from ferriage.devices.models import Device
from ferriage.devices.names import new_name
from ferriage.devices.queries import devices_of, to_refresh
from ferriage.fleet import feed
from ferriage.fleet.models import Gateway, Pool, PoolCurrent
from ferriage.fleet.queries import line_facts
from ferriage.plans import entitlement
from ferriage.plans import queries as plans
from ferriage.plans.models import Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.approvals.queries import Register
    from ferriage.core.actors import Actor
    from ferriage.fleet.models import Line

LONGEST_NAME: Final = 40
_DECIDED: Final = (
    "hold_at", "hold_reason", "remove_at", "ruling", "quota_ends_at", "language_due_at",
)  # fmt: skip


class DeviceLimitReached(FerriageError):
    """As many devices are registered as the plan allows; none is evicted silently."""

    slug = "device-limit"


class BadPublicKey(FerriageError):
    """Not a WireGuard public key."""

    slug = "bad-public-key"
    status = 422


class KeyInUse(FerriageError):
    """Another device, or a gateway, has this key."""

    slug = "key-in-use"


class NothingBought(FerriageError):
    """The subscription holds no term now."""

    slug = "nothing-bought"


class NotAllowed(FerriageError):
    """The register lets this customer use no line of the plan; `verdicts` by line say why."""

    slug = "not-allowed"
    status = 403

    def __init__(self, message: object, remedy: object, verdicts: Mapping[str, Verdict]) -> None:
        super().__init__(message, remedy)
        self.verdicts = verdicts


class NameWrong(FerriageError):
    """A device's name that is too long or taken."""

    slug = "device-name"
    status = 422


class AddedAlready(FerriageError):
    """The same form was sent before; `device` is what it added then."""

    slug = "added-already"

    def __init__(self, device: Device) -> None:
        super().__init__(_("This device was added already."), _("See it on your account page."))
        self.device = device


def add_device(
    *,
    subscription: Subscription,
    public_key: str,
    now: datetime,
    actor: Actor,
    name: str = "",
    platform: str = "",
    asked: str = "",
) -> Device:
    """Register a device and tell the gateways of its lines.

    Args:
        asked: A hash that names the request, if it may come twice; it adds one device only.

    Raises:
        AddedAlready: A request of this name added one before.
        BadPublicKey: Not base64 of 32 bytes.
        KeyInUse: The key is registered, or a gateway's.
        NothingBought: No term runs now.
        DeviceLimitReached: The plan's number of devices is registered.
        AddedTooOften: So many were added today already that it looks like a loop.
        NotAllowed: The register lets the customer use no line of the plan.
        NameWrong: Too long, or another device of the subscription has it.
        NoRoom: The gateways of one of its lines can serve no more.
    """
    with writing():
        _refuse_twice(subscription, asked)
        _check_key(public_key)
        taken = devices_of(subscription)
        _check_room(subscription, len(taken), now)
        lines = _check_register(subscription, now)
        name = _name(name.strip(), {device.name for device in taken})
        slot, ip4, ip6 = take_address(now)
        device = Device.objects.create(
            subscription=subscription,
            name=name,
            platform=platform,
            public_key=public_key,
            asked=asked,
            slot=slot,
            ip4=ip4,
            ip6=ip6,
            created_on=now.date(),
        )
        placing.place(device=device, lines=lines, now=now)
        refresh(subscription=subscription, now=now, actor=actor)
        audit.record(now=now, actor=actor, action="device.added")
    device.refresh_from_db()
    return device


def replace_key(*, device: Device, public_key: str, now: datetime, actor: Actor) -> Device:
    """Give a device another key and nothing else; files with the old one stop working at once.

    Raises:
        BadPublicKey: Not base64 of 32 bytes.
        KeyInUse: The key is registered, or a gateway's.
        AddedTooOften: So many devices and keys were new today already that it looks like a loop.
        StaleState: It was removed, or another writer was first.
    """
    held = device.subscription
    with writing():
        _check_key(public_key)
        refuse_waste(held, places=plans.device_limit(held, now=now), now=now)
        same = Device.objects.filter(
            pk=device.pk, removed_at__isnull=True, generation=device.generation
        )
        generation = device.generation + 1
        if not same.update(public_key=public_key, generation=generation, **rekeyed(device, now)):
            raise StaleState(_("This device was changed just now."), _("Look again."))
        refresh(subscription=held, now=now, actor=actor)
        audit.record(now=now, actor=actor, action="device.key_replaced")
    device.refresh_from_db()
    return device


def remove_device(*, device: Device, now: datetime, actor: Actor) -> Device:
    """Take a device away from all gateways and free its place.

    Raises:
        StaleState: It was removed before.
    """
    with writing():
        changed = Device.objects.filter(pk=device.pk, removed_at__isnull=True).update(
            removed_at=now, remove_at=None
        )
        if changed != 1:
            raise StaleState(_("This device was removed already."))
        _forget([device], now)
        placing.leave([device])
        # Another one may have been one too many until now.
        refresh(subscription=device.subscription, now=now, actor=actor)
        audit.record(now=now, actor=actor, action="device.removed")
    device.removed_at = now
    return device


def refresh(*, subscription: Subscription, now: datetime, actor: Actor) -> None:  # noqa: ARG001 -- as every action is called
    """Tell the gateways what the subscription's devices may do now; nothing if they know.

    Written from posted periods and the register alone, so it may be called at any time.
    """
    with joining():
        refresh_all(subscriptions=[subscription.pk], now=now)


def refresh_all(*, subscriptions: Sequence[int], now: datetime) -> int:
    """Refresh many subscriptions, by primary key, with a fixed number of statements a pool.

    Returns:
        How many records were written to pools' feeds.
    """
    with joining():
        devices = to_refresh(subscriptions)
        if not devices:
            return 0
        register = load_register()
        pools = placing.pools_of(devices, now)
        wanted: dict[int, dict[str, wire.Device]] = defaultdict(dict)
        stopped = plans.held_now(subscriptions)
        before: Counter[int] = Counter()
        for device in devices:
            until = _place_until(device, before[device.subscription_id], now)
            before[device.subscription_id] += 1
            usable = pools[device.pk]
            is_stopped = device.subscription_id in stopped
            _decide(device, usable, register, wanted, until, now, is_stopped=is_stopped)
        Device.objects.bulk_update(devices, _DECIDED, batch_size=500)
        return _tell(devices, wanted, now)


def verdicts_on(
    lines: Iterable[Line], *, place: str, register: Register, now: datetime
) -> dict[str, Verdict]:
    """Judge lines for customers of one place; keyed by line code."""
    return {
        line.code: register.judge(line=line_facts(line), at=now, customer_place=place)
        for line in lines
    }


def _place_until(device: Device, rank: int, now: datetime) -> datetime | None:
    """Return the instant from which a device is one too many, if there is one.

    The oldest keep their places. Which of them stay is the customer's choice: by removing others.
    """
    subscription = device.subscription
    periods = plans.posted_periods(subscription)
    return entitlement.place_until(
        periods, of_plan=subscription.plan.device_limit, rank=rank, now=now
    )


def _decide(
    device: Device,
    lines: Mapping[Line, int],
    register: Register,
    wanted: dict[int, dict[str, wire.Device]],
    place_until: datetime | None,
    now: datetime,
    *,
    is_stopped: bool,
) -> None:
    """Set a device's own columns and add its record to its pool, by primary key, of each line."""
    subscription = device.subscription
    account = subscription.account
    verdicts = verdicts_on(lines, place=account.place, register=register, now=now)
    told = device.hold_at
    device.ruling = state.ruling(verdicts.items())
    # A hold that began stays known after its peer is gone, lest it began anew.
    device.hold_at = told if told is not None and told <= now else None
    device.remove_at = device.quota_ends_at = device.language_due_at = None
    quota, quota_ends_at = state.quota_of(subscription, now)
    for line in lines:
        held = state.right(
            periods=plans.posted_periods(subscription),
            verdict=verdicts[line.code],
            place_until=place_until,
            hold_length=site.hold_length(),
            told_hold_at=told,
            now=now,
        )
        if held is not None and is_stopped:
            held = state.stopped(held, told_hold_at=told, hold_length=site.hold_length(), now=now)
        if held is None:
            continue
        if account.account_class != "public" and held.reason == "term":
            held = replace(held, reason="staff")  # named people have nothing to renew
        record = state.record(device, subscription.plan, held, account.language, quota)
        wanted[lines[line]][device.code] = record
        if device.remove_at is None or held.remove_at > device.remove_at:
            device.hold_at, device.remove_at = held.hold_at, held.remove_at
            device.hold_reason = held.reason
            device.quota_ends_at = quota_ends_at


def _tell(
    devices: Sequence[Device], wanted: dict[int, dict[str, wire.Device]], now: datetime
) -> int:
    """Write to each pool's feed what differs from what it holds; pools by primary key."""
    codes = [device.code for device in devices]
    holding: dict[int, dict[str, str]] = defaultdict(dict)
    rows = PoolCurrent.objects.filter(subject__in=codes, kind="put")
    for pool_pk, code, payload in rows.values_list("pool_id", "subject", "payload"):
        holding[pool_pk][code] = payload
    written = 0
    for pool in Pool.objects.filter(pk__in={*wanted, *holding}).order_by("pk"):
        items: list[feed.FeedItem] = [
            feed.FeedDel(code) for code in holding[pool.pk] if code not in wanted[pool.pk]
        ]
        items += [
            feed.FeedPut(record)
            for code, record in wanted[pool.pk].items()
            if _held_record(holding[pool.pk].get(code)) != record
        ]
        if items:
            feed.append(pool=pool, items=items, now=now)
            written += len(items)
    return written


def _held_record(payload: str | None) -> wire.Device | None:
    return wire.decode(payload, wire.Put).device if payload else None


def forget_due(*, now: datetime, limit: int = 500) -> int:
    """Take away the peers whose hold is over; the devices stay registered for a renewal."""
    with writing():
        due = list(Device.objects.filter(remove_at__lte=now).order_by("pk")[:limit])
        _forget(due, now)
        Device.objects.filter(pk__in=[device.pk for device in due]).update(remove_at=None)
    return len(due)


def _forget(devices: Sequence[Device], now: datetime) -> None:
    _tell(devices, defaultdict(dict), now)


# --- checks -----------------------------------------------------------------------------------


def _refuse_twice(subscription: Subscription, asked: str) -> None:
    before = Device.objects.filter(subscription=subscription, asked=asked).first()
    if asked and before is not None:
        raise AddedAlready(before)


def _check_key(public_key: str) -> None:
    if not is_public_key(public_key):
        raise BadPublicKey(
            _("This is not a WireGuard public key."),
            _("Paste the 44 characters that end in “=”; nothing was added."),
        )
    used = Device.objects.filter(public_key=public_key, removed_at__isnull=True).exists()
    if used or Gateway.objects.filter(wireguard_key=public_key).exists():
        raise KeyInUse(
            _("This key is registered already."),
            _("Every device needs a key of its own: make a new one."),
        )


def _check_room(subscription: Subscription, registered: int, now: datetime) -> None:
    fresh = Subscription.objects.select_related("plan").get(pk=subscription.pk)
    if plans.subscription_end(fresh).is_over(now):
        raise NothingBought(
            _("The paid time of this subscription is over."), _("Renew it, then add the device.")
        )
    limit = plans.device_limit(fresh, now=now)
    if registered >= limit:
        raise DeviceLimitReached(
            _("Your plan has room for %(limit)d devices, and all are taken.") % {"limit": limit},
            _("Remove one that you do not use any more; nothing was added."),
        )
    refuse_waste(subscription, places=limit, now=now)


def _check_register(subscription: Subscription, now: datetime) -> list[Line]:
    """Return the plan's lines, once the register was asked of them as for every customer."""
    register = load_register()
    place = subscription.account.place
    lines = plans.usable_by(plans.lines_of(subscription.plan), subscription.account.account_class)
    verdicts = verdicts_on(lines, place=place, register=register, now=now)
    if any(verdict.allowed for verdict in verdicts.values()):
        return lines
    language = get_language() or "en"
    texts = [sentences(verdict, register.packs) for verdict in verdicts.values()]
    raise NotAllowed(
        _("No line of your plan may be used from where you are now; nothing was added."),
        " ".join(text.get(language, text["en"]) for text in texts),
        verdicts,
    )


def _name(wanted: str, taken: set[str]) -> str:
    if len(wanted) > LONGEST_NAME or wanted in taken:
        raise NameWrong(
            _("A device needs a name of its own, of at most %(longest)d characters.")
            % {"longest": LONGEST_NAME},
            _("Choose another one, or leave it empty; nothing was added."),
        )
    return wanted or new_name(taken)
