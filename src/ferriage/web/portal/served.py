"""Refusals where no gateway serves what somebody buys or uses: an order or a file for nothing.

Source: docs/decisions/0073-nothing-sold-that-no-gateway-serves.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError
from ferriage.devices import queries as devices
from ferriage.fleet.queries import served
from ferriage.plans import queries as plans

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.devices.models import Device
    from ferriage.plans.models import Plan, Subscription

WHY_NOT_SOLD = _("No gateway serves this line yet, so there is nothing to reach.")


class NotServed(FerriageError):
    """No gateway is there that a device could reach."""

    slug = "not-served"


def check_sold(plan: Plan, *, now: datetime) -> None:
    """Refuse an order for a plan of which no line on sale has a gateway that is enrolled.

    Where no line is on sale the register has the word, not this.

    Raises:
        NotServed: There is none.
    """
    on_sale = [view.line for view in plans.offers_of(plan=plan, now=now) if view.state == "on_sale"]
    if not on_sale or served(on_sale):
        return
    raise NotServed(
        _("No gateway serves this plan yet, so the shop takes no order for it."),
        _("Come back later, or ask whoever runs the shop; nothing was charged."),
    )


def check_addable(subscription: Subscription) -> None:
    """Refuse a device for which there would be no file, and whose only private key would be lost.

    Raises:
        NotServed: No gateway takes new devices of the plan.
    """
    if not devices.gets_files(subscription):
        raise _no_file(_("Come back later; the shop is told. No device was added."))


def check_new_file(device: Device) -> None:
    """Refuse a new key for a device for which there would be no file.

    Raises:
        NotServed: No gateway of its lines is named in new files.
    """
    if not devices.placements(device):
        raise _no_file(_("Come back later; the shop is told. The device keeps its key."))


def _no_file(remedy: object) -> NotServed:
    return NotServed(
        _("No gateway takes this plan’s devices now, so there is no file to make."), remedy
    )
