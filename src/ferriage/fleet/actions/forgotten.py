"""A gateway holds a newer permit than this database: a backup was restored that is older.

What was lost may have been a revocation. The gateway refuses serials that it has seen, so it
stays closed by itself; here the line is held until staff have looked, and serials go on from
there, so that what they decide then is heard.

Source: docs/decisions/0017-forgotten-permits.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_noop

from ferriage import wire
from ferriage.core import audit
from ferriage.core.actors import Actor
from ferriage.fleet import site
from ferriage.fleet.actions.lines import hold_line
from ferriage.fleet.actions.permits import refresh_permits
from ferriage.fleet.models import Line
from ferriage.fleet.queries import newest_permits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from ferriage.fleet.models import Gateway, Permit, PoolGateway

REASON: Final = gettext_noop("The shop's records are being checked after a backup was restored.")


def hold_forgotten(
    *,
    gateway: Gateway,
    pools: Iterable[wire.PoolStatus],
    members: Mapping[str, PoolGateway],
    now: datetime,
) -> None:
    """Hold every line of which the gateway proves a newer permit than is on record here.

    Only our own signature counts: a gateway's word alone would let a stolen one close lines.

    Args:
        members: The gateway's pools by code, as `queries.memberships` reads them.
    """
    shown = {status.pool: status.permit for status in pools if status.permit is not None}
    if all(_newest(members[code], signed) for code, signed in shown.items()):
        return
    lines = Line.objects.filter(pools__code__in=shown).distinct().order_by("pk")
    siblings = lines.prefetch_related("pools")
    known = newest_permits(siblings)
    for line in siblings:
        permit = known.get(line.pk)
        least = max(permit.serial if permit else 0, line.permit_floor or 0)
        signed = [shown[pool.code] for pool in line.pools.all() if pool.code in shown]
        proven = max((_proven(line, one) for one in signed if not _ours(permit, one)), default=0)
        if proven >= least and proven:
            _hold(line, proven, gateway, now)


def _newest(member: PoolGateway, signed: wire.SignedPermit) -> bool:
    """Tell whether a permit is what was signed last for the line, as nearly all are."""
    payload: str | None = getattr(member, "newest_permit", None)
    return signed.payload == payload


def _ours(permit: Permit | None, signed: wire.SignedPermit | None) -> bool:
    return permit is not None and signed is not None and permit.payload == signed.payload


def _proven(line: Line, signed: wire.SignedPermit | None) -> int:
    """Return the serial of a permit that this site signed for the line; 0 if it did not."""
    if signed is None:
        return 0
    try:
        permit = wire.open_permit(wire.public_key(site.permit_key()), signed)
    except wire.WireError:
        return 0
    return permit.serial if permit.line == line.code else 0


def _hold(line: Line, serial: int, gateway: Gateway, now: datetime) -> None:
    actor = Actor("gateway", gateway.code)
    Line.objects.filter(pk=line.pk).update(permit_floor=serial)
    audit.record(now=now, actor=actor, action="permit.forgotten", subject=line.code, serial=serial)
    if line.state == Line.State.IN_SERVICE:
        hold_line(line=line, reason=REASON, now=now, actor=actor)
    else:
        refresh_permits(now=now, actor=actor, lines=[line])
