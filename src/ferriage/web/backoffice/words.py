"""Words for the slugs that rooms below give as outcomes."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

OUTCOMES: Final = {
    "settled": _("Booked: the order is paid and fulfilled."),
    "refund": _("Booked; the order could not take it, so a refund is queued."),
    "unallocated": _("Booked as money without an order."),
    "duplicate": _("This receipt was booked before. Nothing was done."),
}
