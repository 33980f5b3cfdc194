"""What may be bought on top of a plan: its price, and the place it gives.

Source: docs/explanation/subscriptions.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from ferriage.core import audit
from ferriage.core.db import writing
from ferriage.core.money import is_currency
from ferriage.plans import queries
from ferriage.plans.actions.catalogue import end_in_force
from ferriage.plans.actions.limits import LEAST_BYTES
from ferriage.plans.actions.plain import CatalogueWrong, change_once
from ferriage.plans.models import AddOnPrice, Period, Plan, Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.core.money import Money


def set_addon_price(
    *,
    plan: Plan,
    kind: str,
    money: Money,
    quota_bytes: int | None = None,
    now: datetime,
    actor: Actor,
) -> AddOnPrice:
    """Sell an add-on to a plan from now on: a place for each calendar month, a pack once.

    Args:
        quota_bytes: What a quota pack adds to a month; nothing else has it.

    Raises:
        CatalogueWrong: No such kind, an amount that is not above zero, a currency that nobody
            has, a plan of a closed service, a pack without bytes or on a plan without a quota,
            or a clock that stands before the price in force.
    """
    if kind not in AddOnPrice.Kind.values or money.amount_minor <= 0:
        raise CatalogueWrong(_("An add-on costs something; its price is for one month."))
    if not is_currency(money.currency):
        raise CatalogueWrong(_("%(code)s is no currency.") % {"code": money.currency})
    if kind != AddOnPrice.Kind.QUOTA_PACK:
        quota_bytes = None
    elif plan.quota_bytes is None:
        raise CatalogueWrong(
            _("This plan has no quota, so there is nothing to add to."),
            _("Sell packs with a plan that has one."),
        )
    elif quota_bytes is None or quota_bytes < LEAST_BYTES:
        raise CatalogueWrong(_("A pack adds at least 1 MB to a month."))
    with writing():
        if queries.is_closed(plan):
            raise CatalogueWrong(_("Named people of a closed service buy nothing."))
        current = AddOnPrice.objects.filter(
            plan=plan, kind=kind, currency=money.currency, valid_to=None
        )
        end_in_force(current, now=now)
        price = AddOnPrice.objects.create(
            plan=plan,
            kind=kind,
            quota_bytes=quota_bytes,
            amount_minor=money.amount_minor,
            currency=money.currency,
            valid_from=now,
        )
        audit.record(
            now=now,
            actor=actor,
            action="addon_price.set",
            subject=price.code,
            plan=plan.code,
            price=str(money),
        )
    return price


def end_addon_price(*, price: AddOnPrice, now: datetime, actor: Actor) -> AddOnPrice:
    """Sell an add-on no more; who has it keeps it to the end of its term.

    Raises:
        StaleState: It has ended before.
    """
    with writing():
        change_once(AddOnPrice.objects.filter(pk=price.pk, valid_to=None).update(valid_to=now))
        audit.record(now=now, actor=actor, action="addon_price.ended", subject=price.code)
    price.refresh_from_db()
    return price


def add_slot(
    *,
    subscription: Subscription,
    starts_at: datetime,
    ends_at: datetime,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> Period:
    """Give a subscription a place for one more device for a stretch of its time.

    Args:
        source_code: The order; the same one never gives two (by unique constraint).
    """
    slot = Period(kind=Period.Kind.SLOT, starts_at=starts_at, ends_at=ends_at)
    with writing():
        _post(slot, subscription, source_code, now)
        audit.record(now=now, actor=actor, action="slot.added", subject=source_code)
    return slot


def add_pack(
    *,
    subscription: Subscription,
    quota_bytes: int,
    starts_at: datetime,
    ends_at: datetime,
    source_code: str,
    now: datetime,
    actor: Actor,
) -> Period:
    """Add bytes to a subscription's quota for a stretch of its time.

    Args:
        source_code: The order; the same one never gives two (by unique constraint).
    """
    pack = Period(
        kind=Period.Kind.PACK, starts_at=starts_at, ends_at=ends_at, quota_bytes=quota_bytes
    )
    with writing():
        _post(pack, subscription, source_code, now)
        audit.record(
            now=now, actor=actor, action="pack.added", subject=source_code, quota_bytes=quota_bytes
        )
    return pack


def revoke(
    *,
    subscription: Subscription,
    starts_at: datetime,
    ends_at: datetime,
    source_code: str,
    reason: str,
    now: datetime,
    actor: Actor,
) -> Period:
    """Take a slot or a pack away for a stretch; all else that the subscription has stays.

    Args:
        source_code: The order that gave it.

    Raises:
        StaleState: Another writer changed the subscription first.
    """
    taken = Period(kind=Period.Kind.REVOKE, starts_at=starts_at, ends_at=ends_at, reason=reason)
    with writing():
        _post(taken, subscription, source_code, now)
        audit.record(now=now, actor=actor, action="addon.revoked", subject=source_code)
    return taken


def _post(addon: Period, subscription: Subscription, source_code: str, now: datetime) -> None:
    change_once(Subscription.objects.filter(pk=subscription.pk).update(version=F("version") + 1))
    addon.subscription, addon.source_code, addon.posted_at = subscription, source_code, now
    addon.save()
