"""Inner addresses: one slot a device, and a rest before anybody else gets it."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, Max, Q, Sum
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.models import SiteState
from ferriage.devices.models import Device

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.plans.models import Subscription

ADDRESS_REST: Final = timedelta(days=35)
"""How long an inner address rests after its device was removed, before it is given again."""


AGAIN_A_DAY: Final = 4
"""How often a day each of a subscription's places may be given to another device or key."""


class AddedTooOften(FerriageError):
    """A subscription used up its new devices and keys of the day."""

    slug = "added-too-often"


class NoAddressLeft(FerriageError):
    """The inner network is full."""

    slug = "no-address-left"


def refuse_waste(subscription: Subscription, *, places: int, now: datetime) -> None:
    """Refuse one more device or key where there were so many today that it looks like a loop.

    Each device takes an address that rests for 35 days afterwards, and each device and each key is
    a line in what gateways are told. They count together, also those that were removed since.

    Args:
        places: How many devices the subscription may have at a time.

    Raises:
        AddedTooOften: All of this day, in UTC, are used up.
    """
    today = now.date()
    counted = Device.objects.filter(subscription=subscription).aggregate(
        added=Count("pk", filter=Q(created_on=today)),
        rekeyed=Sum("rekeyed", filter=Q(rekeyed_on=today), default=0),
    )
    done = counted["added"] + counted["rekeyed"]
    if done >= places * (AGAIN_A_DAY + 1):
        raise AddedTooOften(
            _("%(count)d devices and keys were added to this subscription today.")
            % {"count": done},
            _(
                "No more are added on one day. Do it again from %(at)s on; nothing was changed, "
                "and devices that are there go on as before."
            )
            % {"at": f"{today + timedelta(days=1):%Y-%m-%d} 00:00 UTC"},
        )


def rekeyed(device: Device, now: datetime) -> dict[str, Any]:
    """Return the columns of a device that say how often its key was changed on this day."""
    today = now.date()
    before = device.rekeyed if device.rekeyed_on == today else 0
    return {"rekeyed_on": today, "rekeyed": before + 1}


def take_address(now: datetime) -> tuple[int, str, str]:
    """Return a slot and its inner addresses, inside the caller's transaction.

    Raises:
        NoAddressLeft: All are taken, or were too lately.
        StaleState: Another writer took the same one.
    """
    site_state = SiteState.objects.get()
    network4 = ipaddress.IPv4Network(site_state.inner4)
    network6 = ipaddress.IPv6Network(site_state.inner6)
    slot = site_state.next_slot
    if slot < network4.num_addresses - 1:
        changed = SiteState.objects.filter(next_slot=slot).update(next_slot=slot + 1)
        if changed != 1:
            raise StaleState(_("Somebody else took this address first."), _("Repeat it."))
    else:
        slot = _rested_slot(now)
    return slot, str(network4[slot]), str(network6[slot])


def _rested_slot(now: datetime) -> int:
    """Return the slot that rests longest, at least 35 days."""
    live = Device.objects.filter(removed_at__isnull=True).values("slot")
    rested = (
        Device.objects.exclude(slot__in=live)
        .values("slot")
        .annotate(freed=Max("removed_at"))
        .filter(freed__lte=now - ADDRESS_REST)
        .order_by("freed")
        .values_list("slot", flat=True)
        .first()
    )
    if rested is None:
        raise NoAddressLeft(
            _("All inner addresses are taken."),
            _("That of a device which is removed is free again after 35 days."),
        )
    return int(rested)
