"""Another plan for a subscription: at once, or booked for where its time ends.

Source: docs/explanation/subscriptions.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.errors import FerriageError
from ferriage.plans import queries, several
from ferriage.plans.actions.plain import change_once
from ferriage.plans.entitlement import frozen_from, where_now
from ferriage.plans.models import Period, Plan, PlannedChange, Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor

LONGEST_LABEL = 30


class ChangeWrong(FerriageError):
    """A change of plan that cannot be booked, or not be taken back any more."""

    slug = "change-wrong"


class LabelWrong(FerriageError):
    """A subscription's name that is too long."""

    slug = "label-wrong"
    status = 422


def label(*, subscription: Subscription, text: str, now: datetime, actor: Actor) -> Subscription:
    """Give a subscription the customer's own short name; empty takes it away.

    Raises:
        LabelWrong: Too long, or with control characters.
    """
    text = text.strip()
    if len(text) > LONGEST_LABEL or not (text.isprintable() or not text):
        raise LabelWrong(
            _("A name has at most %(longest)d characters.") % {"longest": LONGEST_LABEL}
        )
    with writing():
        Subscription.objects.filter(pk=subscription.pk).update(label=text)
        # Not what it is called: that is the customer's, and the trail is kept for ever.
        audit.record(now=now, actor=actor, action="subscription.named")
    subscription.label = text
    return subscription


def plan_change(
    *, subscription: Subscription, plan: Plan, now: datetime, actor: Actor
) -> PlannedChange:
    """Book another plan of the service for where a subscription's time ends.

    Nothing is charged: the next term is sold at the other plan's price. The caller asks whether
    the plan may be sold. Booked again, the later one counts.

    Raises:
        ChangeWrong: The same plan, one of another service or withdrawn, a subscription that is
            over or without end, or a change that is paid for.
    """
    with writing():
        fresh = Subscription.objects.select_related("plan").get(pk=subscription.pk)
        end = queries.subscription_end(fresh)
        same = plan.pk == fresh.plan_id
        if same or plan.service_id != fresh.service_id or plan.withdrawn_at is not None:
            raise ChangeWrong(_("This plan cannot follow the one you have."))
        if end.is_over(now) or end.at is None:
            raise ChangeWrong(
                _("There is no end to change the plan at."), _("Buy the other plan right away.")
            )
        _give_up(fresh, PlannedChange.Outcome.CANCELLED, now)
        change = PlannedChange.objects.create(subscription=fresh, plan=plan, booked_at=now)
        audit.record(
            now=now, actor=actor, action="change.booked", subject=change.code, plan=plan.code
        )
    return change


def cancel_change(*, subscription: Subscription, now: datetime, actor: Actor) -> None:
    """Take back what is booked for a subscription's end; nothing else changes.

    Raises:
        ChangeWrong: Nothing is booked, or the next term was paid for at the other plan's price.
    """
    with writing():
        if not _give_up(subscription, PlannedChange.Outcome.CANCELLED, now):
            raise ChangeWrong(_("No change of plan is booked."))
        audit.record(now=now, actor=actor, action="change.cancelled")


def drop_change(*, change: PlannedChange, outcome: str, now: datetime, actor: Actor) -> bool:
    """End a change that nobody paid for, since its plan is not to be had; tells whether it did."""
    with writing():
        unpaid = PlannedChange.objects.filter(pk=change.pk, ended_at=None, source_code="")
        if not unpaid.update(outcome=outcome, ended_at=now):
            return False
        audit.record(
            now=now, actor=actor, action="change.dropped", subject=change.code, outcome=outcome
        )
    return True


def due_changes(now: datetime) -> list[PlannedChange]:
    """Return the paid changes whose term has begun, or was cut away before it could."""
    waiting = PlannedChange.objects.filter(ended_at=None).exclude(source_code="")
    rows = waiting.select_related("subscription", "plan").prefetch_related("subscription__periods")
    return [change for change in rows if _is_due(change, now)]


