"""On which line something is sold, and the refusals where it is on none.

Source: docs/explanation/money.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core.errors import FerriageError
from ferriage.fleet import actions as fleet
from ferriage.plans import queries as plan_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.approvals.facts import Verdict
    from ferriage.plans.models import Plan
    from ferriage.plans.queries import OfferView


class NotOnSale(FerriageError):
    """No line of the plan may be sold to this customer now; `verdict` says why."""

    slug = "not-on-sale"

    def __init__(self, verdict: Verdict | None) -> None:
        super().__init__(
            _("This plan is not on sale in the place you chose."),
            _("The line's page says what is missing."),
        )
        self.verdict = verdict


class TermOutlivesApproval(FerriageError):
    """The term would run past the end of the approvals that its line rests on (rule R4).

    `sold_until` is how far a term may run at most.
    """

    slug = "term-outlives-approval"

    def __init__(self, sold_until: datetime) -> None:
        super().__init__(
            _("This term would run too long: the approval of its line ends on %(end)s.")
            % {"end": f"{sold_until:%Y-%m-%d %H:%M} UTC"},
            _("Choose a term that ends before, if there is one."),
        )
        self.sold_until = sold_until


def check_on_sale(plan: Plan, place: str, ends_at: datetime, now: datetime) -> OfferView:
    """Return the offer on which something that ends at an instant may be sold now.

    Raises:
        NotOnSale: The register, or a line's state, does not allow the sale.
        TermOutlivesApproval: It would end after the approvals that it rests on.
    """
    chosen = best_offer(plan, place, now)
    if chosen is None or not chosen.sells(ends_at):
        raise _not_sold(chosen)
    return chosen


def check_room(plan: Plan, *, of: Plan | None = None) -> None:
    """Refuse a plan whose devices would find no room on one of its lines.

    Args:
        of: The plan held already: on its lines the devices have their places.

    Raises:
        NoRoom: The line's gateways can serve no more.
    """
    known = plan_queries.lines_of(of) if of else []
    for line in plan_queries.lines_of(plan):
        if line not in known:
            fleet.check_room(line=line, count=plan.device_limit)


def best_offer(plan: Plan, place: str, now: datetime) -> OfferView | None:
    """Return the plan's offer on sale in a place that lasts longest, else the first that is not.

    Among those not sold, one that only ran out of time says best what can be done.
    """
    return best_of(plan_queries.offers_of(plan=plan, now=now, place=place))


def best_of(judged: Sequence[OfferView]) -> OfferView | None:
    """Return the best of a plan's offers that were judged already."""
    run_out = (view for view in judged if view.runs_out)
    return plan_queries.longest_on_sale(judged) or next(run_out, next(iter(judged), None))


def outlives(chosen: OfferView | None) -> bool:
    """Tell whether an offer that does not sell a term would sell a shorter one, or did."""
    return chosen is not None and (chosen.state == "on_sale" or chosen.runs_out)


def _not_sold(chosen: OfferView | None) -> NotOnSale | TermOutlivesApproval:
    if chosen is not None and chosen.sold_until is not None and outlives(chosen):
        return TermOutlivesApproval(chosen.sold_until)
    return NotOnSale(chosen.verdict if chosen else None)
