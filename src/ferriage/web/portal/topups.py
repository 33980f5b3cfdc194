"""What may be put on a balance, as the operator's settings say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from ferriage.core.money import Money

if TYPE_CHECKING:
    from ferriage.config import ShopConfig


@dataclass(frozen=True, slots=True)
class TopUps:
    """The amounts to choose from, and between which others may be typed (None: no others)."""

    amounts: tuple[Money, ...]
    least: Money | None
    most: Money | None

    def read(self, chosen: str, typed: str) -> Money | None:
        """Return the amount that was chosen, or typed within the bounds; None for any other."""
        for money in self.amounts:
            if money.decimal() == chosen:
                return money
        if self.least is None or self.most is None or not typed.strip():
            return None
        try:
            money = Money.parse(typed, self.least.currency)
        except ValueError:
            return None
        within = self.least.amount_minor <= money.amount_minor <= self.most.amount_minor
        return money if within else None


def offered() -> TopUps | None:
    """Return what this shop takes in advance; None if nothing."""
    shop: ShopConfig = settings.FERRIAGE.shop
    currency = shop.topup_currency
    if not currency:
        return None
    amounts = tuple(Money.parse(amount, currency) for amount in shop.topup_amounts)
    bounds = [shop.topup_least, shop.topup_most]
    least, most = (Money.parse(text, currency) if all(bounds) else None for text in bounds)
    return TopUps(amounts, least, most) if amounts or least else None
