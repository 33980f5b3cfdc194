"""Words for the slugs that rooms below give as reasons; customers and staff read the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Mapping

REASONS: Final[Mapping[str, object]] = {
    # why an order does not take money
    "order-fulfilled": _("the order was paid already"),
    "order-expired": _("the order had run out"),
    "order-cancelled": _("the order was cancelled"),
    "not-authorised": _("the register does not allow this sale any more"),
    "term-outlives-approval": _("the term would have run past the end of the line's approval"),
    "place-contradicted": _("the payment came from a place where this may not be sold"),
    "other-plan-held": _("the customer holds another plan of the service"),
    "change-overtaken": _("what was left of the other plan was used otherwise meanwhile"),
    "addon-overtaken": _("the term that it was for is over"),
    # why money fits no order
    "unknown-reference": _("nobody was given this reference"),
    "unknown-order": _("it names no order of ours"),
    "two-references": _("it quotes the references of two orders"),
    "no-reference": _("it quotes no reference"),
    "reference-mistyped": _("the reference has a mistake in it"),
    "other-currency": _("the money is of another currency"),
    "too-little": _("it is less than the order asks for"),
    "too-much": _("it is more than the order asks for"),
    # why a payment that was begun brought nothing yet
    "declined": _("it was declined"),
    # why a subscription is held
    "payment-disputed": _("a payment is disputed"),
    # why money goes back
    "unallocated": _("it belonged to no order"),
    "The payment was taken back": _("the payment was taken back"),
    "ended early": _("the subscription was ended early"),
    "top-up returned": _("it was on your balance and you asked for it"),
    "balance paid back": _("it was on your balance"),
    "gift not used up": _("a gift of yours was not used to its end"),
    # how a balance moves
    "topup": _("top-up"),
    "topup-returned": _("top-up, sent back"),
    "paid-back": _("paid back"),
    "balance-spent": _("paid for an order"),
    "balance-returned": _("unused time of an order"),
    "gift-returned": _("a gift of yours that was not used to its end"),
    "credited": _("a payment that belonged to no order"),
    "opening": _("brought along from before"),
    "opening-undone": _("brought along from before, taken back"),
    "change": _("left over from a change of plan"),
    "taken-back": _("a payment that was taken back"),
}


_WRITTEN: Final[tuple[tuple[re.Pattern[str], object], ...]] = (
    (re.compile("Withdrawal from the contract"), _("Withdrawal from the contract")),
    (re.compile(r"Changed by (?P<of>ord_\w+)"), _("Changed by %(of)s")),
    (
        re.compile(r"No line may serve it since (?P<of>[\dT:Z-]+)"),
        _("No line may serve it since %(of)s"),
    ),
    (re.compile(r"Came over from (?P<of>.+)"), _("Came over from %(of)s")),
)
"""What actions write as the reason of a period, and the same in words of the reader's language."""


def reason(slug: str) -> str:
    """Return a reason in words, or as it is where it was written by a person."""
    for pattern, text in _WRITTEN:
        if found := pattern.fullmatch(slug):
            return str(text) % found.groupdict()
    return str(REASONS.get(slug, slug))


def size(count: int) -> str:
    """Return a number of bytes in the largest decimal unit, rounded down to one decimal."""
    unit, name = next((pair for pair in _UNITS if count >= pair[0]), _UNITS[-1])
    tenths = count * 10 // unit
    return f"{tenths // 10} {name}" if tenths % 10 == 0 else f"{tenths / 10:.1f} {name}"


_UNITS: Final = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "B"))
