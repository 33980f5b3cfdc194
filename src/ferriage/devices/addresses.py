"""Inner addresses: one slot a device, and a rest before anybody else gets it."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError, StaleState
from ferriage.core.models import SiteState
from ferriage.devices.models import Device

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.plans.models import Subscription

ADDRESS_REST: Final = timedelta(days=35)
"""How long an inner address rests after its device was removed, before it is given again."""


_AGAIN_A_DAY: Final = 4
"""How often a day each of a subscription's places may be given to another device."""


class AddedTooOften(FerriageError):
    """A subscription used up its new addresses of the day."""

    slug = "added-too-often"


class NoAddressLeft(FerriageError):
    """The inner network is full."""

    slug = "no-address-left"


def refuse_waste(subscription: Subscription, *, places: int, now: datetime) -> None:
    """Refuse one more device where so many were added and removed today that it looks like a loop.

    Each takes an address that rests for 35 days afterwards, and a line in what gateways are told.

    Args:
        places: How many devices the subscription may have at a time.

    Raises:
        AddedTooOften: All its addresses of this day, in UTC, are used up.
    """
    today = Device.objects.filter(subscription=subscription, created_on=now.date()).count()
    if today >= places * (_AGAIN_A_DAY + 1):
        raise AddedTooOften(
            _("%(count)d devices were added to this subscription today, most of them removed.")
            % {"count": today},
            _("Wait until tomorrow, or use a device that is there; nothing was added."),
        )


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