def switch(*, change: PlannedChange, now: datetime, actor: Actor) -> Subscription:
    """Let a subscription go on with the plan that its new term was paid for.

    If that term was cut away, the change ends and the plan stays. The caller tells the gateways.

    Raises:
        StaleState: Another writer did it.
    """
    with writing():
        held = bool(_where(change))
        outcome = PlannedChange.Outcome.DONE if held else PlannedChange.Outcome.CANCELLED
        change_once(
            PlannedChange.objects.filter(pk=change.pk, ended_at=None).update(
                outcome=outcome, ended_at=now
            )
        )
        subscription = Subscription.objects.get(pk=change.subscription_id)
        if held:
            change_once(
                Subscription.objects.filter(
                    pk=subscription.pk, version=subscription.version
                ).update(plan=change.plan_id, version=subscription.version + 1)
            )
        audit.record(
            now=now, actor=actor, action="change.ended", subject=change.code, outcome=outcome
        )
    subscription.refresh_from_db()
    return subscription


def go_on(
    *,
    subscription: Subscription,
    plan: Plan,
    starts_at: datetime,
    ends_at: datetime,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> Subscription:
    """Let a subscription that was ended go on with another plan, for a stretch of any length.

    Raises:
        StaleState: Another writer changed it first.
    """
    with writing():
        fresh = Subscription.objects.get(pk=subscription.pk)
        change_once(
            Subscription.objects.filter(pk=fresh.pk, version=fresh.version).update(
                plan=plan, anchor_at=starts_at, version=fresh.version + 1
            )
        )
        Period.objects.create(
            subscription=fresh,
            kind=Period.Kind.PURCHASE,
            starts_at=starts_at,
            ends_at=ends_at,
            source_code=source_code,
            posted_at=now,
        )
        audit.record(now=now, actor=actor, action="subscription.moved", to=plan.code)
    fresh.refresh_from_db()
    return fresh


def settle_planned(
    subscription: Subscription | None,
    plan: Plan,
    source_code: str,
    starts_at: datetime,
    now: datetime,
) -> Plan:
    """Return the plan that a subscription holds once a term of `plan` was added to it.

    A term of the plan that is booked makes the change certain, or does it where the term begins
    at once. A term of the present plan leaves the change for the end after it.
    """
    if subscription is None:
        return plan
    change = several.planned_change(subscription)
    if change is None or change.plan_id != plan.pk or change.source_code:
        is_ahead = change is not None and bool(change.source_code)
        return subscription.plan if is_ahead else plan
    if starts_at > now:
        PlannedChange.objects.filter(pk=change.pk).update(source_code=source_code)
        return subscription.plan
    PlannedChange.objects.filter(pk=change.pk).update(
        source_code=source_code, outcome=PlannedChange.Outcome.DONE, ended_at=now
    )
    return plan


def give_up_planned(*, subscription: Subscription, now: datetime) -> None:
    """End what is booked, paid for or not, since the plan is changed otherwise."""
    PlannedChange.objects.filter(subscription=subscription, ended_at=None).update(
        outcome=PlannedChange.Outcome.CANCELLED, ended_at=now
    )


def _give_up(subscription: Subscription, outcome: str, now: datetime) -> bool:
    change = several.planned_change(subscription)
    if change is None:
        return False
    if change.source_code:
        raise ChangeWrong(
            _("The next term is paid for with the plan %(plan)s already.")
            % {"plan": change.plan.name},
            _("When it has begun you can change the plan again."),
        )
    PlannedChange.objects.filter(pk=change.pk).update(outcome=outcome, ended_at=now)
    return True


def _is_due(change: PlannedChange, now: datetime) -> bool:
    frozen = frozen_from(queries.posted_periods(change.subscription))
    at = now if frozen is None else min(now, frozen)
    stretches = _where(change)
    return not stretches or stretches[0][0] <= at


def _where(change: PlannedChange) -> list[tuple[datetime, datetime | None]]:
    """Return where the term lies that paid for a change; nothing if it was cut away."""
    periods = queries.posted_periods(change.subscription)
    bought = (p for p in periods if p.source_code == change.source_code)
    term = next(p for p in bought if p.kind == Period.Kind.PURCHASE)
    return where_now(periods, term)
