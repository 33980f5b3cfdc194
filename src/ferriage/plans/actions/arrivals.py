"""Time for many new accounts at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.plans import queries
from ferriage.plans.actions.rights import TermWrong, WrongClass
from ferriage.plans.models import Period, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor
    from ferriage.plans.models import Plan


@dataclass(frozen=True, slots=True)
class FirstGrant:
    """A plan until an instant, for an account that holds nothing yet."""

    account: Account
    plan: Plan
    ends_at: datetime


def grant_first(
    *,
    grants: Sequence[FirstGrant],
    reason: str,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> list[Subscription]:
    """Give time from now on to accounts of the public that hold nothing, with a reason.

    The number of statements does not depend on the number of accounts.

    Args:
        grants: One for each account.
        source_code: What they all come from.

    Raises:
        TermWrong: No reason, or an end that has passed; nobody got anything.
        WrongClass: A line of a plan is for named people only.
    """
    if not reason.strip() or any(grant.ends_at <= now for grant in grants):
        raise TermWrong(_("A grant needs a reason, and an end after its start."))
    with writing():
        if any(queries.is_closed(plan) for plan in {grant.plan for grant in grants}):
            raise WrongClass(_("This plan is for invited, named people only."))
        made = Subscription.objects.bulk_create(
            [
                Subscription(
                    account=grant.account,
                    service_id=grant.plan.service_id,
                    plan=grant.plan,
                    anchor_at=now,
                    quota_anchor_at=now,
                )
                for grant in grants
            ]
        )
        Period.objects.bulk_create(
            [
                Period(
                    subscription=subscription,
                    kind=Period.Kind.GRANT,
                    starts_at=now,
                    ends_at=grant.ends_at,
                    source_code=source_code,
                    reason=reason,
                    posted_at=now,
                )
                for subscription, grant in zip(made, grants, strict=True)
            ]
        )
        audit.record(
            now=now,
            actor=actor,
            action="terms.granted",
            subject=source_code,
            reason=reason,
            number=len(grants),
        )
    return made
