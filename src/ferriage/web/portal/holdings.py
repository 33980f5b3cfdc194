"""What a customer holds, as the account page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from ferriage.devices import queries as devices
from ferriage.plans import queries as plans
from ferriage.plans.entitlement import entitlement
from ferriage.web.portal import catalogue, register

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.accounts.models import Account
    from ferriage.approvals.facts import Verdict
    from ferriage.devices.models import Device
    from ferriage.devices.queries import Live
    from ferriage.plans.entitlement import Entitlement
    from ferriage.plans.models import Plan, Subscription
    from ferriage.web.portal.catalogue import Term

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device and how many gateways know it."""

    device: Device
    live: Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A subscription: what it allows now, its devices, and what renewing it would cost."""

    subscription: Subscription
    state: Literal["open", "hold", "ended"]
    is_over: bool
    ends_at: datetime | None
    days_left: int
    reasons: tuple[str, ...]
    devices: tuple[DeviceRow, ...]
    terms: tuple[Term, ...]

    @property
    def is_full(self) -> bool:
        """Tell whether every place for a device is taken."""
        return len(self.devices) >= self.subscription.plan.device_limit

    @property
    def can_add(self) -> bool:
        """Tell whether a device may be added now."""
        return self.state == "open" and not self.is_full


def subscriptions(
    account: Account, *, now: datetime, language: str, hold_days: int
) -> tuple[Holding, ...]:
    """Return what the account holds, oldest first."""
    return tuple(
        _holding(subscription, account, now=now, language=language, hold_days=hold_days)
        for subscription in plans.subscriptions_of(account)
    )


def _holding(
    subscription: Subscription, account: Account, *, now: datetime, language: str, hold_days: int
) -> Holding:
    verdict = _best_verdict(subscription.plan, account.place, now)
    right = _right(subscription, verdict, now)
    is_over = right.state == "none" or right.reason == "term"
    ends_at = plans.subscription_end(subscription).at
    is_gone = is_over and (ends_at is None or ends_at + timedelta(days=hold_days) <= now)
    is_denied = right.reason == "register"
    return Holding(
        subscription=subscription,
        state="ended" if is_gone else "open" if right.state == "open" else "hold",
        is_over=is_over,
        ends_at=ends_at,
        days_left=days_left(ends_at, now),
        reasons=register.why_not(verdict, language) if is_denied and verdict else (),
        devices=device_rows(subscription),
        terms=_terms(subscription.plan, account, now),
    )


def _terms(plan: Plan, account: Account, now: datetime) -> tuple[Term, ...]:
    """Return what renewing would cost; named people of a closed service buy nothing."""
    if account.account_class != "public":
        return ()
    return catalogue.terms(plans.current_prices(plan=plan, now=now))


def device_rows(subscription: Subscription) -> tuple[DeviceRow, ...]:
    """Return a subscription's devices with how many gateways know each."""
    found = devices.devices_of(subscription)
    live = devices.liveness(found)
    return tuple(DeviceRow(device, live[device.code]) for device in found)


def days_left(ends_at: datetime | None, now: datetime) -> int:
    """Return the days left, begun ones counted: on the last day it is 1, after the end 0."""
    if ends_at is None or ends_at <= now:
        return 0
    return -((now - ends_at) // _DAY)


def _best_verdict(plan: Plan, place: str, now: datetime) -> Verdict | None:
    """Return the verdict of the plan's line that stays open longest; one open line is enough."""
    views = plans.offers_of(plan=plan, now=now, place=place)
    verdicts = [view.verdict for view in views]
    return max(verdicts, key=lambda one: (one.allowed, one.valid_until), default=None)


def _right(subscription: Subscription, verdict: Verdict | None, now: datetime) -> Entitlement:
    return entitlement(
        periods=plans.posted_periods(subscription),
        quota_bytes=None,
        verdict=verdict or register.NO_LINE,
        used_bytes=0,
        now=now,
    )
