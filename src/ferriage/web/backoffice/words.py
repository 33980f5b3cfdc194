"""Words for the slugs that rooms below give as outcomes."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

OUTCOMES: Final = {
    "settled": _("Booked: the order is paid and fulfilled."),
    "refund": _("Booked; the order could not take it, so a refund is queued."),
    "unallocated": _("Booked as money without an order."),
    "returned": _("Booked: a bank had taken it back, and the service goes on."),
    "duplicate": _("This receipt was booked before. Nothing was done."),
}

WAITS: Final = _("It waits for a second person, and does nothing until then.")

EXPECTED: Final = {
    "known": _("was posted before"),
    "settles": _("pays its order"),
    "refused": _("its order cannot take it: refund"),
    "other-amount": _("names an order of another amount: suspense"),
    "not-open": _("names an order that is not open, of another amount: suspense"),
    "duplicate": _("was booked by hand before"),
    "returned": _("came again after the bank had taken it back"),
    "reseller": _("paid by a reseller"),
    "payout": _("a provider's payout, booked from its own books"),
    "unallocated": _("names no order: suspense"),
    "refund": _("a refund"),
    "recall": _("takes a payment back: its service is held"),
    "sent-back": _("takes back money that no order took"),
    "fee": _("the bank's fee"),
    "waits": _("waits for you"),
}
"""What posting a line of a statement would do."""

LINE_OUTCOMES: Final = {
    "": _("not booked yet"),
    "settled": _("paid its order"),
    "refund": _("its order could not take it: refund queued"),
    "unallocated": _("money without an order"),
    "duplicate": _("was booked by hand before"),
    "reseller": _("paid by a reseller"),
    "payout": _("a provider's payout, booked from its own books"),
    "refund-paid": _("paid a refund"),
    "refund-returned": _("a refund that came back; it is queued again"),
    "recalled": _("took a payment back; its service is held until you decide"),
    "returned": _("came again after the bank had taken it back"),
    "fee": _("the bank's fee"),
    "other": _("booked by staff"),
    "noted": _("was booked on another page already"),
}
"""What a line of a statement came to."""

OTHER_ACCOUNTS: Final = {
    "expenses:fees": _("a fee of the bank"),
    "expenses:other": _("another expense"),
    "equity:owner": _("taken out by the owner"),
    "already": _("booked on another page already, such as a payout or a bill"),
    "own": _("money of its own: book it like any other"),
}
"""What staff book a line to that belongs to nothing else."""
