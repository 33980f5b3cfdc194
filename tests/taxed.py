"""A till whose shop charges tax in the invented place: 19 percent, included in every price."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from ferriage.approvals.models import Party
from ferriage.orders.actions import taxes
from yard import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.orders.models import TaxSetup

ADDRESS = "Quay 1\n10000 Demo Town"


def set_up(now: datetime, **differently: object) -> TaxSetup:
    """Say that the shop's operator charges tax at home, in XD."""
    typed: dict[str, object] = {
        "regime": "domestic",
        "home_place": "XD",
        "address": ADDRESS,
        "tax_id": "XD123456789",
        **differently,
    }
    party = Party.objects.order_by("pk").first()
    assert party is not None
    return taxes.set_up_tax(party=party, now=now, actor=OWNER, **typed)  # type: ignore[arg-type] -- typed above


def confirm(now: datetime, place: str = "XD", rate_bps: int = 1900) -> None:
    """Confirm the place's rate."""
    taxes.confirm_rate(
        place=place,
        rate_bps=rate_bps,
        from_on=date(2026, 1, 1),
        source="The authority's page",
        now=now,
        actor=OWNER,
    )


def charge(now: datetime, rate_bps: int = 1900) -> None:
    """Do both."""
    set_up(now)
    confirm(now, rate_bps=rate_bps)
