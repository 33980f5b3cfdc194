"""How fast a plan is and how much it gives in a month: what was sold only ever grows.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.plans import queries
from ferriage.plans.actions.plain import CatalogueWrong
from ferriage.plans.models import Plan, Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor

SLOWEST_BPS: Final = 8000
LEAST_BYTES: Final = 1_000_000


def check(rate_down_bps: int, rate_up_bps: int, quota_bytes: int | None) -> None:
    """Refuse speeds and a quota that no plan may have.

    Raises:
        CatalogueWrong: A speed below 8 kbit/s, or a quota below 1 MB.
    """
    if min(rate_down_bps, rate_up_bps) < SLOWEST_BPS:
        raise CatalogueWrong(_("A plan has speeds of at least 8 kbit/s."))
    if quota_bytes is not None and quota_bytes < LEAST_BYTES:
        raise CatalogueWrong(
            _("A quota is at least 1 MB a month."), _("Leave it empty for any amount.")
        )


def set_limits(
    *,
    plan: Plan,
    rate_down_bps: int,
    rate_up_bps: int,
    quota_bytes: int | None,
    now: datetime,
    actor: Actor,
) -> Plan:
    """Set a plan's speeds and quota, for everybody who holds it and who buys it from now on.

    The caller tells the gateways. What somebody may have paid for never becomes less: once a plan
    has or had a price, or somebody holds it, its speeds and its quota only grow. People of a
    closed service paid nothing, so theirs may be set to anything.

    Raises:
        CatalogueWrong: As `check`, or less of something than before on a plan that was sold.
    """
    check(rate_down_bps, rate_up_bps, quota_bytes)
    with writing():
        fresh = Plan.objects.get(pk=plan.pk)
        less = (
            rate_down_bps < fresh.rate_down_bps
            or rate_up_bps < fresh.rate_up_bps
            or is_less(quota_bytes, fresh.quota_bytes)
        )
        if less and is_promised(fresh):
            raise CatalogueWrong(
                _("This plan has been sold as it is; what its customers get cannot become less."),
                _("Make another plan with the limits you want, and withdraw this one."),
            )
        limits = {
            "rate_down_bps": rate_down_bps,
            "rate_up_bps": rate_up_bps,
            "quota_bytes": quota_bytes,
        }
        Plan.objects.filter(pk=plan.pk).update(**limits)
        audit.record(now=now, actor=actor, action="plan.limits_set", subject=plan.code, **limits)
    plan.refresh_from_db()
    return plan


def is_less(quota_bytes: int | None, than: int | None) -> bool:
    """Tell whether a quota gives less than another one; None gives any amount."""
    return quota_bytes is not None and (than is None or quota_bytes < than)


def is_promised(plan: Plan) -> bool:
    """Tell whether somebody may have paid for what a plan gives."""
    if queries.is_closed(plan):
        return False
    return plan.prices.exists() or Subscription.objects.filter(plan=plan).exists()
