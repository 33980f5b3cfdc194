"""What a customer can choose while no line may serve them, as the page of choices shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from ferriage.devices.queries import devices_of
from ferriage.orders import queries as orders
from ferriage.orders import values as orders_values
from ferriage.plans import lapses
from ferriage.plans import queries as plans
from ferriage.plans.models import Lapse
from ferriage.web.portal import register

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.core.money import Money
    from ferriage.fleet.models import Line
    from ferriage.plans.lapses import Stop
    from ferriage.plans.models import Plan, Subscription
    from ferriage.plans.queries import OfferView


@dataclass(frozen=True, slots=True)
class OtherLine:
    """A plan that the time that is left may go on with, and the line it would use.

    `lasts_until` is where a dearer plan would end, for what is left; None keeps every second.
    `surplus` is how many devices must go first.
    """

    plan: Plan
    line: Line
    lasts_until: datetime | None
    surplus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A subscription that no line serves: since when, why, and what each choice would give.

    `due_at` is None where nothing was paid: then it waits for as long as it takes.
    """

    subscription: Subscription
    since: datetime
    due_at: datetime | None
    chose_to_wait: bool
    reasons: tuple[str, ...]
    days_left: int
    owed: tuple[Money, ...]
    has_gifts: bool
    has_resold: bool
    others: tuple[OtherLine, ...]


def stopped(account: Account, *, now: datetime, language: str) -> tuple[Stopped, ...]:
    """Return every subscription of an account that no line serves now, oldest first."""
    found = lapses.stopped(account, now=now)
    known = {
        lapse.subscription_id: lapse
        for lapse in Lapse.objects.filter(subscription__in=found, ended_at=None)
    }
    return tuple(
        _stopped(stop, known.get(pk), now=now, language=language)
        for pk, stop in sorted(found.items())
    )


def _stopped(stop: Stop, lapse: Lapse | None, *, now: datetime, language: str) -> Stopped:
    subscription, account = stop.subscription, stop.subscription.account
    end = plans.subscription_end(subscription).at
    running = orders.running([subscription], at=stop.at)
    return Stopped(
        subscription=subscription,
        since=stop.at,
        due_at=stop.at + lapses.LONGEST_WAIT if running else None,
        chose_to_wait=lapse is not None and lapse.choice == Lapse.Choice.WAIT,
        reasons=_reasons(subscription, account, now=now, language=language),
        days_left=-((stop.at - end) // timedelta(days=1)) if end else 0,
        owed=tuple(orders.owed_if_ended(subscription, at=stop.at)),
        has_gifts=orders.has_gifts(subscription, at=stop.at),
        has_resold=orders.has_resold(subscription, at=stop.at),
        others=tuple(
            _other(subscription, view, at=stop.at, now=now)
            for view in plans.open_to(account, besides=subscription, now=now)
        ),
    )


def _other(
    subscription: Subscription, view: OfferView, *, at: datetime, now: datetime
) -> OtherLine:
    found = None
    if not settings.FERRIAGE.shop.moves_keep_time:
        found = orders_values.by_value(subscription, view.plan, at=at, now=now)
    surplus = max(len(devices_of(subscription)) - view.plan.device_limit, 0)
    return OtherLine(view.plan, view.line, now + found.length if found else None, surplus)


def _reasons(
    subscription: Subscription, account: Account, *, now: datetime, language: str
) -> tuple[str, ...]:
    """Return why each line of the plan serves nobody, every reason once."""
    views = plans.offers_of(plan=subscription.plan, now=now, place=account.place)
    said = [reason for view in views for reason in _why_not(view, language)]
    return tuple(dict.fromkeys(said)) or (_("This plan has no line any more."),)


def _why_not(view: OfferView, language: str) -> tuple[str, ...]:
    if not view.verdict.allowed:
        return register.why_not(view.verdict, language)
    if view.line.state == "closed":
        return (_("This line is closed for good."),)
    written = view.line.hold_reason
    return (_(written) if written else _("This line is not open at the moment."),)
