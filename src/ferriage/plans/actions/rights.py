"""Who holds what is sold: terms bought, granted, ended early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.compiled import insert
from ferriage.core.db import joining, writing
from ferriage.core.errors import FerriageError
from ferriage.plans import queries, quota, several
from ferriage.plans.actions import changes
from ferriage.plans.actions.plain import change_once
from ferriage.plans.models import Period, Plan, Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.actors import Actor


class TermWrong(FerriageError):
    """A stretch that cannot be granted or ended as it was asked for."""

    slug = "term-wrong"
    status = 422


class OtherPlanHeld(FerriageError):
    """The account holds another plan of the same service."""

    slug = "other-plan-held"


class WrongClass(FerriageError):
    """A right that only named people of a closed service may have."""

    slug = "wrong-class"
    status = 403


class Frozen(FerriageError):
    """Days stand still because no line may serve the customer; nothing is added to them."""

    slug = "frozen"


class NothingToEnd(FerriageError):
    """The subscription holds nothing after the instant."""

    slug = "nothing-to-end"


@dataclass(frozen=True, slots=True)
class Extension:
    """A subscription and the stretch that was added to it."""

    subscription: Subscription
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A subscription that ends at `at`; it would have ended at `previous_end` (None: never)."""

    subscription: Subscription
    at: datetime
    previous_end: datetime | None


