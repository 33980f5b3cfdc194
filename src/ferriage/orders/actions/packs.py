"""How much of quota packs was used: counted from what devices used, and never counted back.

Source: docs/explanation/quotas.md
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from django.db.models import Q

from ferriage.core.db import writing
from ferriage.devices import usage
from ferriage.orders import queries
from ferriage.orders.models import Order
from ferriage.plans import actions as plans
from ferriage.plans.models import Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ferriage.core.actors import Actor
    from ferriage.devices.usage import Standing
    from ferriage.plans.models import Subscription

KEPT: Final = "-u"
"""Ends the name of the stretch in which what was used of a pack is kept."""


def count_use(*, now: datetime) -> int:
    """Note what is used of the packs in force; returns of how many it was more than before.

    A month's own quota is used first, then the packs in the order in which they were bought. One
    that was ended early is not counted any more: what of it went back was settled by what had been
    counted until then.
    """
    running = queries.fulfilled().filter(
        Q(ends_at__gt=now),
        kind=Order.Kind.ADDON,
        quota_bytes__isnull=False,
        cut_at=None,
        frozen_from=None,
        period_starts_at__lte=now,
    )
    with writing():
        packs = list(
            running.select_related("subscription__plan")
            .prefetch_related("subscription__periods")
            .order_by("subscription_id", "pk")
        )
        if not packs:
            return 0
        subscriptions = {pack.subscription for pack in packs if pack.subscription}
        standings = usage.standings(subscriptions, now)
        changed = [
            pack
            for pk, group in groupby(packs, key=lambda pack: pack.subscription_id)
            if pk is not None
            for pack in _use(list(group), standings[pk])
        ]
        Order.objects.bulk_update(changed, ["used_bytes"], batch_size=500)
    return len(changed)


def keep_used(
    subscription: Subscription, packs: Iterable[Order], *, at: datetime, now: datetime, actor: Actor
) -> None:
    """Leave in the month what was used of packs that end early, in the caller's transaction.

    It was paid for; without it, it would count against the quota that goes on. A pack whose end
    was set ahead, and that then ends sooner, is kept up to where it was kept already.
    """
    ending = [pack for pack in packs if pack.used_bytes]
    if not ending:
        return
    kept = list(subscription.periods.filter(kind=Period.Kind.PACK, source_code__contains=KEPT))
    for pack in ending:
        source_code = f"{pack.code}{KEPT}"
        mine = [one for one in kept if one.source_code.startswith(source_code)]
        ends = [one.starts_at for one in mine]
        if pack.period_ends_at:
            ends.append(pack.period_ends_at + pack.frozen)
        ends_at = min(ends, default=at)
        if at < ends_at:
            plans.add_pack(
                subscription=subscription,
                quota_bytes=pack.used_bytes,
                starts_at=at,
                ends_at=ends_at,
                source_code=f"{source_code}{len(mine) + 1}" if mine else source_code,
                now=now,
                actor=actor,
            )


def _use(packs: Sequence[Order], month: Standing) -> list[Order]:
    """Spread what was used above the month's own quota on packs; return those it is more of."""
    if month.allowed is None:
        return []
    over = month.used - (month.allowed - sum(pack.quota_bytes or 0 for pack in packs))
    changed = []
    for pack in packs:
        part = min(max(over, 0), pack.quota_bytes or 0)
        over -= part
        if part > pack.used_bytes:
            pack.used_bytes = part
            changed.append(pack)
    return changed
