"""A backup was restored: another history of the database begins, and gateways are told so.

A gateway shows the head of the newest batch it took, as the hub signed it. A head that this
database did not write proves that it is older than it was: one of its own history, or of a history
that began when the same backup was put back before. A gateway's word alone proves nothing.

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
from ferriage.core.models import AuditEntry, SiteState
from ferriage.fleet import site
from ferriage.fleet.actions.alarms import raise_alarm
from ferriage.fleet.feed import ring
from ferriage.fleet.models import Alarm, Pool, PoolChange

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from ferriage.fleet.models import Gateway, PoolGateway

SLOTS_PASSED_OVER: Final = 10_000
"""More addresses than a shop sells between two backups; those were sold, and gateways know them."""
BY_ITSELF: Final = timedelta(days=1)
"""A history begins by itself this often at most: each passes over addresses, and they are few."""
FARTHEST_HEAD: Final = 10_000_000
"""More revisions than any pool writes between two backups. A head beyond was signed by no hub of
ours, and would bring the next one near the end of the numbers."""
SETTLING: Final = timedelta(minutes=5)
"""So long after a history began gateways may show the one before, which no record names if the
database was put back in between."""
_ROUND: Final = "history"
_ACTION: Final = "database.restored"


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
    others = {
        code: head
        for code, head in heads.items()
        if head.pool == code and head.epoch != epoch and _signed(head)
    }
    unknown = _unknown(others, gateway=gateway, epoch=epoch)
    proven = {code: own[code].rev for code in _strange(own) if _signed(own[code])}
    proven |= {code: head.rev for code, head in unknown.items()}
    if not proven:
        return
    near = all(rev <= members[code].pool.revision + FARTHEST_HEAD for code, rev in proven.items())
    if near and rounds.claim(_ROUND, every=BY_ITSELF, now=now):
        begin_history(
            witnesses=proven,
            ended={head.epoch for head in unknown.values()},
            now=now,
            actor=Actor("gateway", gateway.code),
        )
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


def _signed(head: wire.Begin) -> bool:
    return wire.is_head(site.feed_public_key(), head)


def _unknown(
    heads: Mapping[str, wire.Begin], *, gateway: Gateway, epoch: str
) -> dict[str, wire.Begin]:
    """Return the heads of histories that this database's records do not name.

    Of a database that was put back twice the gateways left the history for a later one, and take
    nothing of it any more. Every history that ended before this one began is on record.
    """
    if not heads:
        return {}
    entries = AuditEntry.objects.filter(subject="", action=_ACTION).values_list("at", "details")
    ended, began = {epoch}, None
    for at, said in entries:
        ended |= {said["before"], said["epoch"], *said.get("ended", ())}
        began = at if said["epoch"] == epoch else began
    seen = gateway.last_seen_at
    if began is not None and (seen is None or seen < began + SETTLING):
        return {}
    return {code: head for code, head in heads.items() if head.epoch not in ended}


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


def begin_history(
    *, witnesses: Mapping[str, int], ended: Collection[str] = (), now: datetime, actor: Actor
) -> str:
    """Give the database a new epoch, with revisions above all that gateways have seen.

    Addresses that were sold since the backup are passed over, so that nobody who paid loses one to
    a newcomer.

    Args:
        witnesses: Revisions by the code of their pool.
        ended: Histories that gateways have seen and that are in no record.

    Returns:
        The new epoch.
    """
    epoch = secrets.token_hex(16)
    with writing():
        # None begins by itself soon after one that staff began: gateways may show what was before.
        rounds.claim(_ROUND, every=timedelta(0), now=now)
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
            action=_ACTION,
            subject="",
            before=state.epoch,
            epoch=epoch,
            witnesses=dict(witnesses),
            **({"ended": sorted(ended)} if ended else {}),
        )
    return epoch