def extend(
    *,
    account: Account,
    plan: Plan,
    subscription: Subscription | None,
    term_months: int,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> Extension:
    """Add one term to a subscription of the account's, or begin one.

    Boundaries are counted from the subscription's anchor, so an early renewal loses no day and
    31 January, renewed monthly, comes back to the 31st.

    Where the plan is the one that it changes to at its end, that becomes certain.

    Args:
        subscription: The one it goes onto; None begins another one.
        source_code: The order; the same one never extends twice (by unique constraint).

    Raises:
        OtherPlanHeld: The subscription is of another plan, and not over.
        Frozen: Its days stand still; let them go on first.
        StaleState: Another writer extended it first.

    Source: docs/explanation/terms.md
    """
    with joining():
        subscription = _fresh(subscription)
        _refuse_frozen(subscription)
        refuse_other_plan(subscription, plan, now)
        following = queries.preview(subscription=subscription, term_months=term_months, now=now)
        holds = changes.settle_planned(subscription, plan, source_code, following.starts_at, now)
        subscription = _hold(subscription, account, holds, following.anchor_at, following.starts_at)
        insert(
            Period(
                subscription=subscription,
                kind=Period.Kind.PURCHASE,
                starts_at=following.starts_at,
                ends_at=following.ends_at,
                source_code=source_code,
                posted_at=now,
            )
        )
        audit.record(
            now=now,
            actor=actor,
            action="term.extended",
            subject=source_code,
            ends_at=following.ends_at.isoformat(),
        )
    return Extension(subscription, following.starts_at, following.ends_at)


def grant(  # noqa: PLR0913 -- what a grant is made of
    *,
    account: Account,
    plan: Plan,
    subscription: Subscription | None,
    starts_at: datetime,
    ends_at: datetime | None,
    reason: str,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> Subscription:
    """Give a stretch for nothing, with a reason; `ends_at` None is without end.

    Args:
        subscription: The one it goes onto; None begins another one.

    Raises:
        TermWrong: No reason, it ends before it starts, or leaves a gap after what is held.
        WrongClass: A line of the plan, or a grant without end, is not for this account's class.
        OtherPlanHeld: The subscription is of another plan, and not over.
        Frozen: Its days stand still.
    """
    if not reason.strip() or (ends_at is not None and ends_at <= starts_at):
        raise TermWrong(_("A grant needs a reason, and an end after its start."))
    with writing():
        _refuse_other_class(account, plan, ends_at)
        subscription = _fresh(subscription)
        _refuse_frozen(subscription)
        refuse_other_plan(subscription, plan, now)
        _refuse_gap(subscription, starts_at, now)
        anchor_at = subscription.anchor_at if subscription else starts_at
        subscription = _hold(subscription, account, plan, anchor_at, starts_at)
        Period.objects.create(
            subscription=subscription,
            kind=Period.Kind.GRANT,
            starts_at=starts_at,
            ends_at=ends_at,
            source_code=source_code,
            reason=reason,
            posted_at=now,
        )
        audit.record(
            now=now,
            actor=actor,
            action="term.granted",
            subject=subscription.code,
            reason=reason,
            ends_at=ends_at.isoformat() if ends_at else None,
        )
    return subscription


def end_at(
    *, subscription: Subscription, at: datetime, reason: str, now: datetime, actor: Actor
) -> Ended:
    """End a subscription early, at an instant not before now.

    Raises:
        TermWrong: No reason, or an instant that has passed.
        NothingToEnd: It holds nothing after that instant.
        Frozen: Its days stand still; let them go on first.
    """
    if not reason.strip() or at < now:
        raise TermWrong(_("Ending early needs a reason and an instant that has not passed."))
    with writing():
        subscription = Subscription.objects.select_related("service", "plan__service").get(
            pk=subscription.pk
        )
        _refuse_frozen(subscription)
        end = queries.subscription_end(subscription)
        if end.is_over(at):
            raise NothingToEnd(_("This subscription is over by then already."))
        change_once(
            Subscription.objects.filter(pk=subscription.pk, version=subscription.version).update(
                version=F("version") + 1
            )
        )
        Period.objects.create(
            subscription=subscription,
            kind=Period.Kind.CUT,
            starts_at=at,
            ends_at=end.at,
            source_code=subscription.code,
            reason=reason,
            posted_at=now,
        )
        audit.record(
            now=now,
            actor=actor,
            action="term.ended_early",
            subject=subscription.code,
            at=at.isoformat(),
            reason=reason,
        )
    subscription.refresh_from_db()
    return Ended(subscription, at, end.at)


def refuse_over(subscription: Subscription, *, now: datetime) -> None:
    """Refuse to end, with a refund or without, what is over already.

    Raises:
        NothingToEnd: It holds nothing any more.
    """
    if queries.subscription_end(subscription).is_over(now):
        raise NothingToEnd(
            _("This subscription is over already."),
            _("Nothing was ended. What is owed for it is on the pages of its orders."),
        )


def refuse_other_plan(
    subscription: Subscription | None,
    plan: Plan,
    now: datetime,
    *,
    by: several.Holdings = several.ASKED,
) -> None:
    """Refuse a term of another plan than the one a subscription goes on with, while it runs.

    Raises:
        OtherPlanHeld: It names the plan that is held.
    """
    if subscription is None:
        return
    ahead = several.plans_ahead(subscription, by.changes([subscription]))
    if plan.pk not in ahead and not queries.subscription_end(subscription).is_over(now):
        raise OtherPlanHeld(
            _("You hold the plan %(held)s of %(service)s; a subscription has one plan at a time.")
            % {"held": subscription.plan.name, "service": plan.service.name},
            _("Renew it, change its plan on your account page, or buy another one beside it."),
        )


def _fresh(subscription: Subscription | None) -> Subscription | None:
    """Return a subscription as it is now, so that nothing is judged by what was read before."""
    if subscription is None:
        return None
    return Subscription.objects.select_related("service", "plan__service").get(pk=subscription.pk)


def _refuse_frozen(subscription: Subscription | None) -> None:
    if subscription is not None and subscription.lapses.filter(ended_at=None).exists():
        raise Frozen(
            _("The days of this subscription stand still: no line may serve it now."),
            _("Wait until a line is open again, or end it with a refund; nothing was changed."),
        )


def _refuse_other_class(account: Account, plan: Plan, ends_at: datetime | None) -> None:
    classes = {line.customer_class for line in queries.lines_of(plan)} - {"public"}
    if classes - {account.account_class}:
        raise WrongClass(
            _("This plan is for invited, named people only."),
            _("Grant it to an account of that class."),
        )
    if ends_at is None and account.account_class == "public":
        raise WrongClass(_("A grant without end is for named people of a closed service."))


def _refuse_gap(subscription: Subscription | None, starts_at: datetime, now: datetime) -> None:
    """Refuse a stretch apart from what is held: a term bought next would begin behind it."""
    end = queries.subscription_end(subscription) if subscription else queries.NOTHING_HELD
    earliest_gap = now if end.is_over(now) else end.at
    if earliest_gap is not None and starts_at > earliest_gap:
        raise TermWrong(
            _("A grant begins no later than now or the end of what is held."),
            _("Choose an earlier start."),
        )


def _hold(
    subscription: Subscription | None,
    account: Account,
    plan: Plan,
    anchor_at: datetime,
    starts_at: datetime,
) -> Subscription:
    """Return the subscription on this plan and anchor, with its version raised.

    Args:
        starts_at: Where the stretch begins that is posted next.
    """
    if subscription is None:
        subscription = Subscription(
            account=account,
            service=plan.service,
            plan=plan,
            anchor_at=anchor_at,
            quota_anchor_at=starts_at,
            number=several.next_number(account, plan.service),
            label="",
        )
        insert(subscription)
        return subscription
    change_once(
        Subscription.objects.filter(pk=subscription.pk, version=subscription.version).update(
            plan=plan,
            anchor_at=anchor_at,
            quota_anchor_at=quota.anchor_from(
                subscription.quota_anchor_at,
                held_until=queries.subscription_end(subscription).at,
                starts_at=starts_at,
            ),
            version=F("version") + 1,
        )
    )
    subscription.refresh_from_db()
    return subscription
