"""A backup was restored: another history of the database begins, and gateways are told so.

A gateway shows the head of the newest batch it took, as the hub signed it. A head that this
database did not write proves that it is older than it was; a gateway's word alone proves nothing.

Source: docs/decisions/0051-restored-backup.md
"""

from __future__ import annotations

import ipaddress
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import F, Q

from ferriage import wire
from ferriage.core import audit, rounds
from ferriage.core.actors import Actor
from ferriage.core.db import writing
from ferriage.core.models import SiteState
from ferriage.fleet import site
from ferriage.fleet.actions.alarms import raise_alarm
from ferriage.fleet.feed import ring
from ferriage.fleet.models import Alarm, Pool, PoolChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from ferriage.fleet.models import Gateway, PoolGateway

SLOTS_PASSED_OVER: Final = 10_000
"""More addresses than a shop sells between two backups; those were sold, and gateways know them."""
BY_ITSELF: Final = timedelta(days=1)
"""A history begins by itself this often at most: each passes over addresses, and they are few."""
FARTHEST_HEAD: Final = 10_000_000
"""More revisions than any pool writes between two backups. A head beyond was signed by no hub of
ours, and would bring the next one near the end of the numbers."""
_ROUND: Final = "history"


def notice_restored(
    *,
    gateway: Gateway,
    pools: Iterable[wire.PoolStatus],
    members: Mapping[str, PoolGateway],
    epoch: str,
    now: datetime,
) -> None:
    """Begin another history when a gateway proves that this database is older than it was.

    What the hub's key signed is a proof as long as the key is the hub's alone. So nothing begins
    for a head that is too far ahead, nor twice a day; staff are told, and may begin it themselves.

    Args:
        members: The gateway's pools by code, as `queries.memberships` reads them.
        epoch: The database's history.
    """
    heads = {status.pool: status.head for status in pools if status.head is not None}
    own = {
        code: head
        for code, head in heads.items()
        if (head.epoch, head.pool) == (epoch, code) and not _newest(members[code].pool, head)
    }
    proven = {
        code: own[code].rev
        for code in _strange(own)
        if wire.is_head(site.feed_public_key(), own[code])
    }
    if not proven:
        return
    near = all(rev <= members[code].pool.revision + FARTHEST_HEAD for code, rev in proven.items())
    if near and rounds.claim(_ROUND, every=BY_ITSELF, now=now):
        begin_history(witnesses=proven, now=now, actor=Actor("gateway", gateway.code))
    else:
        raise_alarm(
            kind=Alarm.Kind.OTHER_HISTORY,
            subject=gateway.code,
            now=now,
            name=gateway.name,
            revisions=proven,
        )


def _newest(pool: Pool, head: wire.Begin) -> bool:
    """Tell whether a head is of what was written last, as nearly all are: the log knows no more."""
    return (head.rev, head.digest) == (pool.revision, pool.digest)


def _strange(heads: Mapping[str, wire.Begin]) -> list[str]:
    """Return the pools whose head is not of what the log says, as far back as it is kept."""
    if not heads:
        return []
    newest = dict(Pool.objects.filter(code__in=heads).values_list("code", "revision"))
    wanted = Q()
    for code, head in heads.items():
        wanted |= Q(pool__code=code, rev=head.rev)
    written = dict(PoolChange.objects.filter(wanted).values_list("pool__code", "digest"))
    return [
        code
        for code, head in sorted(heads.items())
        if code in newest
        and (head.rev > newest[code] or written.get(code, head.digest) != head.digest)
    ]


def begin_history(*, witnesses: Mapping[str, int], now: datetime, actor: Actor) -> str:
    """Give the database a new epoch, with revisions above all that gateways have seen.

    Addresses that were sold since the backup are passed over, so that nobody who paid loses one to
    a newcomer.

    Args:
        witnesses: Revisions by the code of their pool.

    Returns:
        The new epoch.
    """
    epoch = secrets.token_hex(16)
    with writing():
        for pool in Pool.objects.select_for_update().order_by("pk"):
            seen = max(pool.revision, witnesses.get(pool.code, 0))
            Pool.objects.filter(pk=pool.pk).update(revision=seen + 1)
            ring(pool)
        state = SiteState.objects.select_for_update().get()
        left = ipaddress.IPv4Network(state.inner4).num_addresses - 2 - state.next_slot
        skipped = max(min(SLOTS_PASSED_OVER, left // 2), 0)
        SiteState.objects.update(epoch=epoch, next_slot=F("next_slot") + skipped)
        audit.record(
            now=now,
            actor=actor,
            action="database.restored",
            subject="",
            before=state.epoch,
            epoch=epoch,
            witnesses=dict(witnesses),
        )
    return epoch
