"""Guesses for money that names no order: a reference with one slip of the pen in it.

A guess settles nothing. It is shown to staff, who look and decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ferriage.core import codes
from ferriage.orders.models import Order
from ferriage.payments.models import Payment
from ferriage.payments.providers.bank.reference import LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

_MOST: Final = 2000
"""So many awaited transfers are looked through, the newest ones."""


def awaited(now: datetime) -> list[Payment]:
    """Return the transfers that are waited for, newest first."""
    pending = Payment.objects.filter(
        state=Payment.State.PENDING,
        reference__isnull=False,
        order__state=Order.State.OPEN,
        order__expires_at__gt=now,
    )
    return list(pending.select_related("order__plan__service").order_by("-pk")[:_MOST])


def nearly(text: str, among: Sequence[Payment]) -> Payment | None:
    """Return the one awaited transfer whose reference the text holds with a single slip.

    A slip is one wrong, missing or added character, or two neighbours swapped. Two transfers that
    would do are no guess.
    """
    stretches = _stretches(codes.normalise(text))
    if not stretches:
        return None
    found = [one for one in among if not stretches.isdisjoint(_slips(one.reference or ""))]
    return found[0] if len(found) == 1 else None


def _stretches(plain: str) -> set[str]:
    return {
        plain[start : start + length]
        for length in (LENGTH - 1, LENGTH, LENGTH + 1)
        for start in range(len(plain) - length + 1)
    }


def _slips(reference: str) -> Iterator[str]:
    """Yield every text that is one slip away from a reference."""
    for place in range(len(reference) + 1):
        before, after = reference[:place], reference[place:]
        if after:
            yield before + after[1:]
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
        for char in codes.ALPHABET:
            yield before + char + after
            if after:
                yield before + char + after[1:]
