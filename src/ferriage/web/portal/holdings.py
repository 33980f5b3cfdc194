"""What a customer holds, as the account page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from ferriage.devices import queries as devices
from ferriage.devices.liveness import liveness
from ferriage.plans import lapses, several
from ferriage.plans import queries as plans
from ferriage.plans.entitlement import entitlement
from ferriage.web.portal import catalogue, choices, notices, register
from ferriage.web.shared import usage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.approvals.facts import Verdict
    from ferriage.devices.liveness import Live
    from ferriage.devices.models import Device
    from ferriage.plans.entitlement import Entitlement
    from ferriage.plans.models import PlannedChange, Subscription
    from ferriage.plans.queries import OfferView
    from ferriage.web.portal.catalogue import Term
    from ferriage.web.portal.choices import Pack, Place
    from ferriage.web.portal.notices import Notice
    from ferriage.web.shared.usage import Usage

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device and how many gateways know it."""

    device: Device
    live: Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A subscription: what it allows now, its devices, and what renewing it would cost.

    `is_used_up` tells that nothing but the month's quota holds the devices.
    """

    subscription: Subscription
    state: Literal["open", "hold", "ended"]
    is_over: bool
    ends_at: datetime | None
    days_left: int
    reasons: tuple[str, ...]
    devices: tuple[DeviceRow, ...]
    terms: tuple[Term, ...]
    sold_until: datetime | None
    notices: tuple[Notice, ...]
    stands_still: bool
    limit: int
    planned: PlannedChange | None
    dropped: PlannedChange | None
    places: tuple[Place, ...]
    packs: tuple[Pack, ...]
    usage: Usage | None
    is_used_up: bool
    can_change: bool

    @property
    def has_too_long(self) -> bool:
        """Tell whether a renewal is not sold because it would run past `sold_until`."""
        return any(term.too_long for term in self.terms)

    @property
    def can_renew(self) -> bool:
        """Tell whether a term short enough is sold."""
        return any(not term.too_long for term in self.terms)

    @property
    def is_full(self) -> bool:
        """Tell whether every place for a device is taken."""
        return len(self.devices) >= self.limit

    @property
    def too_many(self) -> int:
        """How many devices have no place: the newest, which are held until others are removed."""
        return max(len(self.devices) - self.limit, 0)

    @property
    def can_add(self) -> bool:
        """Tell whether a device may be added now."""
        return self.state == "open" and not self.is_full


def subscriptions(
    account: Account, *, now: datetime, language: str, hold_days: int
) -> tuple[Holding, ...]:
    """Return what the account holds, oldest first."""
    stopped = lapses.stopped(account, now=now)
    held = plans.subscriptions_of(account)
    planned = several.planned_changes(held)
    offered = plans.offered_plans(subscription.service_id for subscription in held)
    return tuple(
        _holding(
            subscription,
            account,
            planned.get(subscription.pk),
            now=now,
            language=language,
            hold_days=hold_days,
            stands_still=subscription.pk in stopped,
            has_others=bool(offered[subscription.service_id] - {subscription.plan_id}),
        )
        for subscription in held
    )


def _holding(
    subscription: Subscription,
    account: Account,
    planned: PlannedChange | None,
    *,
    now: datetime,
    language: str,
    hold_days: int,
    stands_still: bool,
    has_others: bool,
) -> Holding:
    views = plans.offers_of(plan=subscription.plan, now=now, place=account.place)
    verdict = _best_verdict(views)
    # What is renewed is the plan that it goes on with.
    ahead = planned.plan if planned else subscription.plan
    sold_until = plans.end_of_sale(
        plans.offers_of(plan=ahead, now=now, place=account.place) if planned else views
    )
    prices = plans.current_prices(plan=ahead, now=now)
    used = usage.of(subscription, now=now)
    right = _right(subscription, verdict, used, now)
    is_over = right.state == "none" or right.reason == "term"
    ends_at = plans.subscription_end(subscription).if_resumed(now)
    is_gone = is_over and (ends_at is None or ends_at + timedelta(days=hold_days) <= now)
    is_denied = right.reason == "register"
    is_open = right.state == "open" and not stands_still
    # Named people of a closed service buy nothing.
    may_renew = account.account_class == "public" and not stands_still
    return Holding(
        subscription=subscription,
        state="ended" if is_gone else "open" if is_open else "hold",
        is_over=is_over,
        ends_at=ends_at,
        days_left=days_left(ends_at, now),
        reasons=register.why_not(verdict, language) if is_denied and verdict else (),
        devices=device_rows(subscription, now),
        terms=catalogue.terms(prices, sold_until=sold_until, now=now, held=subscription)
        if may_renew
        else (),
        sold_until=sold_until,
        notices=() if is_over else notices.coming(views, ends_at=ends_at, now=now),
        stands_still=stands_still,
        limit=plans.device_limit(subscription, now=now),
        planned=planned,
        dropped=None if planned else choices.dropped_change(subscription),
        places=choices.places(subscription, now=now) if may_renew and is_open else (),
        packs=choices.packs(subscription, now=now) if may_renew and used and not is_over else (),
        usage=None if is_over else used,
        is_used_up=right.reason == "quota" and not stands_still,
        can_change=has_others and may_renew and not is_over and ends_at is not None,
    )


def device_rows(subscription: Subscription, now: datetime) -> tuple[DeviceRow, ...]:
    """Return a subscription's devices with how many gateways know each."""
    found = devices.devices_of(subscription)
    live = liveness(found, now=now)
    return tuple(DeviceRow(device, live[device.code]) for device in found)


def days_left(ends_at: datetime | None, now: datetime) -> int:
    """Return the days left, begun ones counted: on the last day it is 1, after the end 0."""
    if ends_at is None or ends_at <= now:
        return 0
    return -((now - ends_at) // _DAY)


def _best_verdict(views: Iterable[OfferView]) -> Verdict | None:
    """Return the verdict of the plan's line that stays open longest; one open line is enough."""
    verdicts = [view.verdict for view in views]
    return max(verdicts, key=lambda one: (one.allowed, one.valid_until), default=None)


def _right(
    subscription: Subscription, verdict: Verdict | None, used: Usage | None, now: datetime
) -> Entitlement:
    return entitlement(
        periods=plans.posted_periods(subscription),
        quota_bytes=used.allowed if used else None,
        verdict=verdict or register.NO_LINE,
        used_bytes=used.used if used else 0,
        now=now,
    )
